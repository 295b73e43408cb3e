//! Group events on stderr: as sentences, or as JSON lines for scripts.

use std::io::{self, Write};
use std::time::{SystemTime, UNIX_EPOCH};

use clap::ValueEnum;
use divvy::{Assignment, Event, TopicPartition};
use serde_json::{Map, Value, json};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

/// How events are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum EventFormat {
    /// As sentences, without those that come all the time.
    Text,
    /// One JSON object a line, all of them.
    Json,
    /// Not at all.
    None,
}

/// Who reports.
#[derive(Clone, Debug)]
pub(crate) struct Reporter {
    pub(crate) format: EventFormat,
    pub(crate) group: Option<String>,
    pub(crate) member: String,
}

impl Reporter {
    /// Shows events until there are no more.
    pub(crate) async fn run(self, mut events: broadcast::Receiver<Event>) {
        loop {
            match events.recv().await {
                Ok(event) => self.show(&event),
                Err(RecvError::Lagged(missed)) => self.show(&Event::Error {
                    message: format!("{missed} events came too fast to be shown"),
                }),
                Err(RecvError::Closed) => return,
            }
        }
    }

    pub(crate) fn show(&self, event: &Event) {
        let line = match self.format {
            EventFormat::None => return,
            EventFormat::Json => self.json(event).to_string(),
            EventFormat::Text => match sentence(event) {
                Some(sentence) => format!("divvy: {sentence}"),
                None => return,
            },
        };
        // With a closed stderr there is nobody left to tell.
        let _ = writeln!(io::stderr(), "{line}");
    }

    fn json(&self, event: &Event) -> Value {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let (name, fields) = fields(event);
        let mut object = Map::new();
        object.insert("event".to_owned(), name.into());
        object.insert(
            "time_ms".to_owned(),
            json!(u64::try_from(since.as_millis()).unwrap_or(u64::MAX)),
        );
        object.insert("group".to_owned(), json!(self.group));
        object.insert("member".to_owned(), json!(self.member));
        if let Value::Object(fields) = fields {
            object.extend(fields);
        }
        Value::Object(object)
    }
}

fn fields(event: &Event) -> (&'static str, Value) {
    match event {
        Event::Assigned { partitions } => ("assigned", assigned(partitions)),
        Event::Revoked { partitions } => ("revoked", assigned(partitions)),
        Event::Lost { partitions, reason } => {
            let mut fields = assigned(partitions);
            fields["reason"] = json!(reason);
            ("lost", fields)
        }
        Event::Suspended { partitions } => ("suspended", assigned(partitions)),
        Event::Resumed { partitions } => ("resumed", assigned(partitions)),
        Event::Fenced { assignment, what } => {
            let mut fields = assigned(std::slice::from_ref(assignment));
            fields["what"] = json!(what);
            ("fenced", fields)
        }
        Event::Stalled { assignment, age_ms } => {
            let mut fields = assigned(std::slice::from_ref(assignment));
            fields["age_ms"] = json!(age_ms);
            ("stalled", fields)
        }
        Event::Idle => ("idle", json!({})),
        Event::Waiting {
            tp,
            owner,
            waited_ms,
        } => {
            let mut fields = at(tp);
            fields["owner"] = json!(owner);
            fields["waited_ms"] = json!(waited_ms);
            ("waiting", fields)
        }
        Event::Orphan {
            tp,
            member,
            orphaned_ms,
        } => {
            let mut fields = at(tp);
            // Whose it is; `member` is who reports.
            fields["assigned_to"] = json!(member);
            fields["orphaned_ms"] = json!(orphaned_ms);
            ("orphan", fields)
        }
        Event::Disagreement {
            member,
            partitions,
            why,
        } => {
            let names: Vec<String> = partitions.iter().map(ToString::to_string).collect();
            let fields = json!({"owner": member, "partitions": names, "why": why});
            ("disagreement", fields)
        }
        Event::Committed { offsets } => {
            let offsets: Vec<Value> = offsets
                .iter()
                .map(|(tp, offset)| json!({"topic": &*tp.topic, "partition": tp.partition, "offset": offset}))
                .collect();
            ("committed", json!({ "offsets": offsets }))
        }
        Event::Reset {
            tp,
            from,
            to,
            reason,
        } => {
            let mut fields = at(tp);
            fields["from"] = json!(from);
            fields["to"] = json!(to);
            fields["reason"] = json!(reason.name());
            ("reset", fields)
        }
        Event::Corrupt { tp, offset, why } => {
            let mut fields = at(tp);
            fields["offset"] = json!(offset);
            fields["why"] = json!(why);
            ("corrupt", fields)
        }
        Event::Blocked { node, data, why } => {
            ("blocked", json!({"node": node, "data": data, "why": why}))
        }
        Event::TopicGone { topic } => ("topic_gone", json!({ "topic": topic })),
        Event::Error { message } => ("error", json!({ "message": message })),
        other => ("error", json!({ "message": format!("{other:?}") })),
    }
}

