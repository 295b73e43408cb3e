//! What is done with single partitions: finding their starts, handing them to the engine, taking them back, committing.

use std::sync::Arc;
use std::time::Duration;

use divvy_protocol::TopicPartition;
use divvy_simple_consumer::{
    Assignment, Engine, Error, Event as ConsumerEvent, Gate, OffsetReset, Start,
};
use futures_util::FutureExt;
use futures_util::future::join_all;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};
use tracing::Instrument;

use super::{Answer, Driver, Registered, assignment};
use crate::assignor::ConsumerThreadId;
use crate::consumer::OnZkLoss;
use crate::fence::{Claim, GroupOffsets};
use crate::listener::{Assigned, ListenerError, Revoked};
use crate::machine::{Ownership, PartitionState, SessionEvent, Token};

/// The pauses between looks at the commits of a partition that was taken over from a PyKafka member. Such a member commits once
/// more when it has got its next partitions, for which it tries for 12 s.
const PYKAFKA_LOOKS: [Duration; 3] = [
    Duration::from_secs(1),
    Duration::from_secs(4),
    Duration::from_secs(10),
];

impl Driver {
    /// Fences whoever had a claimed partition before, and finds out where it starts.
    pub(super) fn position(&mut self, tp: TopicPartition, token: Token) {
        let Some(registry) = self.registry.clone() else {
            return;
        };
        let engine = Arc::clone(&self.engine);
        let offsets = Arc::clone(&self.member.offsets);
        let incarnation = self.machine.incarnation();
        let lease = registry.own().session.lease().clone();
        let claim = Claim {
            owner: registry.owner_path(&tp),
            assignment: Assignment {
                tp: tp.clone(),
                token: token.0,
                stream: 0,
            },
            session: registry.own().session.clone(),
            lease: (self.member.on_zk_loss != OnZkLoss::Continue).then_some(lease),
        };
        if let Registered::PyKafka { .. } = self.member.registration {
            let held = claim.assignment.clone();
            self.outlast_pykafka(held);
        }
        let policy = self.reset_policy(&tp);
        let task = async move {
            let (event, position) = match position(&engine, &offsets, &claim, policy).await {
                Ok(start) => (
                    SessionEvent::Positioned { tp: tp.clone() },
                    Some((tp, start)),
                ),
                Err(error) => {
                    let error = error.to_string();
                    (SessionEvent::PositionFailed { tp, error }, None)
                }
            };
            Answer {
                position,
                ..Answer::new(incarnation, vec![event])
            }
        };
        self.tasks.push(task.in_current_span().boxed());
    }

    /// Commits again what a PyKafka member wrote over after it had given a partition up.
    fn outlast_pykafka(&mut self, held: Assignment) {
        let offsets = Arc::clone(&self.member.offsets);
        self.spawn(self.machine.incarnation(), async move {
            for pause in PYKAFKA_LOOKS {
                sleep(pause).await;
                if let Err(error) = offsets.repeat(&held).await {
                    tracing::debug!(%error, "the commits of {held} cannot be read back");
                }
            }
            Vec::new()
        });
    }

    /// A partition that was added to a topic in use is read from its first message: what was written to it before anybody saw it
    /// must not be lost.
    fn reset_policy(&self, tp: &TopicPartition) -> OffsetReset {
        let original = self.original.get(&tp.topic);
        match self.engine.config().auto_offset_reset {
            OffsetReset::Latest if original.is_some_and(|ids| !ids.contains(&tp.partition)) => {
                OffsetReset::Earliest
            }
            policy => policy,
        }
    }

    pub(super) fn commit(&mut self, tp: TopicPartition) {
        let engine = Arc::clone(&self.engine);
        self.spawn(self.machine.incarnation(), async move {
            let automatic = engine.config().auto_commit_interval.is_some();
            let only = [tp.clone()];
            let result = if automatic {
                engine.commit_finished(Some(&only)).await
            } else {
                Ok(())
            };
            vec![match result {
                Ok(()) => SessionEvent::Committed { tp },
                Err(error) if is_fenced(&error) => {
                    let error = error.to_string();
                    SessionEvent::CommitFenced { tp, error }
                }
                Err(error) => {
                    let error = error.to_string();
                    SessionEvent::CommitFailed { tp, error }
                }
            }]
        });
    }

