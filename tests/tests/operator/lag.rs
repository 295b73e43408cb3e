//! Growing lag comes with its reason. Each cause is brought about by itself, with members that are processes and with a producer, so
//! grossly that a busy machine does not hide it.

use std::collections::BTreeSet;
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, ensure};
use divvy_tests::{
    Cluster, KafkaVersion, NumberProducer, Process, tests_on, unique, wait_for, wait_some,
};
use serde_json::Value;

use crate::PATIENCE;
use crate::program::{json, of_kind};

tests_on!(
    [kafka_0_8_2_2 = V0_8_2_2, embedded = Embedded0_8_2],
    at_any_time,
    growing_lag_names_its_reason
);

/// How long a message takes in a handler that keeps up with whatever comes here.
const AT_ONCE: u32 = 0;

/// Brokers of its own, because one of them is slowed down: in the end, when the others are through.
fn growing_lag_names_its_reason(version: KafkaVersion) -> Result<()> {
    let mut builder = Cluster::builder().kafka(version).brokers(2);
    if !version.is_embedded() {
        builder = builder.brokers_behind_proxies();
    }
    let cluster = &builder.start()?;
    let causes = [
        too_few_members,
        partitions_are_the_limit,
        one_hot_partition,
        slow_handler,
    ];
    thread::scope(|scope| {
        let causes = causes.map(|cause| scope.spawn(move || cause(cluster)));
        causes.into_iter().try_for_each(|cause| {
            let ended = cause.join();
            ended.map_err(|_| anyhow!("a thread has panicked"))?
        })
    })?;
    slow_broker(cluster)
}

/// One member reads about 40 messages a second, of four partitions that get 20 each. At that rate two would do, if partitions were
/// not shared out whole: with three, one would still own two.
fn too_few_members(cluster: &Cluster) -> Result<()> {
    let mut group = Group::new(cluster, 4)?;
    group.join(1, 25)?;
    let producer = group.produce(0..4, 80)?;
    let found = group.look_when_behind(150)?;
    expect(
        &found,
        "too-few-members",
        &["1 stream is too few", "start 3 more"],
    )?;
    // It is enough, which the members show.
    group.join(3, 25)?;
    wait_some(PATIENCE, "the lag to shrink", || {
        let now = group.look().ok()?;
        let shrinks = now["lag"].as_i64()? < found["lag"].as_i64()?;
        (shrinks && now["cause"].is_null()).then_some(())
    })?;
    producer.stop()?;
    Ok(())
}

/// Two members read about 10 a second each, of two partitions that get 30 each.
fn partitions_are_the_limit(cluster: &Cluster) -> Result<()> {
    let mut group = Group::new(cluster, 2)?;
    group.join(2, 100)?;
    let producer = group.produce(0..2, 60)?;
    let found = group.look_when_behind(150)?;
    expect(
        &found,
        "too-few-partitions",
        &["only 2 can share 2 partitions", "add partitions"],
    )?;
    producer.stop()?;
    Ok(())
}

/// Two members read about 40 a second each. One partition gets 120, and three others 15 in all.
fn one_hot_partition(cluster: &Cluster) -> Result<()> {
    let mut group = Group::new(cluster, 4)?;
    group.join(2, 25)?;
    let cold = group.produce(1..4, 15)?;
    let hot = group.produce(0..1, 120)?;
    let found = group.look_when_behind(300)?;
    let hot_one = format!("{}-0 gets ", group.topic);
    expect(&found, "hot-partition", &[&hot_one, "no member more helps"])?;
    hot.stop()?;
    cold.stop()?;
    Ok(())
}

/// Of two members one reads about 5 a second, and the other whatever comes.
fn slow_handler(cluster: &Cluster) -> Result<()> {
    let mut group = Group::new(cluster, 2)?;
    group.join(1, 200)?;
    group.join(1, AT_ONCE)?;
    let producer = group.produce(0..2, 80)?;
    let found = group.look_when_behind(150)?;
    let slow = group.members[0]
        .stdout()
        .wait_for(PATIENCE, "its id", |_| true)?;
    let slow = slow.text();
    let words = [&format!("only what {slow} owns"), "look at its handler"];
    expect(&found, "slow-member", &words)?;
    producer.stop()?;
    Ok(())
}

