//! Writing, and what is said of it.

use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use divvy::blocking::Error;
use divvy::{ProducerError, ProducerRecord};
use divvy_tests::{KafkaVersion, on_every_version};

use super::{IDLE, PARTITIONS, PATIENCE, Scene, number};

on_every_version!(
    what_is_acknowledged_is_there_and_what_is_refused_is_said,
    what_was_sent_is_there_when_close_returns,
);

const NUMBERS: i64 = 400;

fn what_is_acknowledged_is_there_and_what_is_refused_is_said(version: KafkaVersion) -> Result<()> {
    let scene = Scene::new(version)?;
    let producer = scene.producer()?;
    ensure!(producer.partitions_for(&scene.topic)? == (0..PARTITIONS).collect::<Vec<_>>());

    // Each way to send has its quarter, one after the other.
    let quarter = NUMBERS / 4;
    let place = |number: i64| {
        let partition = number % i64::from(PARTITIONS);
        (partition, Some(number / i64::from(PARTITIONS)))
    };
    let mut stored = Vec::new();
    for number in 0..quarter {
        stored.push(producer.send_and_wait(scene.record(number))?);
    }
    let deliveries: Vec<_> = (quarter..2 * quarter)
        .map(|number| producer.send(scene.record(number)))
        .collect::<Result<_, _>>()?;
    for delivery in deliveries {
        stored.push(delivery.wait()?);
    }
    let records: Vec<_> = (2 * quarter..3 * quarter)
        .map(|number| scene.record(number))
        .collect();
    for delivered in producer.send_all(records)?.each()? {
        stored.push(delivered?);
    }
    let deliveries: Vec<_> = (3 * quarter..NUMBERS)
        .map(|number| producer.try_send(scene.record(number)))
        .collect::<Result<_, _>>()?;
    producer.flush()?;
    for delivery in deliveries {
        stored.push(delivery.wait()?);
    }
    for (number, stored) in (0..).zip(&stored) {
        let at = (i64::from(stored.tp.partition), stored.offset);
        ensure!(at == place(number), "{number} is said to be at {stored:?}");
    }

    let refused = producer.send(ProducerRecord::new("no-such-topic", "lost"));
    let refused = refused.err().context("there is no such topic")?;
    ensure!(
        matches!(&refused, Error::Producer(ProducerError::Client(divvy::ClientError::UnknownTopic { topic })) if topic == "no-such-topic"),
        "{refused}"
    );
    // Clones are one producer, on any thread.
    let clone = producer.clone();
    let closed = thread::spawn(move || clone.close(PATIENCE));
    closed.join().expect("the thread has panicked")?;
    let closed = producer
        .send(scene.record(0))
        .err()
        .context("it is closed")?;
    ensure!(
        matches!(closed, Error::Producer(ProducerError::Closed)),
        "{closed}"
    );
    producer.close(Duration::ZERO)?;

    let mut consumer = scene.simple(|config| config.consumer.group = None)?;
    let mut read = consumer
        .until_idle(IDLE)
        .map(|message| number(&message?))
        .collect::<Result<Vec<_>>>()?;
    read.sort_unstable();
    ensure!(
        read == (0..NUMBERS).collect::<Vec<_>>(),
        "{} are there",
        read.len()
    );
    Ok(())
}

/// Whoever waits for no delivery, and would have to wait for longer than a batch may linger.
fn what_was_sent_is_there_when_close_returns(version: KafkaVersion) -> Result<()> {
    let scene = Scene::new(version)?;
    let producer = scene.lingering(2 * PATIENCE)?;
    for number in 0..NUMBERS {
        drop(producer.send(scene.record(number))?);
    }
    producer.close(PATIENCE)?;
    let consumer = scene.simple(|_| {})?;
    let tps: Vec<_> = (0..PARTITIONS)
        .map(|partition| scene.tp(partition))
        .collect();
    let ends = consumer.end_offsets(&tps)?;
    ensure!(ends.values().sum::<i64>() == NUMBERS, "{ends:?}");
    consumer.close()?;
    Ok(())
}
