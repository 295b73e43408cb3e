//! What the program counts and serves, against real clusters: everything that is documented and nothing else, and exactly what was
//! read and written.

mod documented;
mod scrape;
mod spans;

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use divvy_tests::{Cluster, Divvy, KafkaVersion, on_every_version, unique, wait_for};

use self::documented::documented;
use self::scrape::{Scrape, address, exchange};

on_every_version!(
    everything_documented_is_served_and_counts_what_was_moved,
    librdkafka_is_counted_alike,
    only_scrapes_are_answered,
);

const PATIENCE: Duration = Duration::from_secs(60);
const PARTITIONS: i32 = 4;
const LISTEN: [&str; 2] = ["--metrics-listen", "127.0.0.1:0"];

fn everything_documented_is_served_and_counts_what_was_moved(version: KafkaVersion) -> Result<()> {
    moves_and_counts(version, &[])
}

fn librdkafka_is_counted_alike(version: KafkaVersion) -> Result<()> {
    moves_and_counts(version, &["--use-rdkafka"])
}

/// A producer and a member of a group, both of which serve what they count.
struct Scene {
    topic: String,
    group: String,
    producer: Divvy,
    produced_at: String,
    member: Divvy,
    consumed_at: String,
    /// How many messages were written.
    written: usize,
}

impl Scene {
    fn new(version: KafkaVersion, backend: &[&str]) -> Result<Self> {
        let cluster = Cluster::shared(version)?;
        let (topic, group) = (unique("counted"), unique("group"));
        cluster.create_topic(&topic, usize::try_from(PARTITIONS)?, 1)?;
        let zookeeper = cluster.zookeeper_connect();
        let common = ["--zookeeper", &zookeeper, "--topic", &topic];
        let common = common
            .into_iter()
            .chain(LISTEN)
            .chain(backend.iter().copied());
        let producer = Divvy::native(["produce"].into_iter().chain(common.clone())).spawn()?;
        let consume = [
            "consume",
            "--group",
            &group,
            "--format",
            "%p\\n",
            "--commit-interval",
            "100ms",
        ];
        let member = Divvy::native(consume.into_iter().chain(common)).spawn()?;
        Ok(Self {
            produced_at: address(&producer)?,
            consumed_at: address(&member)?,
            topic,
            group,
            producer,
            member,
            written: 0,
        })
    }

    /// Writes more messages, and waits until all are printed.
    fn move_more(&mut self, messages: usize) -> Result<()> {
        let lines = (0..messages).map(|number| format!("{number}\n"));
        self.producer.write(lines.collect::<String>().as_bytes())?;
        self.written += messages;
        wait_for(PATIENCE, "all lines", || {
            self.member.stdout().len() >= self.written
        })
        .with_context(|| self.member.stderr().tail(10))
    }

    /// What both serve when nothing moves any more and everything is committed.
    fn scrapes(&self) -> Result<(Scrape, Scrape)> {
        let written = self.written.to_string().parse::<f64>()?;
        let mut scrapes = None;
        let settled = wait_for(PATIENCE, "what is counted to be what was moved", || {
            let both = Scrape::of(&self.produced_at)
                .and_then(|produced| Ok((produced, Scrape::of(&self.consumed_at)?)));
            let is_settled = both.as_ref().is_ok_and(|(produced, consumed)| {
                let topic = [("topic", &self.topic[..])];
                let [records, messages] = [
                    produced.sum("divvy_producer_records_total", &topic),
                    consumed.sum("divvy_consumer_messages_total", &topic),
                ];
                // What is too much is seen below.
                records >= written && messages >= written
            });
            scrapes = Some(both);
            is_settled
        });
        settled.with_context(|| format!("{scrapes:?}"))?;
        scrapes.context("it was not asked")?
    }

    /// Holds the counters against what was printed.
    fn check(&self) -> Result<()> {
        let (produced, consumed) = self.scrapes()?;
        let mut printed: BTreeMap<String, u32> = BTreeMap::new();
        for partition in self.member.stdout().texts() {
            *printed.entry(partition).or_default() += 1;
        }
        let (topic, group) = (("topic", &self.topic[..]), ("group", &self.group[..]));
        for partition in 0..PARTITIONS {
            let partition = partition.to_string();
            let of = [group, topic, ("partition", &partition)];
            let messages = consumed.sum("divvy_consumer_messages_total", &of);
            let expected = f64::from(printed.get(&partition).copied().unwrap_or_default());
            is(
                &format!("the messages of partition {partition}"),
                messages,
                expected,
            )?;
        }
        let written = f64::from(u32::try_from(self.written)?);
        is(
            "records",
            produced.sum("divvy_producer_records_total", &[topic]),
            written,
        )?;
        is(
            "failures",
            produced.sum("divvy_producer_failed_records_total", &[topic]),
            0.0,
        )?;
        is(
            "retries",
            produced.sum("divvy_producer_retries_total", &[topic]),
            0.0,
        )?;
        is(
            "buffered",
            produced.sum("divvy_producer_buffered_bytes", &[]),
            0.0,
        )?;
        let batches = produced.sum("divvy_producer_batches_total", &[topic]);
        let timed = produced.sum("divvy_producer_delivery_duration_seconds_count", &[topic]);
        is("batches that were timed", timed, batches)?;
        ensure!(batches >= 1.0 && batches <= written, "{batches} batches");

        let share = f64::from(PARTITIONS);
        is(
            "lag",
            consumed.sum("divvy_consumer_lag_messages", &[group]),
            0.0,
        )?;
        is(
            "queued",
            consumed.sum("divvy_client_queued_bytes", &[]),
            0.0,
        )?;
        is(
            "partitions",
            consumed.sum("divvy_consumer_partitions", &[group]),
            share,
        )?;
        let claimed = consumed.sum("divvy_group_claims_total", &[group, ("outcome", "claimed")]);
        is("claims", claimed, share)?;
        let lost = consumed.sum("divvy_consumer_events_total", &[group, ("event", "lost")]);
        is("losses", lost, 0.0)?;
        let rebalances = consumed.sum("divvy_group_rebalances_total", &[group]);
        let timed = consumed.sum("divvy_group_rebalance_duration_seconds_count", &[group]);
        is("rebalances that were timed", timed, rebalances)?;
        ensure!(rebalances >= 1.0, "it has never had its share");
        let bytes = consumed.sum("divvy_consumer_bytes_total", &[group]);
        let fetched = consumed.sum("divvy_client_fetched_bytes_total", &[]);
        is(
            "bytes that were fetched and not taken",
            fetched - bytes,
            0.0,
        )?;
        Ok(())
    }
}