/// Two members with a partition each, which lie on a broker each. The offsets look as they do for a slow handler.
fn slow_broker(cluster: &Cluster) -> Result<()> {
    let mut group = Group::new(cluster, 2)?;
    group.join(2, AT_ONCE)?;
    let producer = group.produce(0..2, 400)?;
    group.wait_for("every partition to be read", |lines| {
        let partitions = of_kind(lines, "partition");
        partitions
            .iter()
            .all(|line| line["committed"].as_i64() > Some(100))
    })?;
    let slow = 1;
    cluster.brokers()[slow].slow_down(Duration::from_millis(1200))?;
    let found = group.look_when_behind(600)?;
    let words = [
        &format!("broker {slow} took "),
        "look at that broker's disk",
    ];
    expect(&found, "slow-broker", &words)?;
    let behind = group.furthest_behind()?;
    ensure!(behind["leader"] == slow, "{behind}");
    cluster.brokers()[slow].slow_down(Duration::ZERO)?;
    producer.stop()?;
    Ok(())
}

fn expect(found: &Value, cause: &str, words: &[&str]) -> Result<()> {
    ensure!(found["cause"] == cause, "not {cause}: {found}");
    let reason = found["reason"].as_str().unwrap_or_default();
    for word in words {
        ensure!(reason.contains(word), "no {word:?}: {reason}");
    }
    Ok(())
}

/// A group on a topic of its own, whose members are [handlers](../../src/bin/handler.rs).
struct Group<'a> {
    cluster: &'a Cluster,
    name: String,
    topic: String,
    members: Vec<Process>,
}

impl<'a> Group<'a> {
    fn new(cluster: &'a Cluster, partitions: usize) -> Result<Self> {
        let (name, topic) = (unique("behind"), unique("orders"));
        cluster.create_topic(&topic, partitions, 1)?;
        Ok(Self {
            cluster,
            name,
            topic,
            members: Vec::new(),
        })
    }

    /// Starts members whose handlers take so many milliseconds for each message, and waits until all own something.
    fn join(&mut self, members: usize, takes_ms: u32) -> Result<()> {
        let zookeeper = self.cluster.zookeeper_connect();
        // So little at a time that a slow broker is felt.
        let [takes_ms, bytes] = [takes_ms, 512].map(|number| number.to_string());
        let arguments = [&zookeeper, &self.name, &self.topic, &takes_ms, &bytes];
        for _ in 0..members {
            let mut command = Command::new(env!("CARGO_BIN_EXE_handler"));
            self.members
                .push(Process::spawn("handler", command.args(arguments))?);
        }
        let view = self.cluster.zookeeper_view()?;
        wait_for(PATIENCE, "every member to own something", || {
            let owners = view.owners(&self.name, &self.topic).unwrap_or_default();
            let owners: BTreeSet<String> = owners.into_values().map(|owner| owner.text).collect();
            owners.len() == self.members.len()
        })
    }

    fn produce(&self, partitions: std::ops::Range<i32>, rate: u32) -> Result<NumberProducer> {
        self.cluster.produce_numbers(&self.topic, partitions, rate)
    }

    /// What two looks say of the whole group.
    fn look(&self) -> Result<Value> {
        let lines = json(
            self.cluster,
            &format!("group lag {} --interval 2s", self.name),
        )?;
        let sum = of_kind(&lines, "group");
        Ok((*sum.first().context("no sum")?).clone())
    }

    /// The same, once so many messages are left and all have begun: the first two looks must show the reason.
    fn look_when_behind(&self, lag: i64) -> Result<Value> {
        self.wait_for("lag", |lines| {
            let sum: i64 = of_kind(lines, "partition")
                .iter()
                .filter_map(|line| line["lag"].as_i64())
                .sum();
            sum >= lag
        })?;
        self.look()
    }

    fn wait_for(&self, what: &str, holds: impl Fn(&[Value]) -> bool) -> Result<()> {
        wait_for(PATIENCE, what, || {
            let lines = json(self.cluster, &format!("group lag {}", self.name));
            lines.is_ok_and(|lines| holds(&lines))
        })
    }

    fn furthest_behind(&self) -> Result<Value> {
        let lines = json(self.cluster, &format!("group lag {}", self.name))?;
        let partitions = of_kind(&lines, "partition").into_iter();
        let behind = partitions.max_by_key(|line| line["lag"].as_i64());
        Ok(behind.context("no partition")?.clone())
    }
}
