//! kcat, which brings a librdkafka of its own.

use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use divvy_tests::{Cluster, KafkaVersion, Process, unique};

use super::{PATIENCE, as_both_versions};

as_both_versions!(
    kcat_lists_brokers_and_topics,
    kcat_reads_what_it_wrote_with_keys_and_offsets,
    kcat_begins_where_it_is_told_to,
);

const CODECS: [&str; 4] = ["none", "gzip", "snappy", "lz4"];
/// How many messages each codec packs.
const MESSAGES: usize = 50;

fn kcat_lists_brokers_and_topics(version: KafkaVersion) -> Result<()> {
    let cluster = Cluster::builder().kafka(version).brokers(3).start()?;
    let topic = unique("listed");
    cluster.create_topic(&topic, 4, 2)?;
    let listed = run(&cluster, &["-L"], "")?;
    for (id, broker) in cluster.brokers().iter().enumerate() {
        let wanted = format!("broker {id} at {}", broker.address());
        ensure!(listed.contains(&wanted), "no {wanted} in:\n{listed}");
    }
    let wanted = format!("topic \"{topic}\" with 4 partitions:");
    ensure!(listed.contains(&wanted), "no {wanted} in:\n{listed}");
    for (number, partition) in &cluster.metadata()?.topics[&topic] {
        let leader = partition.leader.context("no leader")?;
        let wanted = format!("partition {number}, leader {leader}, replicas: ");
        let line = listed.lines().find(|line| line.contains(&wanted));
        let line = line.with_context(|| format!("no {wanted} in:\n{listed}"))?;
        let (replicas, isr) = line.split_once(", isrs: ").context("no isrs")?;
        ensure!(
            replicas.ends_with(isr) && isr.split(',').count() == 2,
            "not two replicas in sync: {line}"
        );
    }
    Ok(())
}

fn kcat_reads_what_it_wrote_with_keys_and_offsets(version: KafkaVersion) -> Result<()> {
    let cluster = Cluster::shared(version)?;
    let topic = unique("keyed");
    cluster.create_topic(&topic, 2, 1)?;
    let mut wanted = Vec::new();
    for codec in CODECS {
        let input: Vec<_> = (0..MESSAGES)
            .map(|at| format!("{codec}{at}:v{at}"))
            .collect();
        let write = ["-P", "-t", &topic, "-p", "1", "-K:", "-z", codec];
        run(cluster, &write, &(input.join("\n") + "\n"))?;
        wanted.extend(input);
    }
    let wanted = wanted.iter().enumerate();
    let wanted: Vec<_> = wanted.map(|(at, line)| format!("{at} {line}")).collect();
    let read = ["-C", "-t", &topic, "-o", "beginning", "-e", "-q"];
    let read = [&read[..], &["-f", "%o %k:%s\n"]].concat();
    let lines = run(cluster, &read, "")?;
    let lines: Vec<_> = lines.lines().collect();
    ensure!(lines == wanted, "{lines:#?}");
    Ok(())
}

/// At the end, some messages before it, at an offset; and what it is told of offsets by time, to the grain of segments.
fn kcat_begins_where_it_is_told_to(version: KafkaVersion) -> Result<()> {
    let cluster = Cluster::shared(version)?;
    let topic = unique("placed");
    cluster.create_topic(&topic, 1, 1)?;
    let write = ["-P", "-t", &topic, "-p", "0"];
    run(cluster, &write, "a\nb\nc\nd\n")?;

    let at_end = ["-C", "-t", &topic, "-p", "0", "-o", "end", "-c", "2"];
    let at_end = kcat(cluster, &[&at_end[..], &["-f", "%o %s\n"]].concat())?;
    let reached = format!("Reached end of topic {topic} [0] at offset 4");
    at_end
        .stderr()
        .wait_for(PATIENCE, "the end", |line| line.contains(&reached))?;
    run(cluster, &write, "e\nf\n")?;
    at_end.wait_success(PATIENCE)?;
    ensure!(at_end.stdout().texts() == ["4 e", "5 f"]);

    for (from, wanted) in [("-2", "4 e\n5 f"), ("3", "3 d\n4 e\n5 f")] {
        let read = ["-C", "-t", &topic, "-p", "0", "-e", "-q", "-o", from];
        let read = run(cluster, &[&read[..], &["-f", "%o %s\n"]].concat(), "")?;
        ensure!(read == wanted, "from {from}: {read}");
    }

    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let later = (now + Duration::from_secs(3600)).as_millis().to_string();
    for (time, wanted) in [("-1", 6), ("-2", 0), (&later, 6), ("1000", -1)] {
        let told = run(cluster, &["-Q", "-t", &format!("{topic}:0:{time}")], "")?;
        let wanted = format!("{topic} [0] offset {wanted}");
        ensure!(told == wanted, "for {time}: {told}");
    }
    Ok(())
}

/// What kcat writes to stdout.
fn run(cluster: &Cluster, arguments: &[&str], input: &str) -> Result<String> {
    let program = kcat(cluster, arguments)?;
    program.write(input.as_bytes())?;
    program.close_stdin();
    program.wait_success(PATIENCE)?;
    Ok(program.stdout().texts().join("\n"))
}

/// These brokers do not say which versions they speak, so kcat has to be told.
fn kcat(cluster: &Cluster, arguments: &[&str]) -> Result<Process> {
    let release = match cluster.version() {
        KafkaVersion::Embedded0_9 => "0.9.0",
        _ => "0.8.2",
    };
    let mut command = Command::new("kcat");
    command
        .args(["-b", &cluster.bootstrap()])
        .args(["-X", "api.version.request=false"])
        .args(["-X", &format!("broker.version.fallback={release}")])
        .args(arguments);
    Process::spawn("kcat", &mut command)
}
