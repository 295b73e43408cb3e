//! Those who look on: they know what was delivered, finished and reported, and what is in ZooKeeper, and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use divvy_embedded_cluster::zookeeper::{Millis, Written};
use divvy_protocol::TopicPartition;
use divvy_simple_consumer::Event;
use divvy_zookeeper::wire::EventKind;

use crate::broker::Brokers;
use crate::member::GROUP;
use crate::options::Options;
use crate::strikes::Strikes;
use crate::world::State;

/// What has been seen of one partition.
#[derive(Debug, Default)]
struct Track {
    /// Every claim: its token, and the member whose session made it.
    claims: BTreeMap<i64, usize>,
    /// The token of the owner node that is there.
    owner: Option<i64>,
    /// Claims whose owner node somebody else has deleted: until their members notice, they cannot know that they are over.
    disturbed: BTreeSet<i64>,
    /// The largest token under which something was delivered, and the last offset under it.
    delivered: Option<(i64, i64)>,
    /// Everything below was finished by somebody, or is gone from the log.
    finished: i64,
    /// What was finished beyond that.
    beyond: BTreeSet<i64>,
    /// What was deleted unread, as resets have told.
    excused: Vec<(i64, i64)>,
    committed: Option<i64>,
    end: i64,
    /// Since when there is something to deliver and nothing is delivered.
    waiting_since: Millis,
}

#[derive(Debug)]
pub(crate) struct Checks {
    tracks: BTreeMap<TopicPartition, Track>,
    sessions: BTreeMap<i64, usize>,
    pub(crate) violations: Vec<String>,
    pub(crate) strikes: Strikes,
    pub(crate) deliveries: u64,
    patience: Millis,
    last_word: Millis,
    /// How long a group may take to settle once nothing happens to it any more.
    settles_within: Millis,
    /// When it must have settled after what happened last; none once that was looked at.
    settled_by: Option<Millis>,
    /// Everybody leaves.
    ending: bool,
    /// When the members' reports were heard last.
    pub(crate) heard: Millis,
}

impl Checks {
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            tracks: BTreeMap::new(),
            sessions: BTreeMap::new(),
            violations: Vec::new(),
            strikes: Strikes::default(),
            deliveries: 0,
            patience: 2 * (options.session_timeout + options.tick) + 10_000,
            last_word: 0,
            settles_within: options.settles_within(),
            settled_by: None,
            ending: false,
            heard: 0,
        }
    }

    pub(crate) fn partition(&mut self, now: Millis, tp: TopicPartition) {
        let track = Track {
            waiting_since: now,
            ..Track::default()
        };
        self.tracks.insert(tp, track);
    }

    /// The partitions that are owned, each with its owner.
    pub(crate) fn owned(&self) -> Vec<(TopicPartition, usize)> {
        let owned = self.tracks.iter().filter_map(|(tp, track)| {
            let owner = track.claims.get(&track.owner?)?;
            Some((tp.clone(), *owner))
        });
        owned.filter(|(_, owner)| *owner != usize::MAX).collect()
    }

    /// Somebody who does not own a partition deletes its owner node.
    pub(crate) fn disturbed(&mut self, tp: &TopicPartition) {
        if let Some(track) = self.tracks.get_mut(tp) {
            track.disturbed.extend(track.owner);
        }
    }

    pub(crate) fn session(&mut self, session: i64, member: usize) {
        self.sessions.insert(session, member);
    }

    pub(crate) fn appended(&mut self, now: Millis, tp: &TopicPartition) {
        if let Some(track) = self.tracks.get_mut(tp) {
            if track.finished == track.end {
                track.waiting_since = now;
            }
            track.end += 1;
        }
    }

    /// A member was started, or has ended.
    pub(crate) fn came_or_went(&mut self, now: Millis) {
        self.last_word = now;
        self.quiet_from(now);
    }

    /// From then on nothing happens to the group, unless something does.
    pub(crate) fn quiet_from(&mut self, at: Millis) {
        if self.ending {
            return;
        }
        let by = at + self.settles_within;
        self.settled_by = self.settled_by.max(Some(by));
    }

    /// Whether everybody is to leave.
    pub(crate) fn is_ending(&self) -> bool {
        self.ending
    }

    /// When the group must have settled after what happened last.
    pub(crate) fn settles_by(&self) -> Option<Millis> {
        self.settled_by
    }

    /// From now on nobody has to own anything.
    pub(crate) fn expect_the_end(&mut self) {
        self.ending = true;
        self.settled_by = None;
    }

    pub(crate) fn violation(&mut self, text: String) {
        self.violations.push(text);
    }

    /// A member reports something.
    pub(crate) fn event(&mut self, now: Millis, member: usize, event: &Event, brokers: &Brokers) {
        match event {
            Event::Reset { tp, from, to, .. } => self.reset(member, tp, *from, *to, brokers),
            Event::Committed { .. } => {}
            _ => self.last_word = now,
        }
    }

    /// Only what is gone from the log may be left out.
    fn reset(
        &mut self,
        member: usize,
        tp: &TopicPartition,
        from: Option<i64>,
        to: i64,
        brokers: &Brokers,
    ) {
        let start = brokers.logs.get(tp).map_or(0, |log| log.start);
        let Some(track) = self.tracks.get_mut(tp) else {
            return;
        };
        let from = from.unwrap_or(0);
        if to > start {
            let text = format!(
                "member {member} jumps over messages of {tp}: from {from} to {to}, the log starts at {start}"
            );
            self.violations.push(text);
        } else if from < to {
            track.excused.push((from, to));
            track.go_on();
        }
    }
}

