//! The sender: one message at a time, over a blocking socket, so that the moment of its acknowledgement is exact.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use divvy::Compression;
use divvy::protocol::api::{self, ProducePartition, ProduceRequest, ProduceTopic};
use divvy::protocol::records::RecordsBuilder;

use crate::{PARTITIONS, now};

/// What each message holds, its number first.
pub(crate) const SIZE: usize = 100;
/// The version of Produce that every broker up to 3.9 takes.
const VERSION: i16 = 0;

pub(crate) struct Sender {
    connection: TcpStream,
    topic: String,
    next: u64,
}

impl Sender {
    /// A sender to the broker that leads the whole topic.
    pub(crate) fn connect(bootstrap: &str, topic: &str) -> Result<Sender> {
        let connection = TcpStream::connect(bootstrap)?;
        connection.set_nodelay(true)?;
        connection.set_read_timeout(Some(Duration::from_secs(10)))?;
        Ok(Sender {
            connection,
            topic: topic.to_owned(),
            // Numbers of an earlier run on this topic are smaller.
            next: u64::try_from(now())? + PARTITIONS,
        })
    }

    /// The number of a message that begins a round, for the first partition.
    pub(crate) fn begin_round(&mut self) -> u64 {
        self.next = self.next.next_multiple_of(PARTITIONS) + PARTITIONS;
        self.next
    }

    /// Sends messages to the partitions in turns, and gives when each was acknowledged.
    pub(crate) fn send_at_rate(&mut self, messages: u64, rate: u32) -> Result<BTreeMap<u64, i64>> {
        let mut acknowledged = BTreeMap::new();
        let began = Instant::now();
        for nth in 0..u32::try_from(messages)? {
            let due = began + Duration::from_secs(1) * nth / rate.max(1);
            thread::sleep(due.saturating_duration_since(Instant::now()));
            self.next += 1;
            self.send(self.next)?;
            acknowledged.insert(self.next, now());
        }
        Ok(acknowledged)
    }

    /// Sends a message, and waits for its acknowledgement.
    pub(crate) fn send(&mut self, number: u64) -> Result<()> {
        let partition = i32::try_from(number % PARTITIONS)?;
        let request = self.request(number, partition)?;
        self.connection.write_all(&request)?;
        let mut size = [0; 4];
        self.connection.read_exact(&mut size)?;
        let size = usize::try_from(i32::from_be_bytes(size))?;
        ensure!(size < 1 << 20, "an answer of {size} bytes");
        let mut answer = vec![0; size];
        self.connection.read_exact(&mut answer)?;
        let (_, body) = api::split_response(answer.into())?;
        let answer = api::decode_response::<ProduceRequest>(body, VERSION)?;
        let topic = answer.topics.first().context("an answer without a topic")?;
        let partition = topic.partitions.first();
        let error = partition.context("an answer without a partition")?.error;
        match error.is_ok() {
            true => Ok(()),
            false => bail!("message {number} was refused: {error}"),
        }
    }

    fn request(&self, number: u64, partition: i32) -> Result<Bytes> {
        let mut value = [0; SIZE];
        value[..8].copy_from_slice(&number.to_be_bytes());
        let mut records = RecordsBuilder::new(0, Compression::None)?;
        records.try_append(None, None, Some(&value), &[])?;
        let request = ProduceRequest {
            transactional_id: None,
            acks: 1,
            timeout_ms: 5000,
            topics: vec![ProduceTopic {
                name: self.topic.clone(),
                partitions: vec![ProducePartition {
                    partition,
                    records: Some(records.finish()?),
                }],
            }],
        };
        Ok(api::encode_request(&request, VERSION, 0, "latency")?)
    }
}
