//! Writing what belongs to a partition only while the claim stands under which it is written.
//!
//! Each partition of a group has a persistent node that every claim writes once before anything is handed out. That changes the
//! node's version, and whoever held the partition before keeps an older one: its writes fail for ever after, however late they
//! come. (The version of the owner node would not do: it is deleted and made anew, and begins at 0 again.) With offsets in
//! ZooKeeper the node is the offset itself, so that Java and every tool can read it; with offsets in Kafka, which cannot be fenced
//! by anybody but Kafka, it is a checkpoint beside them.

mod document;
mod offsets;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use divvy_client::{PerPartition, TopicPartition};
use divvy_simple_consumer::Assignment;
use divvy_zookeeper::{
    CreatePersistent, DeleteChecked, Lease, MAX_SET_MANY, Node, Result, Session, Set, SetData,
    SetMany,
};
use tokio::sync::mpsc;

pub(crate) use offsets::GroupOffsets;

/// How often an operation that found a node changing under its hands looks again, before it says so.
const ATTEMPTS: usize = 8;

/// How many reports may wait for whoever passes them on. What comes beyond is dropped: the looks at the owner nodes now and then
/// find the same.
pub(crate) const KEPT_REPORTS: usize = 256;

/// How many writes without a known outcome are remembered. Beyond that one of them may be reported as somebody else's, no more.
const KEPT_UNKNOWN: usize = 16;

/// A claim whose owner node was created by a session.
#[derive(Clone, Debug)]
pub(crate) struct Claim {
    pub(crate) assignment: Assignment,
    pub(crate) session: Session,
    /// The path of the owner node.
    pub(crate) owner: String,
    /// Until when writes that cannot be fenced may be sent; without it they always may.
    pub(crate) lease: Option<Lease>,
}

/// That somebody wrote where only the owner should.
#[derive(Clone, Debug)]
pub(crate) struct FenceReport {
    pub(crate) assignment: Assignment,
    pub(crate) what: String,
    /// Whether nothing can be written under the claim any more, so that it has to be given up.
    pub(crate) fenced: bool,
}

/// The nodes of one group, one for each partition, and what this member has of them.
#[derive(Debug)]
pub(crate) struct Fence {
    group: String,
    path: fn(&str, &str, i32) -> String,
    held: Mutex<BTreeMap<TopicPartition, Held>>,
    reports: mpsc::Sender<FenceReport>,
}

/// A partition that this member took over.
#[derive(Clone, Debug)]
struct Held {
    claim: Claim,
    /// The version that the node has unless somebody else wrote it.
    version: i32,
    /// What was written since then without the outcome being known.
    unknown: Vec<Vec<u8>>,
}

/// What became of a write that met another version than expected.
enum Settled {
    /// The version to write against now.
    Ours(i32),
    /// Why nothing may be written any more.
    Fenced(String),
}

/// One value to be written.
pub(crate) struct Write {
    pub(crate) assignment: Assignment,
    pub(crate) data: Vec<u8>,
}

impl Fence {
    pub(crate) fn new(
        group: &str,
        path: fn(&str, &str, i32) -> String,
        reports: mpsc::Sender<FenceReport>,
    ) -> Self {
        Self {
            group: group.to_owned(),
            path,
            held: Mutex::default(),
            reports,
        }
    }

