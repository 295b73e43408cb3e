//! One consumer: what it gives, what it finishes, and where it goes on.

use std::collections::{BTreeMap, BTreeSet};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use divvy::blocking::SimpleConsumer;
use divvy::{AckMode, Event, SeekTo};
use divvy_tests::{KafkaVersion, on_every_version};

use super::{IDLE, PARTITIONS, PATIENCE, Scene, number, number_at};

on_every_version!(
    every_way_to_receive_gives_everything_once,
    the_iterator_finishes_what_it_gave_before,
    an_error_is_given_and_does_not_end_the_iterator,
    acknowledgements_alone_finish_where_asked_for,
    seeking_and_pausing_do_what_they_say,
    partitions_are_received_by_threads_of_their_own,
);

const NUMBERS: i64 = 2000;

/// Receives all there is in one of the ways, and leaves the numbers in the order in which they came.
fn receive(how: &str, consumer: &mut SimpleConsumer, numbers: &mut Vec<i64>) -> Result<()> {
    let all = usize::try_from(NUMBERS)?;
    while numbers.len() < all {
        match how {
            "iterator" => {
                let message = consumer.next().context("it has ended")??;
                numbers.push(number(&message)?);
            }
            "batch" => {
                let mut batch = consumer.next_batch()?;
                let tp = batch.partition().clone();
                for record in batch.records() {
                    numbers.push(number_at(&tp, record.offset, record.value)?);
                }
            }
            "many" => {
                for message in consumer.get_many(100, PATIENCE)? {
                    let (tp, offset) = (message.partition(), message.offset());
                    numbers.push(number_at(tp, offset, message.value())?);
                }
            }
            _ => {
                let message = consumer.recv()?;
                let (tp, offset) = (message.partition(), message.offset());
                numbers.push(number_at(tp, offset, message.value())?);
            }
        }
    }
    Ok(())
}

fn every_way_to_receive_gives_everything_once(version: KafkaVersion) -> Result<()> {
    let scene = Scene::new(version)?;
    scene.fill(NUMBERS)?;
    for how in ["iterator", "batch", "many", "recv"] {
        let mut consumer = scene.simple(|config| config.consumer.group = None)?;
        let mut numbers = Vec::new();
        receive(how, &mut consumer, &mut numbers)?;
        let more = consumer.recv_timeout(IDLE)?.map(|more| more.offset());
        ensure!(more.is_none(), "{how}: offset {more:?} comes again");
        ensure!(
            numbers.iter().copied().collect::<BTreeSet<_>>() == (0..NUMBERS).collect(),
            "{how}: not every number came"
        );
        consumer.close()?;
    }
    let mut consumer = scene.simple(|config| config.consumer.group = None)?;
    let all = consumer.until_idle(IDLE).collect::<Result<Vec<_>, _>>()?;
    ensure!(all.len() == usize::try_from(NUMBERS)?, "{}", all.len());
    Ok(())
}

fn the_iterator_finishes_what_it_gave_before(version: KafkaVersion) -> Result<()> {
    let scene = Scene::new(version)?;
    scene.fill(NUMBERS)?;
    let only = |config: &mut divvy::SimpleConsumerConfig| config.partitions = Some(vec![0]);

    // What was given last is not finished by the clock, and not by dropping the consumer.
    let mut consumer = scene.simple(|config| {
        only(config);
        config.consumer.auto_commit_interval = Some(Duration::from_millis(50));
    })?;
    let mut told = consumer.events();
    let third = consumer.by_ref().nth(2).context("it has ended")??;
    ensure!(third.offset == 2, "{third:?}");
    let committed =
        |event: &Event| matches!(event, Event::Committed { offsets } if offsets[0].1 == 2);
    while !told
        .next_timeout(PATIENCE)?
        .map(|event| committed(&event))
        .context("nothing was committed")?
    {}
    drop(consumer);
    ensure!(scene.committed()? == BTreeMap::from([(0, 2)]));

    // By committing it is, and it comes no second time.
    let mut consumer = scene.simple(only)?;
    for (expected, message) in (2..12).zip(consumer.by_ref()) {
        ensure!(message?.offset == expected);
    }
    consumer.commit()?;
    ensure!(scene.committed()? == BTreeMap::from([(0, 12)]));
    for message in consumer.by_ref().take(5) {
        message?;
    }
    consumer.close()?;
    ensure!(
        scene.committed()? == BTreeMap::from([(0, 12)]),
        "closing commits where nothing else is to"
    );

    // By closing it is, where offsets are committed without being asked.
    let mut consumer = scene.simple(|config| {
        only(config);
        config.consumer.auto_commit_interval = Some(PATIENCE);
    })?;
    for (expected, message) in (12..30).zip(consumer.by_ref()) {
        ensure!(message?.offset == expected);
    }
    consumer.close()?;
    let stored = scene.committed()?;
    ensure!(stored == BTreeMap::from([(0, 30)]), "{stored:?}");
    Ok(())
}

