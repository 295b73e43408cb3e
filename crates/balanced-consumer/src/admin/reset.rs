//! Moving a group's offsets: first what would be done, computed from a view alone, then doing exactly that.

use std::collections::BTreeMap;
use std::fmt;

use divvy_client::{OffsetSpec, TopicPartition};
use divvy_simple_consumer::{Error, OffsetStorage, Result};
use divvy_zookeeper::documents::format_offset;
use divvy_zookeeper::{CreatePersistent, MAX_SET_MANY, Session, SetData, SetMany, paths};

use super::view::{GroupView, PartitionView};
use super::{GroupAdmin, offsets, refused};

/// Where to move offsets.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResetTo {
    /// To the first message that the log holds.
    Earliest,
    /// To the end: what is in the log is left out.
    Latest,
    /// To the same offset in each partition.
    Offset(i64),
    /// To these.
    Offsets(BTreeMap<TopicPartition, i64>),
    /// To the first message that is not older than this time, in milliseconds since 1970; to the end where there is none. Brokers
    /// before 0.10.1 find no more than the segment of the log in which it lies, so that reading begins before it.
    Time(i64),
    /// By so many messages, backwards where it is negative.
    Shift(i64),
}

/// What a reset does, and not yet has done.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResetPlan {
    /// The group.
    pub group: String,
    /// In which store, or in both.
    pub storage: OffsetStorage,
    /// One for each partition, also for those that stay where they are.
    pub changes: Vec<Change>,
    /// The partitions that cannot be moved, with the reason.
    pub left_out: Vec<(TopicPartition, String)>,
}

/// What becomes of one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// The partition.
    pub tp: TopicPartition,
    /// What is stored now.
    pub from: Option<i64>,
    /// What will be.
    pub to: i64,
    /// Whether what was asked for lies outside of the log, and its nearer end was taken.
    pub clamped: bool,
    /// The version of the offset's node in ZooKeeper on which the change was planned; none where there is no node.
    version: Option<i32>,
}

impl ResetPlan {
    /// Computes what moving `partitions` of a group means. Without a `storage` it is where the group has stored offsets, in both
    /// stores if it has in both, because members that use both begin at the larger offset.
    ///
    /// `wanted` gives the new offset of a partition, or says why there is none.
    pub(super) fn compute(
        view: &GroupView,
        storage: Option<OffsetStorage>,
        partitions: &[TopicPartition],
        wanted: impl Fn(&TopicPartition, &PartitionView) -> Result<i64, String>,
    ) -> Self {
        let (mut changes, mut left_out) = (Vec::new(), Vec::new());
        for tp in partitions {
            let Some(partition) = view.partitions.get(tp) else {
                left_out.push((tp.clone(), "it does not exist".to_owned()));
                continue;
            };
            match change(tp, partition, wanted(tp, partition)) {
                Ok(change) => changes.push(change),
                Err(why) => left_out.push((tp.clone(), why)),
            }
        }
        Self {
            group: view.group.clone(),
            storage: storage.unwrap_or_else(|| storage_of(view)),
            changes,
            left_out,
        }
    }

    /// Whether nothing would change.
    pub fn is_empty(&self) -> bool {
        self.changes
            .iter()
            .all(|change| change.from == Some(change.to))
    }
}

fn change(
    tp: &TopicPartition,
    partition: &PartitionView,
    wanted: Result<i64, String>,
) -> Result<Change, String> {
    let (Some(start), Some(end)) = (partition.log_start, partition.log_end) else {
        let why = partition.trouble.as_deref();
        return Err(format!(
            "its log is not known: {}",
            why.unwrap_or("no broker was asked")
        ));
    };
    let wanted = wanted?;
    // A log may grow shorter at its beginning between the two questions.
    let to = wanted.min(end).max(start);
    Ok(Change {
        tp: tp.clone(),
        from: partition.committed(),
        to,
        clamped: to != wanted,
        version: partition.offset_version,
    })
}

