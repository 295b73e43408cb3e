//! Which nodes a member writes, and what it makes of members that write others.

use std::sync::Arc;
use std::time::Duration;

use divvy_simple_consumer::{Error, OffsetStorage, Result};

use crate::assignor::PyKafkaRange;
use crate::consumer::BalancedConsumerConfig;
use crate::topic_filter::Topics;

/// What the registrations of divvy's members say of who wrote them.
pub(crate) const CLIENT: &str = "divvy";

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

impl Dialect {
    /// Twice the time after which a member that is not divvy's gives up a claim: four attempts with 2 s behind each, and PyKafka's five
    /// with 12 s between them.
    pub(crate) fn patience(self) -> Duration {
        match self {
            Self::Java => Duration::from_secs(16),
            Self::PyKafka(_) => Duration::from_secs(24),
        }
    }
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
    /// Gives up what it has, and takes part in PyKafka's division as a second member in [dialect PyKafka](Dialect::PyKafka), until
    /// none of PyKafka's own members is left. Everything that is said there of handing over to and from PyKafka holds.
    ///
    /// Kafka's own consumers own nothing for as long. The member must consume one topic, by its name, with one stream, and keep its
    /// offsets in Kafka too ([`OffsetStorage::Kafka`] or [`OffsetStorage::Dual`]), where PyKafka finds them. Where its assignor is
    /// [`RoundRobin`](crate::RoundRobin) it takes PyKafka's members to use PyKafka's round-robin, otherwise PyKafka's range.
    FollowPyKafka,
}

impl BalancedConsumerConfig {
    /// Joins a group of PyKafka members: [`Dialect::PyKafka`] with everything that it implies, which is offsets in Kafka and
    /// PyKafka's own rule ([`PyKafkaRange`]).
    pub fn for_pykafka(
        zookeeper: divvy_zookeeper::Config,
        group: impl Into<String>,
        topic: impl Into<String>,
    ) -> Self {
        let mut config = Self::new(zookeeper, group, [topic]);
        config.dialect = Dialect::PyKafka(OwnerDirectories::default());
        config.assignor = Arc::new(PyKafkaRange);
        config.consumer.offset_storage = OffsetStorage::Kafka;
        config
    }

    pub(crate) fn validate_dialect(&self) -> Result<()> {
        if self.dialect == Dialect::Java {
            return self.validate_following();
        }
        if !matches!(&self.topics, Topics::Named(names) if names.len() == 1) {
            return Err(Error::config(
                "topics",
                "must be one by name in dialect pykafka",
            ));
        }
        if self.streams != 1 {
            return Err(Error::config("streams", "must be 1 in dialect pykafka"));
        }
        if self.consumer.offset_storage != OffsetStorage::Kafka {
            let why = "must be kafka in dialect pykafka: PyKafka knows no other";
            return Err(Error::config("offset_storage", why));
        }
        if ["range", "roundrobin"].contains(&self.assignor.name()) {
            let why = "must be one of PyKafka's own, or the application's, in dialect pykafka";
            return Err(Error::config("assignor", why));
        }
        if self.foreign_members != ForeignMembers::StandDown {
            let why = "has no meaning in dialect pykafka, where PyKafka's members belong";
            return Err(Error::config("foreign_members", why));
        }
        Ok(())
    }
    fn validate_following(&self) -> Result<()> {
        if self.foreign_members != ForeignMembers::FollowPyKafka {
            return Ok(());
        }
        if !matches!(&self.topics, Topics::Named(names) if names.len() == 1) {
            let why = "must be one by name, to take part in PyKafka's division";
            return Err(Error::config("topics", why));
        }
        if self.streams != 1 {
            let why = "must be 1, to take part in PyKafka's division";
            return Err(Error::config("streams", why));
        }
        if self.consumer.offset_storage == OffsetStorage::ZooKeeper {
            let why = "must be kafka or dual, to take part in PyKafka's division: PyKafka keeps offsets in Kafka";
            return Err(Error::config("offset_storage", why));
        }
        Ok(())
    }
}
