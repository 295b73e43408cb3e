//! Which nodes a member writes, and what it makes of members that write others.

/// The contract of nodes in ZooKeeper that all members of a group keep to.
///
/// The dialects cannot share a group: Kafka's own consumer cannot read the registration of a PyKafka member, and PyKafka does not
/// see that of any other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Dialect {
    /// That of Kafka's own high-level consumer, 0.8.2 and 0.9.
    #[default]
    Java,
    /// That of PyKafka's `BalancedConsumer`, for groups of PyKafka members that are to move to divvy one by one.
    ///
    /// A member consumes one topic, with one stream, and keeps its offsets in Kafka; assignors are
    /// [`PyKafkaRange`](crate::PyKafkaRange) and [`PyKafkaRoundRobin`](crate::PyKafkaRoundRobin). The guarantees towards PyKafka's
    /// own members are no better than theirs among each other: such a member reads and commits for a moment after it has given a
    /// partition up, and two of them that take different brokers for a partition's leader do not see each other's claims. Among
    /// divvy's members everything holds that holds in dialect Java.
    PyKafka(OwnerDirectories),
}

/// Below which nodes PyKafka's members claim partitions of `topic`, which depends on their Python.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OwnerDirectories {
    /// `owners/topic`: all of them run on Python 2.
    Python2,
    /// `owners/b'topic'`: all of them run on Python 3.
    Python3,
    /// Both, in this order, for groups of either and for those who do not know. A member that finds one of them taken gives the
    /// other up again.
    #[default]
    Both,
}

impl OwnerDirectories {
    /// The names of the directories of a topic below `owners`, in the order in which they are claimed in.
    pub(crate) fn names(self, topic: &str) -> Vec<String> {
        let python2 = || topic.to_owned();
        let python3 = || format!("b'{topic}'");
        match self {
            Self::Python2 => vec![python2()],
            Self::Python3 => vec![python3()],
            Self::Both => vec![python2(), python3()],
        }
    }
}

/// What a member in [dialect Java](Dialect::Java) does while a PyKafka member is registered in its group.
///
/// No member that follows Java's rules can own anything then: Kafka's own consumers fail on the foreign registration before they
/// have claimed anything, and the PyKafka member shares all partitions out among PyKafka members.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ForeignMembers {
    /// Gives up what it has, says so at once and every minute ([`Event::Blocked`](divvy_simple_consumer::Event::Blocked)), and goes
    /// on when the PyKafka member has left. What Kafka's own consumer does, which does not say so and does not always go on.
    #[default]
    StandDown,
    /// Gives up what it has and ends with an error that names the node, at the start as well as later.
    Refuse,
}
