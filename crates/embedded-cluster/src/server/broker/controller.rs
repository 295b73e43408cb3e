//! What Kafka's controller does: partitions, leaders, and topics that are to go.
//!
//! It looks at everything again whenever something is written where it looks, and so depends on no single change.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use divvy_zookeeper::documents::{
    Broker, Malformed, Topic, TopicAssignment, parse_topic_config, topic_config_json,
};
use divvy_zookeeper::paths::{self, BROKER_IDS as IDS, TOPICS};
use divvy_zookeeper::wire::{CreateMode, ErrorCode};
use tracing::warn;

use super::log::{Limits, Log};
use super::state::{Partition, Shared, State, now_ms};
use crate::server::error::Error;
use crate::server::zookeeper::LocalSession;

const DELETED: &str = "/admin/delete_topics";
/// What brokers make when they start, for others to find.
const COMMON: [&str; 6] = [
    IDS,
    TOPICS,
    DELETED,
    "/consumers",
    "/config/changes",
    "/config/topics",
];

/// How often it looks where nothing is written.
const LOOK: Duration = Duration::from_millis(500);

/// A partition's state as it is to be written: the topic, the partition, and the document.
type Written = (String, i32, String);

impl Shared {
    /// Makes the nodes that every cluster has.
    pub(in crate::server) fn lay_out(&self) -> Result<(), ErrorCode> {
        let session = self.session()?;
        session.make("/controller_epoch", Some("1"))?;
        COMMON.iter().try_for_each(|path| session.make(path, None))
    }

