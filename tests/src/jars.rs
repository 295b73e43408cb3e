//! Kafka's jars, resolved by Maven and kept.

use std::fmt::{self, Display};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::str::FromStr;

use anyhow::{Context as _, Result, bail};
use rustix::fs::{FlockOperation, flock};

use crate::paths;

/// What the tests run against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KafkaVersion {
    /// The embedded cluster as 0.8.2, without a JVM.
    Embedded0_8_2,
    /// The embedded cluster as 0.9, without a JVM.
    Embedded0_9,
    /// With ZooKeeper 3.4.6. Message format v0.
    V0_8_2_2,
    /// With ZooKeeper 3.4.6. Message format v0.
    V0_9_0_1,
    /// With ZooKeeper 3.4.10. The first line with record batches (v2), headers and CRC-32C.
    V0_11_0_3,
}

impl KafkaVersion {
    /// Every version of Kafka's own, oldest first.
    pub const ALL: [KafkaVersion; 3] = [
        KafkaVersion::V0_8_2_2,
        KafkaVersion::V0_9_0_1,
        KafkaVersion::V0_11_0_3,
    ];

    /// The version as Kafka writes it, such as `0.8.2.2`; for an embedded cluster the one that it behaves as.
    pub fn as_str(self) -> &'static str {
        match self {
            KafkaVersion::Embedded0_8_2 | KafkaVersion::V0_8_2_2 => "0.8.2.2",
            KafkaVersion::Embedded0_9 | KafkaVersion::V0_9_0_1 => "0.9.0.1",
            KafkaVersion::V0_11_0_3 => "0.11.0.3",
        }
    }

    /// Whether it is the embedded cluster.
    pub fn is_embedded(self) -> bool {
        matches!(
            self,
            KafkaVersion::Embedded0_8_2 | KafkaVersion::Embedded0_9
        )
    }
}

impl Display for KafkaVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let embedded = if self.is_embedded() { "embedded " } else { "" };
        write!(f, "{embedded}{}", self.as_str())
    }
}

impl FromStr for KafkaVersion {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        match KafkaVersion::ALL
            .into_iter()
            .find(|version| version.as_str() == text)
        {
            Some(version) => Ok(version),
            None => bail!(
                "no Kafka {text} here; there are {}",
                KafkaVersion::ALL.map(KafkaVersion::as_str).join(", ")
            ),
        }
    }
}

/// The jars of one version of Kafka, with its ZooKeeper, or of Storm, and what they need.
///
/// They are kept in `$DIVVY_TEST_JARS`, or else in `divvy/jars` below the user's cache directory, so that a
/// machine resolves each version once.
#[derive(Clone, Debug)]
pub struct Jars {
    directory: PathBuf,
}

impl Jars {
    /// The jars of `version`, for an embedded cluster those of the Kafka that it behaves as, resolved by Maven from `docker/kafka-<version>/pom.xml` if they are not there yet.
    ///
    /// Processes that ask at the same time wait for one another.
    ///
    /// # Errors
    ///
    /// When Maven is missing or fails, or the cache cannot be written.
    pub fn resolve(version: KafkaVersion) -> Result<Jars> {
        let version = version.as_str();
        let pom = paths::docker(format!("kafka-{version}/pom.xml"));
        Self::resolve_pom(version, &pom)
    }

    /// The jars of Storm, which the spout is tested against, from `tests/java/storm/pom.xml`.
    ///
    /// # Errors
    ///
    /// As for [`Jars::resolve`].
    pub fn storm() -> Result<Jars> {
        Self::resolve_pom("storm", &paths::tests().join("java/storm/pom.xml"))
    }

    fn resolve_pom(name: &str, pom: &Path) -> Result<Jars> {
        let cache = cache_directory()?;
        fs::create_dir_all(&cache).with_context(|| format!("cannot create {}", cache.display()))?;
        // One for all: Maven's own repository is not made for several at a time.
        let lock = cache.join("maven.lock");
        let lock =
            File::create(&lock).with_context(|| format!("cannot create {}", lock.display()))?;
        flock(&lock, FlockOperation::LockExclusive).context("cannot lock the cache of jars")?;

        let wanted = fs::read(pom).with_context(|| format!("cannot read {}", pom.display()))?;
        let directory = cache.join(name);
        // The copy of the pom is written last: it says what the jars beside it were resolved from.
        if !fs::read(directory.join("pom.xml")).is_ok_and(|resolved| resolved == wanted) {
            resolve_into(&directory, pom)?;
            fs::write(directory.join("pom.xml"), &wanted)
                .with_context(|| format!("cannot write {}", directory.display()))?;
        }
        Ok(Jars { directory })
    }

    /// The folder that holds the jars.
    pub fn directory(&self) -> &Path {
        &self.directory
    }
}

/// A program of the JDK that the tests use, such as `javac`.
pub fn jdk(tool: &str) -> PathBuf {
    match std::env::var_os("JAVA_HOME") {
        Some(home) => Path::new(&home).join("bin").join(tool),
        None => tool.into(),
    }
}

fn cache_directory() -> Result<PathBuf> {
    match std::env::var_os("DIVVY_TEST_JARS") {
        Some(directory) => Ok(directory.into()),
        None => Ok(paths::cache().context("set DIVVY_TEST_JARS")?.join("jars")),
    }
}

fn resolve_into(directory: &Path, pom: &Path) -> Result<()> {
    if directory.exists() {
        fs::remove_dir_all(directory)
            .with_context(|| format!("cannot remove {}", directory.display()))?;
    }
    let output = Command::new("mvn")
        .args(["--quiet", "--batch-mode", "--file"])
        .arg(pom)
        .args(["dependency:copy-dependencies", "-DincludeScope=runtime"])
        .arg(format!("-DoutputDirectory={}", directory.display()))
        .output()
        .context("cannot run mvn; is Maven installed? tests/run installs it")?;
    if !output.status.success() {
        bail!(
            "Maven could not resolve {}: {}",
            pom.display(),
            String::from_utf8_lossy(&output.stdout)
        );
    }
    Ok(())
}