fn at(tp: &TopicPartition) -> Value {
    json!({"topic": &*tp.topic, "partition": tp.partition, "partitions": [tp.partition]})
}

/// The partitions of one topic, with that topic; or of several topics.
fn assigned(assignments: &[Assignment]) -> Value {
    let tokens: Map<String, Value> = assignments
        .iter()
        .map(|held| (held.tp.to_string(), held.token.into()))
        .collect();
    let partitions: Vec<i32> = assignments.iter().map(|held| held.tp.partition).collect();
    let mut topics: Vec<&str> = assignments.iter().map(|held| &*held.tp.topic).collect();
    topics.dedup();
    match topics.as_slice() {
        [topic] => json!({"topic": topic, "partitions": partitions, "tokens": tokens}),
        _ => {
            let names: Vec<String> = assignments.iter().map(|held| held.tp.to_string()).collect();
            json!({"topic": null, "partitions": names, "tokens": tokens})
        }
    }
}

fn sentence(event: &Event) -> Option<String> {
    Some(match event {
        Event::Assigned { partitions } => format!("now reading {}", names(partitions)),
        Event::Revoked { partitions } => format!("gave up {}", names(partitions)),
        Event::Lost { partitions, reason } => format!("lost {}: {reason}", names(partitions)),
        Event::Suspended { partitions } => format!(
            "suspended {}: ZooKeeper has not answered for too long to be sure of them",
            names(partitions)
        ),
        Event::Resumed { partitions } => format!("reading {} again", names(partitions)),
        Event::Fenced { assignment, what } => format!("{assignment}: {what}"),
        Event::Stalled { assignment, age_ms } => {
            format!("{assignment}: nothing that was handed out has been finished for {age_ms} ms")
        }
        Event::Idle => "idle: other members own every partition; waiting to take over".to_owned(),
        Event::Waiting {
            tp,
            owner,
            waited_ms,
        } => {
            format!("waiting for {tp} since {waited_ms} ms: it is still owned by {owner}")
        }
        Event::Orphan {
            tp,
            member,
            orphaned_ms,
        } => {
            format!(
                "nobody reads {tp} since {orphaned_ms} ms: it belongs to {member}, which has not claimed it"
            )
        }
        Event::Disagreement {
            member,
            partitions,
            why,
        } => {
            let names: Vec<String> = partitions.iter().map(ToString::to_string).collect();
            format!(
                "{member} owns {}, which do not belong to it: {why}",
                names.join(", ")
            )
        }
        Event::Committed { .. } => return None,
        Event::Reset {
            tp,
            from,
            to,
            reason,
        } => match from {
            Some(from) => format!(
                "{tp}: position moved from {from} to {to} ({})",
                reason.name()
            ),
            None => format!("{tp}: no offset is stored, starting at {to}"),
        },
        Event::Corrupt { tp, offset, why } => {
            format!("{tp} is corrupt at offset {offset}: {why}; it stands still")
        }
        Event::Blocked { node, data, why } => format!("blocked by {node} (`{data}`): {why}"),
        Event::TopicGone { topic } => {
            format!("topic {topic} is gone; its partitions were given up")
        }
        Event::Error { message } => message.clone(),
        other => format!("{other:?}"),
    })
}

fn names(assignments: &[Assignment]) -> String {
    let names: Vec<String> = assignments.iter().map(|held| held.tp.to_string()).collect();
    names.join(", ")
}
