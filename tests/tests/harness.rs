//! The harness itself: clusters start, serve, survive a killed broker, and leave nothing behind.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use divvy_tests::cluster::four_letter_word;
use divvy_tests::{
    Cluster, Direction, Divvy, JavaConsumer, KafkaVersion, Process, Proxy, ProxyMode, unique,
    wait_for,
};
use rustix::process::{Pid, test_kill_process};

const PATIENCE: Duration = Duration::from_secs(60);

/// Kafka's own producer and high-level consumer pass a line through a cluster that has just been started.
fn passes_lines(version: KafkaVersion) -> Result<()> {
    let cluster = Cluster::shared(version)?;
    let (topic, group) = (unique("lines"), unique("group"));
    cluster.create_topic(&topic, 2, 1)?;
    for codec in ["none", "gzip", "snappy", "lz4"] {
        cluster.produce(&topic, codec, [format!("through {codec}")])?;
    }

    let consumer = JavaConsumer::new(&group, &topic).spawn(cluster)?;
    consumer
        .stdout()
        .wait_for(PATIENCE, "the last line", |_| consumer.stdout().len() == 4)?;
    let lines = BTreeSet::from_iter(consumer.stdout().texts());
    assert_eq!(
        lines,
        BTreeSet::from(
            [
                "through gzip",
                "through lz4",
                "through none",
                "through snappy"
            ]
            .map(String::from)
        )
    );

    let view = cluster.zookeeper_view()?;
    let ids = view.ids(&group)?;
    assert_eq!(ids.len(), 1, "{ids:?}");
    let owners = view.owners(&group, &topic)?;
    assert_eq!(Vec::from_iter(owners.keys()), [&0, &1]);
    for owner in owners.values() {
        assert!(
            ids.keys().any(|id| owner.text == format!("{id}-0")),
            "{owner:?}"
        );
        assert!(owner.session != 0 && owner.czxid != 0);
    }
    consumer.term()?;
    consumer.wait(PATIENCE)?;
    assert!(view.ids(&group)?.is_empty() && view.owners(&group, &topic)?.is_empty());
    assert_eq!(view.offsets(&group, &topic)?.values().sum::<i64>(), 4);

    let offsets = cluster.consumer_offset_checker(&group, &topic)?;
    assert_eq!(
        offsets
            .values()
            .filter_map(|checked| checked.offset)
            .sum::<i64>(),
        4
    );
    assert!(
        offsets
            .values()
            .all(|checked| checked.offset == checked.log_size && checked.owner.is_none())
    );
    Ok(())
}

#[test]
fn kafka_0_8_2_2_passes_lines() -> Result<()> {
    passes_lines(KafkaVersion::V0_8_2_2)
}

#[test]
fn kafka_0_9_0_1_passes_lines() -> Result<()> {
    passes_lines(KafkaVersion::V0_9_0_1)
}

#[test]
fn kafka_0_11_0_3_keeps_headers() -> Result<()> {
    let cluster = Cluster::shared(KafkaVersion::V0_11_0_3)?;
    let topic = unique("headers");
    cluster.create_topic(&topic, 1, 1)?;
    cluster.produce_with_headers(
        &topic,
        "gzip",
        &[("bare", &[]), ("dressed", &[("hat", "red"), ("hat", "")])],
    )?;

    let log = cluster.log_segment(0, &topic, 0);
    let log = cluster.run_java_tool(
        "kafka.tools.DumpLogSegments",
        [
            "--print-data-log",
            "--deep-iteration",
            "--files",
            &log.display().to_string(),
        ],
        b"",
    )?;
    assert!(
        log.contains("magic: 2 compresscodec: GZIP") && log.contains("headerKeys: [hat,hat]"),
        "{log}"
    );
    Ok(())
}

