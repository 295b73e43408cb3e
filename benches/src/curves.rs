//! How speed depends on one thing while everything else stays as it is.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use anyhow::Result;

use crate::report::Report;
use crate::rounds;
use crate::site::Site;
use crate::workload::Workload;

/// About how many bytes are read at each point where messages have different sizes.
const BYTES: u64 = 400_000_000;
/// What a message takes in the log beside its value.
const ENTRY_OVERHEAD: u64 = 26;

/// Several workloads that differ in one thing.
#[derive(Debug)]
pub(crate) struct Curve {
    pub(crate) name: &'static str,
    what: &'static str,
    contenders: &'static [&'static str],
    points: Vec<(String, Workload)>,
}

/// Who is measured where nothing else is said; who is not built is left out.
const USUAL: [&str; 4] = ["batch", "recv", "librdkafka", "raw"];

impl Curve {
    /// Every curve.
    pub(crate) fn all() -> Result<Vec<Curve>> {
        let plain: Workload = "plain".parse()?;
        let curve = |name, what, points| Curve {
            name,
            what,
            contenders: &USUAL,
            points,
        };
        let point = |label: String, change: &dyn Fn(&mut Workload)| {
            let mut workload = plain.clone();
            workload.name.clone_from(&label);
            change(&mut workload);
            (label, workload)
        };
        let sizes = [10, 100, 1_000, 10_000, 100_000, 1_000_000].map(|size| {
            point(format!("{size} bytes"), &|workload| {
                let count = BYTES / (size + ENTRY_OVERHEAD);
                (workload.size, workload.messages) = (size, count / 8 * 8);
            })
        });
        let partitions = [1, 8, 64, 512].map(|count| {
            point(format!("{count} partitions"), &|workload| {
                workload.partitions = count;
                // The same for each of them, in whole batches.
                workload.messages = 512 * 7_800;
            })
        });
        let members = [1, 2, 5, 10, 25, 50].map(|count| {
            point(format!("{count} members"), &|workload| {
                workload.members = count;
                workload.partitions = 100;
            })
        });
        let codecs = ["none", "snappy", "lz4", "gzip"].map(|codec| {
            point(codec.to_owned(), &|workload| {
                workload.codec = codec.to_owned();
            })
        });
        let fetch = [64, 256, 1024, 4096].map(|kib| {
            point(format!("{kib} KiB"), &|workload| {
                workload.fetch_bytes = Some(kib << 10);
            })
        });
        Ok(vec![
            curve("size", "message size", sizes.into()),
            curve("partitions", "partitions", partitions.into()),
            Curve {
                contenders: &["members"],
                ..curve("members", "members of the group", members.into())
            },
            curve("codecs", "codec", codecs.into()),
            curve("fetch", "bytes fetched of a partition", fetch.into()),
        ])
    }

    /// What is read.
    pub(crate) fn workloads(&self) -> impl Iterator<Item = &Workload> {
        self.points.iter().map(|(_, workload)| workload)
    }

    /// Measures each point.
    pub(crate) fn measure(
        &self,
        site: &Site,
        rounds: usize,
        only: &[String],
    ) -> Result<Vec<Report>> {
        let is_there =
            |name: &&&str| **name != "librdkafka" || site.program("librdkafka-peer").is_ok();
        let usual = self.contenders.iter().filter(is_there);
        let usual: Vec<String> = usual.map(ToString::to_string).collect();
        let contenders = if only.is_empty() { &usual } else { only };
        let points = self.points.iter();
        let measured = points
            .map(|(_, workload)| rounds::of_consumers(site, workload, rounds, contenders, false));
        measured.collect()
    }

    /// Prints a table in Markdown, of medians.
    pub(crate) fn print(&self, reports: &[Report]) -> Result<()> {
        let mut table = format!("\n| {} |", self.what);
        let names: Vec<&str> = reports.first().map(Report::names).unwrap_or_default();
        for name in &names {
            write!(table, " {name}: msg/s | MB/s | CPU ns |")?;
        }
        table.push_str("\n|---|");
        table.push_str(&"---:|".repeat(3 * names.len()));
        for ((label, _), report) in self.points.iter().zip(reports) {
            write!(table, "\n| {label} |")?;
            for name in &names {
                let median = |field| report.median(name, field).unwrap_or(f64::NAN);
                write!(
                    table,
                    " {:.0} | {:.1} | {:.1} |",
                    median(|run| run.msgs_per_s),
                    median(|run| run.mb_per_s),
                    median(|run| run.cpu_ns_per_msg),
                )?;
            }
        }
        Ok(writeln!(io::stdout(), "{table}")?)
    }
}
