//! What goes wrong at the start ends with one clear message that says what to do, in time, and with the documented exit code.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use divvy_tests::{Cluster, Divvy, Proxy, ProxyMode, unique};

use crate::on_every_version;
use crate::program::split;

on_every_version!(
    nobody_listens,
    somebody_else_listens,
    nobody_answers,
    what_is_asked_for_does_not_exist,
    what_was_typed_cannot_be_meant_so,
);

const FAILURE: i32 = 1;
const USAGE: i32 = 2;

/// Within this time divvy must have given up.
const GIVEN_UP_WITHIN: Duration = Duration::from_secs(10);

/// The command ends with this exit code and nothing but one line on stderr, which contains all of these words.
fn fails(arguments: &str, code: i32, words: &[&str]) -> Result<()> {
    // Building it is not what takes its time.
    Divvy::program()?;
    let began = Instant::now();
    let (status, divvy) = Divvy::command(split(&[arguments])).run(b"", 3 * GIVEN_UP_WITHIN)?;
    let (took, said) = (began.elapsed(), divvy.stderr().texts());
    let context = format!("divvy {arguments}: {status} after {took:?}: {said:#?}");
    assert_eq!(status.code(), Some(code), "{context}");
    assert!(took <= GIVEN_UP_WITHIN, "{context}");
    assert!(
        divvy.stdout().is_empty() && divvy.stdout().partial().is_empty(),
        "{context}"
    );
    // clap adds a hint to what it refuses.
    assert!(
        said.len() == 1 || code == USAGE && said[0].starts_with("error:"),
        "{context}"
    );
    let said = said.join("\n");
    for word in words {
        assert!(said.contains(word), "no {word:?}: {context}");
    }
    Ok(())
}

/// An address where nobody listens.
fn nobody() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// A server that speaks HTTP: it answers whatever it is told, and hangs up.
fn http_server() -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(
                b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\nthis is HTTP\r\n",
            );
        }
    });
    Ok(address)
}

fn nobody_listens(cluster: &Cluster) -> Result<()> {
    let (nobody, zookeeper) = (nobody()?.to_string(), cluster.zookeeper_connect());
    for command in [
        format!("tail --bootstrap {nobody} --topic t"),
        format!("topic list --bootstrap {nobody}"),
        format!("consume --zookeeper {zookeeper} --bootstrap {nobody} --topic t --group g"),
    ] {
        fails(
            &command,
            FAILURE,
            &["no broker answered", &nobody, "refused", "is Kafka running"],
        )?;
    }
    for command in [
        format!("tail --zookeeper {nobody} --topic t"),
        format!("topic list --zookeeper {nobody}"),
        format!("consume --zookeeper {nobody} --topic t --group g"),
    ] {
        fails(
            &command,
            FAILURE,
            &["no ZooKeeper", &nobody, "refused", "is ZooKeeper running"],
        )?;
    }
    Ok(())
}

/// Each port is asked for what another one serves.
fn somebody_else_listens(cluster: &Cluster) -> Result<()> {
    let (bootstrap, zookeeper) = (cluster.bootstrap(), cluster.zookeeper_connect());
    let http = http_server()?.to_string();
    for (address, hint) in [
        (&http, "is this another service's port?"),
        (&zookeeper, "is Kafka running"),
    ] {
        for command in [
            format!("tail --bootstrap {address} --topic t"),
            format!("consume --zookeeper {zookeeper} --bootstrap {address} --topic t --group g"),
        ] {
            fails(&command, FAILURE, &[address, hint])?;
        }
    }
    for address in [&http, &bootstrap] {
        for command in [
            format!("tail --zookeeper {address} --topic t"),
            format!("consume --zookeeper {address} --topic t --group g"),
        ] {
            fails(
                &command,
                FAILURE,
                &["no ZooKeeper", address, "is ZooKeeper running"],
            )?;
        }
    }
    Ok(())
}

/// Somebody listens and never says a word.
fn nobody_answers(cluster: &Cluster) -> Result<()> {
    let hole = Proxy::start(cluster.brokers()[0].address())?;
    hole.set_mode(ProxyMode::BlackHole);
    let hole = hole.address().to_string();
    let tail = format!("tail --bootstrap {hole} --topic t");
    fails(
        &tail,
        FAILURE,
        &["no broker answered", &hole, "is Kafka running"],
    )?;
    let consume = format!("consume --zookeeper {hole} --topic t --group g");
    fails(
        &consume,
        FAILURE,
        &["no ZooKeeper", &hole, "is ZooKeeper running"],
    )
}

