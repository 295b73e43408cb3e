//! Faults as they strike, and as they end.

use std::collections::BTreeMap;

use divvy_embedded_cluster::zookeeper::{Millis, Output};
use divvy_protocol::TopicPartition;
use divvy_zookeeper::documents::TopicAssignment;
use divvy_zookeeper::paths;
use divvy_zookeeper::wire::{
    ANY_VERSION, Acl, ClientFrame, ConnectRequest, Create, CreateMode, Delete, Request, SetData,
    permission,
};

use crate::fault::{Fault, Stage, Ways, What};
use crate::member::{GROUP, topic_name};
use crate::world::{Item, State};

/// How long a fault waits for its moment.
const PATIENCE: Millis = 8_000;
/// How long after a machine stalls its link fails: what was on its way arrives, and is found when the machine goes on.
const LAST_ANSWERS: Millis = 20;
/// When something is tried again for which the servers must have a leader.
const RETRY: Millis = 500;

/// A fault that waits for its moment.
#[derive(Debug)]
pub(crate) struct Armed {
    index: usize,
    stage: Stage,
    member: Option<usize>,
}

/// How often each kind of fault has struck, and how often while a member was at each stage.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Strikes {
    /// By kind: in all, and inside a claim, a commit and a release.
    pub counts: BTreeMap<&'static str, (u64, [u64; 3])>,
}

impl Strikes {
    fn count(&mut self, kind: &'static str, stages: &[Stage]) {
        let (all, inside) = self.counts.entry(kind).or_default();
        *all += 1;
        for (stage, count) in Stage::ALL.iter().zip(inside) {
            *count += u64::from(stages.contains(stage));
        }
    }

    /// Adds the strikes of another run.
    pub fn add(&mut self, other: &Self) {
        for (kind, (all, inside)) in &other.counts {
            let (sum, sums) = self.counts.entry(kind).or_default();
            *sum += all;
            for (sum, count) in sums.iter_mut().zip(inside) {
                *sum += count;
            }
        }
    }

    /// What never happened: kinds of faults that did not strike inside a stage.
    pub fn missing(&self) -> Vec<String> {
        let mut missing = Vec::new();
        for kind in What::KINDS {
            let (_, inside) = self.counts.get(kind).copied().unwrap_or_default();
            for (stage, count) in Stage::ALL.iter().zip(inside) {
                if count == 0 {
                    missing.push(format!("{kind} inside a {stage:?}"));
                }
            }
        }
        missing
    }
}

impl State {
    pub(crate) fn befall(&mut self, now: Millis, item: Item) {
        match item {
            Item::Fault(index) => self.arm_or_strike(now, index),
            Item::Impatience(index) => {
                let waiting = self.armed.iter().position(|armed| armed.index == index);
                if let Some(waiting) = waiting {
                    self.armed.remove(waiting);
                    self.strike(now, index);
                }
            }
            Item::Start(slot) => self.starting.push(slot),
            Item::Thaw(slot) => self.thaw(now, slot),
            Item::Mend(slot) => self.note(|| format!("the link of member {slot} works again")),
            Item::StartServer(server) => {
                self.note(|| format!("server {server} starts"));
                self.ensemble.start(now, server);
                self.carry_out();
            }
            Item::HealServer(server) => {
                self.note(|| format!("server {server} reaches the others again"));
                self.ensemble.heal(now, server);
                self.carry_out();
            }
            Item::Cut(slot, span) if !self.healed => {
                self.cut(now, slot, Ways::Both, span, true);
            }
            Item::LagServer(server, by) => self.ensemble.set_lag(now, server, by),
            // A link that was healed before its time lets the lease live.
            Item::Expire(session) if !self.healed => {
                self.note(|| format!("session {session:#x} is ended"));
                self.ensemble.expire_session(now, session);
                self.carry_out();
            }
            Item::Grow(topic, by) => self.grow(now, topic, by),
            _ => {}
        }
    }

    fn arm_or_strike(&mut self, now: Millis, index: usize) {
        let fault = self.options.faults[index].clone();
        match fault.inside {
            None => self.strike(now, index),
            Some(stage) => {
                let member = fault.what.member();
                let member =
                    member.and_then(|member| self.alive(member, &fault.what).or(Some(member)));
                self.armed.push(Armed {
                    index,
                    stage,
                    member,
                });
                self.plan(now + PATIENCE, Item::Impatience(index));
            }
        }
    }

    /// A server has just done for a member what belongs to a stage, and nobody knows yet.
    pub(crate) fn strike_inside(&mut self, now: Millis, member: usize, stage: Stage) {
        let due = |armed: &Armed| {
            armed.stage == stage && armed.member.is_none_or(|chosen| chosen == member)
        };
        while let Some(index) = self.armed.iter().position(due) {
            let armed = self.armed.remove(index);
            self.strike(now, armed.index);
        }
    }

