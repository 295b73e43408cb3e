//! The physical limit: reads a topic with Fetch requests over plain blocking sockets, and looks at nothing but what the next
//! request needs.
//!
//! Of each message set it reads offsets and sizes alone, no message: no checksum is verified and nothing is unpacked, so that of
//! compressed messages it only sees those around them. `bytes` are those of the message sets.

#![allow(clippy::print_stdout, reason = "the measurement is printed")]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _};
use std::thread;

use anyhow::{Context as _, Result, bail, ensure};
use clap::Parser;
use divvy_tests::metadata;

use crate::measure::{Began, Tally};

/// The very code of `divvy bench`, so that all contenders count alike.
#[allow(dead_code, reason = "no message is looked into here")]
#[path = "../../crates/cli/src/bench/measure.rs"]
mod measure;

const FETCH: i16 = 1;
const CLIENT_ID: &str = "raw-fetch";
const MAX_WAIT_MS: i32 = 100;

#[derive(Parser)]
struct Args {
    /// A broker, host:port.
    #[arg(long, value_name = "HOST:PORT")]
    bootstrap: String,
    /// The topic, whose partitions begin with offset 0 and are all led by one broker.
    #[arg(long)]
    topic: String,
    /// How many messages to read.
    #[arg(long, value_name = "N")]
    messages: u64,
    /// How many bytes of each partition are asked for at a time.
    #[arg(long, value_name = "BYTES", default_value_t = 1 << 20)]
    fetch_bytes: i32,
    /// Over how many connections, each with a thread and its share of the partitions.
    #[arg(long, value_name = "N", default_value_t = 1)]
    connections: usize,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let began = Began::now();
    let (leader, partitions) = find(&args)?;
    let share = partitions.len().div_ceil(args.connections.max(1)).max(1);
    let shares = partitions.chunks(share);
    let read: Result<Vec<Read>> = thread::scope(|scope| {
        let readers = shares.map(|share| scope.spawn(|| Reader::new(&args, leader, share)?.read()));
        let readers: Vec<_> = readers.collect();
        let joined = readers.into_iter().map(|reader| match reader.join() {
            Ok(read) => read,
            Err(_) => bail!("a reader has panicked"),
        });
        joined.collect()
    });
    let read = read?;
    let tally = Tally::default();
    let messages = read.iter().map(|read| read.messages).sum();
    let bytes = read.iter().map(|read| read.bytes).sum();
    tally.add_many(messages, bytes, 0);
    ensure!(
        tally.messages() >= args.messages,
        "topic `{}` holds {} of {} messages",
        args.topic,
        tally.messages(),
        args.messages
    );
    began.measured(&tally, false).print(true)
}

/// The one leader of the topic's partitions, and their numbers.
fn find(args: &Args) -> Result<(SocketAddr, Vec<i32>)> {
    let resolve = |address: &str| -> Result<SocketAddr> {
        let mut found = address.to_socket_addrs()?;
        found.next().context("no such host")
    };
    let metadata = metadata::fetch(resolve(&args.bootstrap)?)?;
    let partitions = metadata.topics.get(&args.topic);
    let partitions = partitions.with_context(|| format!("there is no topic `{}`", args.topic))?;
    let mut leaders = partitions.values().map(|partition| partition.leader);
    let leader = leaders.next().flatten().context("there is no leader")?;
    ensure!(
        leaders.all(|other| other == Some(leader)),
        "topic `{}` has several leaders",
        args.topic
    );
    let (host, port) = metadata.brokers.get(&leader).context("no such broker")?;
    let address = resolve(&format!("{host}:{port}"))?;
    Ok((address, partitions.keys().copied().collect()))
}

/// What was read.
#[derive(Default)]
struct Read {
    messages: u64,
    bytes: u64,
}

/// Where a partition stands.
struct Position {
    partition: i32,
    next: i64,
    at_end: bool,
}

struct Reader<'a> {
    args: &'a Args,
    connection: TcpStream,
    positions: Vec<Position>,
    buffer: Vec<u8>,
    read: Read,
}

impl<'a> Reader<'a> {
    fn new(args: &'a Args, leader: SocketAddr, partitions: &[i32]) -> Result<Self> {
        let connection = TcpStream::connect(leader)?;
        connection.set_nodelay(true)?;
        let begin = |partition: &i32| Position {
            partition: *partition,
            next: 0,
            at_end: false,
        };
        Ok(Self {
            args,
            connection,
            positions: partitions.iter().map(begin).collect(),
            buffer: Vec::new(),
            read: Read::default(),
        })
    }

