use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::Args;
use divvy::admin::{Finding, GroupAdmin, GroupView, LagChange, confirmed, diagnose};
use serde_json::json;

use super::{GroupOptions, admin_with_or_without_brokers};
use crate::options::duration;
use crate::table::print;

/// Find what is wrong with a group, and say what to do about it. Ends with 1 if there is something.
///
/// Looks twice, and reports what both looks show, because a group that shares its partitions out anew looks odd for a moment. It
/// changes nothing. Name brokers with --bootstrap to have those found that answer without being registered.
#[derive(Args)]
pub(crate) struct Doctor {
    #[command(flatten)]
    group: GroupOptions,

    /// How far the looks are apart. Members that commit less often seem to stand still.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    interval: Duration,
}

/// What one look shows.
struct Look {
    at: Instant,
    view: GroupView,
    findings: Vec<Finding>,
}

pub(crate) async fn run(args: Doctor) -> Result<ExitCode> {
    let options = &args.group;
    options.group()?;
    let (admin, no_broker) = admin_with_or_without_brokers(&options.cluster).await?;
    let no_broker = no_broker.map(|error| format!("{error:#}"));
    let before = look(options, &admin, no_broker.as_deref()).await?;
    tokio::time::sleep(args.interval).await;
    let after = look(options, &admin, no_broker.as_deref()).await?;

    let lag = LagChange::between(&before.view, &after.view, after.at - before.at);
    let findings = confirmed(&before.findings, after.findings, &lag);
    report(&after.view, &findings, options.json)?;
    Ok(match findings.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// Where brokers may answer that ZooKeeper does not know.
fn addresses(options: &GroupOptions) -> Vec<String> {
    let bootstrap = options.cluster.bootstrap.iter();
    let addresses = bootstrap.flat_map(|list| list.split(','));
    addresses.map(|address| address.trim().to_owned()).collect()
}

/// One look; `no_broker` says why nobody could be asked about logs, if that is so.
async fn look(options: &GroupOptions, admin: &GroupAdmin, no_broker: Option<&str>) -> Result<Look> {
    let cluster = admin.cluster(&addresses(options)).await?;
    let mut view = options.describe(admin).await?;
    let at = Instant::now();
    if let Some(why) = no_broker {
        for partition in view.partitions.values_mut() {
            partition.trouble = Some(why.to_owned());
        }
    }
    admin.probe_acl(&mut view).await?;
    let findings = diagnose(&view, &cluster);
    Ok(Look { at, view, findings })
}

fn report(view: &GroupView, findings: &[Finding], as_json: bool) -> Result<()> {
    if as_json {
        return print(findings.iter().map(|finding| {
            json!({
                "group": view.group, "problem": finding.problem.name(),
                "subject": finding.subject, "what": finding.what, "remedy": finding.remedy,
            })
            .to_string()
        }));
    }
    if findings.is_empty() {
        let (members, partitions) = (view.members.len(), view.partitions.len());
        return print([format!(
            "nothing is wrong: {members} members, {partitions} partitions"
        )]);
    }
    print(findings.iter().flat_map(|finding| {
        let (problem, subject) = (finding.problem.name(), plain(&finding.subject));
        [
            format!("{problem}: {subject}"),
            format!("  {}", plain(&finding.what)),
            format!("  → {}", finding.remedy),
        ]
    }))
}

/// A text without what would move the cursor: registrations are written by others.
fn plain(text: &str) -> String {
    text.replace(char::is_control, "?")
}
