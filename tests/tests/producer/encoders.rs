//! The examples of encoders and decoders, on topics that hold other things too.

use divvy_tests::{Cluster, JavaRecord, KafkaVersion, Process, example, tests_on, unique};

use super::*;

tests_on!(
    [embedded = Embedded0_8_2],
    at_any_time,
    orders_in_json_and_messages_that_are_none,
    values_with_a_schema_id_and_messages_without_one
);
tests_on!(
    [kafka_0_8_2_2 = V0_8_2_2],
    at_any_time,
    orders_in_json_and_messages_that_are_none
);
tests_on!(
    [kafka_0_9_0_1 = V0_9_0_1],
    at_any_time,
    values_with_a_schema_id_and_messages_without_one
);
tests_on!(
    [kafka_0_11_0_3 = V0_11_0_3],
    at_any_time,
    orders_in_json_and_messages_that_are_none
);

/// Fills a topic with what is not to be decoded, runs an example on it, and gives what it wrote.
fn run(
    version: KafkaVersion,
    name: &str,
    poison: &[Option<&[u8]>],
    more: &[&str],
) -> Result<Process> {
    let cluster = Cluster::shared(version)?;
    let topic = unique(name);
    cluster.create_topic(&topic, 1, 1)?;
    let records: Vec<JavaRecord> = poison
        .iter()
        .map(|value| JavaRecord {
            partition: Some(0),
            key: None,
            value: value.map(<[u8]>::to_vec),
        })
        .collect();
    cluster.produce_records(&topic, "none", &records)?;
    let mut command = std::process::Command::new(example(name)?);
    command
        .args([cluster.bootstrap(), topic.clone()])
        .args(more);
    let program = Process::spawn(name, &mut command)?;
    program.wait_success(PATIENCE)?;
    for line in program.stderr().texts() {
        anyhow::ensure!(line.contains(&format!("of {topic}-0 cannot")), "{line}");
    }
    Ok(program)
}

/// The offsets that are named as those of messages that cannot be decoded.
fn undecodable(program: &Process) -> Vec<String> {
    let lines = program.stderr().texts();
    let offsets = lines.iter().filter_map(|line| {
        let (_, rest) = line.split_once("the value of the message at offset ")?;
        Some(rest.split_once(' ')?.0.to_owned())
    });
    offsets.collect()
}

fn orders_in_json_and_messages_that_are_none(version: KafkaVersion) -> Result<()> {
    let poison: [Option<&[u8]>; 4] = [
        Some(br#"{"customer": "Bob", "cups": 1}"#),
        Some(br#"{"customer": "#),
        None,
        Some(b""),
    ];
    let program = run(version, "json", &poison, &["2"])?;
    let expected = [
        "Bob has 1 cups",
        "a tombstone",
        "Ada has 1 cups",
        "Ada has 2 cups",
    ];
    assert_eq!(program.stdout().texts(), expected);
    assert_eq!(undecodable(&program), ["1", "3"]);
    Ok(())
}

fn values_with_a_schema_id_and_messages_without_one(version: KafkaVersion) -> Result<()> {
    let poison: [Option<&[u8]>; 6] = [
        // Of a later schema, too short for an id, with another first byte, not what the schema says, and what another program
        // has written well.
        Some(&[0, 0, 0, 0, 9, b'1']),
        Some(&[0, 0, 0, 0]),
        Some(&[1, 0, 0, 0, 7, b'1']),
        Some(&[0, 0, 0, 0, 7, b'x']),
        None,
        Some(&[0, 0, 0, 0, 7, b'4']),
    ];
    let program = run(version, "schema_id", &poison, &[])?;
    let expected = [
        "a tombstone",
        "4.00 degrees Celsius",
        "21.50 degrees Celsius",
        "16.85 degrees Celsius",
    ];
    assert_eq!(program.stdout().texts(), expected);
    assert_eq!(undecodable(&program), ["0", "1", "2", "3"]);
    let said = program.stderr().texts();
    assert!(said[0].ends_with("nobody knows schema 9"), "{said:?}");
    Ok(())
}
