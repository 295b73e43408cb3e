//! A producer of consecutive integers, which knows what was acknowledged.
//!
//! It writes Produce v0 requests by hand, which every broker from 0.8 to 3.9 takes, so that what a test expects of a
//! consumer does not rest on divvy's own producer.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::ops::Range;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use crate::{Cluster, metadata};

#[cfg(test)]
mod tests;

/// How often each partition is written to: often enough that a consumer sees a stream, rarely enough for a small machine.
const TICK: Duration = Duration::from_millis(50);
/// The pause before a refused request is sent again.
const RETRY: Duration = Duration::from_millis(100);
/// How long a broker may take for one request, and how long it waits for its replicas.
const REQUEST_PATIENCE: Duration = Duration::from_secs(5);
const ACKS_TIMEOUT_MS: i32 = 4000;
/// How long what is under way may take when the producer is stopped.
const STOP_PATIENCE: Duration = Duration::from_secs(30);
/// The most messages in one request, for a partition that was without a leader for a while.
const LARGEST_BATCH: u64 = 2000;
/// The answer to a request for one partition is small.
const LARGEST_ANSWER: i32 = 64 << 10;
const CORRELATION_ID: i32 = 0x0d18;
const CLIENT_ID: &str = "numbers";

/// A message that every replica in sync has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acknowledged {
    /// Its partition.
    pub partition: i32,
    /// Its offset there.
    pub offset: i64,
    /// Its value, which is written in decimal digits.
    pub number: u64,
    /// When the acknowledgement came.
    pub at: Instant,
}

/// Writes 0, 1, 2 … to a topic at a steady rate until it is [stopped](NumberProducer::stop), with acknowledgement by every
/// replica in sync. Number `n` goes to partition `n` modulo the number of partitions.
///
/// It goes to the brokers themselves, past [proxies](crate::ClusterBuilder::brokers_behind_proxies) before them.
///
/// Each partition has a connection of its own, so that one without a leader does not hold up the others. A request whose
/// outcome is unknown is sent again: its messages may then be in the log twice, once without an acknowledgement.
#[derive(Debug)]
pub struct NumberProducer {
    acknowledged: Arc<Mutex<Vec<Acknowledged>>>,
    /// Dropped to stop them.
    running: Vec<mpsc::Sender<()>>,
    writers: Vec<JoinHandle<Result<()>>>,
}

impl Cluster {
    /// Starts to write consecutive integers to these partitions of a topic, `rate` a second in all.
    ///
    /// # Errors
    ///
    /// When there are no threads for it.
    pub fn produce_numbers(
        &self,
        topic: &str,
        partitions: Range<i32>,
        rate: u32,
    ) -> Result<NumberProducer> {
        self.produce_numbers_from(0, topic, partitions, rate)
    }

    /// As [`produce_numbers`](Cluster::produce_numbers), with another first number.
    ///
    /// # Errors
    ///
    /// When there are no threads for it.
    pub fn produce_numbers_from(
        &self,
        first: u64,
        topic: &str,
        partitions: Range<i32>,
        rate: u32,
    ) -> Result<NumberProducer> {
        let mut producer = NumberProducer {
            acknowledged: Arc::default(),
            running: Vec::new(),
            writers: Vec::new(),
        };
        let step = u64::try_from(partitions.len())?;
        let began = Instant::now();
        for (first, partition) in (first..).zip(partitions) {
            let (running, stopped) = mpsc::channel();
            let writer = Writer {
                brokers: self.brokers().iter().map(crate::Node::address).collect(),
                topic: topic.to_owned(),
                partition,
                began,
                rate: f64::from(rate) / step as f64,
                first,
                step,
                acknowledged: Arc::clone(&producer.acknowledged),
                stopped,
                connection: None,
            };
            let name = format!("producer-{partition}");
            let writer = thread::Builder::new().name(name).spawn(|| writer.run())?;
            producer.running.push(running);
            producer.writers.push(writer);
        }
        Ok(producer)
    }
}

impl NumberProducer {
    /// What was acknowledged so far, in the order of the acknowledgements.
    pub fn acknowledged(&self) -> Vec<Acknowledged> {
        lock(&self.acknowledged).clone()
    }

    /// Writes no further, waits for the requests that are under way, and returns all that was acknowledged.
    ///
    /// # Errors
    ///
    /// When a request is not acknowledged within 30 s, or a broker answers with something else than an answer.
    pub fn stop(mut self) -> Result<Vec<Acknowledged>> {
        self.running.clear();
        for writer in self.writers.drain(..) {
            match writer.join() {
                Ok(written) => written?,
                Err(_) => bail!("a producer's thread has panicked"),
            }
        }
        Ok(self.acknowledged())
    }
}

/// Writes one partition's share.
struct Writer {
    brokers: Vec<SocketAddr>,
    topic: String,
    partition: i32,
    began: Instant,
    rate: f64,
    first: u64,
    step: u64,
    acknowledged: Arc<Mutex<Vec<Acknowledged>>>,
    stopped: mpsc::Receiver<()>,
    connection: Option<TcpStream>,
}

impl Writer {
    fn run(mut self) -> Result<()> {
        let mut written = 0;
        while !self.is_stopped_within(TICK) {
            let due = (self.began.elapsed().as_secs_f64() * self.rate) as u64;
            let count = due.saturating_sub(written).min(LARGEST_BATCH);
            if count > 0 {
                let numbers = (written..written + count).map(|n| self.first + n * self.step);
                self.write(&numbers.collect::<Vec<_>>())?;
                written += count;
            }
        }
        Ok(())
    }

