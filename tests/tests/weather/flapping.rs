//! A broker whose registration comes and goes, while it serves all the time.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use divvy_tests::{Cluster, Group, KafkaVersion, on_every_version, wait_for};

on_every_version!(a_flapping_registration_is_no_rebalance);

const FLAPS: usize = 30;
/// How long the registration is gone, and how long it is there.
const HALF: Duration = Duration::from_millis(50);
/// What a member may make of it all. Brokers connect to one another, too, and to themselves: that is measured without members.
const CONNECTIONS_OF_A_MEMBER: usize = 3;

/// `/brokers/ids/0` is deleted and created again thirty times in three seconds: no owner changes, nothing is lost, and the broker
/// gets hardly a connection more than without members.
fn a_flapping_registration_is_no_rebalance(version: KafkaVersion) -> Result<()> {
    let cluster = Cluster::builder()
        .kafka(version)
        .brokers_behind_proxies()
        .start()?;
    let mut group = Group::new(&cluster, &[8])?;
    let without = flap(&cluster, &group)?;

    let producers = group.produce(1000)?;
    let members = [group.join()?, group.join()?];
    group.wait_for_lines(1000)?;
    let owners = group.owners()?;
    let with = flap(&cluster, &group)?;
    group.nothing_moved_since(&owners)?;
    group.wait_for_lines(1000)?;
    group.nothing_moved_since(&owners)?;
    group.nothing_is_lost(producers)?;
    group.printed_once_and_in_order()?;
    // A controller in Java connects to a broker that registers, and misses some of the times when it is busy.
    let brokers_own = match version.is_embedded() {
        true => without,
        false => without.max(FLAPS),
    };
    let most = brokers_own + members.len() * CONNECTIONS_OF_A_MEMBER;
    ensure!(
        with <= most,
        "{with} connections with members, {without} without, for {FLAPS} registrations"
    );
    Ok(())
}

/// Lets the registration flap, and gives how many connections the broker got meanwhile.
fn flap(cluster: &Cluster, group: &Group<'_>) -> Result<usize> {
    const PATH: &str = "/brokers/ids/0";
    let broker = &cluster.brokers()[0];
    let proxy = broker.proxy().context("the broker has no proxy")?;
    let document = group
        .view
        .text(PATH)?
        .context("the broker is not registered")?;
    let before = proxy.accepted();
    let began = Instant::now();
    let mut next = began;
    for _ in 0..FLAPS {
        group.view.delete(PATH)?;
        next += HALF;
        wait_until(next)?;
        // As the broker's own node, it lives as long as a session: that of the view.
        group.view.put_ephemeral(PATH, &document)?;
        next += HALF;
        wait_until(next)?;
    }
    let took = began.elapsed();
    ensure!(took < 2 * (next - began), "that took {took:?}");
    // What it has set off comes to an end, which the broker shows by serving again.
    cluster.wait_until_in_sync()?;
    Ok(proxy.accepted() - before)
}

fn wait_until(moment: Instant) -> Result<()> {
    wait_for(Duration::from_secs(10), "the next flap", || {
        Instant::now() >= moment
    })
}