    /// Looks after the cluster for as long as it lives.
    pub(in crate::server) async fn control(self: Arc<Self>) {
        let mut changes = self.hub.changes();
        loop {
            changes.borrow_and_update();
            if let Err(error) = self.look() {
                warn!("the controller could not write: {error}");
            }
            // Looking keeps the session alive too, to which the controller's node belongs.
            tokio::select! {
                _ = changes.changed() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    /// Brings the brokers' state in line with what is in ZooKeeper.
    pub(in crate::server) fn look(&self) -> Result<(), ErrorCode> {
        let session = self.session()?;
        let _deciding = self.decide();
        for topic in self.hub.children(DELETED) {
            session.remove(&format!("{TOPICS}/{topic}"))?;
            session.remove(&paths::topic_config(&topic))?;
            session.remove(&format!("{DELETED}/{topic}"))?;
        }
        let written = {
            let mut state = self.lock();
            self.take_brokers(&mut state);
            self.take_topics(&mut state);
            elect(&mut state)
        };
        self.write_states(&session, written)?;
        self.write_controller(&session)?;
        self.notify();
        Ok(())
    }

    fn take_brokers(&self, state: &mut State) {
        let registered = self.hub.children(IDS).into_iter().filter_map(|name| {
            let id = name.parse().ok()?;
            let broker = Broker::parse(id, &self.hub.data(&format!("{IDS}/{name}"))?).ok()?;
            let endpoint = broker.plaintext()?;
            Some((id, (endpoint.host.parse().ok()?, endpoint.port)))
        });
        let alive = registered.map(|(id, (host, port))| {
            let host: std::net::IpAddr = host;
            (id, (host, port).into())
        });
        state.alive = alive.collect();
        state.known.extend(&state.alive);
    }

    fn take_topics(&self, state: &mut State) {
        let mut before = std::mem::take(&mut state.topics);
        for name in self.hub.children(TOPICS) {
            let mut partitions = before.remove(&name).unwrap_or_default();
            let document = self.hub.data(&format!("{TOPICS}/{name}"));
            match Topic::parse(&name, &document.unwrap_or_default()) {
                Ok(topic) => self.take_partitions(state, topic, &mut partitions),
                // What is no topic yet is none; what was one stays as it was.
                Err(_) if partitions.is_empty() => continue,
                Err(_) => {}
            }
            state.topics.insert(name, partitions);
        }
        for gone in before.into_values() {
            // The last one first, so that no partition is missing before others, whatever comes in between.
            let partitions = gone.into_values().rev();
            partitions.for_each(|partition| partition.log.delete());
        }
    }

    fn take_partitions(
        &self,
        state: &mut State,
        topic: Topic,
        partitions: &mut BTreeMap<i32, Partition>,
    ) {
        let limits = self.limits(&topic.name);
        for (id, replicas) in topic.partitions {
            let partition = match partitions.entry(id) {
                Entry::Occupied(there) => there.into_mut(),
                Entry::Vacant(place) => match state.take_log(&topic.name, id, limits) {
                    Ok(log) => place.insert(Partition::new(log)),
                    Err(error) => {
                        warn!("partition {id} of {} has no log: {error}", topic.name);
                        continue;
                    }
                },
            };
            if partition.replicas != replicas {
                if let Err(error) = partition.log.keep_replicas(&replicas) {
                    warn!("the brokers of {}-{id} are not kept: {error}", topic.name);
                }
                partition.replicas = replicas;
            }
            partition.log.limit(now_ms(), limits);
        }
    }

    /// Creates the topics again that are on disk. Where their brokers are not known any more they are dealt out.
    pub(in crate::server) fn restore_topics(&self, brokers: &[i32]) -> Result<(), Error> {
        let kept = match &self.lock().log_dir {
            Some(log_dir) => log_dir.kept(now_ms(), self.settings.limits)?,
            None => return Ok(()),
        };
        for (topic, partitions) in kept {
            let replicas: Vec<_> = partitions.iter().map(|one| one.replicas.clone()).collect();
            let assignment = assignment(replicas, brokers).map_err(|why| Error::InvalidTopic {
                topic: topic.clone(),
                why: why.to_string(),
            })?;
            for (id, one) in (0..).zip(partitions) {
                self.lock().kept.insert((topic.clone(), id), one.log);
            }
            let created = self.create_topic(&topic, &assignment);
            created.map_err(Error::ZooKeeper)?;
        }
        Ok(())
    }

    /// How large the logs of a topic may become, by its own settings.
    fn limits(&self, topic: &str) -> Limits {
        let document = self.hub.data(&paths::topic_config(topic));
        let settings = document.and_then(|document| parse_topic_config(&document).ok());
        self.settings.limits.with(&settings.unwrap_or_default())
    }

    fn write_states(&self, session: &LocalSession, written: Vec<Written>) -> Result<(), ErrorCode> {
        for (topic, partition, document) in written {
            // A topic that has gone meanwhile does not come back by this.
            if self.hub.data(&format!("{TOPICS}/{topic}")).is_some() {
                let path = paths::partition_state(&topic, partition);
                session.put(&path, &document)?;
            }
        }
        Ok(())
    }

    /// The first of the brokers that are alive is the controller.
    fn write_controller(&self, session: &LocalSession) -> Result<(), ErrorCode> {
        let first = self.lock().alive.keys().next().copied();
        let Some(broker) = first else {
            return Ok(());
        };
        let head = format!(r#"{{"version":1,"brokerid":{broker},"#);
        match self.hub.data("/controller") {
            Some(data) if data.starts_with(head.as_bytes()) => return Ok(()),
            Some(_) => session.delete("/controller")?,
            None => {}
        }
        let document = format!(r#"{head}"timestamp":"{}"}}"#, now_ms());
        session.create("/controller", Some(&document), CreateMode::Ephemeral)
    }

    /// Makes a broker the leader of a partition; `false` where it is no replica, or not alive.
    pub(in crate::server) fn move_leader(
        &self,
        topic: &str,
        partition: i32,
        broker: i32,
    ) -> Result<bool, ErrorCode> {
        let session = self.session()?;
        let _deciding = self.decide();
        let written = {
            let mut state = self.lock();
            let is_alive = state.alive.contains_key(&broker);
            let found = state
                .topics
                .get_mut(topic)
                .and_then(|found| found.get_mut(&partition));
            let Some(found) = found.filter(|found| is_alive && found.replicas.contains(&broker))
            else {
                return Ok(false);
            };
            found.leader = Some(broker);
            found.leader_epoch += 1;
            (topic.to_owned(), partition, found.document())
        };
        self.write_states(&session, vec![written])?;
        self.notify();
        Ok(true)
    }

    /// Creates a topic as Kafka's tools do; `false` where there is one already.
    pub(in crate::server) fn create_topic(
        &self,
        topic: &str,
        assignment: &TopicAssignment,
    ) -> Result<bool, ErrorCode> {
        let session = self.session()?;
        session.put(&paths::topic_config(topic), topic_config_json())?;
        let path = format!("{TOPICS}/{topic}");
        match session.create(&path, Some(&assignment.to_json()), CreateMode::Persistent) {
            Ok(()) => Ok(true),
            Err(ErrorCode::NodeExists) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The brokers of each partition of a topic.
    pub(in crate::server) fn assignment(&self, topic: &str) -> Option<BTreeMap<i32, Vec<i32>>> {
        let state = self.lock();
        let partitions = state.topics.get(topic)?.iter();
        Some(
            partitions
                .map(|(id, partition)| (*id, partition.replicas.clone()))
                .collect(),
        )
    }

    /// Says anew which brokers have the partitions of a topic.
    pub(in crate::server) fn reassign(
        &self,
        topic: &str,
        assignment: &TopicAssignment,
    ) -> Result<(), ErrorCode> {
        self.session()?
            .set(&format!("{TOPICS}/{topic}"), &assignment.to_json())
    }

    /// Has a topic deleted.
    pub(in crate::server) fn delete_topic(&self, topic: &str) -> Result<(), ErrorCode> {
        self.session()?.make(&format!("{DELETED}/{topic}"), None)
    }
}

/// Gives every partition a leader that is alive, if a replica is. All replicas are in sync, because they share the log; those that
/// are not alive leave the in-sync replicas, but for the last.
fn elect(state: &mut State) -> Vec<Written> {
    let mut written = Vec::new();
    for (topic, partitions) in &mut state.topics {
        for (id, partition) in partitions {
            let replicas = partition.replicas.iter().copied();
            let alive: Vec<i32> = replicas.filter(|id| state.alive.contains_key(id)).collect();
            let stays = partition.leader.filter(|leader| alive.contains(leader));
            let leader = stays.or_else(|| alive.first().copied());
            let isr = if alive.is_empty() {
                partition.isr.clone()
            } else {
                alive
            };
            if (leader, &isr) != (partition.leader, &partition.isr) || partition.leader_epoch < 0 {
                partition.leader_epoch +=
                    i32::from(leader != partition.leader || partition.leader_epoch < 0);
                (partition.leader, partition.isr) = (leader, isr);
                written.push((topic.clone(), *id, partition.document()));
            }
        }
    }
    written
}

/// Who is to have the partitions of a topic: who had them, if any of them is there.
fn assignment(replicas: Vec<Vec<i32>>, brokers: &[i32]) -> Result<TopicAssignment, Malformed> {
    let count = replicas.len();
    let is_there = |replicas: &Vec<i32>| replicas.iter().any(|id| brokers.contains(id));
    match replicas.iter().all(is_there) {
        true => TopicAssignment::new(replicas),
        false => TopicAssignment::deal(brokers, count, 1, 0, 0),
    }
}

impl State {
    /// The log of a partition that is new to the brokers, with what is on disk of it.
    fn take_log(&mut self, topic: &str, partition: i32, limits: Limits) -> Result<Log, Error> {
        let kept = self.kept.remove(&(topic.to_owned(), partition));
        match (kept, &self.log_dir) {
            (Some(log), _) => Ok(log),
            (None, Some(log_dir)) => log_dir.create(topic, partition, now_ms(), limits),
            (None, None) => Ok(Log::new(now_ms(), limits)),
        }
    }
}

impl Partition {
    fn new(log: Log) -> Self {
        Self {
            replicas: Vec::new(),
            leader: None,
            leader_epoch: -1,
            isr: Vec::new(),
            log,
        }
    }

    fn document(&self) -> String {
        let isr: Vec<_> = self.isr.iter().map(i32::to_string).collect();
        format!(
            r#"{{"controller_epoch":1,"leader":{},"version":1,"leader_epoch":{},"isr":[{}]}}"#,
            self.leader.unwrap_or(-1),
            self.leader_epoch,
            isr.join(",")
        )
    }
}
