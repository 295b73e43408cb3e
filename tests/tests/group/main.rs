//! Groups of real `divvy consume` processes on real clusters, 0.8.2.2 and 0.9.0.1: who owns what, and what is printed.

mod ensemble;
mod group;
mod idle;
mod kill;
mod lines;
mod owners;
mod printed;
mod reader;
mod rule;
mod session;
mod shapes;
mod share;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long something may take that is waited for and not measured.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Lets one test run at a time: they measure how long things take, and a machine may be small.
pub(crate) fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    // A test that failed has nothing to say about the next one.
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes each function a test on both legacy versions.
macro_rules! on_both_versions {
    ($($test:ident),+ $(,)?) => {
        mod kafka_0_8_2_2 {
            $(#[test]
            fn $test() -> anyhow::Result<()> {
                let _turn = crate::turn();
                super::$test(divvy_tests::KafkaVersion::V0_8_2_2)
            })+
        }

        mod kafka_0_9_0_1 {
            $(#[test]
            fn $test() -> anyhow::Result<()> {
                let _turn = crate::turn();
                super::$test(divvy_tests::KafkaVersion::V0_9_0_1)
            })+
        }
    };
}
pub(crate) use on_both_versions;