/// Where a group keeps its offsets, as far as it shows.
fn storage_of(view: &GroupView) -> OffsetStorage {
    let in_kafka = view.partitions.values().any(|p| p.in_kafka.is_some());
    let in_zookeeper = view.partitions.values().any(|p| p.offset_version.is_some());
    let pykafka = |member: &super::GroupMember| member.kind.is_pykafka_dialect();
    match (in_zookeeper, in_kafka) {
        (true, true) => OffsetStorage::Dual,
        (false, true) => OffsetStorage::Kafka,
        (false, false) if view.members.iter().any(pykafka) => OffsetStorage::Kafka,
        (_, false) => OffsetStorage::ZooKeeper,
    }
}

impl GroupAdmin {
    /// Says what moving these partitions of a described group would do, and does nothing. See [`GroupAdmin::execute`].
    ///
    /// # Errors
    /// The brokers', where a time has to be looked up.
    pub async fn plan_reset(
        &self,
        view: &GroupView,
        storage: Option<OffsetStorage>,
        partitions: &[TopicPartition],
        to: &ResetTo,
    ) -> Result<ResetPlan> {
        let by_time = match to {
            ResetTo::Time(millis) => self.at_time(&view.group, partitions, *millis).await?,
            _ => BTreeMap::new(),
        };
        let unknown = || "its log is not known".to_owned();
        let wanted = |tp: &TopicPartition, partition: &PartitionView| match to {
            ResetTo::Earliest => partition.log_start.ok_or_else(unknown),
            ResetTo::Latest => partition.log_end.ok_or_else(unknown),
            ResetTo::Offset(offset) => Ok(*offset),
            ResetTo::Offsets(offsets) => offsets
                .get(tp)
                .copied()
                .ok_or_else(|| "no offset is given for it".to_owned()),
            ResetTo::Time(_) => by_time.get(tp).cloned().unwrap_or_else(|| Err(unknown())),
            ResetTo::Shift(by) => partition
                .committed()
                .map(|offset| offset.saturating_add(*by))
                .ok_or_else(|| "no offset is stored that could be shifted".to_owned()),
        };
        Ok(ResetPlan::compute(view, storage, partitions, wanted))
    }

    /// Does what a plan says.
    ///
    /// Offsets in ZooKeeper are written on the condition that nobody has written them since the plan was made, at most 500 of them
    /// at once. With offsets in both stores ZooKeeper comes first. Members that run do not look at stored offsets, and overwrite them
    /// with their own: that is why a live group is refused. `force` does it all the same.
    ///
    /// # Errors
    /// [`Error::Group`] where the group is live, or an offset was stored meanwhile; [`Error::Commit`] with the partitions whose
    /// offset Kafka did not take; ZooKeeper's and the brokers'. What was written before the error stays.
    pub async fn execute(&self, plan: &ResetPlan, force: bool) -> Result<()> {
        let session = self.session().await?;
        if !force {
            refuse_live(&session, &plan.group).await?;
        }
        if plan.storage != OffsetStorage::Kafka {
            write_nodes(&session, plan).await?;
        }
        if plan.storage != OffsetStorage::ZooKeeper {
            self.write_to_kafka(plan).await?;
        }
        Ok(())
    }

    async fn at_time(
        &self,
        group: &str,
        partitions: &[TopicPartition],
        millis: i64,
    ) -> Result<BTreeMap<TopicPartition, Result<i64, String>>> {
        let client = self.brokers(group)?;
        let found = offsets::log_offsets(client, partitions, OffsetSpec::Time(millis)).await;
        let mut ends = offsets::log_offsets(client, partitions, OffsetSpec::Latest).await;
        let at = |(tp, found): (TopicPartition, divvy_client::Result<Option<i64>>)| {
            let found = match found {
                // Nothing is that young: that place is the end.
                Ok(None) => ends.remove(&tp).unwrap_or(Ok(None)),
                found => found,
            };
            let known = found.map_err(|error| error.to_string());
            let known = known.and_then(|at| at.ok_or_else(|| "its log is not known".to_owned()));
            (tp, known)
        };
        Ok(found.into_iter().map(at).collect())
    }

