//! Logs on disk: Kafka's own tool reads them, and they outlive the program, however it ends.

use anyhow::{Context as _, Result, ensure};
use divvy_tests::{Cluster, Divvy, KafkaVersion, warden};

use super::PATIENCE;
use super::program::{run, serve};

const CODECS: [&str; 3] = ["none", "gzip", "snappy"];
/// How many messages each codec packs.
const MESSAGES: usize = 200;

#[test]
fn what_was_acknowledged_outlives_the_program_in_kafkas_format() -> Result<()> {
    let place = warden::temporary_directory()?;
    let directory = place.path().to_str().context("a path that is no text")?;
    let serve = || serve(&["--brokers", "2", "--dir", directory]);
    let served = serve()?;
    let topic = ["topic", "create", "-z", &served.zookeeper, "numbers"];
    run(&[&topic[..], &["-p", "1", "-r", "2"]].concat(), "")?;
    for codec in CODECS {
        let produce = ["produce", "-b", &served.brokers[0], "-t", "numbers"];
        let lines: String = (0..MESSAGES).map(|at| format!("{codec}{at}\n")).collect();
        run(&[&produce[..], &["--compression", codec]].concat(), &lines)?;
    }
    served.program.kill();

    let wanted = CODECS.iter().flat_map(|codec| {
        let texts = (0..MESSAGES).map(move |at| format!("{codec}{at}"));
        texts.collect::<Vec<_>>()
    });
    let wanted: Vec<String> = wanted.collect();
    ensure!(
        dumped(directory)? == wanted,
        "Kafka's tool reads something else"
    );

    let served = serve()?;
    let consume = ["consume", "-z", &served.zookeeper, "-g", "group"];
    let consume = [&consume[..], &["-t", "numbers", "--exit-at-end"]].concat();
    let (status, divvy) = Divvy::command(consume).run(b"", PATIENCE)?;
    ensure!(status.success(), "{}", divvy.stderr().tail(20));
    let read = divvy.stdout().texts();
    ensure!(read == wanted, "{} messages, or not these", read.len());
    Ok(())
}

/// What Kafka 0.8.2's `DumpLogSegments` finds, message by message, all of them valid and numbered from 0.
fn dumped(directory: &str) -> Result<Vec<String>> {
    let cluster = Cluster::shared(KafkaVersion::Embedded0_8_2)?;
    let file = format!("{directory}/numbers-0/00000000000000000000.log");
    let arguments = ["--files", &file, "--print-data-log", "--deep-iteration"];
    let dumped = cluster.run_java_tool("kafka.tools.DumpLogSegments", arguments, b"")?;
    let mut texts = Vec::new();
    for line in dumped.lines().filter(|line| line.starts_with("offset: ")) {
        let offset = format!("offset: {} ", texts.len());
        ensure!(
            line.starts_with(&offset) && line.contains("isvalid: true"),
            "{line} instead of {offset}"
        );
        let (_, text) = line.split_once("payload: ").context("no payload")?;
        texts.push(text.to_owned());
    }
    ensure!(!texts.is_empty(), "no messages in:\n{dumped}");
    Ok(texts)
}
