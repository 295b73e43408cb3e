//! Messages of any bytes: through Kafka's own producer into a topic, and through divvy's stdout out of it.

use anyhow::{Context as _, Result};
use divvy_tests::{Captured, Cluster, JavaRecord};

/// What `--format` makes of a message for [`parse`]: lengths first, because keys and values may hold anything.
pub(crate) const FORMAT: &str = "%p %o %K %S %k%s\\n";

/// A message.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Record {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
}

impl Record {
    /// A record of partition 0, whose offset the broker gives.
    pub(crate) fn new(key: Option<&[u8]>, value: Option<&[u8]>) -> Record {
        Record {
            partition: 0,
            offset: -1,
            key: key.map(<[u8]>::to_vec),
            value: value.map(<[u8]>::to_vec),
        }
    }
}

/// Produces records, in their order, through Kafka's own Java producer.
pub(crate) fn produce(
    cluster: &Cluster,
    topic: &str,
    codec: &str,
    records: &[Record],
) -> Result<()> {
    let records: Vec<JavaRecord> = records
        .iter()
        .map(|record| JavaRecord {
            partition: Some(record.partition),
            key: record.key.clone(),
            value: record.value.clone(),
        })
        .collect();
    cluster.produce_records(topic, codec, &records)
}

/// The records in an output that was made with [`FORMAT`].
pub(crate) fn parse(output: &Captured) -> Result<Vec<Record>> {
    let mut bytes = Vec::new();
    for line in output.lines() {
        bytes.extend(line.bytes);
        bytes.push(b'\n');
    }
    bytes.extend(output.partial());
    let mut rest = bytes.as_slice();
    let mut records = Vec::new();
    while !rest.is_empty() {
        records.push(
            next_record(&mut rest).with_context(|| {
                format!("record {} is followed by something else", records.len())
            })?,
        );
    }
    Ok(records)
}

fn next_record(rest: &mut &[u8]) -> Result<Record> {
    let partition = number(rest)?.try_into()?;
    let offset = number(rest)?;
    let (key_length, value_length) = (number(rest)?, number(rest)?);
    let record = Record {
        partition,
        offset,
        key: part(rest, key_length)?,
        value: part(rest, value_length)?,
    };
    anyhow::ensure!(rest.split_off(..1) == Some(b"\n"), "no line feed");
    Ok(record)
}

fn number(rest: &mut &[u8]) -> Result<i64> {
    let space = rest.iter().position(|byte| *byte == b' ');
    let space = space.context("no space")?;
    let digits = rest.split_off(..=space).context("no digits")?;
    let digits = &digits[..space];
    Ok(std::str::from_utf8(digits)?.parse()?)
}

fn part(rest: &mut &[u8], length: i64) -> Result<Option<Vec<u8>>> {
    if length == -1 {
        return Ok(None);
    }
    let part = rest.split_off(..usize::try_from(length)?);
    Ok(Some(part.context("cut off")?.to_vec()))
}
