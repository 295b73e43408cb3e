//! A connection to ZooKeeper that is away for less than the session lasts.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use divvy_tests::{Cluster, KafkaVersion, ProxyMode, on_embedded, on_kafka_0_8_2_2, wait_for};

use crate::scene::{RATE, group};

on_embedded!(a_short_outage_is_no_rebalance_and_no_pause);
on_kafka_0_8_2_2!(a_short_outage_is_no_rebalance_and_no_pause);

/// The longest that a message may take to its line. Producer and broker take their part of it.
const PAUSE: Duration = Duration::from_millis(700);

/// Closed and refused, or frozen, for half a second and for one: no owner changes, and nobody pauses.
fn a_short_outage_is_no_rebalance_and_no_pause(version: KafkaVersion) -> Result<()> {
    let cluster = Cluster::shared(version)?;
    let (mut group, mut producers) = group(cluster, 2)?;
    let (topic, producer) = producers.pop().context("there is no producer")?;
    let owners = group.owners()?;
    let mut outages = Vec::new();
    for mode in [ProxyMode::Refuse, ProxyMode::Freeze] {
        for outage in [Duration::from_millis(500), Duration::from_secs(1)] {
            let struck = Instant::now();
            group.proxy(0)?.set_mode(mode);
            if mode == ProxyMode::Refuse {
                group.proxy(0)?.cut();
            }
            wait_for(2 * outage, "the end of the outage", || {
                struck.elapsed() >= outage
            })?;
            group.proxy(0)?.set_mode(ProxyMode::Forward);
            // Whatever it leads to has happened by then.
            group.wait_for_lines(2 * RATE as usize)?;
            group.nothing_moved_since(&owners)?;
            outages.push((mode, outage, struck..Instant::now()));
        }
    }
    let acknowledged = producer.stop()?;
    group.wait_until_printed(&topic, &acknowledged)?;
    group.printed_once_and_in_order()?;
    for (mode, outage, within) in outages {
        let longest = group.output.longest_way(&topic, &acknowledged, &within);
        let longest = longest.context("nothing was written")?;
        ensure!(
            longest <= PAUSE,
            "{mode:?} for {outage:?}: a message took {longest:?}"
        );
    }
    Ok(())
}
