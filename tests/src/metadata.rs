//! What a broker says of the cluster, asked with a Metadata v0 request written by hand.
//!
//! Every broker from 0.8 to 3.9 answers it, and because it names no topic, it creates none.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use anyhow::{Context as _, Result};

use crate::question::{Answer, ask};

#[cfg(test)]
mod tests;

const METADATA: i16 = 3;

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
    let every_topic = 0_i32.to_be_bytes();
    ask(address, METADATA, 0, &every_topic)
        .and_then(|answer| parse(&answer))
        .with_context(|| format!("no metadata from the broker at {address}"))
}

fn parse(answer: &[u8]) -> Result<Metadata> {
    let mut rest = Answer::new(answer)?;
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
    rest.end()?;
    Ok(metadata)
}
