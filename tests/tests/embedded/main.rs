//! The embedded cluster before clients that others have written, and as a program.

mod disk;
mod java;
mod kazoo;
mod kcat;
mod librdkafka;
mod program;
mod pykafka;

use std::time::Duration;

/// How long something may take that is waited for and not measured.
const PATIENCE: Duration = Duration::from_secs(60);

/// Makes each function, which takes a [`KafkaVersion`](divvy_tests::KafkaVersion), a test on the embedded cluster as either.
macro_rules! as_both_versions {
    ($($test:ident),+ $(,)?) => {
        divvy_tests::tests_on!([as_0_8_2 = Embedded0_8_2, as_0_9 = Embedded0_9], at_any_time, $($test),+);
    };
}
use as_both_versions;
