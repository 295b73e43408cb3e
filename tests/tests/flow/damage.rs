//! A byte that was flipped on a broker's disk, in the middle of what is read at full speed.

use std::ops::Range;
use std::pin::pin;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use divvy::{
    AckMode, Compression, ConsumerConfig, Error, FetchError, SeekTo, SimpleConsumer,
    SimpleConsumerConfig,
};
use divvy_tests::{Cluster, KafkaVersion, on_every_version, scale};
use futures_util::StreamExt as _;
use tokio::time::timeout;

use crate::scene::{PATIENCE, Read, Topic, live};

on_every_version!(
    damage_is_one_error_and_nothing_else_is_lost,
    damage_within_compressed_messages_is_one_error,
    who_does_not_check_gets_what_is_there,
);

const PARTITIONS: i32 = 4;
/// The partition that is damaged.
const DAMAGED: i32 = 2;
const SIZE: usize = 100;

/// By which calls messages are received.
#[derive(Clone, Copy, Debug)]
enum Way {
    Batch,
    Recv,
    Many,
    Stream,
}

fn damage_is_one_error_and_nothing_else_is_lost(version: KafkaVersion) -> Result<()> {
    live(async {
        let cluster = Cluster::shared(version)?;
        let mut topic = Topic::new(cluster, PARTITIONS).await?;
        topic
            .fill(scale(30_000, 500_000), SIZE, Compression::None)
            .await?;
        let damaged = flip_a_byte(&topic)?;
        ensure!(
            damaged.end == damaged.start + 1,
            "{damaged:?} is no message"
        );
        for way in [Way::Batch, Way::Recv, Way::Many, Way::Stream] {
            read_around(&topic, &damaged, way)
                .await
                .with_context(|| format!("{way:?}"))?;
        }
        Ok(())
    })
}

fn damage_within_compressed_messages_is_one_error(version: KafkaVersion) -> Result<()> {
    live(async {
        let cluster = Cluster::shared(version)?;
        for compression in [Compression::Snappy, Compression::Gzip, Compression::Lz4] {
            let mut topic = Topic::new(cluster, PARTITIONS).await?;
            topic
                .fill(scale(10_000, 500_000), SIZE, compression)
                .await?;
            let damaged = flip_a_byte(&topic)?;
            ensure!(
                damaged.end > damaged.start + 1,
                "{damaged:?} is one message"
            );
            for way in [Way::Batch, Way::Recv] {
                read_around(&topic, &damaged, way)
                    .await
                    .with_context(|| format!("{compression:?}, {way:?}"))?;
            }
        }
        Ok(())
    })
}

fn who_does_not_check_gets_what_is_there(version: KafkaVersion) -> Result<()> {
    live(async {
        let cluster = Cluster::shared(version)?;
        let mut topic = Topic::new(cluster, PARTITIONS).await?;
        topic
            .fill(scale(10_000, 500_000), SIZE, Compression::None)
            .await?;
        let damaged = flip_a_byte(&topic)?;
        let mut consumer = consumer(&topic, Way::Batch, false)?;
        consumer.start().await?;
        let mut read = Read::default();
        let mut flipped = 0;
        while !read.is_at(ends(&topic)) {
            let mut batch = timeout(PATIENCE, consumer.next_batch()).await??;
            let partition = batch.partition().partition;
            for record in batch.records() {
                if (partition, record.offset) == (DAMAGED, damaged.start) {
                    flipped += 1;
                    read.skip_to(partition, damaged.end);
                } else {
                    read.take(partition, record.offset, record.value)?;
                }
            }
        }
        ensure!(flipped == 1, "it came {flipped} times");
        consumer.close().await?;
        Ok(())
    })
}

