//! Where it is measured: a broker, and the programs.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use divvy_tests::{Cluster, Jars, KafkaVersion};

/// A broker with its ZooKeeper, and the folder with the programs that were built with this one.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) bootstrap: String,
    pub(crate) zookeeper: String,
    pub(crate) version: KafkaVersion,
    pub(crate) jars: Jars,
    programs: PathBuf,
    /// Ends with this, if it was started here.
    _cluster: Option<Cluster>,
}

impl Site {
    /// Starts a broker, as it would be in production but for its place on this machine.
    pub(crate) fn start(version: KafkaVersion) -> Result<Site> {
        let cluster = Cluster::builder().kafka(version).measured();
        // The largest messages have a million bytes without what surrounds them.
        let largest = (2 << 20).to_string();
        let cluster = cluster
            .property("message.max.bytes", &largest)
            .property("replica.fetch.max.bytes", &largest)
            .start()?;
        Ok(Site {
            bootstrap: cluster.bootstrap(),
            zookeeper: cluster.zookeeper_connect(),
            version,
            jars: Jars::resolve(version)?,
            programs: programs()?,
            _cluster: Some(cluster),
        })
    }

    /// Uses the broker that is there.
    pub(crate) fn there(version: KafkaVersion, bootstrap: &str, zookeeper: &str) -> Result<Site> {
        Ok(Site {
            bootstrap: bootstrap.to_owned(),
            zookeeper: zookeeper.to_owned(),
            version,
            jars: Jars::resolve(version)?,
            programs: programs()?,
            _cluster: None,
        })
    }

    /// A name that was never used, for groups.
    pub(crate) fn unique(&self) -> String {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        format!("bench-{}", since.unwrap_or_default().as_micros())
    }

    /// A program that must be there.
    pub(crate) fn program(&self, name: &str) -> Result<PathBuf> {
        let program = self.beside(name);
        ensure!(
            program.exists(),
            "there is no {}; benches/run builds it",
            program.display()
        );
        Ok(program)
    }

    /// A place beside the programs.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.programs.join(name)
    }
}

fn programs() -> Result<PathBuf> {
    let own = std::env::current_exe().context("this program does not know its place")?;
    let folder = own.parent().context("this program has no folder")?;
    Ok(folder.to_path_buf())
}
