use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::folder::{Folder, failed, names};
use super::{Limits, Log};
use crate::server::error::{Error, Result};

/// What says that somebody uses the folder; Kafka's brokers have it too.
const LOCK: &str = ".lock";

/// The folder of all logs, which is this cluster's alone as long as this value lives. Kafka: `log.dirs`.
#[derive(Debug)]
pub(crate) struct LogDir {
    path: PathBuf,
    _lock: File,
}

/// A partition that was there already.
#[derive(Debug)]
pub(crate) struct Kept {
    /// Its brokers; empty where they are not known.
    pub(crate) replicas: Vec<i32>,
    pub(crate) log: Log,
}

impl LogDir {
    /// Makes the folder where there is none.
    pub(crate) fn open(path: PathBuf) -> Result<Self> {
        std::fs::create_dir_all(&path).map_err(|source| failed(&path, source))?;
        let file = path.join(LOCK);
        let lock = File::create(&file).map_err(|source| failed(&file, source))?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { path, _lock: lock }),
            Err(Errno::WOULDBLOCK) => Err(Error::LogInUse(path)),
            Err(error) => Err(failed(&file, error.into())),
        }
    }

    /// The partitions of each topic that is in the folder. What is no partition's folder is left alone.
    pub(crate) fn kept(&self, now_ms: i64, limits: Limits) -> Result<BTreeMap<String, Vec<Kept>>> {
        let mut found = BTreeMap::<_, Vec<_>>::new();
        for name in names(&self.path)? {
            if let Some((topic, partition)) = Folder::parse(&name)
                && self.path.join(name).is_dir()
            {
                found.entry(topic).or_default().push(partition);
            }
        }
        let mut kept = BTreeMap::new();
        for (topic, mut partitions) in found {
            partitions.sort_unstable();
            let mut logs = Vec::with_capacity(partitions.len());
            for (expected, partition) in (0..).zip(partitions) {
                if partition != expected {
                    return Err(Error::MissingLog(self.folder(&topic, expected)));
                }
                let folder = Folder::create(self.folder(&topic, partition))?;
                let replicas = folder.replicas();
                let log = Log::open(folder, now_ms, limits)?;
                logs.push(Kept { replicas, log });
            }
            kept.insert(topic, logs);
        }
        Ok(kept)
    }

    /// A new partition's log.
    pub(crate) fn create(
        &self,
        topic: &str,
        partition: i32,
        now_ms: i64,
        limits: Limits,
    ) -> Result<Log> {
        let folder = Folder::create(self.folder(topic, partition))?;
        Log::open(folder, now_ms, limits)
    }

    fn folder(&self, topic: &str, partition: i32) -> PathBuf {
        self.path.join(Folder::name(topic, partition))
    }
}
