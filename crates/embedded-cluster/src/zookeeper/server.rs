//! What each server has for itself.

use std::collections::BTreeMap;

use super::Millis;
use super::link::Link;
use super::transaction::{Outcome, Transaction};
use super::tree::{NodeEvent, Tree};
use super::watches::Watches;

/// What a server is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Down,
    /// It has no leader, and serves nobody.
    Looking,
    Following,
    Leading,
}

#[derive(Debug)]
pub(super) struct Server {
    pub(super) role: Role,
    pub(super) tree: Tree,
    /// How many transactions it has applied.
    pub(super) applied: u64,
    pub(super) watches: Watches,
    /// The sessions that were touched through this follower and that the leader does not know of yet.
    pub(super) touched: BTreeMap<i64, Millis>,
    /// Since when it is cut off from the other servers.
    pub(super) cut_since: Option<Millis>,
    /// The way to the leader.
    pub(super) link: Link,
}

impl Server {
    pub(super) fn new(role: Role) -> Self {
        Self {
            role,
            tree: Tree::new(),
            applied: 0,
            watches: Watches::default(),
            touched: BTreeMap::new(),
            cut_since: None,
            link: Link::default(),
        }
    }

    pub(super) fn apply(&mut self, transaction: &Transaction) -> (Outcome, Vec<NodeEvent>) {
        let mut events = Vec::new();
        let outcome = self.tree.apply(transaction, &mut events);
        self.applied += 1;
        (outcome, events)
    }
}
