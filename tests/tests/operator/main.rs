//! `divvy group` and `divvy offsets` on real clusters, 0.8.2.2 and 0.9.0.1: they agree with Kafka's own tool, what they move is
//! where other consumers go on, and each planted fault is found.

mod describe;
mod doctor;
mod managed;
mod page;
mod program;
mod remove;
mod reset;
mod settings;

use std::time::Duration;

/// How long something may take that is waited for and not measured.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

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
