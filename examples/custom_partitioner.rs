//! A producer with a partitioner of its own: one customer has the first partition to itself, all others share the rest.
//!
//! ```text
//! cargo run -p divvy-examples --bin custom_partitioner -- 127.0.0.1:9092 orders acme acme zenith bolt
//! ```
//!
//! For a rule without anything to remember a function is enough: `FnPartitioner::new(|topic, key, partitions| …)`.

#![allow(clippy::print_stdout, reason = "printing is what the example does")]

use std::sync::Arc;
use std::time::Duration;

use divvy::{
    Client, ClientConfig, Partitioner, Partitions, Producer, ProducerConfig, ProducerRecord,
    murmur2,
};

/// Gives one key a partition that nobody else gets.
#[derive(Debug)]
struct Reserved {
    key: Vec<u8>,
}

impl Partitioner for Reserved {
    fn partition(&self, _topic: &str, key: Option<&[u8]>, partitions: Partitions<'_>) -> i32 {
        // All partitions, with a leader or without: a key that moved when a broker fails would lose its order.
        let (first, rest) = match partitions.all() {
            [only] => return *only,
            [first, rest @ ..] => (*first, rest),
            // There is always one at least.
            [] => return 0,
        };
        let key = key.unwrap_or_default();
        if key == self.key {
            return first;
        }
        let hash = murmur2(key) & 0x7fff_ffff;
        rest[hash as usize % rest.len()]
    }

    /// A record without a key is nobody's here.
    fn needs_key(&self) -> bool {
        true
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [broker, topic, reserved, keys @ ..] = &args[..] else {
        anyhow::bail!("usage: custom_partitioner BROKER TOPIC RESERVED_KEY KEY…");
    };
    let client = Client::connect(ClientConfig::bootstrap([broker])).await?;
    let partitioner = Reserved {
        key: reserved.clone().into_bytes(),
    };
    let config = ProducerConfig {
        partitioner: Arc::new(partitioner),
        ..ProducerConfig::default()
    };
    let producer = Producer::new(&client, config)?;
    for key in keys {
        let record = ProducerRecord {
            key: Some(key.clone().into()),
            ..ProducerRecord::new(topic.as_str(), format!("order of {key}"))
        };
        let stored = producer.send(record).await?.await?;
        println!("{key} is in partition {}", stored.tp.partition);
    }
    producer.close(Duration::from_secs(10)).await?;
    Ok(())
}
