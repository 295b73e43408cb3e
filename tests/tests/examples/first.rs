//! A newcomer's first program: README's ten lines, taken as they stand, and what becomes of wrong values in them.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use divvy::BalancedConsumer;
use divvy_tests::{
    Cluster, KafkaVersion, Process, on_embedded, paths, target_folder, unique, warden,
};
use futures_util::future::try_join_all;
use tokio::time::timeout;

use super::{PATIENCE, write};

on_embedded!(the_ten_lines_print_a_message, wrong_values_say_what_to_do);

/// What a build of everything that `divvy` needs may take on a machine that is busy with other tests.
const BUILT_WITHIN: Duration = Duration::from_secs(600);
/// Within this time a wrong value must have become an error.
const GIVEN_UP_WITHIN: Duration = Duration::from_secs(10);

fn the_ten_lines_print_a_message(version: KafkaVersion) -> Result<()> {
    let program = block("rust")?;
    let lines = program.lines().filter(|line| !line.is_empty()).count();
    ensure!(lines <= 10, "{lines} lines: {program}");
    let cluster = Cluster::shared(version)?;
    cluster.create_topic("orders", 2, 1)?;
    write(cluster, "orders", &[(1, "espresso")])?;

    let folder = warden::temporary_directory()?;
    let address = cluster.zookeeper_connect();
    let program = replaced(&program, "127.0.0.1:2181", &address)?;
    let program = Command::new(build(folder.path(), &program)?);
    let program = Process::spawn("first", &mut { program })?;
    let printed = "orders-1@0: espresso";
    program
        .stdout()
        .wait_for(PATIENCE, printed, |line| line == printed)?;
    Ok(())
}

/// What a newcomer does in a folder of theirs. The versions are the workspace's, so that nothing has to be downloaded, and what was
/// built is kept in its target folder, so that this takes its time once.
fn build(folder: &Path, program: &str) -> Result<PathBuf> {
    let workspace = paths::workspace();
    let target = target_folder()?.join("first");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let project = folder.join("first");
    let run = |directory: &Path, arguments: &[&str]| {
        let mut command = Command::new(&cargo);
        command.args(arguments).current_dir(directory);
        command.env("CARGO_TARGET_DIR", &target);
        // What nobody debugs takes a third of the room.
        command.envs([("CARGO_PROFILE_DEV_DEBUG", "0"), ("CARGO_INCREMENTAL", "0")]);
        Process::spawn("cargo", &mut command)?.wait_success(BUILT_WITHIN)
    };
    run(folder, &["new", "--quiet", "--vcs", "none", "first"])?;
    let manifest = fs::read_to_string(project.join("Cargo.toml"))?;
    let divvy = workspace.join("crates/divvy").display().to_string();
    let dependencies = replaced(&block("toml")?, "../divvy/crates/divvy", &divvy)?;
    let manifest = replaced(&manifest, "[dependencies]\n", &dependencies)?;
    fs::write(project.join("Cargo.toml"), manifest)?;
    fs::copy(workspace.join("Cargo.lock"), project.join("Cargo.lock"))?;
    fs::write(project.join("src/main.rs"), program)?;
    run(&project, &["build", "--quiet", "--offline"])?;
    Ok(target.join("debug/first"))
}

/// The first block of this language in README's part about the library.
fn block(language: &str) -> Result<String> {
    let page = fs::read_to_string(paths::workspace().join("README.md"))?;
    let part = page
        .split_once("\n## As a library\n")
        .context("no part about the library")?;
    let code = part
        .1
        .split_once(&format!("```{language}\n"))
        .context("no such block")?;
    let code = code.1.split_once("```").context("a block without an end")?;
    Ok(code.0.to_owned())
}

/// `text` with something else in the place of what is there exactly once.
fn replaced(text: &str, old: &str, new: &str) -> Result<String> {
    ensure!(
        text.matches(old).count() == 1,
        "{old} is not there once: {text}"
    );
    Ok(text.replace(old, new))
}

/// Each in the place of the right value of the ten lines, all at a time, because some take seconds to be given up.
fn wrong_values_say_what_to_do(version: KafkaVersion) -> Result<()> {
    let cluster = Cluster::shared(version)?;
    let topic = unique("orders");
    cluster.create_topic(&topic, 1, 1)?;
    let nobody = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
        .local_addr()?
        .to_string();
    let (right, broker) = (cluster.zookeeper_connect(), cluster.bootstrap());
    let (no_chroot, no_brokers) = (format!("{right}/nowhere"), format!("{right}/brokers"));
    let running = "is ZooKeeper running there?";
    let addresses: [(&str, &[&str]); 7] = [
        (&nobody, &[&nobody, "refused", running]),
        (
            "nowhere.invalid",
            &["nowhere.invalid:2181", "lookup", running],
        ),
        (&broker, &[&broker, "it is a broker's port", running]),
        (
            &no_chroot,
            &[
                "has no node /nowhere",
                "is the chroot of the connect string right",
            ],
        ),
        (
            &no_brokers,
            &[
                "no broker is registered",
                &no_brokers,
                "is the chroot right?",
            ],
        ),
        ("", &["connect", "a server is missing; write host:port"]),
        (
            "127.0.0.1:zookeeper",
            &["`127.0.0.1:zookeeper` has no valid port; write host:port"],
        ),
    ];
    let names: [(&str, &str, &[&str]); 5] = [
        (
            "billing",
            "unknown",
            &["topic `unknown` does not exist; create it first, or check"],
        ),
        (
            "billing",
            "a b",
            &["topic name `a b`: has characters other than letters"],
        ),
        (
            "billing",
            "",
            &["topics", "topic name", "is empty; give it one"],
        ),
        ("", &topic, &["group name", "is empty; give it one"]),
        (
            "a/b",
            &topic,
            &["group name `a/b`", "characters other than letters"],
        ),
    ];
    let addresses = addresses.map(|(address, words)| fails(address, "billing", &topic, words));
    let names = names.map(|(group, topic, words)| fails(&right, group, topic, words));
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(try_join_all(addresses.into_iter().chain(names)))?;
    // The right ones are right.
    let joined = BalancedConsumer::join(right.as_str(), "billing", [topic.as_str()]);
    Ok(runtime.block_on(async { joined.await?.close().await })?)
}

/// Joining ends in time with an error that contains all of these words, in the form in which `main` gives it back.
async fn fails(address: &str, group: &str, topic: &str, words: &[&str]) -> Result<()> {
    let began = Instant::now();
    let joined = timeout(PATIENCE, BalancedConsumer::join(address, group, [topic])).await?;
    let context = format!(
        "`{address}`, `{group}`, `{topic}` after {:?}",
        began.elapsed()
    );
    let error = joined
        .err()
        .with_context(|| format!("no error: {context}"))?;
    let said = format!("{:?}", anyhow::Error::from(error));
    ensure!(began.elapsed() < GIVEN_UP_WITHIN, "{context}: {said}");
    for word in words {
        ensure!(said.contains(word), "no {word:?}: {context}: {said}");
    }
    Ok(())
}