/// A damaged message is one error, behind which its partition stands still and the others go on.
fn an_error_is_given_and_does_not_end_the_iterator(version: KafkaVersion) -> Result<()> {
    const DAMAGED: i32 = 1;
    let scene = Scene::new(version)?;
    scene.fill(NUMBERS)?;
    let damaged = scene.cluster.corrupt(&scene.topic, DAMAGED, 10)?;
    let consumer = scene.simple(|config| config.consumer.group = None)?;
    let (mut errors, mut offsets) = (Vec::new(), BTreeMap::<i32, BTreeSet<i64>>::new());
    let each = NUMBERS / i64::from(PARTITIONS);
    let left = usize::try_from(each * i64::from(PARTITIONS - 1) + damaged.start)?;
    for given in consumer {
        match given {
            Ok(message) => {
                number(&message)?;
                let partition = offsets.entry(message.tp.partition).or_default();
                partition.insert(message.offset);
            }
            Err(error) => errors.push(error.to_string()),
        }
        if !errors.is_empty() && offsets.values().map(BTreeSet::len).sum::<usize>() == left {
            break;
        }
    }
    let expected = (0..PARTITIONS).map(|partition| match partition {
        DAMAGED => (partition, (0..damaged.start).collect()),
        _ => (partition, (0..each).collect()),
    });
    ensure!(offsets == expected.collect(), "{offsets:?}");
    let tp = scene.tp(DAMAGED).to_string();
    ensure!(errors.len() == 1 && errors[0].contains(&tp), "{errors:?}");
    Ok(())
}

fn acknowledgements_alone_finish_where_asked_for(version: KafkaVersion) -> Result<()> {
    let scene = Scene::new(version)?;
    scene.fill(NUMBERS)?;
    let mut consumer = scene.simple(|config| {
        config.partitions = Some(vec![1]);
        config.consumer.ack_mode = AckMode::Explicit;
    })?;
    let some: Vec<_> = consumer.by_ref().take(6).collect::<Result<_, _>>()?;
    for message in [0, 1, 2, 4] {
        ensure!(some[message].ack());
    }
    consumer.commit()?;
    ensure!(scene.committed()? == BTreeMap::from([(1, 3)]));
    ensure!(some[3].ack() && !some[3].ack());
    consumer.commit()?;
    ensure!(scene.committed()? == BTreeMap::from([(1, 5)]));
    consumer.close()?;
    Ok(())
}

fn seeking_and_pausing_do_what_they_say(version: KafkaVersion) -> Result<()> {
    let scene = Scene::new(version)?;
    scene.fill(NUMBERS)?;
    let mut consumer = scene.simple(|_| {})?;
    let others: Vec<_> = (1..PARTITIONS).map(|other| scene.tp(other)).collect();
    let first = scene.tp(0);
    consumer.pause(&others)?;
    ensure!(consumer.paused() == others.iter().cloned().collect());
    consumer.seek(&first, SeekTo::Offset(100))?;
    ensure!(consumer.position(&first)? == 100);
    let per_partition = NUMBERS / i64::from(PARTITIONS);
    let rest: Vec<_> = consumer
        .until_idle(IDLE)
        .map(|message| message.map(|message| (message.tp.partition, message.offset)))
        .collect::<Result<_, _>>()?;
    let expected: Vec<_> = (100..per_partition).map(|offset| (0, offset)).collect();
    ensure!(rest == expected, "{rest:?}");

    ensure!(consumer.lag(&first)? == Some(0));
    let ends = consumer.end_offsets(&others)?;
    ensure!(ends.values().all(|end| *end == per_partition), "{ends:?}");
    consumer.resume(&others[..1])?;
    let message = consumer.recv_from(&others)?;
    ensure!(message.partition() == &others[0] && message.offset() == 0);
    consumer.seek(&first, SeekTo::Beginning)?;
    ensure!(consumer.recv_from(&[first])?.offset() == 0);
    consumer.close()?;
    Ok(())
}

fn partitions_are_received_by_threads_of_their_own(version: KafkaVersion) -> Result<()> {
    let scene = Scene::new(version)?;
    scene.fill(NUMBERS)?;
    let mut consumer = scene.simple(|_| {})?;
    let each = usize::try_from(NUMBERS / i64::from(PARTITIONS))?;
    let workers = consumer.partition_handles()?.into_iter();
    let workers = workers.map(|(tp, mut handle)| {
        thread::spawn(move || -> Result<()> {
            for message in handle.by_ref().take(each) {
                let message = message?;
                ensure!(message.tp == tp, "{} came to {tp}", message.tp);
                number(&message)?;
            }
            handle.give_back();
            Ok(())
        })
    });
    for worker in workers.collect::<Vec<_>>() {
        worker.join().expect("a worker has panicked")?;
    }
    consumer.commit()?;
    let end = NUMBERS / i64::from(PARTITIONS);
    let expected = (0..PARTITIONS).map(|partition| (partition, end)).collect();
    ensure!(scene.committed()? == expected, "{:?}", scene.committed()?);
    consumer.close()?;
    Ok(())
}
