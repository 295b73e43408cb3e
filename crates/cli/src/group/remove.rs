use anyhow::Result;
use clap::Args;
use serde_json::json;

use super::{GroupOptions, admin_with_or_without_brokers};
use crate::table::print;

/// Delete what a group without members has left in ZooKeeper.
///
/// Its offsets there go with it. Offsets in Kafka stay until the brokers forget them.
#[derive(Args)]
pub(crate) struct Remove {
    #[command(flatten)]
    group: GroupOptions,
}

pub(crate) async fn run(args: Remove) -> Result<()> {
    let (admin, _) = admin_with_or_without_brokers(&args.group.cluster).await?;
    let group = args.group.group()?;
    let removed = admin.remove(group).await?;
    print([match args.group.json {
        true => json!({"group": group, "nodes": removed.nodes}).to_string(),
        false => format!(
            "{} nodes of group {group} are deleted; offsets in Kafka, if it has any, stay until the brokers forget them",
            removed.nodes
        ),
    }])
}
