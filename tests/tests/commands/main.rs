//! The commands of the `divvy` program on real clusters, 0.8.2.2 and 0.9.0.1, each by itself: what is read and from where, where
//! offsets are kept, what topics look like, and what is said when something is wrong.

mod bench;
mod codecs;
mod compare;
mod errors;
mod java_groups;
mod newer;
mod offsets;
mod places;
mod program;
mod quiet;
mod records;
mod reset;
mod tail;
mod topics;

use std::time::Duration;

/// How long something may take that is waited for and not measured.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Makes each function a test on the embedded cluster as 0.8.2.
macro_rules! on_embedded {
    ($($test:ident),+ $(,)?) => {
        mod embedded {
            $(#[test]
            fn $test() -> anyhow::Result<()> {
                super::$test(divvy_tests::Cluster::shared(divvy_tests::KafkaVersion::Embedded0_8_2)?)
            })+
        }
    };
}
pub(crate) use on_embedded;

/// Makes each function a test on both legacy versions.
macro_rules! on_both_versions {
    ($($test:ident),+ $(,)?) => {
        mod kafka_0_8_2_2 {
            $(#[test]
            fn $test() -> anyhow::Result<()> {
                super::$test(divvy_tests::Cluster::shared(divvy_tests::KafkaVersion::V0_8_2_2)?)
            })+
        }

        mod kafka_0_9_0_1 {
            $(#[test]
            fn $test() -> anyhow::Result<()> {
                super::$test(divvy_tests::Cluster::shared(divvy_tests::KafkaVersion::V0_9_0_1)?)
            })+
        }
    };
}
pub(crate) use on_both_versions;