    /// The member with that number, or the next one that is up. Who is leaving does not leave once more.
    fn alive(&self, member: usize, what: &What) -> Option<usize> {
        let count = self.slots.len();
        let slots = (0..count).map(|step| (member + step) % count);
        slots.into_iter().find(|slot| {
            let running = self.slots[*slot].running.as_ref();
            let leaves = matches!(what, What::Leave { .. });
            running.is_some_and(|running| !(leaves && running.leaving))
        })
    }

    fn strike(&mut self, now: Millis, index: usize) {
        if self.healed {
            return;
        }
        let Fault { what, .. } = self.options.faults[index].clone();
        let member = match what.member() {
            None => None,
            Some(member) => match self.alive(member, &what) {
                None => return,
                alive => alive,
            },
        };
        let stages = self.stages(member);
        self.checks.strikes.count(what.kind(), &stages);
        self.checks.quiet_from(now + what.lasts());
        self.note(|| match member {
            Some(member) => format!("FAULT to member {member}: {what:?}, inside {stages:?}"),
            None => format!("FAULT {what:?}, inside {stages:?}"),
        });
        match member {
            Some(member) => self.strike_member(now, member, &what),
            None => self.strike_world(now, &what),
        }
    }

    fn strike_member(&mut self, now: Millis, slot: usize, what: &What) {
        match *what {
            What::Crash { down, .. } => {
                self.crash(slot);
                self.plan(now + down, Item::Start(slot));
            }
            What::Leave { away, .. } => {
                self.slots[slot].away = away;
                if let Some(running) = &mut self.slots[slot].running {
                    running.leaving = true;
                    running.leave.notify_one();
                }
            }
            What::Freeze { span, .. } => self.freeze(now, slot, span),
            What::Stall { span, cut, .. } => {
                self.freeze(now, slot, span);
                self.plan(now + LAST_ANSWERS, Item::Cut(slot, span.max(cut)));
            }
            What::Cut {
                ways, span, lossy, ..
            } => self.cut(now, slot, ways, span, lossy),
            What::Delay { by, span, .. } => {
                let link = &mut self.slots[slot].link;
                link.slow_until = link.slow_until.max(now + span);
                link.slow_by = by;
            }
            What::Disconnect { .. } => {
                for wire in self.network.of_member(slot) {
                    self.break_off(wire, now + 1);
                }
            }
            What::Expire { .. } => {
                // Two thirds, by the slowest of clocks, and a little.
                let span = self.options.session_timeout * 3 / 4;
                self.cut(now, slot, Ways::Both, span, true);
                let running = self.slots[slot].running.as_ref();
                if let Some(session) = running.and_then(|running| self.session_of(running)) {
                    self.plan(now + span, Item::Expire(session));
                }
            }
            What::SlowWork { each, span, .. } => {
                self.slots[slot].work = each;
                self.slots[slot].slow_until = now + span;
            }
            _ => {}
        }
    }

    fn strike_world(&mut self, now: Millis, what: &What) {
        match *what {
            What::Join => {
                let slot = self.add_slot();
                self.starting.push(slot);
            }
            What::StopServer { server, down } => {
                self.ensemble.stop(now, server);
                self.plan(now + down, Item::StartServer(server));
            }
            What::CutServer { server, span } => {
                self.ensemble.cut(now, server);
                self.plan(now + span, Item::HealServer(server));
            }
            What::LagServer { server, by, span } => {
                self.ensemble.set_lag(now, server, by);
                self.plan(now + span, Item::LagServer(server, 0));
            }
            What::ServerClock { by } => {
                let by = i64::try_from(by).unwrap_or(0);
                self.ensemble.step_clock(now, by);
            }
            What::Steal { partition, span } => self.steal(now, partition, span),
            What::Grow { topic, by } => self.grow(now, topic, by),
            What::LookUpErrors { span } => self.brokers.mute_until = now + span,
            What::Truncate { topic, partition } => {
                let tp = TopicPartition::new(topic_name(topic).as_str(), partition);
                if let Some(log) = self.brokers.logs.get(&tp) {
                    let start = log.start + (log.end() - log.start) / 2;
                    self.brokers.truncate(&tp, start);
                }
            }
            _ => {}
        }
    }

    fn freeze(&mut self, now: Millis, slot: usize, span: Millis) {
        let place = &mut self.slots[slot];
        if let Some(running) = &place.running {
            running.process.freeze();
            place.frozen_until = place.frozen_until.max(now + span);
            self.plan(now + span, Item::Thaw(slot));
        }
    }

    fn thaw(&mut self, now: Millis, slot: usize) {
        let place = &self.slots[slot];
        if place.frozen_until <= now
            && let Some(running) = &place.running
            && running.process.is_frozen()
        {
            running.process.thaw();
            self.note(|| format!("member {slot} goes on"));
        }
    }

