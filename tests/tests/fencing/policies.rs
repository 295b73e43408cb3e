//! What a member does while ZooKeeper does not answer is its operator's choice.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use divvy_tests::{Cluster, KafkaVersion, ProxyMode, on_embedded, on_kafka_0_8_2_2, wait_for};

use crate::scene::{LEASE, RATE, SESSION_TIMEOUT, TAKEN_OVER_WITHIN, committed, group, group_with};

on_embedded!(
    the_strict_pause_at_once,
    the_careless_go_on_and_harm_nobody,
    a_suspension_is_told_with_its_tokens,
    a_member_ends_in_time_although_zookeeper_is_silent,
);
on_kafka_0_8_2_2!(
    the_strict_pause_at_once,
    the_careless_go_on_and_harm_nobody,
    a_suspension_is_told_with_its_tokens,
    a_member_ends_in_time_although_zookeeper_is_silent,
);

const AWAY: Duration = Duration::from_secs(1);
/// How long a member that is asked to end may take, whatever is the matter.
const ENDS_WITHIN: Duration = Duration::from_secs(2);
/// What noticing a closed connection and the lines on their way may take.
const AT_ONCE: Duration = Duration::from_millis(300);

/// `pause`: nothing is printed from the moment on at which the connection is lost, and everything goes on where it stood when
/// it is back.
fn the_strict_pause_at_once(version: KafkaVersion) -> Result<()> {
    let cluster = Cluster::shared(version)?;
    let (mut group, producers) = group_with(cluster, 2, &["--on-zk-loss", "pause"])?;
    let owners = group.owners()?;
    let cut = Instant::now();
    group.proxy(0)?.set_mode(ProxyMode::Refuse);
    group.proxy(0)?.cut();
    wait_for(2 * AWAY, "the end of the outage", || cut.elapsed() >= AWAY)?;
    let healed = Instant::now();
    group.proxy(0)?.set_mode(ProxyMode::Forward);
    for event in ["suspended", "resumed"] {
        group.divvy(0).wait_for_event(AWAY, event, |_| true)?;
    }
    group.wait_for_lines(2 * RATE as usize)?;
    group.nothing_moved_since(&owners)?;
    if let Some(last) = group.output.last_line(0, cut..healed) {
        ensure!(
            last - cut <= AT_ONCE,
            "it printed for {:?} without ZooKeeper",
            last - cut
        );
    }
    group.nothing_is_lost(producers)?;
    group.printed_once_and_in_order()
}

/// `continue`: it goes on although others take its partitions over, as Java's consumer does, but what is committed does not go
/// back for that.
fn the_careless_go_on_and_harm_nobody(version: KafkaVersion) -> Result<()> {
    let cluster = Cluster::shared(version)?;
    let (mut group, producers) = group_with(cluster, 2, &["--on-zk-loss", "continue"])?;
    let mut committed = committed(&group)?;
    let before = group.owners()?;
    let cut = Instant::now();
    group.proxy(0)?.set_mode(ProxyMode::BlackHole);
    group.members[0].lives = false;
    let alone = group.settle_from(&before, TAKEN_OVER_WITHIN)?;
    committed.watch(SESSION_TIMEOUT)?;
    let healed = Instant::now();
    group.proxy(0)?.set_mode(ProxyMode::Forward);
    group.members[0].lives = true;
    group.settle_from(&alone, divvy_tests::group::PATIENCE)?;
    committed.watch(Duration::from_secs(2))?;
    group.collect()?;
    let last = group.output.last_line(0, cut..healed);
    let last = last.context("it printed nothing after the cut")? - cut;
    ensure!(last > LEASE + AT_ONCE, "it stopped after {last:?}");
    committed.never_went_back()?;
    group.nothing_is_lost(producers)
}

/// The default neither pauses at once nor goes on for ever: other tests hold that. Here: it tells what it does.
fn a_suspension_is_told_with_its_tokens(version: KafkaVersion) -> Result<()> {
    let cluster = Cluster::builder().kafka(version).start()?;
    let (group, producers) = group(&cluster, 1)?;
    cluster.zookeepers()[0].stop()?;
    let suspended = group
        .divvy(0)
        .wait_for_event(SESSION_TIMEOUT, "suspended", |_| true)?;
    cluster.zookeepers()[0].cont()?;
    let tokens = suspended.fields["tokens"].as_object();
    let tokens = tokens.context("there are no tokens")?;
    ensure!(tokens.len() == 8, "{tokens:?}");
    drop(producers);
    Ok(())
}

/// Asked to end, a member does so although ZooKeeper says nothing: before its lease has run out, and after that.
fn a_member_ends_in_time_although_zookeeper_is_silent(version: KafkaVersion) -> Result<()> {
    let cluster = Cluster::builder().kafka(version).start()?;
    for suspended in [false, true] {
        let (group, producers) = group(&cluster, 1)?;
        cluster.zookeepers()[0].stop()?;
        if suspended {
            let member = group.divvy(0);
            member.wait_for_event(SESSION_TIMEOUT, "suspended", |_| true)?;
        }
        group.members[0].program.term()?;
        let ended = group.members[0].program.wait(ENDS_WITHIN);
        cluster.zookeepers()[0].cont()?;
        ensure!(
            ended?.success(),
            "it was asked to end, and calls that a failure"
        );
        drop(producers);
    }
    Ok(())
}