/// Reads all there is: the damage is one error, then everything but the damaged entry was read.
async fn read_around(topic: &Topic<'_>, damage: &Range<i64>, way: Way) -> Result<()> {
    let mut consumer = consumer(topic, way, true)?;
    consumer.start().await?;
    let mut read = Read::default();
    let mut errors = Vec::new();
    let before = || {
        ends(topic).map(|(partition, end)| match partition {
            DAMAGED => (partition, damage.start),
            _ => (partition, end),
        })
    };
    while errors.is_empty() || !read.is_at(before()) {
        let received = timeout(PATIENCE, receive(&mut consumer, way, &mut read)).await;
        if let Err(error) = received.context("nothing came")? {
            errors.push(error);
        }
        ensure!(
            read.next(DAMAGED) <= damage.start,
            "what is behind the damage was handed out"
        );
    }
    let silent = timeout(SILENCE, receive(&mut consumer, way, &mut read)).await;
    ensure!(silent.is_err(), "{silent:?} came, and nothing was due");
    let skip_to = names_it(topic, damage, &errors)?;
    ensure!(skip_to == damage.end, "{skip_to} is not behind {damage:?}");
    let tp = topic.tp(DAMAGED);
    ensure!(consumer.position(&tp)? == damage.start, "it moved on");

    consumer.seek(&tp, SeekTo::Offset(skip_to)).await?;
    read.skip_to(DAMAGED, skip_to);
    while !read.is_at(ends(topic)) {
        timeout(PATIENCE, receive(&mut consumer, way, &mut read)).await??;
    }
    let all: i64 = ends(topic).map(|(_, end)| end).sum();
    ensure!(read.messages == all - (damage.end - damage.start));
    consumer.close().await?;
    Ok(())
}

/// How long nothing more may come of a partition that stands still. Long enough for the next fetch to be answered.
const SILENCE: Duration = Duration::from_millis(150);

fn names_it(topic: &Topic<'_>, damage: &Range<i64>, errors: &[anyhow::Error]) -> Result<i64> {
    let [error] = errors else {
        anyhow::bail!("there was not one error but {errors:?}");
    };
    let Some(Error::Fetch(FetchError::Corrupt {
        tp,
        offset,
        skip_to,
        ..
    })) = error.downcast_ref()
    else {
        anyhow::bail!("{error:?} is something else");
    };
    ensure!(*tp == topic.tp(DAMAGED), "{tp} is not the damaged one");
    ensure!(
        *offset == damage.start,
        "{offset} is not that of {damage:?}"
    );
    let (text, at) = (error.to_string(), format!("offset {offset}"));
    ensure!(
        text.contains(&tp.to_string()) && text.contains(&at),
        "{text}"
    );
    Ok(*skip_to)
}

/// Receives once, and takes in what came.
async fn receive(consumer: &mut SimpleConsumer, way: Way, read: &mut Read) -> Result<()> {
    match way {
        Way::Batch => {
            let mut batch = consumer.next_batch().await?;
            let partition = batch.partition().partition;
            for record in batch.records() {
                read.take(partition, record.offset, record.value)?;
            }
        }
        Way::Recv => {
            let message = consumer.recv().await?;
            let partition = message.partition().partition;
            read.take(partition, message.offset(), message.value())?;
        }
        Way::Many => {
            for message in consumer.get_many(1000, PATIENCE).await? {
                let partition = message.partition().partition;
                read.take(partition, message.offset(), message.value())?;
            }
        }
        Way::Stream => {
            let mut stream = pin!(consumer.stream()?);
            let message = stream.next().await.context("the stream ended")??;
            let partition = message.tp.partition;
            read.take(partition, message.offset, message.value.as_deref())?;
            ensure!(message.ack(), "it was acknowledged before");
        }
    }
    Ok(())
}

fn consumer(topic: &Topic<'_>, way: Way, check_crcs: bool) -> Result<SimpleConsumer> {
    let config = SimpleConsumerConfig {
        consumer: ConsumerConfig {
            check_crcs,
            ack_mode: match way {
                Way::Stream => AckMode::Explicit,
                _ => AckMode::GivenBack,
            },
            use_rdkafka: divvy_tests::use_rdkafka(),
            ..ConsumerConfig::default()
        },
        ..SimpleConsumerConfig::new([topic.name.as_str()])
    };
    Ok(SimpleConsumer::new(&topic.client, config)?)
}

fn ends(topic: &Topic<'_>) -> impl Iterator<Item = (i32, i64)> {
    (0..PARTITIONS).map(|partition| (partition, topic.end(partition)))
}

/// Flips a byte two thirds into the damaged partition. Gives the offsets of what is damaged by that.
fn flip_a_byte(topic: &Topic<'_>) -> Result<Range<i64>> {
    let offset = topic.end(DAMAGED) * 2 / 3;
    topic.cluster.corrupt(&topic.name, DAMAGED, offset)
}