    /// Deletes the owner nodes of a member that stands still.
    fn steal(&mut self, now: Millis, partition: usize, span: Millis) {
        let owned = self.checks.owned();
        let Some((_, victim)) = owned.get(partition % owned.len().max(1)) else {
            return;
        };
        self.freeze(now, *victim, span);
        let of_victim = owned.iter().filter(|(_, owner)| owner == victim);
        let delete = of_victim.map(|(tp, _)| {
            self.checks.disturbed(tp);
            let path = paths::owner(GROUP, &tp.topic, tp.partition);
            let version = ANY_VERSION;
            Request::Delete(Delete { path, version })
        });
        let delete = delete.collect();
        self.administer(now, delete);
        self.carry_out();
        let leaves = What::Leave {
            member: victim + 1,
            away: 1_000,
        };
        match self.alive(victim + 1, &leaves) {
            Some(other) if other != *victim => self.strike_member(now, other, &leaves),
            _ => {}
        }
    }

    fn cut(&mut self, now: Millis, slot: usize, ways: Ways, span: Millis, lossy: bool) {
        let link = &mut self.slots[slot].link;
        let until = now + span;
        for (way, cut) in [
            (&mut link.up, ways != Ways::Down),
            (&mut link.down, ways != Ways::Up),
        ] {
            if cut {
                way.cut_until = way.cut_until.max(until);
                way.lossy = lossy;
            }
        }
        self.plan(until, Item::Mend(slot));
    }

    /// Ends every fault.
    pub(crate) fn heal(&mut self) {
        let now = self.now();
        self.note(|| "everything is healed".to_owned());
        self.healed = true;
        self.armed.clear();
        self.brokers.mute_until = 0;
        for slot in 0..self.slots.len() {
            let place = &mut self.slots[slot];
            let link = &mut place.link;
            place.frozen_until = 0;
            place.work = 0;
            link.slow_until = now;
            for way in [&mut link.up, &mut link.down] {
                way.cut_until = way.cut_until.min(now);
            }
            self.thaw(now, slot);
            self.starting.push(slot);
            for wire in self.network.of_member(slot) {
                self.network.hurry(wire, now);
                self.plan(now, Item::Up(wire));
                self.plan(now, Item::Down(wire));
                if self.network.is_broken(wire) {
                    self.plan(now, Item::Broken(wire));
                }
            }
        }
        for server in 0..self.options.servers {
            self.ensemble.set_lag(now, server, 0);
            self.ensemble.heal(now, server);
            self.ensemble.start(now, server);
        }
        self.carry_out();
    }
}

/// What an operator does.
impl State {
    /// Makes a topic, before anything else.
    pub(crate) fn create_topic(&mut self, partitions: i32) {
        let topic = self.topics.len();
        self.topics.push(0);
        self.grow(0, topic, partitions);
    }

    /// Gives a topic more partitions.
    fn grow(&mut self, now: Millis, topic: usize, by: i32) {
        let name = topic_name(topic);
        let partitions = self.topics[topic] + by;
        let replicas = (0..partitions).map(|_| vec![0]).collect();
        let Ok(document) = TopicAssignment::new(replicas) else {
            return;
        };
        let data = Some(document.to_json().into());
        let path = paths::topic(&name);
        let is_new = self.topics[topic] == 0;
        let mut requests = Vec::new();
        if is_new {
            for path in ["/brokers", paths::TOPICS, path.as_str()] {
                requests.push(create(path, &data));
            }
        } else {
            requests.push(Request::SetData(SetData {
                path,
                data,
                version: ANY_VERSION,
            }));
        }
        if !self.administer(now, requests) {
            return self.plan(now + RETRY, Item::Grow(topic, by));
        }
        let before = std::mem::replace(&mut self.topics[topic], partitions);
        for partition in before..partitions {
            let tp = TopicPartition::new(name.as_str(), partition);
            self.brokers.logs.entry(tp.clone()).or_default();
            self.checks.partition(now, tp);
        }
    }

    /// Sends requests to the leader over a connection without delay. `false` where they cannot be decided now.
    fn administer(&mut self, now: Millis, requests: Vec<Request>) -> bool {
        let Some(leader) = self.ensemble.leader() else {
            return false;
        };
        let Some(connection) = self.ensemble.connect(leader) else {
            return false;
        };
        let connect = ConnectRequest {
            timeout_ms: 4_000,
            ..ConnectRequest::default()
        };
        let count = requests.len();
        let last = std::iter::once(Request::CloseSession);
        let requests = requests.into_iter().chain(last);
        let frames = (1..).zip(requests);
        let frames = frames.map(|(xid, request)| ClientFrame::Request { xid, request });
        for frame in std::iter::once(ClientFrame::Connect(connect)).chain(frames) {
            self.ensemble.receive(now, connection, frame);
        }
        // What is meant for others is theirs.
        let mut answers = 0;
        let mut others = Vec::new();
        while let Some(output) = self.ensemble.poll_output() {
            match &output {
                Output::Frame(to, _) if *to == connection => answers += 1,
                Output::Closed(to) if *to == connection => {}
                _ => others.push(output),
            }
        }
        self.ensemble.disconnect(now, connection);
        others.into_iter().for_each(|other| self.route(other));
        answers > count
    }
}

fn create(path: &str, data: &Option<bytes::Bytes>) -> Request {
    Request::Create(Create {
        path: path.to_owned(),
        data: data.clone(),
        acl: vec![Acl::anyone(permission::ALL)],
        mode: CreateMode::Persistent,
    })
}
