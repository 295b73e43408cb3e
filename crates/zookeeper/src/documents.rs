//! What Kafka and its consumer groups keep in their nodes: reading, with the tolerance that the many writers need, and writing,
//! byte for byte as Kafka does. Nothing here does I/O.

use std::fmt;

use serde_json::{Map, Value};

mod broker;
mod offset;
mod partition_state;
mod registration;
mod topic;

pub use broker::{Broker, Endpoint};
pub use offset::{format_offset, parse_offset};
pub use partition_state::PartitionState;
pub use registration::{Member, Pattern, Registration};
pub use topic::{Topic, TopicAssignment, parse_topic_config, topic_config_json};

use crate::error::Error;

/// The largest document that is read. ZooKeeper's servers take no larger node unless they are told to.
pub const MAX_DOCUMENT_LEN: usize = 1 << 20;

/// Why a document cannot be read or written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    why: String,
}

impl Malformed {
    pub(crate) fn new(why: impl Into<String>) -> Self {
        Self { why: why.into() }
    }

    /// The error for the node in which the document is.
    pub fn at(self, path: impl Into<String>) -> Error {
        Error::Malformed {
            path: path.into(),
            why: self.why,
        }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

impl std::error::Error for Malformed {}

/// Reads the object that every JSON document of Kafka is.
fn object(data: &[u8]) -> Result<Map<String, Value>, Malformed> {
    if data.is_empty() {
        return Err(Malformed::new("it is empty"));
    }
    if data.len() > MAX_DOCUMENT_LEN {
        return Err(Malformed::new(format!("it has {} bytes", data.len())));
    }
    match serde_json::from_slice(data) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(Malformed::new("it is no JSON object")),
        Err(error) => Err(Malformed::new(format!("it is no JSON: {error}"))),
    }
}

fn int(value: &Value) -> Option<i32> {
    value.as_i64().and_then(|number| i32::try_from(number).ok())
}

fn int_field(object: &Map<String, Value>, field: &str) -> Result<i32, Malformed> {
    object
        .get(field)
        .and_then(int)
        .ok_or_else(|| Malformed::new(format!("it has no number `{field}`")))
}

fn ints(value: &Value) -> Option<Vec<i32>> {
    value.as_array()?.iter().map(int).collect()
}
