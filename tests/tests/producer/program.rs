//! What the program says, and how it ends.

use divvy_tests::{Cluster, KafkaVersion, tests_on, unique};

use super::*;

tests_on!(
    [embedded = Embedded0_8_2, kafka_0_8_2_2 = V0_8_2_2],
    at_any_time,
    a_line_is_reported_while_others_are_awaited_and_sigterm_ends_in_order,
    what_was_sent_is_delivered_after_sigterm,
    what_is_not_delivered_is_told_and_the_exit_code_is_1,
    a_message_that_is_too_large_is_told_and_others_are_delivered,
    an_unknown_topic_is_an_error_and_not_created
);
tests_on!(
    [kafka_0_9_0_1 = V0_9_0_1, kafka_0_11_0_3 = V0_11_0_3],
    at_any_time,
    an_unknown_topic_is_an_error_and_not_created
);

fn a_line_is_reported_while_others_are_awaited_and_sigterm_ends_in_order(
    version: KafkaVersion,
) -> Result<()> {
    let cluster = Cluster::shared(version)?;
    let topic = unique("reports");
    cluster.create_topic(&topic, 1, 1)?;
    let zookeeper = cluster.zookeeper_connect();
    let divvy = Divvy::command(["produce", "-z", &zookeeper, "-t", &topic, "--report"]).spawn()?;
    for n in 0..3 {
        divvy.write(format!("line {n}\n").as_bytes())?;
        let what = format!("the report of line {n}");
        let report = divvy
            .stdout()
            .wait_for(PATIENCE, &what, |line| line.contains(&format!("line {n}")))?;
        let expected = Reported {
            partition: 0,
            offset: Some(n),
            value: format!("line {n}"),
        };
        assert_eq!(Reported::parse(&report.text())?, expected);
    }
    divvy.term()?;
    divvy.wait_success(PATIENCE)
}

fn what_was_sent_is_delivered_after_sigterm(version: KafkaVersion) -> Result<()> {
    let cluster = Cluster::shared(version)?;
    let topic = unique("lingering");
    cluster.create_topic(&topic, 1, 1)?;
    let bootstrap = cluster.bootstrap();
    // A batch has room for one line and is sent when the next one comes.
    let options = ["--report", "--linger", "1m", "--batch-bytes", "120"];
    let common = ["produce", "-b", &bootstrap, "-t", &topic];
    let divvy = Divvy::command(common.iter().chain(&options)).spawn()?;
    divvy.write(b"one\ntwo\n")?;
    divvy
        .stdout()
        .wait_for(PATIENCE, "the first report", |line| line.contains("one"))?;
    assert_eq!(divvy.stdout().len(), 1, "the second line lingers");
    divvy.term()?;
    divvy.wait_success(PATIENCE)?;
    let reports = Reported::all(divvy.stdout())?;
    let values: Vec<&str> = reports.iter().map(|report| report.value.as_str()).collect();
    assert_eq!(values, ["one", "two"]);
    Ok(())
}

fn what_is_not_delivered_is_told_and_the_exit_code_is_1(version: KafkaVersion) -> Result<()> {
    let cluster = Cluster::builder().kafka(version).start()?;
    cluster.create_topic("numbers", 1, 1)?;
    let bootstrap = cluster.bootstrap();
    let divvy = Divvy::command([
        "produce",
        "-b",
        &bootstrap,
        "-t",
        "numbers",
        "--report",
        "--delivery-timeout",
        "3s",
    ])
    .spawn()?;
    divvy.write(b"before\n")?;
    divvy
        .stdout()
        .wait_for(PATIENCE, "the report", |line| line.contains("before"))?;
    cluster.brokers()[0].kill();
    divvy.write(b"after 1\nafter 2\n")?;
    divvy.close_stdin();
    assert_eq!(divvy.wait(PATIENCE)?.code(), Some(1));
    assert_eq!(divvy.stdout().len(), 1);
    let told = divvy.stderr().texts();
    for value in ["after 1", "after 2"] {
        let lines = told.iter().filter(|line| line.contains(value));
        assert_eq!(lines.count(), 1, "{told:?}");
    }
    assert!(
        told.iter()
            .any(|line| line.contains("2 of 3 message(s) were not delivered")),
        "{told:?}"
    );
    Ok(())
}

fn a_message_that_is_too_large_is_told_and_others_are_delivered(
    version: KafkaVersion,
) -> Result<()> {
    let cluster = Cluster::shared(version)?;
    let topic = unique("large");
    cluster.create_topic(&topic, 1, 1)?;
    let bootstrap = cluster.bootstrap();
    let lines = format!(
        "before\n{}\nlargest {}\n",
        "x".repeat(1_000_012),
        "y".repeat(999_900)
    );
    let command = Divvy::command(["produce", "-b", &bootstrap, "-t", &topic, "--report"]);
    let (status, divvy) = command.run(lines.as_bytes(), PATIENCE)?;
    assert_eq!(status.code(), Some(1));
    let reports = Reported::all(divvy.stdout())?;
    let values: Vec<&str> = reports.iter().map(|report| &report.value[..6]).collect();
    assert_eq!(values, ["before", "larges"], "{}", divvy.stderr().tail(5));
    assert!(
        divvy
            .stderr()
            .tail(5)
            .contains("more than 1000012 (max_request_size)")
    );
    Ok(())
}

fn an_unknown_topic_is_an_error_and_not_created(version: KafkaVersion) -> Result<()> {
    let cluster = Cluster::shared(version)?;
    let topic = unique("unknown");
    let bootstrap = cluster.bootstrap();
    let command = Divvy::command(["produce", "-b", &bootstrap, "-t", &topic]);
    let (status, divvy) = command.run(b"line\n", Duration::from_secs(30))?;
    assert_eq!(status.code(), Some(1));
    let expected = format!("topic `{topic}` does not exist");
    assert!(
        divvy.stderr().tail(5).contains(&expected),
        "{}",
        divvy.stderr().tail(5)
    );
    assert!(!cluster.metadata()?.topics.contains_key(&topic));
    Ok(())
}
