use std::fmt;
use std::str::FromStr;

/// A release of Kafka, for brokers that cannot be asked which versions they accept.
///
/// Reads `0.8.2`, `0.8.2.2`, `0.9`, `0.9.0.1`, `1.1`, `2.8.2`, `4.1.0` and the like; what follows the third number does not
/// matter. librdkafka: `broker.version.fallback`; PyKafka: `broker_version`.
///
/// ```
/// use divvy_protocol::BrokerVersion;
///
/// let version: BrokerVersion = "0.9.0.1".parse()?;
/// assert_eq!(version, BrokerVersion::V0_9);
/// assert!(version.is_legacy());
/// assert!("0.8.1".parse::<BrokerVersion>().is_err());
/// # Ok::<(), divvy_protocol::ParseBrokerVersionError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BrokerVersion {
    major: u16,
    minor: u16,
    patch: u16,
}

impl BrokerVersion {
    /// 0.8.2, the oldest release that is supported.
    pub const V0_8_2: Self = Self::new(0, 8, 2);
    /// 0.9.
    pub const V0_9: Self = Self::new(0, 9, 0);
    /// 0.10.0, the first that can be asked for its versions.
    pub const V0_10_0: Self = Self::new(0, 10, 0);
    /// 0.10.1.
    pub const V0_10_1: Self = Self::new(0, 10, 1);
    /// 0.10.2.
    pub const V0_10_2: Self = Self::new(0, 10, 2);
    /// 0.11, the first with record batches.
    pub const V0_11: Self = Self::new(0, 11, 0);
    /// 1.1.
    pub const V1_1: Self = Self::new(1, 1, 0);
    /// 2.1, the first with zstd.
    pub const V2_1: Self = Self::new(2, 1, 0);
    /// 2.3.
    pub const V2_3: Self = Self::new(2, 3, 0);
    /// 2.8.
    pub const V2_8: Self = Self::new(2, 8, 0);
    /// 3.9, the last with ZooKeeper.
    pub const V3_9: Self = Self::new(3, 9, 0);
    /// 4.0, which has dropped the oldest versions of most requests.
    pub const V4_0: Self = Self::new(4, 0, 0);
    /// 4.1.
    pub const V4_1: Self = Self::new(4, 1, 0);

    const fn new(major: u16, minor: u16, patch: u16) -> Self {
        Self {
            major,
            minor,
            patch,
        }
    }

    /// Whether the broker is older than 0.10 and must never be sent an ApiVersions request: 0.8.2 closes the connection, and 0.9
    /// neither answers nor closes, and may leave the connections of other clients deaf.
    pub fn is_legacy(self) -> bool {
        self < Self::V0_10_0
    }
}

/// A text that is not a release of Kafka, or an older one than is supported.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseBrokerVersionError {
    /// Not two to four numbers with dots between them.
    #[error("`{text}` is not a Kafka version such as 0.8.2, 0.9.0.1 or 2.8")]
    Malformed {
        /// What was given.
        text: String,
    },
    /// Older than 0.8.2.
    #[error("Kafka {text} is not supported; 0.8.2 is the oldest version that is")]
    TooOld {
        /// What was given.
        text: String,
    },
}

impl ParseBrokerVersionError {
    /// Whether reading the same text again could succeed: never.
    pub fn is_retriable(&self) -> bool {
        false
    }
}

impl FromStr for BrokerVersion {
    type Err = ParseBrokerVersionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let version = parse(text).ok_or_else(|| ParseBrokerVersionError::Malformed {
            text: text.to_owned(),
        })?;
        if version < Self::V0_8_2 {
            return Err(ParseBrokerVersionError::TooOld {
                text: text.to_owned(),
            });
        }
        Ok(version)
    }
}

fn parse(text: &str) -> Option<BrokerVersion> {
    let mut numbers = text.split('.').map(number);
    let (major, minor) = (numbers.next()??, numbers.next()??);
    let patch = numbers.next().unwrap_or(Some(0))?;
    let fourth = numbers.next().unwrap_or(Some(0));
    (fourth.is_some() && numbers.next().is_none())
        .then_some(BrokerVersion::new(major, minor, patch))
}

/// A number without a sign, which `parse` alone would take.
fn number(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok())?
}

impl fmt::Display for BrokerVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}
