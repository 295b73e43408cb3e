//! Records of any bytes, through Kafka's own Java producer.

use std::fmt::Write as _;

use anyhow::Result;

use super::Cluster;
use crate::paths;

/// A record for Kafka's own Java producer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JavaRecord {
    /// Its partition; `None` lets the producer choose.
    pub partition: Option<i32>,
    /// Its key; `None` is null.
    pub key: Option<Vec<u8>>,
    /// Its value; `None` is null.
    pub value: Option<Vec<u8>>,
}

impl Cluster {
    /// Produces records in their order through the Java producer of the cluster's version, and returns when all of them are
    /// acknowledged by every replica in sync.
    ///
    /// `codec` is Kafka's name of it: `none`, `gzip`, `snappy`, `lz4`.
    ///
    /// # Errors
    ///
    /// When the producer fails.
    pub fn produce_records(&self, topic: &str, codec: &str, records: &[JavaRecord]) -> Result<()> {
        let program = paths::tests().join("java/ProduceRecords.java");
        let mut input = String::new();
        for record in records {
            let partition = record.partition.map(|partition| partition.to_string());
            let partition = partition.unwrap_or_else(|| "-".to_owned());
            let [key, value] = [&record.key, &record.value].map(|bytes| field(bytes.as_deref()));
            writeln!(input, "{partition}\t{key}\t{value}")?;
        }
        // The JVM compiles a program that it is given as a file.
        let arguments = [self.bootstrap(), topic.to_owned(), codec.to_owned()];
        self.run_java_tool(&program.display().to_string(), arguments, input.as_bytes())
            .map(drop)
    }
}

fn field(bytes: Option<&[u8]>) -> String {
    bytes.map_or_else(|| "-".to_owned(), crate::hex)
}