impl Track {
    fn is_finished(&self, offset: i64) -> bool {
        offset < self.finished || self.beyond.contains(&offset)
    }

    fn finish(&mut self, offset: i64) {
        if offset >= self.finished {
            self.beyond.insert(offset);
            self.go_on();
        }
    }

    fn go_on(&mut self) {
        loop {
            let at = self.finished;
            if self.beyond.remove(&at) {
                self.finished += 1;
            } else if let Some((_, to)) = self
                .excused
                .iter()
                .find(|(from, to)| *from <= at && at < *to)
            {
                self.finished = *to;
            } else {
                return;
            }
        }
    }
}

impl State {
    /// A message comes into a member's hands. Gives how long the application takes for it.
    pub(crate) fn delivered(
        &mut self,
        member: usize,
        tp: &TopicPartition,
        offset: i64,
        token: i64,
    ) -> Millis {
        let now = self.now();
        self.checks.deliveries += 1;
        let track = self.checks.tracks.get(tp);
        let again = match track.is_some_and(|track| track.is_finished(offset)) {
            true => " again",
            false => "",
        };
        self.note(|| format!("member {member} gets {tp}@{offset} under {token:#x}{again}"));
        let complaint = match self.checks.tracks.get_mut(tp) {
            None => Some("is of no partition".to_owned()),
            Some(track) => {
                track.waiting_since = now;
                track.deliver(member, offset, token)
            }
        };
        if let Some(complaint) = complaint {
            let text = format!("{tp}@{offset} to member {member} under {token:#x} {complaint}");
            self.violation(text);
        }
        let slot = &self.slots[member];
        if slot.slow_until > now { slot.work } else { 0 }
    }

    /// A member's application has finished a message.
    pub(crate) fn processed(&mut self, tp: &TopicPartition, offset: i64) {
        if let Some(track) = self.checks.tracks.get_mut(tp) {
            track.finish(offset);
        }
    }

    pub(crate) fn violation(&mut self, text: String) {
        self.note(|| format!("VIOLATION {text}"));
        self.checks.violation(text);
    }