/// A broker is killed and comes back, on both legacy lines, behind a chroot and an ensemble.
fn survives_a_killed_broker(version: KafkaVersion) -> Result<()> {
    let cluster = Cluster::builder()
        .kafka(version)
        .brokers(3)
        .zookeepers(3)
        .chroot("/legacy/kafka")
        .start()?;
    assert!(cluster.zookeeper_connect().ends_with("/legacy/kafka"));
    assert_eq!(cluster.zookeeper_connect().split(',').count(), 3);
    cluster.create_topic("replicated", 3, 3)?;
    cluster.produce("replicated", "none", 0..100)?;

    let victim = &cluster.brokers()[1];
    victim.kill();
    assert!(!victim.is_running());
    cluster.wait_until_settled("the others to take over", |metadata| {
        metadata.topics["replicated"]
            .values()
            .all(|partition| partition.leader.is_some_and(|leader| leader != 1))
    })?;
    cluster.produce("replicated", "none", 100..200)?;

    victim.start()?;
    cluster.wait_until_in_sync()?;
    let leader = cluster.zookeeper_leader()?;
    leader.restart()?;
    assert!(four_letter_word(leader.address(), "srvr")?.contains("Mode: "));

    let consumer = JavaConsumer::new("group", "replicated").spawn(&cluster)?;
    wait_for(PATIENCE, "all lines", || consumer.stdout().len() >= 200)?;
    let lines = BTreeSet::from_iter(consumer.stdout().texts());
    assert_eq!(
        lines,
        BTreeSet::from_iter((0..200).map(|number| number.to_string()))
    );
    Ok(())
}

#[test]
fn kafka_0_8_2_2_survives_a_killed_broker() -> Result<()> {
    survives_a_killed_broker(KafkaVersion::V0_8_2_2)
}

#[test]
fn kafka_0_9_0_1_survives_a_killed_broker() -> Result<()> {
    survives_a_killed_broker(KafkaVersion::V0_9_0_1)
}

#[test]
fn partitions_are_added_and_refusals_noticed() -> Result<()> {
    let cluster = Cluster::shared(KafkaVersion::V0_8_2_2)?;
    let topic = unique("growing");
    cluster.create_topic(&topic, 1, 1)?;
    cluster.alter_partitions(&topic, 3)?;
    assert_eq!(cluster.metadata()?.topics[&topic].len(), 3);
    let refused = cluster.create_topic(&topic, 1, 1).expect_err("it exists");
    assert!(format!("{refused:#}").contains("exists"), "{refused:#}");
    Ok(())
}

#[test]
fn a_view_writes_what_a_test_plants() -> Result<()> {
    let view = Cluster::shared(KafkaVersion::V0_9_0_1)?.zookeeper_view()?;
    let parent = format!("/{}", unique("planted"));
    let node = format!("{parent}/node");
    assert_eq!(view.text(&node)?, None);
    view.put(&node, "one")?;
    view.put(&node, "two")?;
    assert_eq!(view.text(&node)?.as_deref(), Some("two"));
    assert_eq!(view.children(&parent)?, ["node"]);
    assert!(view.put_ephemeral(&format!("{parent}/member"), "here")?);
    assert!(!view.put_ephemeral(&node, "three")?);
    view.delete(&node)?;
    view.delete(&node)?;
    assert_eq!(view.children(&parent)?, ["member"]);
    Ok(())
}

#[test]
fn a_broker_is_stopped_continued_and_terminated() -> Result<()> {
    let cluster = Cluster::builder().start()?;
    let broker = &cluster.brokers()[0];
    let stat = format!("/proc/{}/stat", broker.pid().context("no pid")?);
    let is_stopped = || std::fs::read_to_string(&stat).is_ok_and(|stat| stat.contains(") T "));
    broker.stop()?;
    wait_for(PATIENCE, "the broker to stop", is_stopped)?;
    broker.cont()?;
    wait_for(PATIENCE, "the broker to go on", || !is_stopped())?;
    divvy_tests::metadata::fetch(broker.address())?;
    broker.term()?;
    assert!(!broker.is_running());
    assert!(
        broker.log_tail(20).contains("shut down completed"),
        "{}",
        broker.log_tail(20)
    );
    Ok(())
}

#[test]
fn a_failed_start_shows_the_log() {
    let failed = Cluster::builder()
        .property("num.partitions", "several")
        .start()
        .expect_err("a bad property");
    assert!(format!("{failed:#}").contains("several"), "{failed:#}");
}

