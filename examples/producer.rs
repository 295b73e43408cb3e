//! A producer: sends numbered messages and says where each was stored.
//!
//! ```text
//! cargo run -p divvy-examples --bin producer -- 127.0.0.1:9092 orders 10
//! ```

#![allow(clippy::print_stdout, reason = "printing is what the example does")]

use std::sync::Arc;
use std::time::Duration;

use divvy::{Acks, Client, ClientConfig, Compression, Producer, ProducerConfig, ProducerRecord};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let (Some(broker), Some(topic), Some(count)) = (args.next(), args.next(), args.next()) else {
        anyhow::bail!("usage: producer BROKER TOPIC COUNT");
    };
    let count: u32 = count.parse()?;
    let client = Client::connect(ClientConfig::bootstrap([broker])).await?;
    let config = ProducerConfig {
        acks: Acks::All,
        compression: Compression::Snappy,
        ..ProducerConfig::default()
    };
    let producer = Producer::new(&client, config)?;

    // `send` queues a record, and waits only while the buffer is full. Whether it was stored says its delivery.
    let topic: Arc<str> = topic.into();
    let mut deliveries = Vec::new();
    for number in 0..count {
        let record = ProducerRecord {
            // Records with one key go to one partition, the same that Kafka's Java producer chooses.
            key: Some(format!("customer-{}", number % 4).into()),
            ..ProducerRecord::new(Arc::clone(&topic), format!("order {number}"))
        };
        deliveries.push(producer.send(record).await?);
    }
    for delivery in deliveries {
        let stored = delivery.await?;
        let offset = stored.offset.unwrap_or(-1);
        println!("stored at {}@{offset}", stored.tp);
    }
    producer.close(Duration::from_secs(10)).await?;
    Ok(())
}
