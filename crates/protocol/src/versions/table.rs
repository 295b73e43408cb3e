use std::collections::BTreeMap;
use std::fmt;

use super::{ApiKey, BrokerVersion};
use crate::api::ApiVersionsResponse;

/// The versions of one API that a broker accepts, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct VersionRange {
    /// The lowest.
    pub min: i16,
    /// The highest.
    pub max: i16,
}

impl VersionRange {
    /// Whether a version is in it.
    pub fn contains(self, version: i16) -> bool {
        (self.min..=self.max).contains(&version)
    }
}

impl fmt::Display for VersionRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.min, self.max)
    }
}

/// The versions that one broker accepts.
///
/// Brokers before 0.10 must be met with the right table: they do not refuse a version that they do not know but misread it.
/// A table belongs to one connection, since the broker at an address may be upgraded.
///
/// ```
/// use divvy_protocol::{ApiKey, ApiVersionTable, BrokerVersion};
///
/// let table = ApiVersionTable::for_broker(BrokerVersion::V0_9);
/// assert_eq!(table.choose(ApiKey::Fetch), Some(1));
/// assert_eq!(table.choose(ApiKey::ApiVersions), None);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiVersionTable {
    ranges: BTreeMap<ApiKey, VersionRange>,
}

impl ApiVersionTable {
    /// The table of a release. Between two releases that are known it is that of the older one, which brokers accept.
    pub fn for_broker(version: BrokerVersion) -> Self {
        let ranges = ApiKey::ALL.iter().filter_map(|key| {
            let (_, min, max) = since(*key)
                .iter()
                .rev()
                .find(|(since, _, _)| *since <= version)?;
            let range = VersionRange {
                min: *min,
                max: *max,
            };
            Some((*key, range))
        });
        Self {
            ranges: ranges.collect(),
        }
    }

    /// The table that a broker gave itself. APIs that this crate does not know and ranges without a version are left out.
    ///
    /// Brokers from 4.0 on claim to accept Produce from version 0 on, for the sake of a client that insists on it, and refuse
    /// what is below 3; the table says 3.
    pub fn from_api_versions(response: &ApiVersionsResponse) -> Self {
        let ranges = response.apis.iter().filter_map(|api| {
            let range = VersionRange {
                min: api.min_version,
                max: api.max_version,
            };
            Some((ApiKey::from_code(api.api_key)?, range))
        });
        let mut table = Self {
            ranges: ranges.filter(|(_, range)| range.min <= range.max).collect(),
        };
        table.raise_produce();
        table
    }

    /// Fetch lost its versions below 4 in the same release, and does not hide it.
    fn raise_produce(&mut self) {
        if self
            .range(ApiKey::Fetch)
            .is_some_and(|fetch| fetch.min >= 4)
            && let Some(produce) = self.ranges.get_mut(&ApiKey::Produce)
        {
            produce.min = produce.min.max(3);
        }
    }

    /// The versions of an API that the broker accepts, or `None` if it does not know the API.
    pub fn range(&self, key: ApiKey) -> Option<VersionRange> {
        self.ranges.get(&key).copied()
    }

    /// The version to use: the highest of [`ApiKey::implemented`] that the broker accepts, or `None` if there is none.
    pub fn choose(&self, key: ApiKey) -> Option<i16> {
        let range = self.range(key)?;
        let implemented = key.implemented().iter().rev().copied();
        implemented
            .into_iter()
            .find(|version| range.contains(*version))
    }

    /// The message format to write for the Produce version that [`ApiVersionTable::choose`] gives, see [`message_magic`].
    pub fn message_magic(&self) -> Option<i8> {
        self.choose(ApiKey::Produce).map(message_magic)
    }
}

/// The format of the messages that a Produce request of some version must carry, by its magic byte: 0 and 1 are message sets,
/// without and with timestamps, and 2 is a record batch, of which such a request carries exactly one for each partition.
pub const fn message_magic(produce_version: i16) -> i8 {
    match produce_version {
        ..=1 => 0,
        2 => 1,
        3.. => 2,
    }
}

