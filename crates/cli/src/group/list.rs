use anyhow::Result;
use clap::Args;
use serde_json::json;

use super::admin_with_or_without_brokers;
use crate::options::ClusterOptions;
use crate::table::{Table, number, print, text, width};

/// Print every group, and how many members it has.
#[derive(Args)]
pub(crate) struct List {
    #[command(flatten)]
    cluster: ClusterOptions,

    /// Leave out groups without members.
    #[arg(long)]
    live: bool,

    /// Print one JSON object a line.
    #[arg(short, long)]
    json: bool,
}

pub(crate) async fn run(args: List) -> Result<()> {
    let (admin, _) = admin_with_or_without_brokers(&args.cluster).await?;
    let mut groups = admin.groups().await?;
    groups.retain(|group| group.members > 0 || !args.live);
    if args.json {
        return print(groups.iter().map(|group| {
            let live = group.members > 0;
            json!({"group": group.group, "members": group.members, "live": live}).to_string()
        }));
    }
    let mut table = Table::new([text("group"), number("members")]);
    for group in groups {
        table.row([group.group, group.members.to_string()]);
    }
    print(table.lines(width()))
}