    pub(super) fn release(&mut self, tp: TopicPartition, token: Option<Token>) {
        self.engine.remove(&tp);
        self.held.remove(&tp);
        self.gates.remove(&tp);
        let failed = tp.clone();
        let offsets = Arc::clone(&self.member.offsets);
        self.with_registry(
            |registry| async move {
                if let Some(Token(token)) = token {
                    let claim = Assignment {
                        tp: tp.clone(),
                        token,
                        stream: 0,
                    };
                    if let Err(error) = offsets.release(&claim).await {
                        let error = error.to_string();
                        return Ok(SessionEvent::ReleaseFailed { tp, error });
                    }
                }
                let fence = offsets.fence_path(&tp);
                registry.release(&tp, token, &fence).await
            },
            |error| SessionEvent::ReleaseFailed { tp: failed, error },
        );
    }

    pub(super) fn check_owner(&mut self, tp: TopicPartition, token: Token) {
        let failed = tp.clone();
        let held = self.held.get(&tp).cloned();
        let offsets = Arc::clone(&self.member.offsets);
        self.with_registry(
            |registry| async move {
                let checked = registry.check_owner(&tp, token).await?;
                let ours = matches!(
                    &checked,
                    SessionEvent::OwnerChecked { ownership, .. } if *ownership == Ownership::Ours
                );
                if let Some(held) = held.filter(|held| ours && held.token == token.0)
                    && let Err(error) = offsets.audit(&held).await
                {
                    tracing::debug!(%error, "the offset of {held} cannot be looked at");
                }
                Ok(checked)
            },
            move |error| SessionEvent::OwnerCheckFailed {
                tp: failed,
                token,
                error,
            },
        );
    }

    /// Tells the listener of partitions, and then hands them to the engine.
    pub(super) fn start(&mut self, starts: Vec<(TopicPartition, Token, ConsumerThreadId)>) {
        let mut assigned = Vec::new();
        for (tp, token, thread) in starts {
            let Some(start) = self.starting.remove(&tp) else {
                continue;
            };
            let assignment = assignment(tp.clone(), token, &thread);
            self.held.insert(tp, assignment.clone());
            assigned.push((assignment, start));
        }
        if assigned.is_empty() {
            return;
        }
        let (turn, told) = self.listeners_turn();
        let engine = Arc::clone(&self.engine);
        let listener = Arc::clone(&self.member.listener);
        let within = self.member.listener_timeout;
        let incarnation = self.machine.incarnation();
        let task = async move {
            turn.await;
            let mut partitions = Assigned::new(assigned.clone());
            let call = listener.on_partitions_assigned(&mut partitions);
            let starts = match listen(&engine, "on_partitions_assigned", within, call).await {
                true => partitions.into_starts(),
                false => assigned,
            };
            drop(told);
            Answer {
                starts,
                ..Answer::new(incarnation, Vec::new())
            }
        };
        self.tasks.push(task.boxed());
    }

    /// Hands a partition to the engine, if the claim still stands of which the listener was told.
    pub(super) fn assign(&mut self, assignment: Assignment, start: Start) {
        let tp = assignment.tp.clone();
        let Some(lease) = &self.lease else {
            return;
        };
        let mut owned = self.machine.owned();
        if !owned.any(|(owned, _, token)| *owned == tp && token.0 == assignment.token) {
            return;
        }
        let gate = lease.gate();
        self.gates.insert(tp.clone(), Arc::clone(&gate));
        self.engine.assign(assignment, start, gate as Arc<dyn Gate>);
        if self.machine.state(&tp) == PartitionState::Suspended {
            self.engine.suspend(&[tp]);
        }
    }

    pub(super) fn resume(&mut self, tp: TopicPartition) {
        if let (Some(gate), Some(lease)) = (self.gates.get(&tp), &self.lease) {
            gate.reopen(lease.lapses);
        }
        self.engine.resume(&[tp]);
    }

