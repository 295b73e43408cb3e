//! The machine against scripts of events (here) and in a group of its own kind (`group`).

mod claims;
mod close;
mod group;
mod lease;
mod looks;
mod model;
mod peers;
mod releases;
mod sessions;
mod standing_down;

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::assignor::{Range, Subscription, TopicPartitions};
use crate::view::{OwnRegistration, PoisonKind, PoisonMember, View};

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn tp(partition: i32) -> TopicPartition {
    TopicPartition::new("t", partition)
}

fn me(thread: u32) -> ConsumerThreadId {
    ConsumerThreadId::new("me", thread)
}

/// A group on topic `t` whose members have one stream each; `me` is registered if it is one of them.
fn view(members: &[&str], partitions: i32) -> View {
    let subscription = Subscription::from([("t".into(), 1)]);
    View {
        members: members
            .iter()
            .map(|id| (*id, subscription.clone()))
            .collect(),
        partitions: TopicPartitions::from([("t".into(), (0..partitions).collect())]),
        registration: match members.contains(&"me") {
            true => OwnRegistration::Ours,
            false => OwnRegistration::Missing,
        },
        ..View::default()
    }
}

/// What a PyKafka member writes.
fn poison() -> PoisonMember {
    PoisonMember {
        node: "/consumers/g/ids/py".to_owned(),
        data: "t".to_owned(),
        kind: PoisonKind::PyKafka,
    }
}

fn emitted(actions: &[Action]) -> Vec<GroupEvent> {
    let event = |action: &Action| match action {
        Action::Emit(event) => Some(event.clone()),
        _ => None,
    };
    actions.iter().filter_map(event).collect()
}

fn assigned(partitions: &[i32]) -> Action {
    let partitions = partitions.iter().copied().map(tp).collect();
    Action::Emit(GroupEvent::Assigned { partitions })
}

fn revoking(partitions: &[i32]) -> Action {
    let partitions = partitions.iter().copied().map(tp).collect();
    Action::Emit(GroupEvent::Revoking { partitions })
}

fn revoked(partitions: &[i32]) -> Action {
    let partitions = partitions.iter().copied().map(tp).collect();
    Action::Emit(GroupEvent::Revoked { partitions })
}

fn lost(partitions: &[i32]) -> Action {
    let partitions = partitions.iter().copied().map(tp).collect();
    Action::Emit(GroupEvent::Lost { partitions })
}

fn claim(partition: i32) -> Action {
    Action::Claim {
        tp: tp(partition),
        thread: me(0),
    }
}

fn release(partition: i32, token: i64) -> Action {
    Action::Release {
        tp: tp(partition),
        token: Some(Token(token)),
    }
}

fn claimed(partition: i32, token: i64) -> SessionEvent {
    SessionEvent::Claimed {
        tp: tp(partition),
        token: Token(token),
    }
}

fn refused(partition: i32, owner: &str) -> SessionEvent {
    SessionEvent::ClaimRefused {
        tp: tp(partition),
        owner: owner.to_owned(),
    }
}

fn error() -> String {
    "connection lost".to_owned()
}

/// One member and the hand that drives it.
struct Script {
    machine: Membership,
    now: Time,
}

impl Script {
    fn new() -> Self {
        Self::with(MembershipConfig {
            audit: ms(3_600_000),
            survey: ms(3_600_000),
            ..MembershipConfig::new("me", Arc::new(Range))
        })
    }

    fn with(config: MembershipConfig) -> Self {
        Self {
            machine: Membership::new(config, 7),
            now: Time::since_origin(ms(1_000_000)),
        }
    }

    /// A registered member that is waiting for its first view.
    fn registered() -> Self {
        let mut script = Self::new();
        script.says(SessionEvent::SessionOpened);
        assert_eq!(script.says(SessionEvent::Registered), [Action::ReadView]);
        script
    }

    /// A lone member that owns partitions 0 to `n - 1`, the token of each being its number.
    fn owning(n: i32) -> Self {
        Self::registered().taking(n)
    }

    /// It takes over partitions 0 to `n - 1`.
    fn taking(mut self, n: i32) -> Self {
        let script = &mut self;
        script.sees(view(&["me"], n));
        for partition in 0..n {
            script.says(claimed(partition, i64::from(partition)));
        }
        for partition in 0..n {
            script.says(SessionEvent::Positioned { tp: tp(partition) });
        }
        assert_eq!(script.owned(), (0..n).collect::<Vec<_>>());
        self
    }

    /// The actions that followed from the last call.
    fn drain(&mut self) -> Vec<Action> {
        if let Some(timeout) = self.machine.poll_timeout() {
            assert!(timeout > self.now, "the machine would spin");
        }
        std::iter::from_fn(|| self.machine.poll_action()).collect()
    }

    fn handle(&mut self, event: Event) -> Vec<Action> {
        self.machine.handle_event(self.now, event);
        self.drain()
    }

    /// Something happens in the present session.
    fn says(&mut self, event: SessionEvent) -> Vec<Action> {
        self.handle(Event::Session(self.machine.incarnation(), event))
    }

    fn sees(&mut self, view: View) -> Vec<Action> {
        self.says(SessionEvent::ViewRead(view))
    }

    /// A watch fires and the group is read anew.
    fn looks(&mut self, view: View) -> Vec<Action> {
        self.says(SessionEvent::Changed);
        assert_eq!(self.wait(ms(100)), [Action::ReadView]);
        self.sees(view)
    }

    fn wait(&mut self, duration: Duration) -> Vec<Action> {
        self.now = self.now + duration;
        self.machine.handle_timeout(self.now);
        self.drain()
    }

    /// Goes on to the next moment that the machine asked for; also says how long that was.
    fn wait_for_timeout(&mut self) -> (Duration, Vec<Action>) {
        let pause = self.machine.poll_timeout().unwrap().since(self.now);
        (pause, self.wait(pause))
    }

    fn owned(&self) -> Vec<i32> {
        self.machine.owned().map(|(tp, ..)| tp.partition).collect()
    }

    fn state(&self, partition: i32) -> PartitionState {
        self.machine.state(&tp(partition))
    }
}