fn what_is_asked_for_does_not_exist(cluster: &Cluster) -> Result<()> {
    let (bootstrap, zookeeper) = (cluster.bootstrap(), cluster.zookeeper_connect());
    let topic = unique("unknown");
    for command in [
        format!("tail --bootstrap {bootstrap} --topic {topic}"),
        format!("tail --zookeeper {zookeeper} --topic {topic}"),
        format!("consume --zookeeper {zookeeper} --group g --topic {topic}"),
        format!("topic describe --bootstrap {bootstrap} {topic}"),
    ] {
        fails(&command, FAILURE, &["topic", &topic, "does not exist"])?;
    }
    // Brokers create topics that they are asked about, if they are asked by name.
    let created = cluster.metadata()?.topics.contains_key(&topic);
    assert!(!created, "it was created");

    let nowhere = format!("{zookeeper}/nowhere");
    for command in [
        format!("tail --zookeeper {nowhere} --topic t"),
        format!("consume --zookeeper {nowhere} --group g --topic t"),
        format!("topic list --zookeeper {nowhere}"),
    ] {
        fails(&command, FAILURE, &["ZooKeeper", "/nowhere", "chroot"])?;
    }
    let created = cluster.zookeeper_view()?.text("/nowhere")?;
    assert_eq!(created, None, "it was created");

    let topic = unique("one");
    cluster.create_topic(&topic, 1, 1)?;
    let tail = format!("tail --bootstrap {bootstrap} --topic {topic} --partition 7");
    fails(&tail, FAILURE, &[&format!("{topic}-7"), "does not exist"])
}

fn what_was_typed_cannot_be_meant_so(cluster: &Cluster) -> Result<()> {
    let (bootstrap, zookeeper) = (cluster.bootstrap(), cluster.zookeeper_connect());
    let tail = format!("tail --bootstrap {bootstrap} --topic t");
    let consume = format!("consume --zookeeper {zookeeper} --topic t --group g");
    let refused = [
        (
            "tail --topic t".to_owned(),
            &["--bootstrap", "--zookeeper"][..],
        ),
        (format!("tail --bootstrap {bootstrap}"), &["--topic"]),
        (
            format!("consume --bootstrap {bootstrap} --topic t --group g"),
            &["--zookeeper"],
        ),
        (
            format!("consume --zookeeper {zookeeper} --topic t"),
            &["--group"],
        ),
        (
            format!("{tail} --offsets nowhere"),
            &["--offsets", "zookeeper", "kafka", "dual"],
        ),
        (
            format!("{consume} --dialect pykafka --offsets dual"),
            &["offset_storage", "kafka", "pykafka"],
        ),
        (
            format!("{consume} --dialect pykafka --topic other"),
            &["topics", "pykafka"],
        ),
        (
            format!("{consume} --dialect pykafka --streams 2"),
            &["streams", "pykafka"],
        ),
        (
            format!("{consume} --foreign-members follow"),
            &["offset_storage", "kafka", "dual"],
        ),
        (
            format!("{tail} --from yesterday"),
            &["--from", "yesterday", "earliest"],
        ),
        (format!("{tail} --to never"), &["--to", "never"]),
        (
            format!("{tail} --group g --from 17"),
            &["--from", "--group"],
        ),
        (format!("{tail} --format %x"), &["--format", "%x", "%t"]),
        (
            format!("{tail} --broker-version new"),
            &["--broker-version", "auto"],
        ),
        (format!("{tail} -n many"), &["-n", "many"]),
        (
            format!("{tail} --request-timeout 10"),
            &["--request-timeout", "500ms"],
        ),
        (
            format!("{tail} --fetch-message-max-bytes 0"),
            &["fetch_message_max_bytes", "512"],
        ),
        (
            format!("{tail} --max-queued-bytes 1"),
            &["max_queued_bytes"],
        ),
        (
            "tail --topic t --bootstrap here:no".to_owned(),
            &["here:no"],
        ),
        (
            "tail --topic t --zookeeper here:no".to_owned(),
            &["here:no"],
        ),
        (
            "tail --topic a/b --bootstrap 127.0.0.1:1".to_owned(),
            &["a/b"],
        ),
        (
            format!("{consume} --session-timeout soon"),
            &["--session-timeout", "6s"],
        ),
        (
            format!("{consume} --assignor dice"),
            &["--assignor", "range", "roundrobin"],
        ),
        (format!("{consume} --streams 0"), &["--streams"]),
        (
            format!("consume --zookeeper {zookeeper} --group g --whitelist a("),
            &["a(", "unclosed group"],
        ),
        (format!("{consume}/x"), &["g/x"]),
        (
            format!("topic create --zookeeper {zookeeper} a/b"),
            &["a/b"],
        ),
        (
            format!("topic create --zookeeper {zookeeper} --partitions 0 a"),
            &["--partitions"],
        ),
        (
            format!("topic create --bootstrap {bootstrap} a"),
            &["--zookeeper"],
        ),
        ("dance".to_owned(), &["dance"]),
    ];
    for (arguments, words) in refused {
        fails(&arguments, USAGE, words)?;
    }
    Ok(())
}
