//! A broker that is stopped in its tracks, with all its connections open, under a budget that is full.

#![allow(
    clippy::print_stderr,
    reason = "what was measured is shown beside the bound, which is generous"
)]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use divvy::{
    Client, ClientConfig, Delivery, Producer, ProducerConfig, ProducerError, ProducerRecord,
    TopicPartition,
};
use divvy_tests::{Cluster, KafkaVersion, Memory, on_every_version, scale, use_rdkafka, wait_for};

use super::*;

on_every_version!(
    errors_come_in_time_and_closing_ends_by_its_deadline,
    a_program_stays_small_and_delivers_everything_in_the_end,
);

const TOPIC: &str = "numbers";
const MIB: usize = 1 << 20;
/// How much later than it should something may come on a busy machine.
const SLACK: Duration = Duration::from_secs(4);

fn errors_come_in_time_and_closing_ends_by_its_deadline(version: KafkaVersion) -> Result<()> {
    let cluster = Cluster::builder().kafka(version).start()?;
    cluster.create_topic(TOPIC, 2, 1)?;
    tokio::runtime::Runtime::new()?.block_on(async {
        let both = async {
            errors_come_in_time(&cluster).await?;
            closing_ends_by_its_deadline(&cluster).await
        };
        tokio::time::timeout(PATIENCE, both).await?
    })
}

/// A producer that has delivered a record, so that it is connected, to a broker that was stopped then.
async fn producer_of_stopped(cluster: &Cluster, delivery_timeout: Duration) -> Result<Producer> {
    let client = Client::connect(ClientConfig::bootstrap([cluster.bootstrap()])).await?;
    let config = ProducerConfig {
        max_request_size: 64 << 10,
        batch_size: 16 << 10,
        buffer_memory: MIB,
        delivery_timeout,
        use_rdkafka: use_rdkafka(),
        ..ProducerConfig::default()
    };
    let producer = Producer::new(&client, config)?;
    for partition in 0..2 {
        producer.send(record(partition)).await?.await?;
    }
    cluster.brokers()[0].stop()?;
    Ok(producer)
}

fn record(partition: i32) -> ProducerRecord {
    ProducerRecord {
        partition: Some(partition),
        ..ProducerRecord::new(TOPIC, vec![b'x'; 1000])
    }
}

async fn errors_come_in_time(cluster: &Cluster) -> Result<()> {
    const DELIVERY_TIMEOUT: Duration = Duration::from_secs(4);
    let producer = producer_of_stopped(cluster, DELIVERY_TIMEOUT).await?;
    let began = Instant::now();
    let mut deliveries = fill(&producer)?;
    assert!(
        deliveries.len() > 500,
        "{} records fill it",
        deliveries.len()
    );
    let asked = Instant::now();
    for _ in 0..100 {
        let error = producer
            .try_send(record(1))
            .err()
            .context("there was room")?;
        assert!(matches!(error, ProducerError::BufferFull { .. }), "{error}");
    }
    assert!(asked.elapsed() < SLACK, "{:?}", asked.elapsed());
    assert!(began.elapsed() < DELIVERY_TIMEOUT, "it is full by mistake");

    // One more waits until those before it are given up.
    deliveries.push(producer.send(record(0)).await?);
    let waited = began.elapsed();
    let due = DELIVERY_TIMEOUT..DELIVERY_TIMEOUT + SLACK;
    assert!(due.contains(&waited), "it waited {waited:?}");
    let last = deliveries.pop().context("nothing was sent")?;
    for delivery in deliveries {
        expires(delivery).await?;
    }
    let took = began.elapsed();
    assert!(due.contains(&took), "that took {took:?}");
    expires(last).await?;
    let took = began.elapsed();
    assert!(took < (DELIVERY_TIMEOUT + SLACK) * 2, "that took {took:?}");

    cluster.brokers()[0].cont()?;
    cluster.wait_until_in_sync()?;
    producer.send(record(0)).await?.await?;
    Ok(producer.close(PATIENCE).await?)
}

