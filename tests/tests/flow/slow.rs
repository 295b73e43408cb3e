//! A handler of one partition that does not go on.

use anyhow::{Context as _, Result};
use divvy::{
    AckMode, Compression, ConsumerConfig, FetchConfig, Handle, SimpleConsumer,
    SimpleConsumerConfig, TopicPartition,
};
use divvy_tests::{Cluster, KafkaVersion, on_every_version, scale};
use futures_util::{Stream, StreamExt as _};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::scene::{PATIENCE, Read, Topic, live};

on_every_version!(
    partitions_go_on_while_a_handle_of_one_is_stuck,
    partitions_go_on_while_a_stream_of_one_is_stuck,
);

const PARTITIONS: i32 = 8;
/// The partition whose handler is stuck.
const STUCK: i32 = 3;
const SIZE: usize = 1000;
/// Far less than there is of each partition.
const BUDGET: usize = 1 << 20;

fn partitions_go_on_while_a_handle_of_one_is_stuck(version: KafkaVersion) -> Result<()> {
    live(async {
        let (topic, mut consumer) = started(version, AckMode::GivenBack).await?;
        let mut tasks = JoinSet::new();
        let (let_go, stuck) = watch::channel(false);
        for (tp, handle) in consumer.partition_handles()? {
            let end = topic.end(tp.partition);
            tasks.spawn(read_handle(tp, handle, end, stuck.clone()));
        }
        all_others_end(&mut tasks).await?;
        let_go.send(true)?;
        ended(&mut tasks, 1).await?;
        consumer.close().await?;
        Ok(())
    })
}

fn partitions_go_on_while_a_stream_of_one_is_stuck(version: KafkaVersion) -> Result<()> {
    live(async {
        let (topic, mut consumer) = started(version, AckMode::Explicit).await?;
        let mut tasks = JoinSet::new();
        let (let_go, stuck) = watch::channel(false);
        for (tp, stream) in consumer.partition_streams()? {
            let end = topic.end(tp.partition);
            tasks.spawn(read_stream(tp, Box::pin(stream), end, stuck.clone()));
        }
        all_others_end(&mut tasks).await?;
        let_go.send(true)?;
        ended(&mut tasks, 1).await?;
        consumer.close().await?;
        Ok(())
    })
}

async fn started(
    version: KafkaVersion,
    ack_mode: AckMode,
) -> Result<(Topic<'static>, SimpleConsumer)> {
    let cluster = Cluster::shared(version)?;
    let mut topic = Topic::new(cluster, PARTITIONS).await?;
    topic
        .fill(scale(2000, 20_000), SIZE, Compression::None)
        .await?;
    let config = SimpleConsumerConfig {
        consumer: ConsumerConfig {
            ack_mode,
            fetch: FetchConfig {
                max_queued_bytes: BUDGET,
                ..FetchConfig::default()
            },
            use_rdkafka: divvy_tests::use_rdkafka(),
            ..ConsumerConfig::default()
        },
        ..SimpleConsumerConfig::new([topic.name.as_str()])
    };
    let mut consumer = SimpleConsumer::new(&topic.client, config)?;
    consumer.start().await?;
    Ok((topic, consumer))
}

async fn read_handle(
    tp: TopicPartition,
    mut handle: Handle,
    end: i64,
    mut stuck: watch::Receiver<bool>,
) -> Result<i32> {
    let mut read = Read::default();
    while read.next(tp.partition) < end {
        let message = handle.recv().await?;
        read.take(tp.partition, message.offset(), message.value())?;
        handled(&tp, &mut stuck).await?;
    }
    Ok(tp.partition)
}

async fn read_stream(
    tp: TopicPartition,
    mut stream: impl Stream<Item = divvy::Result<divvy::OwnedMessage>> + Unpin,
    end: i64,
    mut stuck: watch::Receiver<bool>,
) -> Result<i32> {
    let mut read = Read::default();
    while read.next(tp.partition) < end {
        let message = stream.next().await.context("the stream ended")??;
        read.take(tp.partition, message.offset, message.value.as_deref())?;
        handled(&tp, &mut stuck).await?;
        message.ack();
    }
    Ok(tp.partition)
}

/// What the handler of the stuck partition does with each message.
async fn handled(tp: &TopicPartition, stuck: &mut watch::Receiver<bool>) -> Result<()> {
    if tp.partition == STUCK {
        stuck.wait_for(|goes_on| *goes_on).await?;
    }
    Ok(())
}

async fn all_others_end(tasks: &mut JoinSet<Result<i32>>) -> Result<()> {
    let others = tasks.len() - 1;
    let ended = ended(tasks, others).await?;
    anyhow::ensure!(!ended.contains(&STUCK), "the stuck one ended");
    Ok(())
}

async fn ended(tasks: &mut JoinSet<Result<i32>>, count: usize) -> Result<Vec<i32>> {
    let mut ended = Vec::new();
    while ended.len() < count {
        let next = timeout(PATIENCE, tasks.join_next()).await;
        let next = next.with_context(|| format!("only {ended:?} came to their end"))?;
        ended.push(next.context("there are no more")???);
    }
    Ok(ended)
}
