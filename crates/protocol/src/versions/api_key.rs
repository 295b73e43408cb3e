use std::fmt;

/// An API of the brokers, that is, a kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ApiKey {
    /// Appends messages to partitions.
    Produce,
    /// Reads messages of partitions.
    Fetch,
    /// Looks up offsets: a log's start, its end, or by time.
    ListOffsets,
    /// Describes the cluster: brokers, topics, partitions and their leaders.
    Metadata,
    /// Stores a group's offsets.
    OffsetCommit,
    /// Reads a group's stored offsets.
    OffsetFetch,
    /// Names the broker that keeps a group's offsets. `ConsumerMetadata` in 0.8.2, `GroupCoordinator` in 0.9.
    FindCoordinator,
    /// Describes groups and their members; the groups' coordinator's to answer.
    DescribeGroups,
    /// Lists the groups that a broker coordinates.
    ListGroups,
    /// Lists the versions that a broker accepts. Must never be sent to a broker before 0.10.
    ApiVersions,
    /// Creates topics; the controller's to answer.
    CreateTopics,
    /// Deletes topics; the controller's to answer.
    DeleteTopics,
}

impl ApiKey {
    /// Every API that this crate knows.
    pub const ALL: &[Self] = &[
        Self::Produce,
        Self::Fetch,
        Self::ListOffsets,
        Self::Metadata,
        Self::OffsetCommit,
        Self::OffsetFetch,
        Self::FindCoordinator,
        Self::DescribeGroups,
        Self::ListGroups,
        Self::ApiVersions,
        Self::CreateTopics,
        Self::DeleteTopics,
    ];

    /// The number on the wire.
    pub const fn code(self) -> i16 {
        match self {
            Self::Produce => 0,
            Self::Fetch => 1,
            Self::ListOffsets => 2,
            Self::Metadata => 3,
            Self::OffsetCommit => 8,
            Self::OffsetFetch => 9,
            Self::FindCoordinator => 10,
            Self::DescribeGroups => 15,
            Self::ListGroups => 16,
            Self::ApiVersions => 18,
            Self::CreateTopics => 19,
            Self::DeleteTopics => 20,
        }
    }

    /// The API of a number on the wire, or `None` if this crate does not know it.
    pub fn from_code(code: i16) -> Option<Self> {
        Self::ALL.iter().copied().find(|key| key.code() == code)
    }

    /// Kafka's name for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Produce => "Produce",
            Self::Fetch => "Fetch",
            Self::ListOffsets => "ListOffsets",
            Self::Metadata => "Metadata",
            Self::OffsetCommit => "OffsetCommit",
            Self::OffsetFetch => "OffsetFetch",
            Self::FindCoordinator => "FindCoordinator",
            Self::DescribeGroups => "DescribeGroups",
            Self::ListGroups => "ListGroups",
            Self::ApiVersions => "ApiVersions",
            Self::CreateTopics => "CreateTopics",
            Self::DeleteTopics => "DeleteTopics",
        }
    }

    /// The versions that a client should choose from, in ascending order: those that bring something, or that some broker needs.
    ///
    /// - Produce: 2 is the first with timestamps, 3 with record batches, 7 may carry zstd.
    /// - Fetch: 2 gives messages with timestamps and 4 record batches without the broker converting them down; 3 limits the
    ///   response and gives a message that exceeds the limit whole; 10 may carry zstd, 11 knows racks.
    /// - ListOffsets: 1 looks times up exactly, 2 knows the last stable offset.
    /// - Metadata: 1 tells none from all, 4 never creates a topic by asking for it.
    /// - OffsetCommit, OffsetFetch: 0 means the store in ZooKeeper, later ones the store in Kafka; OffsetFetch 2 gives all
    ///   partitions of a group.
    /// - CreateTopics, DeleteTopics: 4.0 brokers accept 2 and 1, and later ones.
    pub const fn implemented(self) -> &'static [i16] {
        match self {
            Self::Produce => &[0, 1, 2, 3, 7],
            Self::Fetch => &[0, 1, 2, 3, 4, 10, 11],
            Self::ListOffsets | Self::OffsetCommit | Self::OffsetFetch => &[0, 1, 2],
            Self::Metadata => &[0, 1, 4],
            Self::FindCoordinator | Self::DescribeGroups | Self::ListGroups | Self::ApiVersions => {
                &[0]
            }
            Self::CreateTopics => &[0, 2],
            Self::DeleteTopics => &[0, 1],
        }
    }

    /// Whether a message of this version can be written and read: from 0 to the highest of [`ApiKey::implemented`], also those
    /// in between.
    pub fn supports(self, version: i16) -> bool {
        let max = self.implemented().last().copied().unwrap_or(-1);
        (0..=max).contains(&version)
    }
}

impl fmt::Display for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
