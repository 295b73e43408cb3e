//! One test at a time.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Lets one test of a suite run at a time: they measure how long things take, and a machine may be small.
pub fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    // A test that failed has nothing to say about the next one.
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Lets one test on the embedded cluster run at a time. Beside one that has the [`turn`] there is room for it: it brings no JVMs.
pub fn embedded_turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    // A test that failed has nothing to say about the next one.
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes each function, which takes a [`KafkaVersion`](crate::KafkaVersion), a test on the embedded cluster as 0.8.2, each in its
/// [`embedded_turn`].
#[macro_export]
macro_rules! on_embedded {
    ($($test:ident),+ $(,)?) => {
        mod embedded {
            $(#[test]
            fn $test() -> anyhow::Result<()> {
                let _turn = $crate::embedded_turn();
                super::$test($crate::KafkaVersion::Embedded0_8_2)
            })+
        }
    };
}

/// Makes each function, which takes a [`KafkaVersion`](crate::KafkaVersion), a test on 0.8.2.2, each in its [`turn`].
#[macro_export]
macro_rules! on_kafka_0_8_2_2 {
    ($($test:ident),+ $(,)?) => {
        mod kafka_0_8_2_2 {
            $(#[test]
            fn $test() -> anyhow::Result<()> {
                let _turn = $crate::turn();
                super::$test($crate::KafkaVersion::V0_8_2_2)
            })+
        }
    };
}

/// Makes each function, which takes a [`KafkaVersion`](crate::KafkaVersion), a test on both legacy versions, each in its
/// [`turn`].
#[macro_export]
macro_rules! on_both_versions {
    ($($test:ident),+ $(,)?) => {
        mod kafka_0_8_2_2 {
            $(#[test]
            fn $test() -> anyhow::Result<()> {
                let _turn = $crate::turn();
                super::$test($crate::KafkaVersion::V0_8_2_2)
            })+
        }

        mod kafka_0_9_0_1 {
            $(#[test]
            fn $test() -> anyhow::Result<()> {
                let _turn = $crate::turn();
                super::$test($crate::KafkaVersion::V0_9_0_1)
            })+
        }
    };
}
