//! What a broker says of the cluster, asked with a Metadata v0 request written by hand.
//!
//! Every broker from 0.8 to 3.9 answers it, and because it names no topic, it creates none.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};

#[cfg(test)]
mod tests;

/// What a healthy broker on the loopback interface needs at most.
const PATIENCE: Duration = Duration::from_secs(5);
/// More than the metadata of any test's cluster takes.
const LARGEST_ANSWER: i32 = 16 << 20;
const CORRELATION_ID: i32 = 0x0d17;

/// The cluster as one broker sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// Host and port of each live broker, by its id.
    pub brokers: BTreeMap<i32, (String, i32)>,
    /// Each topic's partitions, by their number.
    pub topics: BTreeMap<String, BTreeMap<i32, PartitionMetadata>>,
}

/// One partition as one broker sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionMetadata {
    /// The leader's broker id; none during an election.
    pub leader: Option<i32>,
    /// The brokers that hold the partition.
    pub replicas: Vec<i32>,
    /// Those of them that are in sync.
    pub isr: Vec<i32>,
}

/// Asks the broker at `address`.
///
/// # Errors
///
/// When it cannot be reached, or does not answer as a broker does.
pub fn fetch(address: SocketAddr) -> Result<Metadata> {
    ask(address).with_context(|| format!("no metadata from the broker at {address}"))
}

fn ask(address: SocketAddr) -> Result<Metadata> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;

    let mut request = Vec::new();
    request.extend_from_slice(&3_i16.to_be_bytes()); // Metadata
    request.extend_from_slice(&0_i16.to_be_bytes()); // version
    request.extend_from_slice(&CORRELATION_ID.to_be_bytes());
    request.extend_from_slice(&(-1_i16).to_be_bytes()); // no client id
    request.extend_from_slice(&0_i32.to_be_bytes()); // every topic
    let size = i32::try_from(request.len())?;
    stream.write_all(&size.to_be_bytes())?;
    stream.write_all(&request)?;

    let mut size = [0; 4];
    stream.read_exact(&mut size)?;
    let size = i32::from_be_bytes(size);
    ensure!(
        (4..=LARGEST_ANSWER).contains(&size),
        "an answer of {size} bytes"
    );
    let mut answer = vec![0; usize::try_from(size)?];
    stream.read_exact(&mut answer)?;
    parse(&answer)
}

fn parse(answer: &[u8]) -> Result<Metadata> {
    let mut rest = Answer(answer);
    ensure!(
        rest.i32()? == CORRELATION_ID,
        "an answer to another request"
    );
    let mut metadata = Metadata::default();
    for _ in 0..rest.i32()? {
        let id = rest.i32()?;
        metadata.brokers.insert(id, (rest.string()?, rest.i32()?));
    }
    for _ in 0..rest.i32()? {
        let _error = rest.i16()?;
        let topic = rest.string()?;
        let mut partitions = BTreeMap::new();
        for _ in 0..rest.i32()? {
            let _error = rest.i16()?;
            let partition = rest.i32()?;
            let leader = Some(rest.i32()?).filter(|id| *id >= 0);
            partitions.insert(
                partition,
                PartitionMetadata {
                    leader,
                    replicas: rest.ids()?,
                    isr: rest.ids()?,
                },
            );
        }
        metadata.topics.insert(topic, partitions);
    }
    ensure!(rest.0.is_empty(), "{} bytes too many", rest.0.len());
    Ok(metadata)
}

/// The part of an answer that was not read yet.
struct Answer<'a>(&'a [u8]);

impl Answer<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N]> {
        let Some((bytes, rest)) = self.0.split_first_chunk::<N>() else {
            bail!("an answer that is cut short")
        };
        self.0 = rest;
        Ok(*bytes)
    }

    fn i16(&mut self) -> Result<i16> {
        Ok(i16::from_be_bytes(self.take()?))
    }

    fn i32(&mut self) -> Result<i32> {
        Ok(i32::from_be_bytes(self.take()?))
    }

    fn string(&mut self) -> Result<String> {
        let length = usize::try_from(self.i16()?)?;
        let (text, rest) = self
            .0
            .split_at_checked(length)
            .context("an answer that is cut short")?;
        self.0 = rest;
        Ok(String::from_utf8(text.to_vec())?)
    }

    fn ids(&mut self) -> Result<Vec<i32>> {
        let mut ids = Vec::new();
        for _ in 0..self.i32()? {
            ids.push(self.i32()?);
        }
        Ok(ids)
    }
}
