//! `divvy tail --compare-backends` finds the native backend and librdkafka to give the same, whatever is in the log.

use anyhow::{Context as _, Result, ensure};
use divvy_tests::{Cluster, unique, wait_for};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use crate::program::{run, split};
use crate::records::{Record, produce};
use crate::{PATIENCE, on_both_versions, on_embedded};

// But for compaction, which the embedded cluster has not.
on_embedded!(
    every_codec_is_read_the_same,
    damage_is_found_at_the_same_offset,
    a_part_is_read_the_same,
);
on_both_versions!(
    every_codec_is_read_the_same,
    what_compaction_has_left_is_read_the_same,
    damage_is_found_at_the_same_offset,
    a_part_is_read_the_same,
);

const CODECS: [&str; 4] = ["none", "gzip", "snappy", "lz4"];

fn every_codec_is_read_the_same(cluster: &Cluster) -> Result<()> {
    for codec in CODECS {
        let topic = unique(codec);
        cluster.create_topic(&topic, 2, 1)?;
        let mut records = Vec::new();
        for number in 0..400_usize {
            let value = number.to_string().repeat(number % 50);
            for (key, value) in [
                (None, Some(value.as_bytes())),
                (Some(&value.as_bytes()[..number % 2]), None),
                (Some(b"".as_slice()), Some(b"".as_slice())),
            ] {
                records.push(Record {
                    partition: i32::try_from(number % 2)?,
                    ..Record::new(key, value)
                });
            }
        }
        let large = vec![b'x'; 900_000];
        records.push(Record::new(None, Some(&large)));
        produce(cluster, &topic, codec, &records)?;
        ensure!(compared(cluster, &topic)? == (1201, 0), "{codec}");
    }
    Ok(())
}

/// The log has holes.
fn what_compaction_has_left_is_read_the_same(cluster: &Cluster) -> Result<()> {
    let cluster = Cluster::builder()
        .kafka(cluster.version())
        .property("log.cleaner.enable", true)
        .property("log.cleaner.backoff.ms", 100)
        .start()?;
    let topic = unique("compacted");
    let settings = [
        ("cleanup.policy", "compact"),
        ("segment.bytes", "100000"),
        ("min.cleanable.dirty.ratio", "0.01"),
    ];
    cluster.create_topic_with(&topic, 1, 1, &settings)?;
    let mut random = StdRng::seed_from_u64(1);
    let record = |number: usize| {
        // Some keys come once, and others again and again.
        let key = if number.is_multiple_of(7) {
            number
        } else {
            number % 7
        };
        let mut value = [0; 100];
        random.fill(&mut value);
        Record::new(Some(key.to_string().as_bytes()), Some(&value))
    };
    let records: Vec<Record> = (0..3000).map(record).collect();
    produce(&cluster, &topic, "none", &records)?;
    let mut read = compared(&cluster, &topic);
    wait_for(PATIENCE, "the log to be compacted", || {
        read = compared(&cluster, &topic);
        !matches!(read, Ok((2000.., _)))
    })?;
    read?;
    Ok(())
}

fn damage_is_found_at_the_same_offset(cluster: &Cluster) -> Result<()> {
    for codec in CODECS {
        let topic = unique("damaged");
        cluster.create_topic(&topic, 1, 1)?;
        let record = |number: usize| Record::new(None, Some(format!("{number:0200}").as_bytes()));
        let records: Vec<Record> = (0..2000).map(record).collect();
        produce(cluster, &topic, codec, &records)?;
        cluster.corrupt(&topic, 0, 1000).context(codec)?;
        let (messages, damaged) = compared(cluster, &topic)?;
        ensure!(damaged == 1, "{codec}: {damaged} were damaged");
        ensure!(messages < 2000, "{codec}: {messages} were read");
    }
    Ok(())
}

fn a_part_is_read_the_same(cluster: &Cluster) -> Result<()> {
    let topic = unique("part");
    cluster.create_topic(&topic, 2, 1)?;
    let record = |number: i32| Record {
        partition: number % 2,
        ..Record::new(None, Some(number.to_string().as_bytes()))
    };
    let records: Vec<Record> = (0..200).map(record).collect();
    produce(cluster, &topic, "gzip", &records)?;
    let bootstrap = cluster.bootstrap();
    let tail = format!("tail --bootstrap {bootstrap} --topic {topic} --compare-backends");
    let part = run(&[&tail, "--partition 1 --from 30 --to 70"])?;
    assert_eq!(
        part.stdout().texts(),
        [format!(
            "{topic}-1: 40 messages from offset 30 to 70 are the same"
        )]
    );
    let nothing = run(&[&tail, "--from latest"])?;
    assert_eq!(nothing.stdout().texts().len(), 2);
    Ok(())
}

/// Compares all of a topic, and gives how many messages and how many damaged entries there are.
fn compared(cluster: &Cluster, topic: &str) -> Result<(u64, u64)> {
    let bootstrap = cluster.bootstrap();
    let tail = format!("tail --bootstrap {bootstrap} --topic {topic} --compare-backends");
    let divvy = run(&[&tail])?;
    let (mut messages, mut damaged) = (0, 0);
    for line in divvy.stdout().texts() {
        let words = split(&[&line]);
        messages += words.get(1).context("no number")?.parse::<u64>()?;
        if let Some((_, damage)) = line.split_once("are the same, ") {
            let number = damage.split(' ').next().context("no number")?;
            damaged += number.parse::<u64>()?;
        }
    }
    Ok((messages, damaged))
}