/// A cluster dies with its process, even when that is killed before it can do anything about it.
#[test]
fn a_cluster_dies_with_its_process() -> Result<()> {
    let mut parent = Command::new(env!("CARGO_BIN_EXE_cluster"))
        .args(["up", "--kafka", "0.8.2.2"])
        .stdout(Stdio::piped())
        .spawn()?;
    let addresses = first_line(&mut parent)?;
    let zookeeper = value_of(&addresses, "zookeeper").parse::<SocketAddr>()?;
    let broker = value_of(&addresses, "bootstrap").parse::<SocketAddr>()?;
    let directory = zookeeper_directory(zookeeper)?;
    assert!(std::fs::exists(&directory)?);

    parent.kill()?;
    parent.wait()?;
    wait_for(PATIENCE, "the JVMs to die", || {
        TcpStream::connect(zookeeper).is_err() && TcpStream::connect(broker).is_err()
    })?;
    wait_for(PATIENCE, "the data to be removed", || {
        !std::fs::exists(&directory).unwrap_or(true)
    })
}

fn first_line(child: &mut Child) -> Result<String> {
    let mut line = String::new();
    BufReader::new(child.stdout.take().context("no stdout")?).read_line(&mut line)?;
    Ok(line)
}

fn value_of<'a>(line: &'a str, key: &str) -> &'a str {
    line.split_whitespace()
        .find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
        .unwrap_or_default()
}

/// Where a ZooKeeper server keeps its data, as it says itself.
fn zookeeper_directory(server: SocketAddr) -> Result<String> {
    let answer = four_letter_word(server, "conf")?;
    let directory = answer
        .lines()
        .find_map(|line| line.strip_prefix("dataDir="));
    directory
        .map(str::to_owned)
        .with_context(|| format!("no dataDir in {answer}"))
}

#[test]
fn a_process_is_heard_and_killed() -> Result<()> {
    let mut command = Command::new("sh");
    command.args([
        "-c",
        "read -r line; echo \"got $line\"; echo oops >&2; printf half; exec cat",
    ]);
    let process = Process::spawn("the script", &mut command)?;
    process.write(b"it\n")?;
    let line = process
        .stdout()
        .wait_for(PATIENCE, "an answer", |line| line.starts_with("got"))?;
    assert_eq!(line.text(), "got it");
    assert!(line.at <= Instant::now());
    process
        .stderr()
        .wait_for(PATIENCE, "a complaint", |line| line == "oops")?;

    assert!(process.is_running());
    process.kill();
    process.wait(PATIENCE)?;
    assert!(!process.is_running());
    assert!(process.term().is_err());
    assert!(process.wait_success(PATIENCE).is_err());
    assert_eq!(process.stdout().partial(), b"half");
    assert_eq!(process.stdout().len(), 1);
    let pid = Pid::from_raw(i32::try_from(process.pid())?).context("no pid")?;
    assert!(test_kill_process(pid).is_err());
    Ok(())
}

#[test]
fn a_held_reader_reads_nothing() -> Result<()> {
    let process = Process::spawn("cat", &mut Command::new("cat"))?;
    process.write(b"heard\n")?;
    process
        .stdout()
        .wait_for(PATIENCE, "the first line", |line| line == "heard")?;
    process.stdout().hold();
    process.write(b"on its way\nheld\nheld too\n")?;
    process.close_stdin();
    process.wait_success(PATIENCE)?;
    // The read that was waiting already still ends with its line.
    assert!(
        process.stdout().len() <= 2,
        "{:?}",
        process.stdout().texts()
    );
    process.stdout().release();
    wait_for(PATIENCE, "the held lines", || process.stdout().len() == 4)?;
    assert_eq!(
        process.stdout().texts(),
        ["heard", "on its way", "held", "held too"]
    );
    Ok(())
}

#[test]
fn the_program_is_built() -> Result<()> {
    let program = Divvy::program()?;
    assert!(program.is_file(), "{}", program.display());
    Ok(())
}

/// An echo server for the proxy to lead to.
fn echo() -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                std::io::copy(&mut stream.try_clone().expect("a socket"), &mut stream)
            });
        }
    });
    Ok(address)
}