    async fn write_to_kafka(&self, plan: &ResetPlan) -> Result<()> {
        let client = self.brokers(&plan.group)?;
        let changes = plan.changes.iter();
        let offsets: BTreeMap<_, _> = changes.map(|c| (c.tp.clone(), c.to)).collect();
        if offsets.is_empty() {
            return Ok(());
        }
        let stored = offsets::in_kafka(client, &plan.group)
            .reset(&offsets)
            .await?;
        let failed = |(tp, stored): (TopicPartition, divvy_client::Result<()>)| {
            stored.err().map(|error| (tp, error))
        };
        let failed: Vec<_> = stored.into_iter().filter_map(failed).collect();
        match failed.is_empty() {
            true => Ok(()),
            false => Err(Error::Commit { failed }),
        }
    }

    /// The brokers, which are needed here.
    fn brokers(&self, group: &str) -> Result<&divvy_client::Client> {
        let why = "no broker is known, and the brokers have to be asked";
        self.client.as_ref().ok_or_else(|| refused(group, why))
    }
}

/// Refuses to touch a group that has members.
pub(super) async fn refuse_live(session: &Session, group: &str) -> Result<()> {
    let ids = paths::group_ids(group);
    session
        .sync(&ids)
        .await
        .map_err(divvy_client::Error::from)?;
    let members = session.children(&ids).await;
    let members = members.map_err(divvy_client::Error::from)?;
    let members = members.map(|found| found.names).unwrap_or_default();
    match members.first() {
        None => Ok(()),
        Some(first) => Err(refused(
            group,
            format!(
                "it is live: {} members are registered, such as {first}; stop them first",
                members.len()
            ),
        )),
    }
}

async fn write_nodes(session: &Session, plan: &ResetPlan) -> Result<()> {
    let path = |change: &Change| paths::offset(&plan.group, &change.tp.topic, change.tp.partition);
    let (there, missing): (Vec<&Change>, Vec<&Change>) = plan
        .changes
        .iter()
        .partition(|change| change.version.is_some());
    for changes in there.chunks(MAX_SET_MANY) {
        let write = |change: &&Change| SetData {
            path: path(change),
            data: format_offset(change.to).into_bytes(),
            version: change.version,
        };
        let writes: Vec<SetData> = changes.iter().map(write).collect();
        let written = session.set_many(&writes).await;
        match written.map_err(divvy_client::Error::from)? {
            SetMany::Done(_) => {}
            SetMany::BadVersion { index } | SetMany::NoNode { index } => {
                return Err(overtaken(plan, changes.get(index).map(|change| &change.tp)));
            }
        }
    }
    for change in missing {
        let data = format_offset(change.to);
        let created = session
            .create_persistent(&path(change), data.as_bytes())
            .await;
        if created.map_err(divvy_client::Error::from)? == CreatePersistent::Exists {
            return Err(overtaken(plan, Some(&change.tp)));
        }
    }
    Ok(())
}

fn overtaken(plan: &ResetPlan, tp: Option<&TopicPartition>) -> Error {
    let of = tp.map(|tp| format!(" of {tp}")).unwrap_or_default();
    let why = format!(
        "the offset{of} was stored by somebody else since this was planned; look again who still runs"
    );
    refused(&plan.group, why)
}

impl fmt::Display for ResetTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Earliest => f.write_str("earliest"),
            Self::Latest => f.write_str("latest"),
            Self::Offset(offset) => write!(f, "offset {offset}"),
            Self::Offsets(_) => f.write_str("the given offsets"),
            Self::Time(millis) => write!(f, "time {millis}"),
            Self::Shift(by) => write!(f, "a shift by {by}"),
        }
    }
}
