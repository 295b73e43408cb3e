//! A group under test: its members, who owns what, and what they have printed.
//!
//! The members are real processes: `divvy consume`, Kafka's own high-level consumer, PyKafka's balanced consumer. They read
//! [consecutive integers](crate::NumberProducer), and what they print is held against what was acknowledged.

mod judge;
mod lines;
mod member;
mod owners;
mod printed;
mod rule;

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::json;

pub use self::judge::{Assignment, JavaAssignor};
pub use self::member::{Member, Program, Proxies};
pub use self::owners::{Owners, show};
pub use self::printed::{FORMAT, Output, Partition, Printed};
pub use self::rule::Rule;
use crate::{Cluster, Divvy, NumberProducer, ZooKeeperView, unique};

/// How long something may take that is waited for and not measured.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// How long after a member has come or gone every partition must have its owner, where all members are divvy's.
pub const SETTLED_WITHIN: Duration = Duration::from_secs(1);
/// The same where one is Kafka's own: four attempts at a rebalance, with two seconds after each.
pub const JAVA_SETTLED_WITHIN: Duration = Duration::from_secs(8);

/// A group of a name of its own on topics of its own.
#[derive(Debug)]
pub struct Group<'a> {
    /// Where it lives.
    pub cluster: &'a Cluster,
    /// Its name.
    pub name: String,
    /// Its topics, each with its number of partitions.
    pub topics: BTreeMap<String, i32>,
    /// What ZooKeeper knows of it.
    pub view: ZooKeeperView,
    /// Everybody who ever was a member, by number.
    pub members: Vec<Member>,
    /// What they have printed, as far as it was collected.
    pub output: Output,
    rule: Rule,
    streams: usize,
    session_timeout: Duration,
    arguments: Vec<String>,
    proxies: Option<Proxies>,
    judge: Option<JavaAssignor>,
    /// How often each partition went to another member.
    moves: BTreeMap<Partition, usize>,
}

impl<'a> Group<'a> {
    /// A group without members, on one new topic for each number of partitions.
    ///
    /// # Errors
    ///
    /// When the topics cannot be created.
    pub fn new(cluster: &'a Cluster, partitions: &[i32]) -> Result<Group<'a>> {
        let mut topics = BTreeMap::new();
        let replicas = cluster.brokers().len();
        for partitions in partitions {
            let topic = unique("numbers");
            cluster.create_topic(&topic, usize::try_from(*partitions)?, replicas)?;
            topics.insert(topic, *partitions);
        }
        Ok(Group {
            view: cluster.zookeeper_view()?,
            cluster,
            name: unique("group"),
            topics,
            members: Vec::new(),
            output: Output::default(),
            rule: Rule::Range,
            streams: 1,
            session_timeout: Duration::from_secs(6),
            arguments: Vec::new(),
            proxies: None,
            judge: None,
            moves: BTreeMap::new(),
        })
    }

    /// Further arguments of every `divvy consume`.
    pub fn arguments(mut self, arguments: &[&str]) -> Self {
        self.arguments
            .extend(arguments.iter().copied().map(str::to_owned));
        self
    }

    /// How every member shares out, and as how many it counts.
    pub fn sharing(mut self, rule: Rule, streams: usize) -> Self {
        (self.rule, self.streams) = (rule, streams);
        self.arguments(&["--assignor", rule.name(), "--streams", &streams.to_string()])
    }

    /// How long a session of every member lasts without a sign of life; 6 s otherwise.
    pub fn session_timeout(mut self, timeout: Duration) -> Self {
        self.session_timeout = timeout;
        let timeout = format!("{}ms", timeout.as_millis());
        self.arguments(&["--session-timeout", &timeout])
    }

    /// From now on every new member reaches ZooKeeper through a proxy of its own, [`Member::proxy`]. On an ensemble, member `n`
    /// is led to server `n` modulo their number.
    pub fn behind_proxies(mut self) -> Self {
        self.proxies = Some(Proxies::default());
        self
    }

    /// From now on every owner must be the one that Kafka's own assignor says, asked about the group as it is in ZooKeeper.
    ///
    /// # Errors
    ///
    /// When the assignor cannot be started.
    pub fn judged_by_java(mut self) -> Result<Self> {
        self.judge = Some(JavaAssignor::start(self.cluster, &self.name, self.rule)?);
        Ok(self)
    }

    /// Its topics, each with its number of partitions.
    pub fn topics(&self) -> impl Iterator<Item = (&str, i32)> {
        let topics = self.topics.iter();
        topics.map(|(topic, partitions)| (topic.as_str(), *partitions))
    }

    /// The first topic, for groups that have one.
    pub fn topic(&self) -> &str {
        self.topics.keys().next().map_or("", String::as_str)
    }

    /// A member that is a `divvy consume`.
    ///
    /// # Panics
    ///
    /// When it is another program.
    pub fn divvy(&self, member: usize) -> &Divvy {
        match &self.members[member].program {
            Program::Divvy(divvy) => divvy,
            other => panic!("member {member} is no divvy: {other:?}"),
        }
    }

    /// What the group has stored for the first topic.
    ///
    /// # Errors
    ///
    /// When ZooKeeper cannot be asked.
    pub fn offsets(&self) -> Result<BTreeMap<i32, i64>> {
        self.view.offsets(&self.name, self.topic())
    }

    /// Writes consecutive integers to each of the topics, `rate` a second in all, no number to two of them.
    ///
    /// # Errors
    ///
    /// When there are no threads for it.
    pub fn produce(&self, rate: u32) -> Result<Vec<(String, NumberProducer)>> {
        let share = rate / u32::try_from(self.topics.len())?;
        (0..)
            .zip(self.topics())
            .map(|(nth, (topic, partitions))| {
                // More than any test writes.
                let first = nth * 1_000_000_000;
                let producer =
                    self.cluster
                        .produce_numbers_from(first, topic, 0..partitions, share)?;
                Ok((topic.to_owned(), producer))
            })
            .collect()
    }

    /// Adds partitions to the first topic, on its first broker, by writing what Kafka's own tool writes, which takes that tool
    /// longer than a member may be stopped.
    ///
    /// # Errors
    ///
    /// When ZooKeeper refuses.
    pub fn grow(&mut self, partitions: i32) -> Result<()> {
        let topic = self.topic().to_owned();
        let replicas: BTreeMap<String, [i32; 1]> = (0..partitions)
            .map(|partition| (partition.to_string(), [0]))
            .collect();
        let document = json!({"version": 1, "partitions": replicas}).to_string();
        self.view
            .put(&format!("/brokers/topics/{topic}"), &document)?;
        self.topics.insert(topic, partitions);
        Ok(())
    }

    /// How long the group may take until every partition has its owner.
    fn settled_within(&self) -> Duration {
        let mut living = self.members.iter().filter(|member| member.lives);
        if living.any(|member| matches!(member.program, Program::Java(_))) {
            JAVA_SETTLED_WITHIN
        } else {
            SETTLED_WITHIN
        }
    }

    fn member(&self, number: usize) -> Result<&Member> {
        let member = self.members.get(number);
        member.with_context(|| format!("there is no member {number}"))
    }
}
