//! Nothing that divvy does keeps a runtime of one thread from its other tasks.

mod scripted;

use std::fs;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use bytes::Bytes;
use divvy::protocol::records::RecordsBuilder;
use divvy::{
    BrokerVersion, BrokerVersionSetting, Client, ClientConfig, Compression, Producer,
    ProducerConfig, ProducerError, ProducerRecord, SimpleConsumer, SimpleConsumerConfig,
    TopicPartition,
};
use rand::rngs::SmallRng;
use rand::{RngCore as _, SeedableRng as _};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, timeout};

use self::scripted::{BlackHole, ScriptedBroker};

const TICK: Duration = Duration::from_millis(10);
/// How late a tick may be.
const LATE: Duration = Duration::from_millis(20);
/// How often the figure is taken before it counts as missed: a machine does other things, too.
const ATTEMPTS: usize = 3;
const PATIENCE: Duration = Duration::from_secs(60);

/// Many small ones: handing them all out is work as well.
const MESSAGES: usize = 128 << 10;
const MESSAGE_SIZE: usize = 128;

/// 16 MiB that cannot be compressed, as one gzip message of a 0.8.2 broker's log.
fn gzip_batch() -> Result<Bytes> {
    let mut random = SmallRng::seed_from_u64(1);
    let mut builder = RecordsBuilder::new(0, Compression::Gzip)?;
    let mut value = vec![0; MESSAGE_SIZE];
    for _ in 0..MESSAGES {
        random.fill_bytes(&mut value);
        builder.try_append(None, None, Some(&value), &[])?;
    }
    Ok(builder.finish()?)
}

#[test]
fn a_ticker_is_in_time_whatever_consumer_and_producer_go_through() -> Result<()> {
    let batch = gzip_batch()?;
    ensure!(
        batch.len() > 16 << 20,
        "the batch is smaller than it should be"
    );
    let mut measured = Vec::new();
    for _ in 0..ATTEMPTS {
        let lateness = measure(batch.clone())?;
        if lateness <= LATE {
            return Ok(());
        }
        measured.push(lateness);
    }
    bail!("ticks of {TICK:?} came later than {LATE:?}: {measured:?}")
}

/// Does the work once beside a ticker, and gives how late the latest tick was.
fn measure(batch: Bytes) -> Result<Duration> {
    let black_hole = BlackHole::open()?;
    let broker = ScriptedBroker::start(batch, black_hole.port())?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let (latest, mut ticks) = watch::channel(Duration::ZERO);
        let ticker = tokio::spawn(tick(latest));
        timeout(PATIENCE, work(&broker, &black_hole)).await??;
        // The tick that is due now may be the one that was kept waiting.
        ticks.mark_unchanged();
        ticks.changed().await?;
        ticker.abort();
        Ok(*ticks.borrow())
    })
}

/// Ticks for ever, and keeps how late the latest tick was: by the doing of this thread, and not because the machine's other
/// programs had the processor.
async fn tick(latest: watch::Sender<Duration>) {
    let mut interval = interval(TICK);
    // Each tick is measured against the one before, so that one delay is not counted many times.
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut waited_before = waited_for_processor();
    loop {
        let late = interval.tick().await.elapsed();
        let waited = waited_for_processor();
        let own = late.saturating_sub(waited.saturating_sub(waited_before));
        waited_before = waited;
        latest.send_modify(|latest| *latest = own.max(*latest));
    }
}

/// How long this thread was ready to run and had no processor, since it began. Zero where the system does not tell.
fn waited_for_processor() -> Duration {
    let stat = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = stat.split_whitespace().nth(1);
    Duration::from_nanos(nanos.and_then(|nanos| nanos.parse().ok()).unwrap_or(0))
}

/// Reads the batch from one broker while another takes every request and answers none, and while a producer waits for room.
async fn work(broker: &ScriptedBroker, black_hole: &BlackHole) -> Result<()> {
    let mut config = ClientConfig::bootstrap([format!("127.0.0.1:{}", broker.port())]);
    config.broker_version = BrokerVersionSetting::Fixed(BrokerVersion::V0_8_2);
    let client = Client::connect(config).await?;
    let producer = Producer::new(
        &client,
        ProducerConfig {
            buffer_memory: 64 << 10,
            batch_size: 4 << 10,
            max_request_size: 32 << 10,
            ..ProducerConfig::default()
        },
    )?;
    fill_up(&producer).await?;
    let waiting = tokio::spawn({
        let producer = producer.clone();
        async move { producer.send(record()).await.map(drop) }
    });

    let mut config = SimpleConsumerConfig::new([scripted::TOPIC]);
    for partition in [scripted::SERVED, scripted::SWALLOWED] {
        let tp = TopicPartition::new(scripted::TOPIC, partition);
        config.start_offsets.insert(tp, 0);
    }
    let mut consumer = SimpleConsumer::new(&client, config)?;
    consumer.start().await?;
    for expected in 0..MESSAGES {
        let message = consumer.recv().await?;
        ensure!(
            usize::try_from(message.offset()) == Ok(expected)
                && message.value().map(<[u8]>::len) == Some(MESSAGE_SIZE),
            "offset {} came instead of {expected}",
            message.offset()
        );
    }
    ensure!(!waiting.is_finished(), "the producer had room after all");
    ensure!(black_hole.requests() > 1, "nobody asked the black hole");
    waiting.abort();
    consumer.close().await?;
    Ok(())
}

fn record() -> ProducerRecord {
    ProducerRecord {
        partition: Some(scripted::SWALLOWED),
        ..ProducerRecord::new(scripted::TOPIC, vec![b'x'; 1000])
    }
}

/// Sends to the broker that never answers until the producer has no room.
async fn fill_up(producer: &Producer) -> Result<()> {
    producer.partitions_for(scripted::TOPIC).await?;
    for _ in 0..100 {
        match producer.try_send(record()) {
            Ok(_) => {}
            Err(ProducerError::BufferFull { .. }) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
    bail!("100 kB fit into a buffer of 64 KiB")
}