    /// The node that every claim of a partition writes.
    pub(crate) fn path(&self, tp: &TopicPartition) -> String {
        (self.path)(&self.group, &tp.topic, tp.partition)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<TopicPartition, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn held(&self, assignment: &Assignment) -> Option<Held> {
        let held = self.lock().get(&assignment.tp).cloned();
        held.filter(|held| held.claim.assignment.token == assignment.token)
    }

    /// For how long a write that cannot be fenced may be under way; `None` without a claim.
    pub(crate) fn time_left(&self, assignment: &Assignment) -> Option<Duration> {
        let lease = self.held(assignment)?.claim.lease;
        Some(lease.map_or(Duration::MAX, |lease| lease.remaining()))
    }

    /// Reads a partition's node for [`Fence::take_over`].
    pub(crate) async fn read(&self, claim: &Claim) -> Result<Option<Node>> {
        claim.session.get(&self.path(&claim.assignment.tp)).await
    }

    /// Fences whoever had the partition before: from now on only this claim can write. `found` is what was read before and `data`
    /// what is written in its place. Gives `false` where somebody wrote in between, so that it has to be read again.
    pub(crate) async fn take_over(
        &self,
        claim: &Claim,
        found: Option<&Node>,
        data: &[u8],
    ) -> Result<bool> {
        let path = self.path(&claim.assignment.tp);
        let version = match found {
            Some(found) => {
                let set = claim.session.set(&path, data, Some(found.stat.version));
                match set.await? {
                    Set::Done(stat) => stat.version,
                    Set::BadVersion | Set::NoNode => return Ok(false),
                }
            }
            None => match claim.session.create_persistent(&path, data).await? {
                CreatePersistent::Created => 0,
                CreatePersistent::Exists => return Ok(false),
            },
        };
        let held = Held {
            claim: claim.clone(),
            version,
            unknown: Vec::new(),
        };
        self.lock().insert(claim.assignment.tp.clone(), held);
        Ok(true)
    }

    /// Forgets a claim: nothing is written under it any more.
    pub(crate) fn forget(&self, tp: &TopicPartition) {
        self.lock().remove(tp);
    }

    /// Writes values, each under the claim of its assignment, in as few transactions as possible.
    pub(crate) async fn write(&self, writes: Vec<Write>) -> PerPartition<()> {
        let mut results = PerPartition::new();
        let mut by_session: BTreeMap<i64, (Session, Vec<Write>)> = BTreeMap::new();
        for write in writes {
            let tp = write.assignment.tp.clone();
            match self.held(&write.assignment) {
                Some(held) => {
                    let session = held.claim.session;
                    let of_session = by_session.entry(session.id());
                    of_session.or_insert((session, Vec::new())).1.push(write);
                }
                None => {
                    let why = "the claim under which it was read is over".to_owned();
                    results.insert(tp.clone(), Err(divvy_client::Error::Fenced { tp, why }));
                }
            }
        }
        for (session, mut writes) in by_session.into_values() {
            while !writes.is_empty() {
                let rest = writes.split_off(writes.len().min(MAX_SET_MANY));
                self.write_together(&session, writes, &mut results).await;
                writes = rest;
            }
        }
        results
    }

    async fn write_together(
        &self,
        session: &Session,
        mut writes: Vec<Write>,
        results: &mut PerPartition<()>,
    ) {
        // Each round settles one write at least.
        let mut rounds = writes.len() + ATTEMPTS;
        while !writes.is_empty() {
            let outcome = self.transaction(session, &writes).await;
            rounds = rounds.saturating_sub(1);
            let (index, found) = match outcome {
                Ok(SetMany::Done(stats)) => {
                    let versions = stats.into_iter().map(|stat| stat.version);
                    for (write, version) in writes.into_iter().zip(versions) {
                        self.written(&write.assignment, version);
                        results.insert(write.assignment.tp, Ok(()));
                    }
                    return;
                }
                Ok(SetMany::BadVersion { index }) => (index, "was written by somebody else"),
                Ok(SetMany::NoNode { index }) => (index, "was deleted"),
                Err(error) => return fail(writes, &error, results),
            };
            let Some(write) = writes.get(index) else {
                return;
            };
            let assignment = write.assignment.clone();
            let tp = assignment.tp.clone();
            match self.settle(&assignment, found).await {
                Ok(Settled::Ours(version)) if rounds > 0 => self.written(&assignment, version),
                Ok(Settled::Ours(_)) => {
                    let why = "others write it all the time".to_owned();
                    writes.remove(index);
                    results.insert(tp.clone(), Err(divvy_client::Error::Fenced { tp, why }));
                }
                Ok(Settled::Fenced(why)) => {
                    writes.remove(index);
                    self.report(
                        &assignment,
                        format!("its offset is not stored: {why}"),
                        true,
                    );
                    results.insert(tp.clone(), Err(divvy_client::Error::Fenced { tp, why }));
                }
                Err(error) => return fail(writes, &error, results),
            }
        }
    }

    async fn transaction(&self, session: &Session, writes: &[Write]) -> Result<SetMany> {
        let batch: Vec<SetData> = {
            let mut held = self.lock();
            writes
                .iter()
                .map(|write| {
                    let held = held.get_mut(&write.assignment.tp);
                    // A later claim of the same member has a version too, and it is not this one's to write against.
                    let token = write.assignment.token;
                    let held = held.filter(|held| held.claim.assignment.token == token);
                    let version = held.map(|held| {
                        if held.unknown.len() < KEPT_UNKNOWN && !held.unknown.contains(&write.data)
                        {
                            held.unknown.push(write.data.clone());
                        }
                        held.version
                    });
                    SetData {
                        path: self.path(&write.assignment.tp),
                        data: write.data.clone(),
                        // Where the claim was forgotten meanwhile, a version that no node has.
                        version: Some(version.unwrap_or(i32::MAX)),
                    }
                })
                .collect()
        };
        session.set_many(&batch).await
    }

    fn written(&self, assignment: &Assignment, version: i32) {
        if let Some(held) = self.lock().get_mut(&assignment.tp)
            && held.claim.assignment.token == assignment.token
        {
            held.version = version;
            held.unknown.clear();
        }
    }

    /// Finds out what a version means that is not the expected one. The order matters: the node's version is read *before* the
    /// owner node. If the owner node is ours then, nobody took the partition over before that version, and whoever does so
    /// afterwards changes it.
    async fn settle(&self, assignment: &Assignment, found: &str) -> Result<Settled> {
        let tp = &assignment.tp;
        let Some(held) = self.held(assignment) else {
            return Ok(Settled::Fenced("the claim is over".to_owned()));
        };
        let path = self.path(tp);
        let session = &held.claim.session;
        let Some(node) = session.get(&path).await? else {
            // Without the node its version says nothing: the next write would begin at 0 again, like that of a member before.
            return Ok(Settled::Fenced(format!("{path} was deleted")));
        };
        if !self.owns(&held.claim).await? {
            return Ok(Settled::Fenced(format!(
                "{path} {found}, and the owner node is not this claim's"
            )));
        }
        let version = node.stat.version;
        let own_write =
            held.unknown.contains(&node.data) && version == held.version.wrapping_add(1);
        if !own_write && version != held.version {
            let shown = String::from_utf8_lossy(&node.data);
            self.report(
                assignment,
                format!(
                    "{path} was written by somebody who does not own the partition (`{shown}`); this member's offset is stored over it"
                ),
                false,
            );
        }
        Ok(Settled::Ours(version))
    }

    /// Whether the owner node is there as this claim made it.
    async fn owns(&self, claim: &Claim) -> Result<bool> {
        let (token, session) = (claim.assignment.token, claim.session.id());
        let stat = claim.session.exists(&claim.owner).await?;
        Ok(stat.is_some_and(|stat| stat.czxid == token && stat.ephemeral_owner == session))
    }

    /// Deletes the owner node, in one transaction with the proof that nobody has taken the partition over since.
    pub(crate) async fn release(&self, assignment: &Assignment) -> Result<()> {
        let tp = &assignment.tp;
        for _ in 0..ATTEMPTS {
            let Some(Held { claim, version, .. }) = self.held(assignment) else {
                return Ok(());
            };
            if !self.owns(&claim).await? {
                break;
            }
            let path = self.path(tp);
            // An owner node is never written again, so its version is 0 for as long as it is there.
            let deleted = claim
                .session
                .delete_checked(&claim.owner, Some(0), &path, Some(version));
            let (DeleteChecked::CheckBadVersion | DeleteChecked::CheckNoNode) = deleted.await?
            else {
                // Deleted, or not what this claim made.
                break;
            };
            match self
                .settle(assignment, "was written by somebody else")
                .await?
            {
                Settled::Ours(version) => self.written(assignment, version),
                Settled::Fenced(_) => {
                    // It is another's by now, unless the fence itself was deleted; the session is this member's own.
                    if self.owns(&claim).await? {
                        claim.session.delete(&claim.owner, Some(0)).await?;
                    }
                    break;
                }
            }
        }
        self.forget(tp);
        Ok(())
    }

    /// Looks whether somebody else has written a partition's node, and takes that for what it is.
    pub(crate) async fn audit(&self, assignment: &Assignment) -> Result<()> {
        let Some(held) = self.held(assignment) else {
            return Ok(());
        };
        let node = self.read(&held.claim).await?;
        if node.is_some_and(|node| node.stat.version == held.version) {
            return Ok(());
        }
        // A write that was on its way meanwhile changes both.
        let changed = self
            .held(assignment)
            .is_none_or(|now| now.version != held.version);
        if !changed
            && let Settled::Fenced(why) = self
                .settle(assignment, "was written by somebody else")
                .await?
        {
            self.report(assignment, why, true);
        }
        Ok(())
    }

    fn report(&self, assignment: &Assignment, what: String, fenced: bool) {
        let assignment = assignment.clone();
        // See `KEPT_REPORTS`.
        let _ = self.reports.try_send(FenceReport {
            assignment,
            what,
            fenced,
        });
    }
}

fn fail(writes: Vec<Write>, error: &divvy_zookeeper::Error, results: &mut PerPartition<()>) {
    for write in writes {
        results.insert(write.assignment.tp, Err(error.clone().into()));
    }
}
