//! What Kafka's own producer has written, with every codec, is read byte for byte.

use anyhow::Result;
use divvy_tests::{Cluster, Divvy, unique};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use crate::records::{FORMAT, Record, parse, produce};
use crate::{PATIENCE, on_every_version};

on_every_version!(
    what_is_not_compressed_is_read_byte_for_byte,
    gzip_is_read_byte_for_byte,
    snappy_is_read_byte_for_byte,
    lz4_is_read_byte_for_byte,
);

/// Just below what brokers take by default, with what surrounds it.
const LARGE: usize = 990_000;

fn what_is_not_compressed_is_read_byte_for_byte(cluster: &Cluster) -> Result<()> {
    is_read_byte_for_byte(cluster, "none")
}

fn gzip_is_read_byte_for_byte(cluster: &Cluster) -> Result<()> {
    is_read_byte_for_byte(cluster, "gzip")
}

fn snappy_is_read_byte_for_byte(cluster: &Cluster) -> Result<()> {
    is_read_byte_for_byte(cluster, "snappy")
}

fn lz4_is_read_byte_for_byte(cluster: &Cluster) -> Result<()> {
    is_read_byte_for_byte(cluster, "lz4")
}

fn is_read_byte_for_byte(cluster: &Cluster, codec: &str) -> Result<()> {
    let topic = unique(codec);
    cluster.create_topic(&topic, 1, 1)?;
    let mut records = every_kind_of_record();
    produce(cluster, &topic, codec, &records)?;
    for (offset, record) in (0..).zip(&mut records) {
        record.offset = offset;
    }

    let (bootstrap, zookeeper) = (cluster.bootstrap(), cluster.zookeeper_connect());
    let read = ["--topic", &topic, "--exit-at-end", "--format", FORMAT];
    let tail = ["tail", "--bootstrap", &bootstrap];
    // Most messages do not fit into what is asked for, and some not into many times that.
    let small = [
        "tail",
        "--bootstrap",
        &bootstrap,
        "--fetch-message-max-bytes",
        "512",
    ];
    let member = ["consume", "--zookeeper", &zookeeper, "--group", &topic];
    for command in [tail.as_slice(), &small, &member] {
        let (status, divvy) = Divvy::command(command.iter().chain(&read)).run(b"", PATIENCE)?;
        assert!(status.success(), "{}", divvy.stderr().tail(20));
        let found = parse(divvy.stdout())?;
        assert_eq!(found.len(), records.len(), "{command:?}");
        for (found, expected) in found.iter().zip(&records) {
            // Not assert_eq, which would print megabytes.
            assert!(
                found == expected,
                "{command:?}: {codec} has changed offset {}",
                expected.offset
            );
        }
    }
    Ok(())
}

/// Null and empty keys and values, every byte, text, what compresses and what does not, small and large.
fn every_kind_of_record() -> Vec<Record> {
    let mut random = StdRng::seed_from_u64(1);
    let mut noise = |length: usize| {
        let mut bytes = vec![0; length];
        random.fill(bytes.as_mut_slice());
        bytes
    };
    let every_byte = Vec::from_iter(0..=255);
    let mut records = vec![
        Record::new(None, None),
        Record::new(None, Some(b"")),
        Record::new(Some(b""), None),
        Record::new(Some(b""), Some(b"")),
        Record::new(Some(&every_byte), Some(&every_byte)),
        Record::new(None, Some("z\u{e4}hlt \u{2713}\n\t\r\n".as_bytes())),
        Record::new(Some(b"large"), Some(&noise(LARGE))),
        Record::new(Some(b"large"), Some(&vec![7; LARGE])),
    ];
    for length in 0..300 {
        let value = noise(length * length / 40);
        records.push(Record::new(Some(&noise(length % 10)), Some(&value)));
        records.push(Record::new(None, Some(&value.repeat(2))));
    }
    records
}