    fn read(mut self) -> Result<Read> {
        while self.positions.iter().any(|position| !position.at_end) {
            let request = self.request()?;
            self.connection.write_all(&request)?;
            let mut size = [0; 4];
            self.connection.read_exact(&mut size)?;
            let size = usize::try_from(i32::from_be_bytes(size)).context("a size below zero")?;
            if self.buffer.len() < size {
                self.buffer.resize(size, 0);
            }
            let mut buffer = std::mem::take(&mut self.buffer);
            let answer = buffer.get_mut(..size).unwrap_or_default();
            self.connection.read_exact(answer)?;
            self.walk(answer).context("an answer that is cut short")?;
            self.buffer = buffer;
        }
        let read = self.positions.iter().map(|position| position.next);
        self.read.messages = read.filter_map(|next| u64::try_from(next).ok()).sum();
        Ok(self.read)
    }

    /// Asks for what is unread of each partition.
    fn request(&self) -> Result<Vec<u8>> {
        let unread = || self.positions.iter().filter(|position| !position.at_end);
        let mut request = vec![0; 4];
        request.extend_from_slice(&FETCH.to_be_bytes());
        request.extend_from_slice(&0_i16.to_be_bytes()); // version
        request.extend_from_slice(&0_i32.to_be_bytes()); // correlation id
        request.extend_from_slice(&i16::try_from(CLIENT_ID.len())?.to_be_bytes());
        request.extend_from_slice(CLIENT_ID.as_bytes());
        request.extend_from_slice(&(-1_i32).to_be_bytes()); // no replica
        request.extend_from_slice(&MAX_WAIT_MS.to_be_bytes());
        request.extend_from_slice(&1_i32.to_be_bytes()); // one byte is enough
        request.extend_from_slice(&1_i32.to_be_bytes()); // one topic
        request.extend_from_slice(&i16::try_from(self.args.topic.len())?.to_be_bytes());
        request.extend_from_slice(self.args.topic.as_bytes());
        request.extend_from_slice(&i32::try_from(unread().count())?.to_be_bytes());
        for position in unread() {
            request.extend_from_slice(&position.partition.to_be_bytes());
            request.extend_from_slice(&position.next.to_be_bytes());
            request.extend_from_slice(&self.args.fetch_bytes.to_be_bytes());
        }
        let size = i32::try_from(request.len() - 4)?;
        request[..4].copy_from_slice(&size.to_be_bytes());
        Ok(request)
    }

    /// Moves the positions behind what an answer holds.
    fn walk(&mut self, answer: &[u8]) -> Option<()> {
        let mut rest = answer;
        take(&mut rest, 4)?; // correlation id
        take(&mut rest, 4)?; // one topic
        let topic = i16::from_be_bytes(take(&mut rest, 2)?.try_into().ok()?);
        take(&mut rest, usize::try_from(topic).ok()?)?;
        for _ in 0..i32_of(&mut rest)? {
            let partition = i32_of(&mut rest)?;
            let error = i16::from_be_bytes(take(&mut rest, 2)?.try_into().ok()?);
            let high_watermark = i64::from_be_bytes(take(&mut rest, 8)?.try_into().ok()?);
            let size = usize::try_from(i32_of(&mut rest)?).ok()?;
            let set = take(&mut rest, size)?;
            let mut positions = self.positions.iter_mut();
            let position = positions.find(|position| position.partition == partition)?;
            if let Some(last) = last_offset(set) {
                position.next = last + 1;
            }
            position.at_end = error != 0 || position.next >= high_watermark || set.is_empty();
            self.read.bytes += size as u64;
        }
        Some(())
    }
}

/// The offset of the last whole entry.
fn last_offset(mut set: &[u8]) -> Option<i64> {
    let mut last = None;
    while let Some((header, rest)) = set.split_first_chunk::<12>() {
        let [o0, o1, o2, o3, o4, o5, o6, o7, s0, s1, s2, s3] = *header;
        let size = usize::try_from(i32::from_be_bytes([s0, s1, s2, s3])).ok()?;
        let Some(behind) = rest.get(size..) else {
            break;
        };
        last = Some(i64::from_be_bytes([o0, o1, o2, o3, o4, o5, o6, o7]));
        set = behind;
    }
    last
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    rest.split_off(..length)
}

fn i32_of(rest: &mut &[u8]) -> Option<i32> {
    Some(i32::from_be_bytes(take(rest, 4)?.try_into().ok()?))
}