    /// Sends the numbers until they are acknowledged.
    fn write(&mut self, numbers: &[u64]) -> Result<()> {
        let mut deadline = None;
        loop {
            let error = match self.try_write(numbers) {
                Ok(first_offset) => {
                    let at = Instant::now();
                    let acknowledged =
                        (first_offset..)
                            .zip(numbers)
                            .map(|(offset, number)| Acknowledged {
                                partition: self.partition,
                                offset,
                                number: *number,
                                at,
                            });
                    lock(&self.acknowledged).extend(acknowledged);
                    return Ok(());
                }
                Err(error) => error,
            };
            // The leader may be another one now.
            self.connection = None;
            if self.is_stopped_within(RETRY) {
                let deadline = deadline.get_or_insert_with(|| Instant::now() + STOP_PATIENCE);
                if Instant::now() > *deadline {
                    let about = format!("{}-{} takes no messages", self.topic, self.partition);
                    return Err(error.context(about));
                }
            }
        }
    }

    fn try_write(&mut self, numbers: &[u64]) -> Result<i64> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(connect_to_leader(
                &self.brokers,
                &self.topic,
                self.partition,
            )?),
        };
        connection.write_all(&request(&self.topic, self.partition, numbers)?)?;
        let mut size = [0; 4];
        connection.read_exact(&mut size)?;
        let size = i32::from_be_bytes(size);
        ensure!(
            (4..=LARGEST_ANSWER).contains(&size),
            "an answer of {size} bytes"
        );
        let mut answer = vec![0; usize::try_from(size)?];
        connection.read_exact(&mut answer)?;
        first_offset(&answer)
    }

    fn is_stopped_within(&self, pause: Duration) -> bool {
        self.stopped.recv_timeout(pause) == Err(RecvTimeoutError::Disconnected)
    }
}

fn connect_to_leader(brokers: &[SocketAddr], topic: &str, partition: i32) -> Result<TcpStream> {
    let metadata = brokers
        .iter()
        .find_map(|broker| metadata::fetch(*broker).ok())
        .context("no broker answers")?;
    let leader = metadata
        .topics
        .get(topic)
        .and_then(|partitions| partitions.get(&partition)?.leader)
        .with_context(|| format!("{topic}-{partition} has no leader"))?;
    let address = usize::try_from(leader)
        .ok()
        .and_then(|id| brokers.get(id))
        .with_context(|| format!("there is no broker {leader}"))?;
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(REQUEST_PATIENCE))?;
    stream.set_write_timeout(Some(REQUEST_PATIENCE))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn request(topic: &str, partition: i32, numbers: &[u64]) -> Result<Vec<u8>> {
    let messages: Vec<u8> = numbers.iter().flat_map(|number| message(*number)).collect();
    let mut request = Vec::with_capacity(messages.len() + topic.len() + 64);
    request.extend_from_slice(&[0; 4]); // the size, filled in below
    request.extend_from_slice(&0_i16.to_be_bytes()); // Produce
    request.extend_from_slice(&0_i16.to_be_bytes()); // version
    request.extend_from_slice(&CORRELATION_ID.to_be_bytes());
    // Brokers of 0.9 fail at a request without a client id.
    request.extend_from_slice(&i16::try_from(CLIENT_ID.len())?.to_be_bytes());
    request.extend_from_slice(CLIENT_ID.as_bytes());
    request.extend_from_slice(&(-1_i16).to_be_bytes()); // acknowledged by every replica in sync
    request.extend_from_slice(&ACKS_TIMEOUT_MS.to_be_bytes());
    request.extend_from_slice(&1_i32.to_be_bytes()); // one topic
    request.extend_from_slice(&i16::try_from(topic.len())?.to_be_bytes());
    request.extend_from_slice(topic.as_bytes());
    request.extend_from_slice(&1_i32.to_be_bytes()); // one partition
    request.extend_from_slice(&partition.to_be_bytes());
    request.extend_from_slice(&i32::try_from(messages.len())?.to_be_bytes());
    request.extend_from_slice(&messages);
    let size = i32::try_from(request.len() - 4)?;
    request[..4].copy_from_slice(&size.to_be_bytes());
    Ok(request)
}

/// A message of format v0, which later brokers convert: an offset that the broker replaces, a size, and what is checked.
fn message(number: u64) -> Vec<u8> {
    let value = number.to_string();
    // A decimal number has at most 20 digits.
    let length = value.len() as u32;
    let mut checked = vec![0, 0]; // magic, attributes
    checked.extend_from_slice(&(-1_i32).to_be_bytes()); // no key
    checked.extend_from_slice(&length.to_be_bytes());
    checked.extend_from_slice(value.as_bytes());

    let mut message = vec![0; 8];
    message.extend_from_slice(&(length + 14).to_be_bytes());
    message.extend_from_slice(&crc32fast::hash(&checked).to_be_bytes());
    message.extend_from_slice(&checked);
    message
}

/// The offset of the request's first message.
fn first_offset(answer: &[u8]) -> Result<i64> {
    ensure!(
        answer.get(..4) == Some(&CORRELATION_ID.to_be_bytes()),
        "an answer to another request"
    );
    // It ends with the one partition that was asked for: its number, an error, an offset.
    let Some((rest, offset)) = answer.split_last_chunk::<8>() else {
        bail!("an answer that is cut short")
    };
    let Some((_, error)) = rest.split_last_chunk::<2>() else {
        bail!("an answer that is cut short")
    };
    let error = i16::from_be_bytes(*error);
    ensure!(error == 0, "error {error}");
    Ok(i64::from_be_bytes(*offset))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