    /// Takes partitions back: nothing more is handed out, and what is in hand is waited for.
    pub(super) fn stop(&mut self, tps: Vec<TopicPartition>) {
        if tps.is_empty() {
            return;
        }
        let (turn, told) = self.listeners_turn();
        let engine = Arc::clone(&self.engine);
        let listener = Arc::clone(&self.member.listener);
        let within = self.member.listener_timeout;
        let assignments: Vec<Assignment> = tps
            .iter()
            .filter_map(|tp| self.held.get(tp).cloned())
            .collect();
        self.spawn(self.machine.incarnation(), async move {
            let drained = join_all(tps.iter().map(|tp| engine.stop(tp))).await;
            for (tp, drained) in tps.iter().zip(drained) {
                if !drained {
                    let message = format!(
                        "{tp} is given up although the application has not finished what it has in hand; its messages come again elsewhere"
                    );
                    engine.emit(ConsumerEvent::Error { message });
                }
            }
            turn.await;
            let revoked = Revoked::new(&engine, &assignments);
            let call = listener.on_partitions_revoked(&revoked);
            listen(&engine, "on_partitions_revoked", within, call).await;
            drop(told);
            tps.into_iter()
                .map(|tp| SessionEvent::Stopped { tp })
                .collect()
        });
    }

    /// Lets go of partitions at once, and tells the listener in its turn.
    pub(super) fn lose(&mut self, tps: Vec<TopicPartition>) {
        let mut lost = Vec::new();
        for tp in tps {
            self.engine.remove(&tp);
            self.member.offsets.forget(&tp);
            self.gates.remove(&tp);
            lost.extend(self.held.remove(&tp));
        }
        if lost.is_empty() {
            return;
        }
        self.engine.emit(ConsumerEvent::Lost {
            partitions: lost.clone(),
            reason: "the session expired, or the owner nodes are gone".to_owned(),
        });
        let (turn, told) = self.listeners_turn();
        let engine = Arc::clone(&self.engine);
        let listener = Arc::clone(&self.member.listener);
        let within = self.member.listener_timeout;
        self.spawn(self.machine.incarnation(), async move {
            turn.await;
            let call = listener.on_partitions_lost(&lost);
            listen(&engine, "on_partitions_lost", within, call).await;
            drop(told);
            Vec::new()
        });
    }

    /// A turn behind everything that the listener is being told; it ends when what is given beside it is dropped.
    fn listeners_turn(&mut self) -> (impl Future<Output = ()> + use<>, oneshot::Sender<()>) {
        let (told, next) = oneshot::channel();
        let before = self.told.replace(next);
        let turn = async move {
            if let Some(before) = before {
                // Nothing is sent: its end is what is waited for.
                let _ = before.await;
            }
        };
        (turn, told)
    }
}

/// Awaits one call of the listener, within its time. Gives whether it succeeded.
async fn listen(
    engine: &Engine,
    method: &str,
    within: Duration,
    call: impl Future<Output = Result<(), ListenerError>>,
) -> bool {
    let message = match timeout(within, call).await {
        Ok(Ok(())) => return true,
        Ok(Err(error)) => format!("the rebalance listener's {method} failed: {error}"),
        Err(_) => format!(
            "the rebalance listener's {method} did not end within {within:?} and was given up"
        ),
    };
    engine.emit(ConsumerEvent::Error { message });
    false
}

fn is_fenced(error: &Error) -> bool {
    let Error::Commit { failed } = error else {
        return false;
    };
    failed
        .iter()
        .all(|(_, error)| matches!(error, divvy_client::Error::Fenced { .. }))
}

async fn position(
    engine: &Engine,
    offsets: &GroupOffsets,
    claim: &Claim,
    policy: OffsetReset,
) -> Result<Start, Error> {
    let tp = &claim.assignment.tp;
    // Makes sure that the partition's topic is known, which may be younger than what is known of the cluster.
    engine.backend().partitions(&tp.topic).await?;
    if let Some(start) = offsets.take_over(claim, None).await? {
        return Ok(start);
    }
    let first = engine.first_offset(tp, policy).await?;
    let start = offsets.take_over(claim, Some(first)).await?;
    // With a first offset there always is one.
    Ok(start.unwrap_or(Start {
        offset: first,
        committed: None,
    }))
}
