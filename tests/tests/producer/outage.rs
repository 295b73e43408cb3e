//! Brokers that die while they are written to.

use std::collections::BTreeMap;

use divvy_tests::{Cluster, KafkaVersion, scale, tests_on, wait_for};

use super::*;

tests_on!(
    [
        embedded = Embedded0_8_2,
        kafka_0_8_2_2 = V0_8_2_2,
        kafka_0_9_0_1 = V0_9_0_1
    ],
    at_any_time,
    nothing_acknowledged_is_lost
);

const PARTITIONS: usize = 6;
const BLOCK: usize = 100;
/// How many lines may be ahead of their reports: enough to have records in flight at each moment.
const AHEAD: usize = 2000;

/// One of three brokers is killed while it leads partitions that are written to, and comes back. Every line is acknowledged in the
/// end, and what was acknowledged is in the log where the report says, in the order of the lines.
fn nothing_acknowledged_is_lost(version: KafkaVersion) -> Result<()> {
    let cluster = Cluster::builder().kafka(version).brokers(3).start()?;
    cluster.create_topic("numbers", PARTITIONS, 3)?;
    let blocks = scale(300, 1500);
    let bootstrap = cluster.bootstrap();
    let produced = Divvy::command([
        "produce",
        "-b",
        &bootstrap,
        "-t",
        "numbers",
        "--acks",
        "all",
        "--compression",
        "snappy",
        "--report",
    ])
    .spawn()?;
    let reported = produced.stdout();
    for block in 0..blocks {
        if block == blocks / 3 {
            cluster.brokers()[0].kill();
        }
        if block == blocks * 2 / 3 {
            cluster.brokers()[0].start()?;
        }
        let lines = (block * BLOCK..(block + 1) * BLOCK).map(|number| format!("{number}\n"));
        produced.write(lines.collect::<String>().as_bytes())?;
        wait_for(PATIENCE, "acknowledgements", || {
            reported.len() + AHEAD >= (block + 1) * BLOCK
        })
        .with_context(|| produced.stderr().tail(20))?;
    }
    produced.close_stdin();
    produced.wait_success(PATIENCE)?;

    let log = read_log(&bootstrap, "numbers")?;
    let reports = Reported::all(reported)?;
    assert_eq!(reports.len(), blocks * BLOCK, "every line, once");
    let mut places: BTreeMap<i64, BTreeMap<u64, i64>> = BTreeMap::new();
    for report in reports {
        let offset = report.offset.context("no offset")?;
        assert_eq!(
            log.get(&(report.partition, offset)),
            Some(&report.value),
            "{report:?}"
        );
        let partition = places.entry(report.partition).or_default();
        let twice = partition.insert(report.value.parse()?, offset);
        assert_eq!(twice, None, "{} was reported twice", report.value);
    }
    assert_eq!(places.len(), PARTITIONS);
    for (partition, places) in places {
        let offsets: Vec<i64> = places.into_values().collect();
        assert!(offsets.is_sorted(), "partition {partition} is out of order");
    }
    Ok(())
}
