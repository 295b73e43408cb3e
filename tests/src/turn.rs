//! One test at a time, and one test for each version.

use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::Result;
use tokio::runtime;

use crate::{Cluster, KafkaVersion};

/// Lets one test of a suite run at a time: they measure how long things take, and a machine may be small.
pub fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    taken(&TURN)
}

/// Lets one test on the embedded cluster run at a time. Beside one that has the [`turn`] there is room for it: it brings no JVMs.
fn embedded_turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    taken(&TURN)
}

fn taken(turn: &'static Mutex<()>) -> MutexGuard<'static, ()> {
    // A test that failed has nothing to say about the next one.
    turn.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs a test when it is its turn, among those on real clusters or among those on embedded ones.
///
/// # Errors
///
/// The test's.
pub fn in_turn(version: KafkaVersion, test: fn(KafkaVersion) -> Result<()>) -> Result<()> {
    let _turn = match version.is_embedded() {
        true => embedded_turn(),
        false => turn(),
    };
    test(version)
}

/// Runs a test beside others.
///
/// # Errors
///
/// The test's.
pub fn at_any_time(version: KafkaVersion, test: fn(KafkaVersion) -> Result<()>) -> Result<()> {
    test(version)
}

/// Runs a test that is a future beside others, on a runtime of its own.
///
/// # Errors
///
/// The test's, or why there is no runtime.
pub fn as_task<F: Future<Output = Result<()>>>(
    version: KafkaVersion,
    test: impl FnOnce(KafkaVersion) -> F,
) -> Result<()> {
    let mut runtime = runtime::Builder::new_current_thread();
    runtime.enable_all().build()?.block_on(test(version))
}

/// Runs a test beside others on the cluster that they share.
///
/// # Errors
///
/// The test's, or why there is no cluster.
pub fn on_shared(version: KafkaVersion, test: fn(&Cluster) -> Result<()>) -> Result<()> {
    test(Cluster::shared(version)?)
}

/// Makes each function a test on each of some versions, `[module = version, …]`, by their names in
/// [`KafkaVersion`](crate::KafkaVersion), in a module for each, run by [`in_turn`], [`at_any_time`], [`as_task`] or [`on_shared`].
#[macro_export]
macro_rules! tests_on {
    ([$($module:ident = $version:ident),+], $run:ident, $($test:ident),+ $(,)?) => {
        $crate::tests_on!(@each [$($module = $version),+] $run ($($test),+));
    };
    (@each [$($module:ident = $version:ident),+] $run:ident $tests:tt) => {
        $($crate::tests_on!(@one $module $version $run $tests);)+
    };
    (@one $module:ident $version:ident $run:ident ($($test:ident),+)) => {
        mod $module {
            $(#[test]
            fn $test() -> anyhow::Result<()> {
                $crate::$run($crate::KafkaVersion::$version, super::$test)
            })+
        }
    };
}

/// Makes each function, which takes a [`KafkaVersion`](crate::KafkaVersion), a test on the embedded cluster as 0.8.2, each in its
/// turn.
#[macro_export]
macro_rules! on_embedded {
    ($($test:ident),+ $(,)?) => {
        $crate::tests_on!([embedded = Embedded0_8_2], in_turn, $($test),+);
    };
}

/// Makes each function, which takes a [`KafkaVersion`](crate::KafkaVersion), a test on 0.8.2.2, each in its [`turn`].
#[macro_export]
macro_rules! on_kafka_0_8_2_2 {
    ($($test:ident),+ $(,)?) => {
        $crate::tests_on!([kafka_0_8_2_2 = V0_8_2_2], in_turn, $($test),+);
    };
}

/// Makes each function, which takes a [`KafkaVersion`](crate::KafkaVersion), a test on both legacy versions, each in its
/// [`turn`].
#[macro_export]
macro_rules! on_both_versions {
    ($($test:ident),+ $(,)?) => {
        $crate::tests_on!([kafka_0_8_2_2 = V0_8_2_2, kafka_0_9_0_1 = V0_9_0_1], in_turn, $($test),+);
    };
}

/// Makes each function, which takes a [`KafkaVersion`](crate::KafkaVersion), a test on the embedded cluster as 0.8.2 and on both
/// legacy versions, each in its turn.
#[macro_export]
macro_rules! on_every_version {
    ($($test:ident),+ $(,)?) => {
        $crate::on_embedded!($($test),+);
        $crate::on_both_versions!($($test),+);
    };
}

/// Makes each function, which takes a [`Cluster`], a test on the embedded cluster as 0.8.2 that they share.
#[macro_export]
macro_rules! on_shared_embedded {
    ($($test:ident),+ $(,)?) => {
        $crate::tests_on!([embedded = Embedded0_8_2], on_shared, $($test),+);
    };
}

/// Makes each function, which takes a [`Cluster`], a test on both legacy versions, on the clusters that they share.
#[macro_export]
macro_rules! on_shared_both_versions {
    ($($test:ident),+ $(,)?) => {
        $crate::tests_on!([kafka_0_8_2_2 = V0_8_2_2, kafka_0_9_0_1 = V0_9_0_1], on_shared, $($test),+);
    };
}

/// Makes each function, which takes a [`Cluster`], a test on the embedded cluster as 0.8.2 and on both legacy versions, on the
/// clusters that they share.
#[macro_export]
macro_rules! on_shared_every_version {
    ($($test:ident),+ $(,)?) => {
        $crate::on_shared_embedded!($($test),+);
        $crate::on_shared_both_versions!($($test),+);
    };
}
