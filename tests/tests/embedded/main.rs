//! The embedded cluster before clients that others have written, and as a program.

mod java;
mod kazoo;
mod librdkafka;
mod program;
mod pykafka;

use std::time::Duration;

/// How long something may take that is waited for and not measured.
const PATIENCE: Duration = Duration::from_secs(60);

/// Makes each function, which takes a [`KafkaVersion`](divvy_tests::KafkaVersion), a test on the embedded cluster as either.
macro_rules! as_both_versions {
    ($($test:ident),+ $(,)?) => {
        mod as_0_8_2 {
            $(#[test]
            fn $test() -> anyhow::Result<()> {
                super::$test(divvy_tests::KafkaVersion::Embedded0_8_2)
            })+
        }

        mod as_0_9 {
            $(#[test]
            fn $test() -> anyhow::Result<()> {
                super::$test(divvy_tests::KafkaVersion::Embedded0_9)
            })+
        }
    };
}
use as_both_versions;
