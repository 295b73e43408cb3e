//! JSON in both directions: sends some orders, then reads every order that is in the topic, and says which messages are none. Ends
//! when no message has come for two seconds.
//!
//! ```text
//! cargo run -p divvy-examples --bin json -- 127.0.0.1:9092 orders 3
//! ```

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "printing is what the example does"
)]

use std::time::Duration;

use divvy::{
    Client, ClientConfig, Producer, ProducerConfig, ProducerRecord, SimpleConsumer,
    SimpleConsumerConfig,
};
use serde::{Deserialize, Serialize};

const IDLE: Duration = Duration::from_secs(2);

/// It borrows what it can from the message that it is read from.
#[derive(Debug, Deserialize, Serialize)]
struct Order<'a> {
    customer: &'a str,
    cups: u32,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let (Some(broker), Some(topic), Some(count)) = (args.next(), args.next(), args.next()) else {
        anyhow::bail!("usage: json BROKER TOPIC COUNT");
    };
    let client = Client::connect(ClientConfig::bootstrap([broker])).await?;
    send(&client, &topic, count.parse()?).await?;
    receive(&client, &topic).await
}

async fn send(client: &Client, topic: &str, count: u32) -> anyhow::Result<()> {
    let producer = Producer::new(client, ProducerConfig::default())?;
    for cups in 1..=count {
        let order = Order {
            customer: "Ada",
            cups,
        };
        // Any function that makes bytes of something is an encoder. The partition is chosen by the key's bytes.
        let record = ProducerRecord::encoded(topic, &serde_json::to_vec::<Order<'_>>, &order)?
            .encode_key(&serde_json::to_vec::<str>, order.customer)?;
        producer.send(record).await?.await?;
    }
    Ok(producer.close(Duration::from_secs(10)).await?)
}

async fn receive(client: &Client, topic: &str) -> anyhow::Result<()> {
    let mut consumer = SimpleConsumer::new(client, SimpleConsumerConfig::new([topic]))?;
    consumer.start().await?;
    while let Some(message) = consumer.recv_timeout(IDLE).await? {
        // Any function that makes something of bytes is a decoder.
        match message.decode_value(&serde_json::from_slice::<Order<'_>>) {
            Ok(Some(order)) => println!("{} has {} cups", order.customer, order.cups),
            Ok(None) => println!("a tombstone"),
            // It names partition and offset. What to do about it is up to the program, which could also stop here, or put the
            // message aside; this one goes on behind it.
            Err(error) => eprintln!("{error}"),
        }
    }
    Ok(consumer.close().await?)
}
