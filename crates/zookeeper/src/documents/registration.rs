use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::{Malformed, int, object};
use crate::paths;

/// The registration of a group's member, `/consumers/<group>/ids/<consumer id>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// How the keys of the subscription are meant.
    pub pattern: Pattern,
    /// What is subscribed and by how many streams, in the order of the document: topics, or for a white or black list one
    /// expression (Java takes the first and ignores others). Empty for a member that takes part without owning anything.
    pub subscription: Vec<(String, u32)>,
    /// When the member registered, in milliseconds since the epoch, where it says so.
    pub timestamp: Option<i64>,
    /// Which library wrote it, where it says so: a field that Java does not write and does not mind.
    pub client: Option<String>,
    /// Whether Java can read the document. One that it cannot read makes every Java member of the group fail to rebalance.
    pub readable_by_java: bool,
}

/// How a subscription names its topics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pattern {
    /// By their names.
    Static,
    /// By a Java regular expression that they match as a whole.
    WhiteList,
    /// By a Java regular expression that they do not match.
    BlackList,
}

/// What the data of a member's node says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Member {
    /// A member whose subscription is known.
    Registered(Registration),
    /// The node has no data yet: some clients create it first and set its data then.
    InProgress,
    /// A PyKafka member, which keeps nothing but the name of its topic there. It cannot share a group with Java's members.
    PyKafka {
        /// The topic.
        topic: String,
    },
    /// Something else.
    Garbage {
        /// What is wrong with it.
        why: String,
    },
}

impl Pattern {
    fn name(self) -> &'static str {
        match self {
            Self::Static => "static",
            Self::WhiteList => "white_list",
            Self::BlackList => "black_list",
        }
    }
}

impl Member {
    /// Classifies the data of a member's node. `is_topic` says whether a topic of that name exists.
    pub fn parse(data: &[u8], is_topic: impl FnOnce(&str) -> bool) -> Self {
        if data.is_empty() {
            return Self::InProgress;
        }
        let why = match Registration::parse(data) {
            Ok(registration) => return Self::Registered(registration),
            Err(why) => why.to_string(),
        };
        match std::str::from_utf8(data) {
            Ok(name) if paths::validate_topic(name).is_ok() && is_topic(name) => Self::PyKafka {
                topic: name.to_owned(),
            },
            _ => Self::Garbage { why },
        }
    }
}

impl Registration {
    /// Reads a registration with Java's tolerance: unknown fields, another order and an unknown pattern (static then) are
    /// accepted, version and timestamp may be missing. Beyond it numbers that Java cannot read are accepted where they do not
    /// matter, such as a timestamp in milliseconds; [`Registration::readable_by_java`] tells.
    ///
    /// # Errors
    /// [`Malformed`] where it is no JSON object, or has no subscription or pattern, or a stream count that is no number from 1
    /// to 2^31 - 1.
    pub fn parse(data: &[u8]) -> Result<Self, Malformed> {
        let document = object(data)?;
        let pattern = match document.get("pattern").and_then(Value::as_str) {
            None => return Err(Malformed::new("it has no text `pattern`")),
            Some("white_list") => Pattern::WhiteList,
            Some("black_list") => Pattern::BlackList,
            Some(_) => Pattern::Static,
        };
        let subscription = document
            .get("subscription")
            .and_then(Value::as_object)
            .ok_or_else(|| Malformed::new("it has no object `subscription`"))?
            .iter()
            .map(|(topic, streams)| Ok((topic.clone(), parse_streams(topic, streams)?)))
            .collect::<Result<_, Malformed>>()?;
        Ok(Self {
            pattern,
            subscription,
            timestamp: document.get("timestamp").and_then(parse_timestamp),
            client: document
                .get("client")
                .and_then(Value::as_str)
                .map(str::to_owned),
            readable_by_java: readable_by_java(&document),
        })
    }

    /// Writes the registration exactly as Java does, with the name of the client behind that. What is missing is left out; without a
    /// subscription it takes part with no stream.
    ///
    /// # Errors
    /// [`Malformed`] for a stream count that Java would not read, or a white or black list that has not exactly one expression.
    pub fn to_json(&self) -> Result<String, Malformed> {
        if self.pattern != Pattern::Static && self.subscription.len() != 1 {
            return Err(Malformed::new(
                "a white or black list has exactly one expression",
            ));
        }
        let mut json = String::from(r#"{"version":1,"subscription":{"#);
        for (index, (topic, streams)) in self.subscription.iter().enumerate() {
            if *streams == 0 || i32::try_from(*streams).is_err() {
                return Err(Malformed::new(format!("{streams} streams for `{topic}`")));
            }
            if index > 0 {
                json.push(',');
            }
            push_string(&mut json, topic);
            json.push(':');
            json.push_str(&streams.to_string());
        }
        json.push_str(r#"},"pattern":""#);
        json.push_str(self.pattern.name());
        json.push('"');
        if let Some(timestamp) = self.timestamp {
            // As a text, because Java reads no number beyond 32 bits.
            json.push_str(r#","timestamp":""#);
            json.push_str(&timestamp.to_string());
            json.push('"');
        }
        if let Some(client) = &self.client {
            json.push_str(r#","client":"#);
            push_string(&mut json, client);
        }
        json.push('}');
        Ok(json)
    }
}

fn parse_streams(topic: &str, streams: &Value) -> Result<u32, Malformed> {
    int(streams)
        .and_then(|streams| u32::try_from(streams).ok())
        .filter(|streams| *streams > 0)
        .ok_or_else(|| Malformed::new(format!("`{streams}` is no number of streams for `{topic}`")))
}

/// Java writes milliseconds as a text, kazoo-go seconds as a number.
fn parse_timestamp(timestamp: &Value) -> Option<i64> {
    match timestamp {
        Value::String(text) => text.parse().ok(),
        Value::Number(number) => {
            let number = number.as_i64()?;
            Some(match i32::try_from(number) {
                Ok(seconds) => i64::from(seconds) * 1000,
                Err(_) => number,
            })
        }
        _ => None,
    }
}

/// Kafka's JSON reader takes every number for a 32-bit integer and gives the whole document up where one is not.
fn readable_by_java(document: &Map<String, Value>) -> bool {
    fn readable(value: &Value) -> bool {
        match value {
            Value::Number(_) => int(value).is_some(),
            Value::Array(values) => values.iter().all(readable),
            Value::Object(fields) => fields.values().all(readable),
            Value::Null | Value::Bool(_) | Value::String(_) => true,
        }
    }
    document.values().all(readable)
}

/// Writes a JSON string as Kafka's writer does, which also escapes slashes.
fn push_string(json: &mut String, text: &str) {
    json.push('"');
    for c in text.chars() {
        match c {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            '/' => json.push_str("\\/"),
            '\u{8}' => json.push_str("\\b"),
            '\u{c}' => json.push_str("\\f"),
            '\n' => json.push_str("\\n"),
            '\r' => json.push_str("\\r"),
            '\t' => json.push_str("\\t"),
            c if c.is_control() => {
                // Writing to a string cannot fail.
                let _ = write!(json, "\\u{:04x}", u32::from(c));
            }
            c => json.push(c),
        }
    }
    json.push('"');
}

#[cfg(test)]
mod tests;
