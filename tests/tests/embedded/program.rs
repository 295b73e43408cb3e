//! `divvy embedded`.

use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use divvy_tests::ports::PortLease;
use divvy_tests::{Divvy, wait_for};

use super::PATIENCE;

/// How long the cluster may take to end.
const ENDS_WITHIN: Duration = Duration::from_secs(5);
const MESSAGES: usize = 500;

/// A cluster of three brokers as a process: a topic is made, written to, and read by a group of two; SIGTERM ends it in order.
#[test]
fn a_group_lives_on_the_program_until_sigterm() -> Result<()> {
    for kafka in ["0.8.2", "0.9"] {
        let served = serve(&["--brokers", "3", "--kafka", kafka])?;
        let (zookeeper, brokers) = (served.zookeeper.as_str(), served.brokers.join(","));
        ensure!(served.brokers.len() == 3, "{brokers}");
        let topic = [
            "topic", "create", "-z", zookeeper, "numbers", "-p", "6", "-r", "2",
        ];
        run(&topic, "")?;
        let lines: String = (0..MESSAGES).map(|number| format!("{number}\n")).collect();
        run(&["produce", "-b", &brokers, "-t", "numbers"], &lines)?;
        let consume = ["consume", "-z", zookeeper, "-g", "group", "-t", "numbers"];
        let members = [
            Divvy::command(consume).spawn()?,
            Divvy::command(consume).spawn()?,
        ];
        wait_for(PATIENCE, "every message", || {
            let lines = members.iter().flat_map(|member| member.stdout().texts());
            let values: BTreeSet<usize> = lines.filter_map(|line| line.parse().ok()).collect();
            values == (0..MESSAGES).collect()
        })?;
        for member in &members {
            member.term()?;
            member.wait_success(PATIENCE)?;
        }
        served.program.term()?;
        served.program.wait_success(ENDS_WITHIN)?;
        for address in served.brokers.iter().map(String::as_str).chain([zookeeper]) {
            let address: SocketAddr = address.parse()?;
            ensure!(TcpStream::connect(address).is_err(), "{address} is open");
        }
    }
    Ok(())
}

/// It listens where it is told to, and says so where somebody else does already.
#[test]
fn it_listens_where_it_is_told_to() -> Result<()> {
    let (zookeeper, broker) = (PortLease::new()?, PortLease::new()?);
    let ports = [&zookeeper, &broker].map(|lease| lease.port().to_string());
    let arguments = [
        "embedded",
        "--zookeeper-port",
        &ports[0],
        "--port",
        &ports[1],
    ];
    let first = Divvy::command(arguments).spawn()?;
    let line = first
        .stdout()
        .wait_for(PATIENCE, "its addresses", |_| true)?;
    let said = String::from_utf8_lossy(&line.bytes).into_owned();
    let wanted = format!(
        "zookeeper={} brokers={}",
        zookeeper.address(),
        broker.address()
    );
    ensure!(said.trim() == wanted, "{said}");
    let (status, second) = Divvy::command(arguments).run(b"", PATIENCE)?;
    let complaint = second.stderr().tail(5);
    ensure!(
        status.code() == Some(1) && complaint.contains(&zookeeper.address().to_string()),
        "{status}: {complaint}"
    );
    Ok(())
}

/// A cluster as a process, on free ports.
pub(super) struct Served {
    pub(super) program: Divvy,
    pub(super) zookeeper: String,
    pub(super) brokers: Vec<String>,
}

pub(super) fn serve(arguments: &[&str]) -> Result<Served> {
    let free = ["embedded", "--port", "0", "--zookeeper-port", "0"];
    let program = Divvy::command(free.iter().chain(arguments)).spawn()?;
    let line = program
        .stdout()
        .wait_for(PATIENCE, "its addresses", |_| true)?;
    let said = String::from_utf8_lossy(&line.bytes).into_owned();
    let addresses = said.trim().strip_prefix("zookeeper=");
    let addresses = addresses.and_then(|rest| rest.split_once(" brokers="));
    let (zookeeper, brokers) = addresses.with_context(|| format!("it says {said}"))?;
    Ok(Served {
        program,
        zookeeper: zookeeper.to_owned(),
        brokers: brokers.split(',').map(str::to_owned).collect(),
    })
}

pub(super) fn run(arguments: &[&str], input: &str) -> Result<()> {
    let (status, divvy) = Divvy::command(arguments).run(input.as_bytes(), PATIENCE)?;
    ensure!(
        status.success(),
        "{arguments:?}: {}",
        divvy.stderr().tail(20)
    );
    Ok(())
}
