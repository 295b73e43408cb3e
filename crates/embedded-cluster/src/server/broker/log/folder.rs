use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use divvy_zookeeper::paths;
use tracing::warn;

use crate::server::error::{Error, Result};

/// What names the brokers of a partition, the first leader first: their ids with commas between them. Kafka keeps that in
/// ZooKeeper, which outlives its brokers.
const REPLICAS: &str = "replicas";

/// The folder of a partition, in Kafka's layout: `TOPIC-PARTITION`, with a file for each segment.
#[derive(Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    /// Makes the folder where there is none.
    pub(super) fn create(path: PathBuf) -> Result<Self> {
        let created = fs::create_dir_all(&path);
        created.map_err(|source| failed(&path, source))?;
        Ok(Self(path))
    }

    /// The name of a partition's folder.
    pub(super) fn name(topic: &str, partition: i32) -> String {
        format!("{topic}-{partition}")
    }

    /// The topic and the partition whose folder has the name.
    pub(super) fn parse(name: &str) -> Option<(String, i32)> {
        let (topic, partition) = name.rsplit_once('-')?;
        let partition = partition.parse().ok()?;
        let is_one = paths::validate_topic(topic).is_ok() && Self::name(topic, partition) == name;
        (is_one && partition >= 0).then(|| (topic.to_owned(), partition))
    }

    /// The file of a segment.
    pub(super) fn segment(&self, base: i64) -> PathBuf {
        self.0.join(format!("{base:020}.log"))
    }

    /// The offsets that segments begin at, in their order.
    pub(super) fn segments(&self) -> Result<Vec<i64>> {
        let mut bases = Vec::new();
        for name in names(&self.0)? {
            let base = name.strip_suffix(".log").and_then(|base| base.parse().ok());
            bases.extend(base.filter(|base| *base >= 0 && self.segment(*base).ends_with(&name)));
        }
        bases.sort_unstable();
        Ok(bases)
    }

    /// The brokers of the partition, as far as they are known.
    pub(super) fn replicas(&self) -> Vec<i32> {
        let text = fs::read_to_string(self.0.join(REPLICAS)).unwrap_or_default();
        let ids = text.trim().split(',').map(str::parse);
        ids.collect::<Result<_, _>>().unwrap_or_default()
    }

    pub(super) fn keep_replicas(&self, replicas: &[i32]) -> Result<()> {
        let ids: Vec<_> = replicas.iter().map(i32::to_string).collect();
        let file = self.0.join(REPLICAS);
        fs::write(&file, ids.join(",") + "\n").map_err(|source| failed(&file, source))
    }

    pub(super) fn delete(&self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            warn!("cannot delete {}: {error}", self.0.display());
        }
    }
}

/// The names of what is in a folder, as far as they are text.
pub(super) fn names(folder: &Path) -> Result<Vec<String>> {
    let read = || -> io::Result<Vec<String>> {
        let entries = fs::read_dir(folder)?;
        let names = entries.map(|entry| Ok(entry?.file_name().into_string().ok()));
        names.filter_map(Result::transpose).collect()
    };
    read().map_err(|source| failed(folder, source))
}

pub(super) fn failed(file: &Path, source: io::Error) -> Error {
    let file = file.to_owned();
    Error::Log { file, source }
}