fn is(what: &str, counted: f64, expected: f64) -> Result<()> {
    ensure!(
        (counted - expected).abs() < 0.5,
        "{what}: {counted}, not {expected}"
    );
    Ok(())
}

fn moves_and_counts(version: KafkaVersion, backend: &[&str]) -> Result<()> {
    let mut scene = Scene::new(version, backend)?;
    for messages in [1000, 1, 237] {
        scene.move_more(messages)?;
        scene.check()?;
    }
    let group = [("group", &scene.group[..]), ("outcome", "stored")];
    wait_for(PATIENCE, "commits to be counted", || {
        let scrape = Scrape::of(&scene.consumed_at);
        scrape.is_ok_and(|scrape| {
            scrape.sum("divvy_consumer_commits_total", &group) >= f64::from(PARTITIONS)
        })
    })?;

    let (produced, consumed) = scene.scrapes()?;
    let mut served: BTreeMap<String, (String, _)> = BTreeMap::new();
    for scrape in [&produced, &consumed] {
        for (name, kind) in &scrape.kinds {
            served.insert(name.clone(), (kind.clone(), scrape.labels(name)));
        }
    }
    let documented = documented()?;
    for (name, (kind, labels)) in &served {
        let page = documented.get(name);
        let page = page.with_context(|| format!("{name} is served, and not documented"))?;
        ensure!(
            *kind == page.kind,
            "{name} is a {kind}, and documented as a {}",
            page.kind
        );
        ensure!(
            *labels == page.labels,
            "{name} has the labels {labels:?}, and by the page {:?}",
            page.labels
        );
    }
    let missing: Vec<_> = documented
        .keys()
        .filter(|name| !served.contains_key(*name))
        .collect();
    ensure!(
        missing.is_empty(),
        "documented, and not served: {missing:?}"
    );

    scene.producer.close_stdin();
    scene.producer.wait_success(PATIENCE)?;
    scene.member.term()?;
    scene.member.wait_success(PATIENCE)
}

fn only_scrapes_are_answered(version: KafkaVersion) -> Result<()> {
    let cluster = Cluster::shared(version)?;
    let topic = unique("tailed");
    cluster.create_topic(&topic, 1, 1)?;
    cluster.produce(&topic, "none", 0..10)?;
    let bootstrap = cluster.bootstrap();
    let tail = ["tail", "--bootstrap", &bootstrap, "--topic", &topic];
    let tail = Divvy::command(tail.into_iter().chain(LISTEN)).spawn()?;
    let at = address(&tail)?;
    for (request, status) in [
        ("GET / HTTP/1.1\r\n\r\n", "404 Not Found"),
        ("GET /metricsandmore HTTP/1.1\r\n\r\n", "404 Not Found"),
        ("POST /metrics HTTP/1.1\r\n\r\n", "400 Bad Request"),
        ("nonsense\r\n\r\n", "400 Bad Request"),
    ] {
        let answer = exchange(&at, request.as_bytes())?;
        let first = answer.lines().next().unwrap_or_default().to_owned();
        ensure!(
            first == format!("HTTP/1.1 {status}"),
            "{request:?}: {first}"
        );
    }
    // Without a group the label is empty.
    let of = [("group", ""), ("topic", &topic[..])];
    wait_for(PATIENCE, "ten messages to be counted", || {
        let scrape = Scrape::of(&at);
        scrape.is_ok_and(|scrape| scrape.sum("divvy_consumer_messages_total", &of) > 9.5)
    })?;

    // An address that is taken is an error at once.
    let second = [
        "tail",
        "--bootstrap",
        &bootstrap,
        "--topic",
        &topic,
        "--metrics-listen",
        &at,
    ];
    let (status, second) = Divvy::command(second).run(b"", PATIENCE)?;
    let said = second.stderr().tail(3);
    ensure!(
        status.code() == Some(1) && said.contains("--metrics-listen"),
        "{said}"
    );
    tail.term()?;
    tail.wait_success(PATIENCE)
}
