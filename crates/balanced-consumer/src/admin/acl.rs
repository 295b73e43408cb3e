//! Whether members may write where they have to.

use std::collections::BTreeSet;

use divvy_client::Result;
use divvy_zookeeper::{Error as ZooKeeperError, Session, paths};

use super::view::GroupView;

/// A version that no node has: they count from 0, and -1 stands for any.
const NO_VERSION: i32 = i32::MIN;

/// The nodes of a group that this session may not write.
pub(super) async fn forbidden(session: &Session, view: &GroupView) -> Result<Vec<String>> {
    let mut forbidden = Vec::new();
    for node in written_by_members(view) {
        match session.set(&node, b"", Some(NO_VERSION)).await {
            // Allowed, or not there.
            Ok(_) => {}
            Err(ZooKeeperError::NoAuth { path, .. }) => forbidden.push(path),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(forbidden)
}

fn written_by_members(view: &GroupView) -> Vec<String> {
    let group = &view.group;
    let mut nodes = vec![
        paths::group_ids(group),
        paths::group_owners(group),
        paths::group_offsets(group),
    ];
    let topics: BTreeSet<&str> = view.partitions.keys().map(|tp| &*tp.topic).collect();
    for topic in topics {
        nodes.extend([
            paths::topic_owners(group, topic),
            paths::topic_offsets(group, topic),
        ]);
    }
    let stored = view.partitions.iter();
    let stored = stored.filter(|(_, partition)| partition.offset_version.is_some());
    nodes.extend(stored.map(|(tp, _)| paths::offset(group, &tp.topic, tp.partition)));
    nodes
}
