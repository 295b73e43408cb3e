//! A group under test: its members, who owns what, and what they have printed.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use divvy_tests::{Cluster, Divvy, DivvyCommand, ZooKeeperView, unique, wait_some};
use rustix::process::Signal;
use serde_json::json;

use crate::PATIENCE;
use crate::printed::{FORMAT, Output, Partition};
use crate::rule::Rule;

/// How long after a member has come or gone every partition must have its owner.
pub(crate) const SETTLED_WITHIN: Duration = Duration::from_secs(1);
/// How long a member that was asked to end may take.
const ENDED_WITHIN: Duration = Duration::from_secs(2);

/// A group of a name of its own on topics of its own.
pub(crate) struct Group<'a> {
    pub(crate) cluster: &'a Cluster,
    pub(crate) name: String,
    /// Each with its number of partitions.
    pub(crate) topics: BTreeMap<String, i32>,
    pub(crate) view: ZooKeeperView,
    pub(crate) rule: Rule,
    pub(crate) streams: usize,
    pub(crate) arguments: Vec<String>,
    pub(crate) members: Vec<Member>,
    pub(crate) output: Output,
    /// How often each partition went to another member.
    pub(crate) moves: BTreeMap<Partition, usize>,
}

/// A `divvy consume`.
pub(crate) struct Member {
    pub(crate) divvy: Divvy,
    /// The name of its node.
    pub(crate) id: String,
    /// How many of its lines are in the output.
    pub(crate) read: usize,
    /// Whether it should be registered: it was not ended, killed or stopped.
    pub(crate) lives: bool,
}

impl<'a> Group<'a> {
    /// A group without members, on one new topic for each number of partitions.
    pub(crate) fn new(cluster: &'a Cluster, partitions: &[i32]) -> Result<Group<'a>> {
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
            rule: Rule::Range,
            streams: 1,
            arguments: Vec::new(),
            members: Vec::new(),
            output: Output::default(),
            moves: BTreeMap::new(),
        })
    }

    /// Further arguments of every member.
    pub(crate) fn arguments(mut self, arguments: &[&str]) -> Self {
        self.arguments
            .extend(arguments.iter().copied().map(str::to_owned));
        self
    }

    /// How every member shares out, and as how many it counts.
    pub(crate) fn sharing(mut self, rule: Rule, streams: usize) -> Self {
        (self.rule, self.streams) = (rule, streams);
        let name = match rule {
            Rule::Range => "range",
            Rule::RoundRobin => "roundrobin",
        };
        self.arguments(&["--assignor", name, "--streams", &streams.to_string()])
    }

    pub(crate) fn topics(&self) -> impl Iterator<Item = (&str, i32)> {
        let topics = self.topics.iter();
        topics.map(|(topic, partitions)| (topic.as_str(), *partitions))
    }

    /// The first topic, for groups that have one.
    pub(crate) fn topic(&self) -> &str {
        self.topics.keys().next().map_or("", String::as_str)
    }

    pub(crate) fn divvy(&self, member: usize) -> &Divvy {
        &self.members[member].divvy
    }

    /// What the group has stored for the first topic.
    pub(crate) fn offsets(&self) -> Result<BTreeMap<i32, i64>> {
        self.view.offsets(&self.name, self.topic())
    }

    /// Adds partitions to the first topic, on its first broker, by writing what Kafka's own tool writes, which takes that tool
    /// longer than a member may be stopped.
    pub(crate) fn grow(&mut self, partitions: i32) -> Result<()> {
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
}

/// Members that come and go.
impl Group<'_> {
    /// Starts a member, waits until it is registered, and demands that from then on it takes a second at most until every
    /// partition has its owner, and that no partition has moved that could stay. Gives the member's number.
    pub(crate) fn join(&mut self) -> Result<usize> {
        let before = self.owners()?;
        let known = self.view.ids(&self.name)?;
        let divvy = self.command().spawn()?;
        let registered = wait_some(PATIENCE, "the registration of a new member", || {
            let ids = self.view.ids(&self.name).ok()?;
            ids.into_keys().find(|id| !known.contains_key(id))
        });
        let id = registered.with_context(|| divvy.stderr().tail(20))?;
        self.members.push(Member {
            divvy,
            id,
            read: 0,
            lives: true,
        });
        self.settle_from(&before, SETTLED_WITHIN)?;
        Ok(self.members.len() - 1)
    }

    /// Asks a member to end, and demands that it does so in order within two seconds, that its nodes are gone then, and that the
    /// others share its partitions within another second, none of which moved that could stay.
    pub(crate) fn leave(&mut self, member: usize) -> Result<()> {
        let before = self.owners()?;
        let Member { divvy, id, .. } = &self.members[member];
        divvy.term()?;
        divvy
            .wait_success(ENDED_WITHIN)
            .with_context(|| format!("member {member} after SIGTERM"))?;
        let ids = self.view.ids(&self.name)?;
        ensure!(!ids.contains_key(id), "{id} has ended and is registered");
        let owned = self.owned_by(member, &self.owners()?);
        ensure!(owned.is_empty(), "{id} has ended and owns {owned:?}");
        self.members[member].lives = false;
        self.settle_from(&before, SETTLED_WITHIN)?;
        self.collect()
    }

    /// Kills a member, and gives when.
    pub(crate) fn kill(&mut self, member: usize) -> Result<Instant> {
        let Member { divvy, lives, .. } = &mut self.members[member];
        *lives = false;
        let killed = Instant::now();
        divvy.kill();
        // What is still in the pipe was written, so it counts.
        divvy.stdout().release();
        divvy.wait(PATIENCE)?;
        self.collect()?;
        Ok(killed)
    }

    /// Stops a member in its tracks.
    pub(crate) fn stop(&mut self, member: usize) -> Result<()> {
        let Member { divvy, lives, .. } = &mut self.members[member];
        *lives = false;
        divvy.signal(Signal::STOP)
    }

    /// Lets a stopped member go on.
    pub(crate) fn cont(&mut self, member: usize) -> Result<()> {
        let Member { divvy, lives, .. } = &mut self.members[member];
        *lives = true;
        divvy.signal(Signal::CONT)
    }

    fn command(&self) -> DivvyCommand {
        let zookeeper = self.cluster.zookeeper_connect();
        let mut arguments = vec!["consume", "--zookeeper", &zookeeper, "--group", &self.name];
        for topic in self.topics.keys() {
            arguments.extend(["--topic", topic]);
        }
        arguments.extend(["--events", "json", "--format", FORMAT]);
        arguments.extend(self.arguments.iter().map(String::as_str));
        Divvy::command(arguments)
    }
}