/// From which release on brokers accept which versions, oldest first.
///
/// The maxima are exact for the named releases; where this crate has no use for a later version, releases in between are left out.
#[rustfmt::skip]
fn since(key: ApiKey) -> &'static [(BrokerVersion, i16, i16)] {
    use BrokerVersion as B;
    match key {
        ApiKey::Produce => &[
            (B::V0_8_2, 0, 0), (B::V0_9, 0, 1), (B::V0_10_0, 0, 2), (B::V0_11, 0, 3), (B::V1_1, 0, 5), (B::V2_1, 0, 7),
            (B::V2_8, 0, 9), (B::V3_9, 0, 11), (B::V4_0, 3, 11), (B::V4_1, 3, 13),
        ],
        ApiKey::Fetch => &[
            (B::V0_8_2, 0, 0), (B::V0_9, 0, 1), (B::V0_10_0, 0, 2), (B::V0_10_1, 0, 3), (B::V0_11, 0, 5), (B::V1_1, 0, 7),
            (B::V2_1, 0, 10), (B::V2_3, 0, 11), (B::V2_8, 0, 12), (B::V3_9, 0, 17), (B::V4_0, 4, 17), (B::V4_1, 4, 18),
        ],
        ApiKey::ListOffsets => &[
            (B::V0_8_2, 0, 0), (B::V0_10_1, 0, 1), (B::V0_11, 0, 2), (B::V2_8, 0, 6), (B::V3_9, 0, 9), (B::V4_0, 1, 9),
            (B::V4_1, 1, 10),
        ],
        ApiKey::Metadata => &[
            (B::V0_8_2, 0, 0), (B::V0_10_0, 0, 1), (B::V0_10_2, 0, 2), (B::V0_11, 0, 4), (B::V1_1, 0, 5), (B::V2_8, 0, 11),
            (B::V3_9, 0, 12), (B::V4_1, 0, 13),
        ],
        ApiKey::OffsetCommit => &[
            (B::V0_8_2, 0, 1), (B::V0_9, 0, 2), (B::V0_11, 0, 3), (B::V2_8, 0, 8), (B::V3_9, 0, 9), (B::V4_0, 2, 9),
        ],
        ApiKey::OffsetFetch => &[
            (B::V0_8_2, 0, 1), (B::V0_10_2, 0, 2), (B::V0_11, 0, 3), (B::V2_8, 0, 7), (B::V3_9, 0, 9), (B::V4_0, 1, 9),
        ],
        ApiKey::FindCoordinator => &[
            (B::V0_8_2, 0, 0), (B::V0_11, 0, 1), (B::V2_8, 0, 3), (B::V3_9, 0, 6),
        ],
        ApiKey::DescribeGroups => &[
            (B::V0_9, 0, 0), (B::V0_11, 0, 1), (B::V2_8, 0, 5), (B::V4_0, 0, 6),
        ],
        ApiKey::ListGroups => &[
            (B::V0_9, 0, 0), (B::V0_11, 0, 1), (B::V2_8, 0, 4), (B::V3_9, 0, 5),
        ],
        ApiKey::ApiVersions => &[
            (B::V0_10_0, 0, 0), (B::V0_11, 0, 1), (B::V2_8, 0, 3), (B::V3_9, 0, 4),
        ],
        ApiKey::CreateTopics => &[
            (B::V0_10_1, 0, 0), (B::V0_10_2, 0, 1), (B::V0_11, 0, 2), (B::V2_8, 0, 7), (B::V4_0, 2, 7),
        ],
        ApiKey::DeleteTopics => &[
            (B::V0_10_1, 0, 0), (B::V0_11, 0, 1), (B::V2_8, 0, 6), (B::V4_0, 1, 6),
        ],
    }
}
