//! Values that begin with the id of their schema: a zero byte, then four bytes, most significant first. Sends a reading in each of
//! two schemas, then reads every reading that is in the topic, and says which messages are none. Ends when no message has come for
//! two seconds.
//!
//! ```text
//! cargo run -p divvy-examples --bin schema_id -- 127.0.0.1:9092 readings
//! ```

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "printing is what the example does"
)]

use std::collections::BTreeMap;
use std::error::Error;
use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use divvy::{
    Client, ClientConfig, Decoder, Encoder, Producer, ProducerConfig, ProducerRecord,
    SimpleConsumer, SimpleConsumerConfig,
};

const IDLE: Duration = Duration::from_secs(2);
/// What every value with a schema id begins with.
const MAGIC: u8 = 0;
const CELSIUS: u32 = 7;
const KELVIN: u32 = 8;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Puts the id of a schema before what another encoder writes.
struct WithSchemaId<E> {
    id: u32,
    encoder: E,
}

impl<T: ?Sized, E: Encoder<T>> Encoder<T> for WithSchemaId<E> {
    fn encode(&self, value: &T) -> Result<Bytes> {
        let encoded = self.encoder.encode(value)?;
        let mut bytes = BytesMut::with_capacity(5 + encoded.len());
        bytes.put_u8(MAGIC);
        bytes.put_u32(self.id);
        bytes.put(encoded);
        Ok(bytes.freeze())
    }
}

/// Decodes each value as its schema id says. A program that looks schemas up elsewhere takes the id of the value first, fetches
/// what it does not know, and decodes then.
struct BySchemaId<T> {
    known: BTreeMap<u32, Decode<T>>,
}

type Decode<T> = fn(&[u8]) -> Result<T>;

impl<T> Decoder<'_, T> for BySchemaId<T> {
    fn decode(&self, bytes: &[u8]) -> Result<T> {
        let (id, rest) = split_schema_id(bytes).ok_or("it does not begin with a schema id")?;
        let decode = self.known.get(&id);
        decode.ok_or_else(|| format!("nobody knows schema {id}"))?(rest)
    }
}

fn split_schema_id(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (magic, rest) = bytes.split_first()?;
    let (id, rest) = rest.split_first_chunk()?;
    (*magic == MAGIC).then_some((u32::from_be_bytes(*id), rest))
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let (Some(broker), Some(topic)) = (args.next(), args.next()) else {
        anyhow::bail!("usage: schema_id BROKER TOPIC");
    };
    let client = Client::connect(ClientConfig::bootstrap([broker])).await?;
    send(&client, &topic).await?;
    receive(&client, &topic).await
}

async fn send(client: &Client, topic: &str) -> anyhow::Result<()> {
    let producer = Producer::new(client, ProducerConfig::default())?;
    for (id, degrees) in [(CELSIUS, 21.5), (KELVIN, 290.0)] {
        let encoder = WithSchemaId {
            id,
            encoder: serde_json::to_vec::<f64>,
        };
        let record = ProducerRecord::encoded(topic, &encoder, &degrees)?;
        producer.send(record).await?.await?;
    }
    Ok(producer.close(Duration::from_secs(10)).await?)
}

async fn receive(client: &Client, topic: &str) -> anyhow::Result<()> {
    let celsius: Decode<f64> = |bytes| Ok(serde_json::from_slice(bytes)?);
    let kelvin: Decode<f64> = |bytes| Ok(serde_json::from_slice::<f64>(bytes)? - 273.15);
    let decoder = BySchemaId {
        known: [(CELSIUS, celsius), (KELVIN, kelvin)].into(),
    };
    let mut consumer = SimpleConsumer::new(client, SimpleConsumerConfig::new([topic]))?;
    consumer.start().await?;
    while let Some(message) = consumer.recv_timeout(IDLE).await? {
        match message.decode_value(&decoder) {
            Ok(Some(degrees)) => println!("{degrees:.2} degrees Celsius"),
            Ok(None) => println!("a tombstone"),
            Err(error) => eprintln!("{error}"),
        }
    }
    Ok(consumer.close().await?)
}
