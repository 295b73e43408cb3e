//! Prints the last messages of each partition of a topic, and ends.
//!
//! ```text
//! cargo run -p divvy-examples --bin last_messages -- 127.0.0.1:9092 orders 5
//! ```
//!
//! They are counted by offsets: where a topic is compacted, some of these have no message any more.

#![allow(clippy::print_stdout, reason = "printing is what the example does")]

use std::time::Duration;

use divvy::{Client, ClientConfig, SeekTo, SimpleConsumer, SimpleConsumerConfig};

/// How long to wait for a message before looking whether the end was reached.
const WAIT: Duration = Duration::from_millis(100);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let (Some(broker), Some(topic), Some(count)) = (args.next(), args.next(), args.next()) else {
        anyhow::bail!("usage: last_messages BROKER TOPIC COUNT");
    };
    let count: i64 = count.parse()?;
    let client = Client::connect(ClientConfig::bootstrap([broker])).await?;
    let mut consumer = SimpleConsumer::new(&client, SimpleConsumerConfig::new([topic]))?;
    consumer.start().await?;

    let held = consumer.assignments().into_iter();
    let tps: Vec<_> = held.map(|assignment| assignment.tp).collect();
    let starts = consumer.beginning_offsets(&tps).await?;
    // What is written from now on is not shown, so that this ends on a busy topic too.
    let mut ends = consumer.end_offsets(&tps).await?;
    for (tp, end) in &ends {
        let start = starts.get(tp).copied().unwrap_or_default();
        let from = start.max(end - count);
        consumer.seek(tp, SeekTo::Offset(from)).await?;
    }
    loop {
        for tp in &tps {
            if ends
                .get(tp)
                .is_some_and(|end| consumer.position(tp).is_ok_and(|at| at >= *end))
            {
                ends.remove(tp);
                consumer.pause(std::slice::from_ref(tp))?;
            }
        }
        if ends.is_empty() {
            break;
        }
        if let Some(message) = consumer.recv_timeout(WAIT).await? {
            let value = String::from_utf8_lossy(message.value().unwrap_or_default());
            println!("{}@{}: {value}", message.partition(), message.offset());
        }
    }
    consumer.close().await?;
    Ok(())
}
