//! Telling the application what the machine reports.

use std::time::Duration;

use divvy_protocol::TopicPartition;
use divvy_simple_consumer::{Assignment, Error, Event};

use super::follow::is_own;
use super::{Driver, assignment};
use crate::machine::GroupEvent;
use crate::view::PoisonKind;

impl Driver {
    /// Tells the application what the machine reports.
    pub(super) fn report(&mut self, event: GroupEvent) {
        let assignments = |tps: Vec<TopicPartition>| -> Vec<Assignment> {
            let owned = |tp: TopicPartition| {
                let held = self.held.get(&tp).cloned();
                let claimed = self.machine.owned().find(|(owned, ..)| **owned == tp);
                let claimed =
                    claimed.map(|(tp, thread, token)| assignment(tp.clone(), token, thread));
                held.or(claimed).unwrap_or_else(|| Assignment::unfenced(tp))
            };
            tps.into_iter().map(owned).collect()
        };
        let event = match event {
            GroupEvent::Assigned { partitions } => Event::Assigned {
                partitions: assignments(partitions),
            },
            GroupEvent::Revoked { partitions } => Event::Revoked {
                partitions: assignments(partitions),
            },
            GroupEvent::Suspended { partitions } => Event::Suspended {
                partitions: assignments(partitions),
            },
            GroupEvent::Resumed { partitions } => Event::Resumed {
                partitions: assignments(partitions),
            },
            // Reported with their tokens when they are dropped.
            GroupEvent::Lost { .. } | GroupEvent::Revoking { .. } => return,
            GroupEvent::Idle => Event::Idle,
            GroupEvent::Waiting { tp, owner, waited } => Event::Waiting {
                tp,
                owner,
                waited_ms: u64::try_from(waited.as_millis()).unwrap_or(u64::MAX),
            },
            GroupEvent::Orphan {
                tp,
                member,
                orphaned,
            } => Event::Orphan {
                tp,
                member,
                orphaned_ms: u64::try_from(orphaned.as_millis()).unwrap_or(u64::MAX),
            },
            GroupEvent::Disagreement {
                member,
                partitions,
                why,
            } => Event::Disagreement {
                member,
                partitions,
                why,
            },
            // Takes part in the division of a PyKafka member that was named.
            GroupEvent::Blocked { node, kind, .. }
                if kind == PoisonKind::PyKafka && is_own(&node) =>
            {
                return;
            }
            GroupEvent::Blocked { node, data, kind } => {
                if kind == PoisonKind::PyKafka && self.member.refuse_foreign {
                    self.refuse(&node);
                }
                Event::Blocked {
                    node,
                    data,
                    why: why_blocked(kind).to_owned(),
                }
            }
            GroupEvent::Misplaced { node } => Event::Error {
                message: format!(
                    "{node} is a member of Kafka's own dialect; it can own nothing in this group, whose members are PyKafka's. Stop it, or move it to a group of its own"
                ),
            },
            GroupEvent::TopicGone { topic } => Event::TopicGone { topic },
            GroupEvent::ReleasedUncommitted { tp, error } => Event::Error {
                message: format!(
                    "{tp} was released although its offset could not be committed ({error}); its messages since the last commit come again"
                ),
            },
            GroupEvent::Error {
                operation,
                tp,
                error,
                retry_in,
            } => Event::Error {
                message: describe(&operation.to_string(), tp, &error, retry_in),
            },
        };
        self.engine.emit(event);
    }

    /// Ends the consumer because of a PyKafka member, and leaves the group.
    fn refuse(&mut self, node: &str) {
        self.refused = true;
        self.engine.fail(Error::Group {
            group: self.member.group.clone(),
            why: format!("{node}: {}", why_blocked(PoisonKind::PyKafka)),
        });
    }
}

/// What a registration means that Kafka's own consumer cannot read, and what to do.
pub(crate) fn why_blocked(kind: PoisonKind) -> &'static str {
    match kind {
        PoisonKind::PyKafka => {
            "a PyKafka member is registered; no member that follows Java's rules can own a partition beside it. Stop it, or move it to a group of its own"
        }
        PoisonKind::Garbage => {
            "a registration that Kafka's own consumer cannot read keeps every member from sharing partitions. Find who wrote it, and delete the node"
        }
    }
}

fn describe(
    operation: &str,
    tp: Option<TopicPartition>,
    error: &str,
    retry_in: Option<Duration>,
) -> String {
    let about = tp.map(|tp| format!(" for {tp}")).unwrap_or_default();
    let again = match retry_in {
        Some(pause) => format!("tried again in {pause:.1?}"),
        None => "tried again when the group changes".to_owned(),
    };
    format!("group: {operation}{about} failed: {error}; {again}")
}
