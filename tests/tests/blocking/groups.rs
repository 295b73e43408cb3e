//! Members of a group, each on a thread of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use divvy::blocking::{BalancedConsumer, Producer, RebalanceListener, Revoked, listener};
use divvy::{
    Assigned, Assignment, BalancedConsumerConfig, Event, ListenerError, ProducerRecord,
    ZooKeeperConfig,
};
use divvy_tests::{KafkaVersion, on_every_version, use_rdkafka, wait_for};

use super::{PARTITIONS, PATIENCE, Scene, number};

on_every_version!(
    a_group_of_two_shares_everything_and_a_restart_goes_on,
    a_listener_may_block_and_what_it_asks_for_is_done,
);

const NUMBERS: i64 = 4000;

impl Scene {
    fn member(&self, change: impl FnOnce(&mut BalancedConsumerConfig)) -> Result<BalancedConsumer> {
        let zookeeper = ZooKeeperConfig::new(self.cluster.zookeeper_connect());
        let mut config = BalancedConsumerConfig::new(zookeeper, &self.group, [&self.topic[..]]);
        config.consumer.use_rdkafka = use_rdkafka();
        change(&mut config);
        let mut member = BalancedConsumer::new(&self.client, config)?;
        member.start()?;
        Ok(member)
    }
}

fn settled(member: &BalancedConsumer, partitions: usize) -> Result<()> {
    wait_for(PATIENCE, "a share", || {
        member.is_settled() && member.assignments().len() == partitions
    })
}

/// Receives so many messages for each partition that the member has, and closes it.
fn take(mut member: BalancedConsumer, until: i64, told: &mpsc::Sender<(i32, i64)>) -> Result<()> {
    let mut left: BTreeSet<i32> = member
        .assignments()
        .iter()
        .map(|a| a.tp.partition)
        .collect();
    while !left.is_empty() {
        let message = member.next().context("the member has ended")??;
        number(&message)?;
        told.send((message.tp.partition, message.offset))?;
        if message.offset + 1 == until {
            member.pause(std::slice::from_ref(&message.tp))?;
            left.remove(&message.tp.partition);
        }
    }
    Ok(member.close()?)
}

/// Two members take everything below this offset of each partition, beginning where the group stands.
fn take_in_two(scene: &Scene, until: i64) -> Result<Vec<(i32, i64)>> {
    let (first, second) = (scene.member(|_| {})?, scene.member(|_| {})?);
    settled(&second, 2)?;
    settled(&first, 2)?;
    let (told, taken) = mpsc::channel();
    thread::scope(|scope| {
        let members = [first, second].map(|member| {
            let told = told.clone();
            scope.spawn(move || take(member, until, &told))
        });
        members
            .into_iter()
            .try_for_each(|member| member.join().expect("a member has panicked"))
    })?;
    drop(told);
    Ok(taken.into_iter().collect())
}

fn a_group_of_two_shares_everything_and_a_restart_goes_on(version: KafkaVersion) -> Result<()> {
    let scene = Scene::new(version)?;
    scene.fill(NUMBERS)?;
    let end = NUMBERS / i64::from(PARTITIONS);
    for (from, until) in [(0, end / 2), (end / 2, end)] {
        let mut taken = take_in_two(&scene, until)?;
        taken.sort_unstable();
        let expected: Vec<_> = (0..PARTITIONS)
            .flat_map(|partition| (from..until).map(move |offset| (partition, offset)))
            .collect();
        ensure!(taken == expected, "not each of {from}..{until} came once");
        let committed = (0..PARTITIONS).map(|partition| (partition, until));
        ensure!(
            scene.committed()? == committed.collect(),
            "closing has committed {:?}",
            scene.committed()?
        );
        let owners = scene.cluster.zookeeper_view()?;
        let owners = owners.owners(&scene.group, &scene.topic)?;
        ensure!(owners.is_empty(), "closing has left {owners:?}");
    }
    Ok(())
}

/// Notes what it is told, chooses starts, commits, and writes a message each time, which blocks.
struct Chatty {
    calls: Arc<Mutex<Vec<String>>>,
    diary: Producer,
    topic: String,
}

impl Chatty {
    fn note(&self, call: &str, partitions: &[Assignment]) -> Result<(), ListenerError> {
        let entry = format!("{call} {}", partitions.len());
        let record = ProducerRecord::new(self.topic.as_str(), entry.clone());
        self.diary.send_and_wait(record)?;
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        calls.push(entry);
        Ok(())
    }
}

impl RebalanceListener for Chatty {
    fn on_partitions_assigned(&self, assigned: &mut Assigned) -> Result<(), ListenerError> {
        for held in assigned.partitions().to_vec() {
            assigned.start_at(&held.tp, 7);
        }
        self.note("assigned", assigned.partitions())
    }

    fn on_partitions_revoked(&self, revoked: &mut Revoked) -> Result<(), ListenerError> {
        let tps = revoked.partitions().iter();
        let offsets: BTreeMap<_, _> = tps
            .map(|held| (held.tp.clone(), 100 + i64::from(held.tp.partition)))
            .collect();
        revoked.commit_to(offsets);
        self.note("revoked", revoked.partitions())
    }

    fn on_partitions_lost(&self, lost: &[Assignment]) -> Result<(), ListenerError> {
        self.note("lost", lost)?;
        panic!("a listener may do even this");
    }
}

fn a_listener_may_block_and_what_it_asks_for_is_done(version: KafkaVersion) -> Result<()> {
    let scene = Scene::new(version)?;
    scene.fill(NUMBERS)?;
    let diary = divvy_tests::unique("diary");
    scene.cluster.create_topic(&diary, 1, 1)?;
    let calls = Arc::new(Mutex::new(Vec::new()));
    let chatty = Chatty {
        calls: Arc::clone(&calls),
        diary: scene.producer()?,
        topic: diary,
    };
    let mut member = scene.member(|config| {
        config.listener = listener(chatty);
        config.consumer.auto_commit_interval = None;
    })?;
    let mut events = member.events();
    settled(&member, 4)?;
    let first = member.next().context("it has ended")??;
    ensure!(first.offset == 7, "it starts at {}", first.offset);

    // One is taken away, which ends the listener's thread.
    let tp = scene.tp(2);
    let node = format!("/consumers/{}/owners/{}/2", scene.group, scene.topic);
    scene.cluster.zookeeper_view()?.delete(&node)?;
    let panicked = |event: &Event| matches!(event, Event::Error { message } if message.contains("the listener has panicked"));
    while !events
        .next_timeout(PATIENCE)?
        .map(|event| panicked(&event))
        .context("nothing was said of the panic")?
    {}
    settled(&member, 4)?;
    member.close()?;

    let committed = scene.committed()?;
    let expected = (0..PARTITIONS).map(|partition| (partition, 100 + i64::from(partition)));
    ensure!(committed == expected.collect(), "{tp}: {committed:?}");
    let calls = calls.lock().unwrap_or_else(PoisonError::into_inner);
    let (last, before) = calls.split_last().context("it was told nothing")?;
    ensure!(
        last == "revoked 4" && before.contains(&"lost 1".to_owned()),
        "{calls:?}"
    );
    ensure!(events.next_timeout(Duration::ZERO).is_ok());
    Ok(())
}