/// Sends until there is no room.
fn fill(producer: &Producer) -> Result<Vec<Delivery>> {
    let mut deliveries = Vec::new();
    loop {
        match producer.try_send(record(0)) {
            Ok(delivery) => deliveries.push(delivery),
            Err(ProducerError::BufferFull { .. }) => return Ok(deliveries),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Demands that a delivery fails for want of time, and says for which partition.
async fn expires(delivery: Delivery) -> Result<()> {
    match delivery.await {
        Err(ProducerError::Expired { tp, .. }) if &*tp.topic == TOPIC => Ok(()),
        other => anyhow::bail!("not expired: {other:?}"),
    }
}

async fn closing_ends_by_its_deadline(cluster: &Cluster) -> Result<()> {
    const WITHIN: Duration = Duration::from_secs(5);
    let producer = producer_of_stopped(cluster, PATIENCE).await?;
    let mut deliveries = Vec::new();
    for number in 0..150 {
        deliveries.push(producer.send(record(i32::from(number % 3 == 2))).await?);
    }
    let began = Instant::now();
    let closed = producer.close(WITHIN).await;
    let took = began.elapsed();
    assert!(
        (WITHIN..WITHIN + SLACK).contains(&took),
        "closing took {took:?}"
    );
    let Err(ProducerError::Undelivered { partitions, .. }) = closed else {
        anyhow::bail!("{closed:?}");
    };
    let expected = [(0, 100), (1, 50)]
        .map(|(partition, records)| (TopicPartition::new(TOPIC, partition), records));
    assert_eq!(partitions, expected);
    for delivery in deliveries {
        // Whoever waits is told at once.
        let outcome = tokio::time::timeout(SLACK, delivery).await?;
        assert!(matches!(outcome, Err(ProducerError::Closed)), "{outcome:?}");
    }
    let refused = producer.try_send(record(0)).err();
    assert!(
        matches!(refused, Some(ProducerError::Closed)),
        "{refused:?}"
    );
    cluster.brokers()[0].cont()
}

/// The program reads no more of its stdin than its budget holds. Besides that it keeps the lines to tell what came of them, and
/// takes hardly more memory than both.
fn a_program_stays_small_and_delivers_everything_in_the_end(version: KafkaVersion) -> Result<()> {
    const BUDGET: usize = 32 * MIB;
    const LIMIT: usize = 96 * MIB;
    const LINE: usize = 1000;
    const BLOCK: usize = 100;
    let cluster = Cluster::builder().kafka(version).start()?;
    cluster.create_topic(TOPIC, 4, 1)?;
    let bootstrap = cluster.bootstrap();
    let budget = BUDGET.to_string();
    let produce = [
        "produce",
        "-b",
        &bootstrap,
        "-t",
        TOPIC,
        "--max-in-flight-bytes",
        &budget,
    ];
    let program = Divvy::command(produce).spawn()?;
    let block = format!("{}\n", "x".repeat(LINE - 1)).repeat(BLOCK);
    let blocks = scale(800, 4000);
    let written = AtomicUsize::new(0);
    thread::scope(|scope| {
        let feeder = scope.spawn(|| -> Result<()> {
            for _ in 0..blocks {
                program.write(block.as_bytes())?;
                written.fetch_add(block.len(), Ordering::Relaxed);
            }
            program.close_stdin();
            Ok(())
        });
        // More than lies in a pipe and is read ahead: it sends.
        wait_for(PATIENCE, "the program to send", || {
            written.load(Ordering::Relaxed) > MIB
        })?;
        cluster.brokers()[0].stop()?;
        let stopped = Memory::settled(&program, BUDGET / 2, PATIENCE);
        let taken = written.load(Ordering::Relaxed);
        cluster.brokers()[0].cont()?;
        let stopped = stopped?;
        eprintln!("stopped with {} MiB written: {stopped}", taken / MIB);
        assert!(stopped.peak < LIMIT, "{stopped}");
        assert!(taken < block.len() * blocks, "it has read everything");
        feeder.join().expect("the feeder does not panic")
    })?;
    program.wait_success(PATIENCE * 2)?;
    assert_eq!(stored(&cluster)?, BLOCK * blocks);
    Ok(())
}

/// How many messages the topic holds, by Kafka's own tool.
fn stored(cluster: &Cluster) -> Result<usize> {
    let bootstrap = cluster.bootstrap();
    let arguments = [
        "--broker-list",
        &bootstrap,
        "--topic",
        TOPIC,
        "--time",
        "-1",
    ];
    let said = cluster.run_java_tool("kafka.tools.GetOffsetShell", arguments, b"")?;
    let ends = said.lines().filter_map(|line| line.rsplit(':').next());
    ends.map(|end| Ok(end.parse::<usize>()?)).sum()
}
