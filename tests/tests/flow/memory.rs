//! What a consumer with a budget of 64 MiB takes in all, while its application does not read on and while it does.
//!
//! On a real broker alone: the embedded cluster keeps what is written in memory, and no more of it than it may.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use divvy::Compression;
use divvy_tests::{Cluster, KafkaVersion, Memory, Process, scale, turn};

use crate::scene::{PATIENCE, Topic, live};

const MIB: usize = 1 << 20;
/// What the process may take, with a budget of 64 MiB, which is the default.
const LIMIT: usize = 100 * MIB;

/// A broker takes half a minute to make the full number.
#[test]
fn of_many_partitions() -> Result<()> {
    let _turn = turn();
    let messages = Messages::plain(scale(900, 1500) << 10, 10 << 10);
    Filled::new(scale(128, 512), &[messages])?.stays_small()
}

#[test]
fn of_one_partition() -> Result<()> {
    let _turn = turn();
    let messages = Messages::plain(scale(130, 800) * MIB, 1000);
    Filled::new(1, &[messages])?.stays_small()
}

#[test]
fn of_large_messages() -> Result<()> {
    let _turn = turn();
    let messages = Messages::plain(scale(16, 100) * MIB, 900 << 10);
    Filled::new(8, &[messages])?.stays_small()
}

/// The reader stops within messages that unpack to a hundred times what they took on their way, when the queue is full.
#[test]
fn of_what_unpacks_to_much() -> Result<()> {
    let _turn = turn();
    let plain = Messages::plain(scale(40, 80) * MIB, 1000);
    let packed = Messages {
        compression: Compression::Gzip,
        ..plain
    };
    Filled::new(2, &[packed, plain])?.stays_small()
}

/// One partition stands still and holds what came together with what others have long read.
#[test]
fn of_one_partition_that_stands_still() -> Result<()> {
    let _turn = turn();
    let messages = Messages::plain(scale(30, 200) * MIB, 1000);
    Filled::new(8, &[messages])?.stays_small_beside(&[3])
}

/// Messages that are appended to each partition.
#[derive(Clone, Copy)]
struct Messages {
    /// How many of them, in bytes.
    bytes: usize,
    size: usize,
    compression: Compression,
}

impl Messages {
    fn plain(bytes: usize, size: usize) -> Messages {
        Messages {
            bytes,
            size,
            compression: Compression::None,
        }
    }
}

/// A topic that holds far more than the budget.
struct Filled {
    topic: String,
    bootstrap: String,
    partitions: usize,
    /// How many messages each partition has.
    messages: usize,
}

impl Filled {
    fn new(partitions: i32, kinds: &[Messages]) -> Result<Filled> {
        let cluster = Cluster::shared(KafkaVersion::V0_8_2_2)?;
        live(async {
            let mut topic = Topic::new(cluster, partitions).await?;
            let mut messages = 0;
            for kind in kinds {
                let count = kind.bytes / kind.size;
                let filled = topic.fill(i64::try_from(count)?, kind.size, kind.compression);
                filled.await?;
                messages += count;
            }
            Ok(Filled {
                topic: topic.name,
                bootstrap: cluster.bootstrap(),
                partitions: usize::try_from(partitions)?,
                messages,
            })
        })
    }

    /// A reader stops behind its first message, and then reads everything.
    fn stays_small(&self) -> Result<()> {
        let reader = self.reader(&[])?;
        reader
            .stdout()
            .wait_for(PATIENCE, "the first message", |line| line == "holds")?;
        Memory::settled(&reader, 0, PATIENCE)?;
        is_small(&reader, "stopped")?;
        self.goes_on(&reader)
    }

    /// A reader stops reading these partitions, each behind its first message, and reads the others. Then it reads everything.
    fn stays_small_beside(&self, stopping: &[i32]) -> Result<()> {
        let reader = self.reader(stopping)?;
        let others = self.partitions - stopping.len();
        let messages = self.messages * others + stopping.len();
        has_read(&reader, messages)?;
        is_small(&reader, "stopped")?;
        self.goes_on(&reader)
    }

    fn reader(&self, stopping: &[i32]) -> Result<Process> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_reader"));
        command.args([&self.bootstrap, &self.topic]);
        command.args(stopping.iter().map(ToString::to_string));
        Process::spawn("reader", &mut command)
    }

    fn goes_on(&self, reader: &Process) -> Result<()> {
        reader.write(b"on\n")?;
        has_read(reader, self.messages * self.partitions)?;
        is_small(reader, "all read")
    }
}

fn has_read(reader: &Process, messages: usize) -> Result<()> {
    let said = format!("read {messages}");
    let read = reader
        .stdout()
        .wait_for(PATIENCE, &said, |line| line == said);
    read.with_context(|| reader.stdout().tail(3) + &reader.stderr().tail(10))?;
    Ok(())
}

fn is_small(reader: &Process, when: &str) -> Result<()> {
    let memory = Memory::of(reader)?;
    eprintln!("{when}: {memory}");
    ensure!(memory.peak < LIMIT, "{when}: {memory}");
    Ok(())
}