/// An echo server that also tells the test what arrives.
fn listener() -> Result<(SocketAddr, mpsc::Receiver<u8>)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    let (arrived, asked) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let arrived = arrived.clone();
            std::thread::spawn(move || {
                let mut answers = &stream;
                for byte in BufReader::new(&stream).bytes().map_while(Result::ok) {
                    // Nobody is left to tell when the test or the proxy has ended.
                    let _ = arrived.send(byte);
                    let _ = answers.write_all(&[byte]);
                }
            });
        }
    });
    Ok((address, asked))
}

fn says(stream: &mut TcpStream, text: &[u8]) -> std::io::Result<Vec<u8>> {
    stream.write_all(text)?;
    let mut answer = vec![0; text.len()];
    stream.read_exact(&mut answer)?;
    Ok(answer)
}

fn connect(proxy: &Proxy) -> Result<TcpStream> {
    let stream = TcpStream::connect(proxy.address())?;
    stream.set_read_timeout(Some(Duration::from_millis(100)))?;
    Ok(stream)
}

#[test]
fn a_proxy_fails_on_command() -> Result<()> {
    let proxy = Proxy::start(echo()?)?;
    let mut stream = connect(&proxy)?;
    assert_eq!(says(&mut stream, b"forward")?, b"forward");

    proxy.set_mode(ProxyMode::Freeze);
    assert!(says(&mut stream, b"frozen").is_err());
    proxy.set_mode(ProxyMode::Forward);
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut late = [0; 6];
    stream.read_exact(&mut late)?;
    assert_eq!(&late, b"frozen");

    proxy.set_mode(ProxyMode::Refuse);
    wait_for(PATIENCE, "a refusal", || {
        TcpStream::connect(proxy.address()).is_err()
    })?;
    assert_eq!(says(&mut stream, b"still")?, b"still");
    proxy.cut();
    assert_eq!(stream.read(&mut [0; 1])?, 0);

    proxy.set_mode(ProxyMode::BlackHole);
    wait_for(PATIENCE, "a listener", || {
        TcpStream::connect(proxy.address()).is_ok()
    })?;
    let mut stream = connect(&proxy)?;
    assert!(says(&mut stream, b"swallowed").is_err());
    proxy.set_mode(ProxyMode::Forward);
    assert_eq!(stream.read(&mut [0; 1])?, 0);
    let accepted = proxy.accepted();
    assert_eq!(says(&mut connect(&proxy)?, b"anew")?, b"anew");
    assert_eq!(proxy.accepted(), accepted + 1);
    Ok(())
}

/// A link that fails one way only: what is asked arrives, and the answer does not, or the other way round.
#[test]
fn a_proxy_fails_one_way() -> Result<()> {
    let (server, asked) = listener()?;
    let proxy = Proxy::start(server)?;
    let mut stream = connect(&proxy)?;
    let next = || asked.recv_timeout(PATIENCE);

    proxy.set_mode(ProxyMode::FreezeOneWay(Direction::ToClient));
    assert!(says(&mut stream, b"a").is_err());
    assert_eq!(next()?, b'a');
    proxy.set_mode(ProxyMode::FreezeOneWay(Direction::ToServer));
    let mut late = [0; 1];
    stream.read_exact(&mut late)?;
    assert_eq!(&late, b"a");
    assert!(says(&mut stream, b"b").is_err());
    assert!(asked.try_recv().is_err());
    proxy.set_mode(ProxyMode::Forward);
    stream.read_exact(&mut late)?;
    assert_eq!((&late, next()?), (b"b", b'b'));

    proxy.set_mode(ProxyMode::BlackHoleOneWay(Direction::ToClient));
    assert!(says(&mut stream, b"c").is_err());
    assert_eq!(next()?, b'c');
    // The answer is lost for good, and the client learns no more than that the connection has ended.
    proxy.set_mode(ProxyMode::Forward);
    stream.set_read_timeout(Some(PATIENCE))?;
    assert_eq!(stream.read(&mut late)?, 0);

    let mut stream = connect(&proxy)?;
    proxy.set_mode(ProxyMode::BlackHoleOneWay(Direction::ToServer));
    assert!(says(&mut stream, b"d").is_err());
    assert!(asked.try_recv().is_err());
    Ok(())
}
