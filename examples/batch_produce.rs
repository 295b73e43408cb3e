//! Writes lines of standard input as messages, many with one call, and says which could not be stored.
//!
//! ```text
//! seq 100000 | cargo run -p divvy-examples --bin batch_produce -- 127.0.0.1:9092 orders
//! ```

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "printing is what the example does"
)]

use std::io::BufRead as _;
use std::sync::Arc;
use std::time::Duration;

use divvy::{Client, ClientConfig, Compression, Producer, ProducerConfig, ProducerRecord};

/// How many lines are in memory at a time, beside those in the producer's own buffer.
const LINES: usize = 10_000;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let (Some(broker), Some(topic)) = (args.next(), args.next()) else {
        anyhow::bail!("usage: batch_produce BROKER TOPIC");
    };
    let client = Client::connect(ClientConfig::bootstrap([broker])).await?;
    let config = ProducerConfig {
        compression: Compression::Gzip,
        ..ProducerConfig::default()
    };
    let producer = Producer::new(&client, config)?;
    let topic: Arc<str> = topic.into();

    let (mut stored, mut failed) = (0_u64, 0_u64);
    let mut lines = std::io::stdin().lock().lines();
    loop {
        let some: Vec<String> = lines.by_ref().take(LINES).collect::<Result<_, _>>()?;
        if some.is_empty() {
            break;
        }
        let records = some
            .iter()
            .map(|line| ProducerRecord::new(Arc::clone(&topic), line.clone()));
        // Waits only while the buffer is full. Where nobody needs to know which records failed, `all` costs less than `each`.
        let deliveries = producer.send_all(records).await;
        for (line, delivery) in some.iter().zip(deliveries.each().await) {
            match delivery {
                Ok(_) => stored += 1,
                Err(error) => {
                    failed += 1;
                    eprintln!("{line}: {error}");
                }
            }
        }
    }
    producer.close(Duration::from_secs(10)).await?;
    println!("{stored} stored, {failed} failed");
    anyhow::ensure!(failed == 0, "some lines were not stored");
    Ok(())
}