    /// Something was written in ZooKeeper.
    pub(crate) fn written(&mut self, written: &Written) {
        let Some(rest) = written.path.strip_prefix("/consumers/") else {
            return;
        };
        let Some(rest) = rest.strip_prefix(GROUP) else {
            return;
        };
        let mut parts = rest.trim_start_matches('/').split('/');
        let (kind, first, second) = (parts.next(), parts.next(), parts.next());
        match (kind, first, second) {
            (Some("ids"), Some(id), None) => {
                self.note(|| format!("ids: {id} {:?}", written.kind));
            }
            (Some("owners"), Some(topic), Some(partition)) => {
                if let Ok(partition) = partition.parse() {
                    let tp = TopicPartition::new(topic, partition);
                    self.owner_written(&tp, written);
                }
            }
            (Some("offsets"), Some(topic), Some(partition)) => {
                if let Ok(partition) = partition.parse() {
                    let tp = TopicPartition::new(topic, partition);
                    self.offset_written(&tp, written);
                }
            }
            _ => {}
        }
    }

    fn owner_written(&mut self, tp: &TopicPartition, written: &Written) {
        let member = self.checks.sessions.get(&written.session).copied();
        let zxid = written.zxid;
        self.note(|| {
            format!(
                "owner of {tp}: {:?} {zxid:#x} by member {member:?}",
                written.kind
            )
        });
        let Some(track) = self.checks.tracks.get_mut(tp) else {
            return;
        };
        if written.kind == EventKind::Deleted {
            track.owner = None;
        } else {
            track.owner = Some(zxid);
            track.claims.insert(zxid, member.unwrap_or(usize::MAX));
        }
    }

    fn offset_written(&mut self, tp: &TopicPartition, written: &Written) {
        // A reset may excuse what is stored after it.
        self.hear_events();
        let member = self.checks.sessions.get(&written.session).copied();
        let text = written.data.as_deref().map(String::from_utf8_lossy);
        let offset = text.as_deref().and_then(|text| text.parse::<i64>().ok());
        self.note(|| format!("offset of {tp}: {offset:?} by member {member:?}"));
        let start = self.brokers.logs.get(tp).map_or(0, |log| log.start);
        let Some(track) = self.checks.tracks.get_mut(tp) else {
            return;
        };
        let before = track.committed;
        let complaint = match (offset, before) {
            (None, _) => Some("is no offset".to_owned()),
            (Some(offset), Some(before)) if offset < before => {
                Some(format!("goes back from {before}"))
            }
            // Nothing below the log's start can be lost by anybody any more.
            (Some(offset), _) if offset > track.finished.max(start) => {
                Some(format!("is beyond what is finished, {}", track.finished))
            }
            _ => None,
        };
        track.committed = offset.or(before);
        if let Some(complaint) = complaint {
            self.violation(format!(
                "the commit of {offset:?} for {tp} by member {member:?} {complaint}"
            ));
        }
    }

    /// Once nothing has happened for long enough, the group must be settled.
    pub(crate) fn look_on(&mut self, now: Millis) {
        if self.checks.settled_by.is_some_and(|by| by <= now) {
            self.checks.settled_by = None;
            if let Some(why) = self.unsettled() {
                let within = self.checks.settles_within;
                self.violation(format!("{why}, {within} ms after the last that happened"));
            }
        }
        self.look_for_silence(now);
    }

    /// Nothing may stand still in silence.
    fn look_for_silence(&mut self, now: Millis) {
        let checks = &mut self.checks;
        if now < checks.last_word + checks.patience {
            return;
        }
        let patience = checks.patience;
        let silent = checks
            .tracks
            .iter()
            .find(|(_, track)| track.finished < track.end && track.waiting_since + patience < now);
        if let Some((tp, _)) = silent {
            let text = format!("{tp} stands still for {patience} ms, and nobody says a word");
            checks.last_word = now;
            self.violation(text);
        }
    }
}

impl Track {
    /// Gives what is wrong with a delivery.
    fn deliver(&mut self, member: usize, offset: i64, token: i64) -> Option<String> {
        match self.claims.get(&token) {
            None => return Some("is under no claim".to_owned()),
            Some(claimer) if *claimer != member => {
                return Some(format!("is under a claim of member {claimer}"));
            }
            Some(_) => {}
        }
        let before = self.delivered;
        match before {
            Some((newest, _)) if token < newest && self.disturbed.contains(&token) => return None,
            Some((newest, _)) if token < newest => {
                return Some(format!("comes after a delivery under {newest:#x}"));
            }
            Some((newest, last)) if token == newest && offset <= last => {
                return Some(format!("comes after offset {last}"));
            }
            _ => {}
        }
        self.delivered = Some((token, offset));
        None
    }
}

