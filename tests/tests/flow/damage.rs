//! A byte that was flipped on a broker's disk, in the middle of what is read at full speed.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::pin::pin;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use divvy::{
    AckMode, Compression, ConsumerConfig, Error, FetchError, SeekTo, SimpleConsumer,
    SimpleConsumerConfig,
};
use divvy_tests::{Cluster, KafkaVersion, on_both_versions, on_embedded, scale};
use futures_util::StreamExt as _;
use tokio::time::timeout;

use crate::scene::{PATIENCE, Read, Topic, live};

on_embedded!(
    damage_is_one_error_and_nothing_else_is_lost,
    who_does_not_check_gets_what_is_there,
);
on_both_versions!(
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

/// One entry of a broker's log, which is a message or several that were compressed together.
#[derive(Clone, Copy, Debug)]
struct Entry {
    /// Where it begins in the file.
    at: u64,
    size: u64,
    /// The offset of its first message, and that behind its last.
    first: i64,
    end: i64,
}

fn damage_is_one_error_and_nothing_else_is_lost(version: KafkaVersion) -> Result<()> {
    live(async {
        let cluster = Cluster::shared(version)?;
        let mut topic = Topic::new(cluster, PARTITIONS).await?;
        topic
            .fill(scale(30_000, 500_000), SIZE, Compression::None)
            .await?;
        let entry = flip_a_byte(&topic)?;
        ensure!(entry.end == entry.first + 1, "{entry:?} is no message");
        for way in [Way::Batch, Way::Recv, Way::Many, Way::Stream] {
            read_around(&topic, entry, way)
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
            let entry = flip_a_byte(&topic)?;
            ensure!(entry.end > entry.first + 1, "{entry:?} is one message");
            for way in [Way::Batch, Way::Recv] {
                read_around(&topic, entry, way)
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
        let entry = flip_a_byte(&topic)?;
        let mut consumer = consumer(&topic, Way::Batch, false)?;
        consumer.start().await?;
        let mut read = Read::default();
        let mut flipped = 0;
        while !read.is_at(ends(&topic)) {
            let mut batch = timeout(PATIENCE, consumer.next_batch()).await??;
            let partition = batch.partition().partition;
            for record in batch.records() {
                if (partition, record.offset) == (DAMAGED, entry.first) {
                    flipped += 1;
                    read.skip_to(partition, entry.end);
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
async fn read_around(topic: &Topic<'_>, damage: Entry, way: Way) -> Result<()> {
    let mut consumer = consumer(topic, way, true)?;
    consumer.start().await?;
    let mut read = Read::default();
    let mut errors = Vec::new();
    let before = || {
        ends(topic).map(|(partition, end)| match partition {
            DAMAGED => (partition, damage.first),
            _ => (partition, end),
        })
    };
    while errors.is_empty() || !read.is_at(before()) {
        let received = timeout(PATIENCE, receive(&mut consumer, way, &mut read)).await;
        if let Err(error) = received.context("nothing came")? {
            errors.push(error);
        }
        ensure!(
            read.next(DAMAGED) <= damage.first,
            "what is behind the damage was handed out"
        );
    }
    let silent = timeout(SILENCE, receive(&mut consumer, way, &mut read)).await;
    ensure!(silent.is_err(), "{silent:?} came, and nothing was due");
    let skip_to = names_it(topic, damage, &errors)?;
    ensure!(skip_to == damage.end, "{skip_to} is not behind {damage:?}");
    let tp = topic.tp(DAMAGED);
    ensure!(consumer.position(&tp)? == damage.first, "it moved on");

    consumer.seek(&tp, SeekTo::Offset(skip_to)).await?;
    read.skip_to(DAMAGED, skip_to);
    while !read.is_at(ends(topic)) {
        timeout(PATIENCE, receive(&mut consumer, way, &mut read)).await??;
    }
    let all: i64 = ends(topic).map(|(_, end)| end).sum();
    ensure!(read.messages == all - (damage.end - damage.first));
    consumer.close().await?;
    Ok(())
}

/// How long nothing more may come of a partition that stands still. Long enough for the next fetch to be answered.
const SILENCE: Duration = Duration::from_millis(150);

fn names_it(topic: &Topic<'_>, damage: Entry, errors: &[anyhow::Error]) -> Result<i64> {
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
        *offset == damage.first,
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

/// Flips a byte two thirds into the damaged partition, in the last quarter of an entry: within a value, or within what is
/// compressed. Gives the entry.
fn flip_a_byte(topic: &Topic<'_>) -> Result<Entry> {
    if topic.cluster.version().is_embedded() {
        return flip_the_last_byte(topic);
    }
    let path = topic.cluster.log_segment(0, &topic.name, DAMAGED);
    let file = File::options().read(true).write(true).open(path)?;
    let entry = entry_of(&file, topic.end(DAMAGED) * 2 / 3)?;
    let at = entry.at + entry.size * 3 / 4;
    let mut byte = [0];
    file.read_exact_at(&mut byte, at)?;
    file.write_all_at(&[byte[0] ^ 0x10], at)?;
    Ok(entry)
}

/// The same in a log that is no file, of a message that is not compressed.
fn flip_the_last_byte(topic: &Topic<'_>) -> Result<Entry> {
    let first = topic.end(DAMAGED) * 2 / 3;
    topic.cluster.corrupt(&topic.name, DAMAGED, first)?;
    Ok(Entry {
        at: 0,
        size: 0,
        first,
        end: first + 1,
    })
}

/// The entry in which a message is.
fn entry_of(file: &File, offset: i64) -> Result<Entry> {
    let (mut at, mut first) = (0, 0);
    loop {
        let mut head = [0; 12];
        file.read_exact_at(&mut head, at)?;
        let (last, size) = head.split_at(8);
        let end = i64::from_be_bytes(last.try_into()?) + 1;
        let size = 12 + u64::from(u32::from_be_bytes(size.try_into()?));
        if end > offset {
            return Ok(Entry {
                at,
                size,
                first,
                end,
            });
        }
        (at, first) = (at + size, end);
    }
}
