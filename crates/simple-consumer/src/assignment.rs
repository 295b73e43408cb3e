use std::fmt;

use divvy_client::TopicPartition;

/// A partition in the hands of this consumer, and by what right.
///
/// Fetching, positions and commits know nothing else of a group: who assigns is a [`Coordination`](crate::Coordination).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Assignment {
    /// The partition.
    pub tp: TopicPartition,
    /// The fencing token: it grows with every claim of the partition by anybody in the group. In a group that is coordinated
    /// through ZooKeeper it is the owner node's czxid; without a group it is 0.
    pub token: i64,
    /// Which of the member's streams hands it out, from 0.
    pub stream: usize,
}

impl Assignment {
    /// An assignment outside of any group.
    pub fn unfenced(tp: TopicPartition) -> Self {
        Self {
            tp,
            token: 0,
            stream: 0,
        }
    }
}

impl fmt::Display for Assignment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (token {})", self.tp, self.token)
    }
}
