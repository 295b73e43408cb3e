//! The helper process that closes the session of a member that has died.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use divvy_tests::{Cluster, Group, KafkaVersion, on_every_version, scale, wait_for, wait_some};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

on_every_version!(
    a_killed_member_is_succeeded_at_once,
    without_the_helper_the_session_times_out,
    the_helper_outlives_signals_and_not_its_member,
    a_member_outlives_its_helper,
);

const SESSION_TIMEOUT: Duration = Duration::from_secs(3);
const TICK: Duration = Duration::from_millis(500);
/// What a takeover may take besides waiting for ZooKeeper.
const TAKEOVER: Duration = Duration::from_millis(300);
/// How long a helper may live on.
const HELPER_GONE: Duration = Duration::from_secs(1);
const PARTITIONS: i32 = 8;
const RATE: u32 = 2000;

/// Kills one of two members again and again, and gives how long it took each time until the other one printed messages of one of
/// its partitions.
fn takeovers(version: KafkaVersion, arguments: &[&str], kills: usize) -> Result<Vec<Duration>> {
    let cluster = Cluster::shared(version)?;
    let mut group = Group::new(cluster, &[PARTITIONS])?
        .session_timeout(SESSION_TIMEOUT)
        .arguments(arguments);
    let producers = group.produce(RATE)?;
    group.join()?;
    let mut took = Vec::new();
    for _ in 0..kills {
        let victim = group.join()?;
        group.wait_for_lines(RATE as usize)?;
        let before = group.owners()?;
        let lost = group.owned_by(victim, &before);
        let lost = lost.first().context("the victim owned nothing")?;
        let killed = group.kill(victim)?;
        let after = group.settle_from(&before, SESSION_TIMEOUT + TICK + 2 * TAKEOVER)?;
        let heir = group.owner_of(lost, &after)?;
        took.push(group.wait_for_line_of(heir, lost, killed)? - killed);
    }
    group.nothing_is_lost(producers)?;
    took.sort();
    Ok(took)
}

fn a_killed_member_is_succeeded_at_once(version: KafkaVersion) -> Result<()> {
    let took = takeovers(version, &[], scale(5, 20))?;
    let median = took[took.len() / 2];
    ensure!(median <= TAKEOVER, "the median of {took:?} is {median:?}");
    Ok(())
}

fn without_the_helper_the_session_times_out(version: KafkaVersion) -> Result<()> {
    let took = takeovers(version, &["--no-crash-release"], scale(1, 5))?;
    for took in took {
        // The last sign of life may be a probe's interval old.
        ensure!(
            took >= SESSION_TIMEOUT * 2 / 3,
            "there is a helper: {took:?}"
        );
        ensure!(took <= SESSION_TIMEOUT + TICK + TAKEOVER, "{took:?}");
    }
    Ok(())
}

/// A helper takes no notice of signals, keeps nothing secret in sight, does not disturb an orderly end, and ends with its member
/// in whatever way that ends.
fn the_helper_outlives_signals_and_not_its_member(version: KafkaVersion) -> Result<()> {
    let cluster = Cluster::shared(version)?;
    let mut group = Group::new(cluster, &[2])?.session_timeout(SESSION_TIMEOUT);
    let (leaves, dies) = (group.join()?, group.join()?);

    let member = group.divvy(leaves).pid();
    let helper = helper_of(member)?;
    ensure!(
        command_line(helper)?.ends_with(&format!("\0crash-release-helper\0{member}\0")),
        "{:?}",
        command_line(helper)?
    );
    for descriptor in 1..=2 {
        let target = fs::read_link(format!("/proc/{helper}/fd/{descriptor}"))?;
        ensure!(
            target.ends_with("null"),
            "{descriptor} is {}",
            target.display()
        );
    }
    let signals = [Signal::TERM, Signal::INT, Signal::HUP];
    wait_for(HELPER_GONE, "the helper to catch signals", || {
        signals.iter().all(|signal| catches(helper, *signal))
    })?;
    for signal in signals {
        kill_process(pid(helper)?, signal)?;
    }
    stays(helper)?;
    // As a terminal or a service manager signals.
    let before = group.owners()?;
    kill_process_group(pid(member)?, Signal::TERM)?;
    group.divvy(leaves).wait_success(Duration::from_secs(5))?;
    let left = Instant::now();
    let ids = group.view.ids(&group.name)?;
    ensure!(ids.len() == 1, "it did not leave in order: {ids:?}");
    ends_soon(helper, left)?;
    group.members[leaves].lives = false;
    group.settle_from(&before, SESSION_TIMEOUT)?;

    let member = group.divvy(dies).pid();
    let helper = helper_of(member)?;
    group.divvy(dies).signal(Signal::STOP)?;
    stays(helper)?;
    ensure!(
        !group.view.ids(&group.name)?.is_empty(),
        "a live member's session was closed"
    );
    let killed = group.kill(dies)?;
    ends_soon(helper, killed)?;
    ensure!(
        group.view.ids(&group.name)?.is_empty(),
        "its session was not closed"
    );
    Ok(())
}

/// A helper that dies is no harm to its member, and is not left as a zombie.
fn a_member_outlives_its_helper(version: KafkaVersion) -> Result<()> {
    let cluster = Cluster::shared(version)?;
    let mut group = Group::new(cluster, &[2])?;
    let member = group.join()?;
    let owners = group.owners()?;
    let helper = helper_of(group.divvy(member).pid())?;
    kill_process(pid(helper)?, Signal::KILL)?;
    let place = format!("/proc/{helper}");
    wait_for(HELPER_GONE, "the helper to be reaped", || {
        !Path::new(&place).exists()
    })?;
    group.nothing_moved_since(&owners)?;
    group.leave(member)
}

/// Demands that a helper has no reason to end.
fn stays(helper: u32) -> Result<()> {
    let gone = wait_for(SESSION_TIMEOUT / 6, "its end", || !runs(helper));
    ensure!(gone.is_err(), "the helper has ended while its member lives");
    Ok(())
}

fn ends_soon(helper: u32, from: Instant) -> Result<()> {
    let left = HELPER_GONE.saturating_sub(from.elapsed());
    wait_for(left, "the helper to end", || !runs(helper))
}

/// The process id of a member's helper, which is its only child.
fn helper_of(member: u32) -> Result<u32> {
    wait_some(Duration::from_secs(5), "the helper", || {
        let tasks = fs::read_dir(format!("/proc/{member}/task")).ok()?;
        tasks.filter_map(Result::ok).find_map(|task| {
            let children = fs::read_to_string(task.path().join("children")).ok()?;
            children.split_whitespace().next()?.parse().ok()
        })
    })
}

fn command_line(process: u32) -> Result<String> {
    Ok(fs::read_to_string(format!("/proc/{process}/cmdline"))?)
}

/// Whether the process is there; one that is gone and was not waited for is not.
fn runs(process: u32) -> bool {
    command_line(process).is_ok_and(|line| !line.is_empty())
}

/// Whether a process has a handler for a signal.
fn catches(process: u32, signal: Signal) -> bool {
    let caught = || {
        let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
        let mask = status
            .lines()
            .find_map(|line| line.strip_prefix("SigCgt:"))?;
        u64::from_str_radix(mask.trim(), 16).ok()
    };
    caught().is_some_and(|mask| mask >> (signal.as_raw() - 1) & 1 == 1)
}

fn pid(process: u32) -> Result<Pid> {
    Pid::from_raw(i32::try_from(process)?).context("no process id")
}
