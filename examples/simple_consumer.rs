//! A consumer of every partition of a topic, without a group: counts what is in them. Ends when no message has come for two seconds.
//!
//! ```text
//! cargo run -p divvy-examples --bin simple_consumer -- 127.0.0.1:9092 orders
//! ```

#![allow(clippy::print_stdout, reason = "printing is what the example does")]

use std::collections::BTreeMap;
use std::time::Duration;

use divvy::{Client, ClientConfig, OffsetReset, SimpleConsumer, SimpleConsumerConfig};
use tokio::time::timeout;

const IDLE: Duration = Duration::from_secs(2);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let (Some(broker), Some(topic)) = (args.next(), args.next()) else {
        anyhow::bail!("usage: simple_consumer BROKER TOPIC");
    };
    let client = Client::connect(ClientConfig::bootstrap([broker])).await?;
    let mut config = SimpleConsumerConfig::new([topic]);
    // The default, shown here because `Latest` is what a program wants that only watches.
    config.consumer.auto_offset_reset = OffsetReset::Earliest;
    let mut consumer = SimpleConsumer::new(&client, config)?;
    consumer.start().await?;

    // A batch borrows from the fetch buffer: this is the fast way to read, and a cancelled call loses nothing.
    let mut counts: BTreeMap<_, (u64, usize)> = BTreeMap::new();
    while let Ok(batch) = timeout(IDLE, consumer.next_batch()).await {
        let mut batch = batch?;
        let (messages, bytes) = counts.entry(batch.partition().clone()).or_default();
        for record in batch.records() {
            *messages += 1;
            *bytes += record.value.map_or(0, <[u8]>::len);
        }
    }
    for (tp, (messages, bytes)) in counts {
        println!("{tp}: {messages} messages with {bytes} bytes");
    }
    consumer.close().await?;
    Ok(())
}