/// At the end.
impl State {
    /// What is not as it should be once everything works again.
    pub(crate) fn unsettled(&self) -> Option<String> {
        let mut live = BTreeMap::new();
        for (number, slot) in self.slots.iter().enumerate() {
            let Some(running) = slot.running.as_ref().filter(|running| !running.leaving) else {
                continue;
            };
            match self.session_of(running) {
                Some(session) => live.insert(session, number),
                None => return Some(format!("member {number} is not registered")),
            };
        }
        let mut loads: BTreeMap<(String, usize), usize> = BTreeMap::new();
        for tp in self.checks.tracks.keys() {
            let path = divvy_zookeeper::paths::owner(GROUP, &tp.topic, tp.partition);
            let Some(node) = self.ensemble.node(&path) else {
                return Some(format!("{tp} has no owner"));
            };
            let Some(member) = live.get(&node.stat.ephemeral_owner) else {
                return Some(format!("the owner of {tp} is not alive"));
            };
            let topic = if self.options.round_robin {
                String::new()
            } else {
                tp.topic.to_string()
            };
            *loads.entry((topic, *member)).or_default() += 1;
        }
        let topics: BTreeSet<&String> = loads.keys().map(|(topic, _)| topic).collect();
        for topic in topics {
            let load = |member: &usize| loads.get(&(topic.clone(), *member)).copied().unwrap_or(0);
            let (least, most) = (
                live.values().map(load).min().unwrap_or(0),
                live.values().map(load).max().unwrap_or(0),
            );
            if most > least + 1 {
                return Some(format!(
                    "one member owns {most} partitions, another one {least}"
                ));
            }
        }
        None
    }

    /// What was written and nobody has finished, or finished and nobody has stored.
    pub(crate) fn unread(&self) -> Option<String> {
        for (tp, track) in &self.checks.tracks {
            if track.finished < track.end {
                let Track { finished, end, .. } = track;
                return Some(format!("{tp} is finished up to {finished} of {end}"));
            }
            if track.committed != Some(track.end) {
                let Track { committed, end, .. } = track;
                return Some(format!("{tp} is stored up to {committed:?} of {end}"));
            }
        }
        None
    }
}

impl State {
    /// What members leave behind that have left.
    pub(crate) fn left_behind(&self) -> Option<String> {
        let up = self.slots.iter().position(|slot| slot.running.is_some());
        if let Some(up) = up {
            return Some(format!("member {up} does not leave"));
        }
        if let Some(id) = self
            .ensemble
            .children(&divvy_zookeeper::paths::group_ids(GROUP))
            .next()
        {
            return Some(format!("{id} is still registered"));
        }
        let owned = self
            .checks
            .tracks
            .iter()
            .find(|(_, track)| track.owner.is_some());
        owned.map(|(tp, _)| format!("{tp} still has an owner"))
    }
}

/// An event as the timeline shows it.
pub(crate) fn describe(event: &Event) -> String {
    let list = |assignments: &[divvy_simple_consumer::Assignment]| {
        let names: Vec<String> = assignments
            .iter()
            .map(|assignment| format!("{}#{:x}", assignment.tp, assignment.token))
            .collect();
        names.join(" ")
    };
    match event {
        Event::Assigned { partitions } => format!("is assigned {}", list(partitions)),
        Event::Revoked { partitions } => format!("gives up {}", list(partitions)),
        Event::Lost { partitions, reason } => format!("loses {}: {reason}", list(partitions)),
        Event::Suspended { partitions } => format!("suspends {}", list(partitions)),
        Event::Resumed { partitions } => format!("resumes {}", list(partitions)),
        Event::Error { message } => format!("reports: {message}"),
        other => format!("reports {other:?}"),
    }
}
