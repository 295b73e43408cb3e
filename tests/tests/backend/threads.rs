//! librdkafka's threads end with the backend, whatever the brokers are.

use std::fs;
use std::time::Duration;

use anyhow::Result;
use divvy_tests::{Cluster, KafkaVersion, unique, wait_for};

use crate::native::Native;
use crate::rdkafka;
use crate::stage::{Stage, numbers};

/// How librdkafka and the backend name their threads, as far as the system keeps names.
const NAMES: [&str; 2] = ["rdk:", "divvy-rdkafka"];

/// Ends as the test's process has just that one test to do: see [`alone`].
#[test]
fn no_thread_is_left_behind() -> Result<()> {
    if alone("threads::no_thread_is_left_behind")? {
        return Ok(());
    }
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        let cluster = Cluster::shared(KafkaVersion::Embedded0_8_2)?;
        for closes in [true, false] {
            let topic = unique("threads");
            cluster.create_topic(&topic, 4, 1)?;
            let stage =
                Native::over(cluster, &topic, |client| Ok(rdkafka::backend(client)?)).await?;
            stage.append_numbers(0, 0..10).await?;
            stage.backend().start(&stage.tp(0), 0);
            assert_eq!(stage.read(0, 0, 10).await?, numbers(0..10));
            assert!(threads()?.len() >= 3, "{:?}", threads()?);
            if closes {
                stage.backend().close().await;
                // All of them, when `close` returns.
                assert_eq!(threads()?, [""; 0]);
            }
            drop(stage);
            wait_for(Duration::from_secs(10), "the threads to end", || {
                threads().is_ok_and(|threads| threads.is_empty())
            })?;
        }
        Ok(())
    })
}

/// Runs a test in a process of its own. Gives whether it has done so, because this is not that process.
fn alone(test: &str) -> Result<bool> {
    const ALONE: &str = "DIVVY_TEST_ALONE";
    if std::env::var_os(ALONE).is_some() {
        return Ok(false);
    }
    let status = std::process::Command::new(std::env::current_exe()?)
        .args([test, "--exact", "--nocapture"])
        .env(ALONE, "1")
        .status()?;
    anyhow::ensure!(status.success(), "{test} in a process of its own: {status}");
    Ok(true)
}

/// The names of those of this process's threads that librdkafka is responsible for.
fn threads() -> Result<Vec<String>> {
    let mut found = Vec::new();
    for thread in fs::read_dir("/proc/self/task")? {
        // One that has ended meanwhile has no name.
        let name = fs::read_to_string(thread?.path().join("comm")).unwrap_or_default();
        if NAMES.iter().any(|start| name.starts_with(start)) {
            found.push(name.trim().to_owned());
        }
    }
    Ok(found)
}
