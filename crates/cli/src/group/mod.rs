//! `divvy group`: looking at groups from outside, and mending what is wrong with them.

mod describe;
mod doctor;
mod lag;
mod list;
mod remove;
mod reset;
mod watch;

use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use clap::{Args, Subcommand};
use divvy::admin::{GroupAdmin, GroupView};
use divvy::{Client, ZooKeeper};

use crate::errors::usage;
use crate::options::ClusterOptions;

pub(crate) use self::reset::report as report_plan;

/// Nothing hangs on the timeout of a session that only looks.
pub(crate) const SESSION_TIMEOUT: Duration = Duration::from_secs(6);

/// Look at groups that are coordinated through ZooKeeper, whoever their members are, and mend what is wrong with them.
#[derive(Subcommand)]
pub(crate) enum Group {
    /// Print every group, and how many members it has.
    List(list::List),
    /// Print a group's members, and for each partition its owner, the stored offset, the end of its log and the lag.
    Describe(describe::Describe),
    /// Print how far a group is behind, and with --interval how fast that changes and why.
    Lag(lag::Lag),
    /// Show a group again and again.
    Watch(watch::Watch),
    /// Move a group's stored offsets. Says what it would do, and does it with --execute.
    Reset(reset::Reset),
    /// Find what is wrong with a group, and say what to do about it. Ends with 1 if there is something.
    Doctor(doctor::Doctor),
    /// Delete what a group without members has left in ZooKeeper.
    Remove(remove::Remove),
}

/// Which group.
#[derive(Args, Clone, Debug)]
pub(crate) struct GroupOptions {
    #[command(flatten)]
    pub(crate) cluster: ClusterOptions,

    /// The group.
    #[arg(value_name = "GROUP")]
    name: Option<String>,

    /// The group, as in the other commands.
    #[arg(short, long, value_name = "GROUP", env = "DIVVY_GROUP")]
    group: Option<String>,

    /// A topic of the group; may be given several times. Topics that ZooKeeper has a trace of are known without.
    #[arg(short, long = "topic", value_name = "TOPIC")]
    pub(crate) topics: Vec<String>,

    /// Print one JSON object a line.
    #[arg(short, long)]
    pub(crate) json: bool,
}

impl GroupOptions {
    pub(crate) fn group(&self) -> Result<&str> {
        let named = self.name.as_deref().or(self.group.as_deref());
        named.ok_or_else(|| usage("say which group: its name, or --group"))
    }

    pub(crate) async fn admin(&self) -> Result<GroupAdmin> {
        admin(&self.cluster).await
    }

    pub(crate) async fn describe(&self, admin: &GroupAdmin) -> Result<GroupView> {
        let mut view = admin.describe(self.group()?, &self.topics).await?;
        if !self.topics.is_empty() {
            // Who names topics wants to see these.
            let named = |topic: &str| self.topics.iter().any(|named| named == topic);
            view.partitions.retain(|tp, _| named(&tp.topic));
        }
        Ok(view)
    }
}

/// An administrator with brokers. The groups' ZooKeeper has to be named.
pub(crate) async fn admin(cluster: &ClusterOptions) -> Result<GroupAdmin> {
    let zookeeper = zookeeper(cluster)?;
    let client = cluster.connect(SESSION_TIMEOUT).await?;
    Ok(GroupAdmin::new(zookeeper, Some(client)))
}

/// [`admin`], where what ZooKeeper knows is of use without any broker. Gives the reason why there is none.
async fn admin_with_or_without_brokers(
    cluster: &ClusterOptions,
) -> Result<(GroupAdmin, Option<anyhow::Error>)> {
    let zookeeper = zookeeper(cluster)?;
    // Asked first, so that whatever is wrong with ZooKeeper itself is said as such.
    zookeeper.session().await?;
    let (client, why): (Option<Client>, _) = match cluster.connect(SESSION_TIMEOUT).await {
        Ok(client) => (Some(client), None),
        Err(error) => (None, Some(error)),
    };
    Ok((GroupAdmin::new(zookeeper, client), why))
}

fn zookeeper(cluster: &ClusterOptions) -> Result<ZooKeeper> {
    let config = cluster.zookeeper(SESSION_TIMEOUT);
    let config = config.ok_or_else(|| usage("say where the groups are: --zookeeper HOST:PORT"))?;
    Ok(ZooKeeper::new(config)?)
}

/// Milliseconds since 1970.
fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| i64::try_from(now.as_millis()).unwrap_or(i64::MAX))
}

/// How old something is, as people say it: in its two largest units.
fn age(since_ms: i64) -> String {
    let seconds = u64::try_from(now_ms().saturating_sub(since_ms) / 1000).unwrap_or(0);
    let [day, hour, minute] = [86_400, 3600, 60];
    match seconds {
        s if s >= day => format!("{}d{}h", s / day, s % day / hour),
        s if s >= hour => format!("{}h{}m", s / hour, s % hour / minute),
        s if s >= minute => format!("{}m{}s", s / minute, s % minute),
        s => format!("{s}s"),
    }
}

pub(crate) async fn run(group: Group) -> Result<ExitCode> {
    match group {
        Group::List(args) => list::run(args).await?,
        Group::Describe(args) => describe::run(args).await?,
        Group::Lag(args) => lag::run(args).await?,
        Group::Watch(args) => watch::run(args).await?,
        Group::Reset(args) => reset::run(args).await?,
        Group::Doctor(args) => return doctor::run(args).await,
        Group::Remove(args) => remove::run(args).await?,
    }
    Ok(ExitCode::SUCCESS)
}
