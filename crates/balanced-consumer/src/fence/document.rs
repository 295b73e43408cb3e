//! What is written beside offsets in Kafka: in the epoch node, and in the metadata of a commit.

use serde_json::{Value, json};

/// The content of an epoch node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Epoch {
    /// How far the partition was finished when this was written.
    pub(super) offset: Option<i64>,
    /// The claim that wrote it.
    pub(super) token: Option<i64>,
}

impl Epoch {
    /// Reads it; what cannot be read says nothing.
    pub(super) fn parse(data: &[u8]) -> Self {
        let value: Value = serde_json::from_slice(data).unwrap_or_default();
        Self {
            offset: value.get("offset").and_then(Value::as_i64),
            token: token(&value),
        }
    }

    pub(super) fn to_json(self) -> Vec<u8> {
        // As text, because Kafka's own JSON reader takes no number beyond 32 bits.
        let token = self.token.map(|token| token.to_string());
        json!({ "offset": self.offset, "token": token })
            .to_string()
            .into_bytes()
    }
}

/// The token in the metadata of a commit; none where Java, PyKafka or a tool wrote it.
pub(super) fn committed_token(metadata: &str) -> Option<i64> {
    token(&serde_json::from_str(metadata).ok()?)
}

fn token(value: &Value) -> Option<i64> {
    value.get("token")?.as_str()?.parse().ok()
}

/// Where to begin, from what Kafka has and what the last owner left in the epoch node.
///
/// What was committed under an older claim than the last owner's came from a member that did not know yet that it had lost the
/// partition. It is true all the same, because everything below it was finished by somebody, and so is the checkpoint: the larger
/// one counts. A commit without a token is somebody's deliberate one.
pub(super) fn begin(committed: Option<(i64, &str)>, last: Epoch) -> Option<i64> {
    let (offset, metadata) = match committed {
        Some(committed) => committed,
        // Kafka forgets offsets; the checkpoint does not.
        None => return last.offset,
    };
    match (committed_token(metadata), last.token, last.offset) {
        (Some(token), Some(last_token), Some(checkpoint)) if token < last_token => {
            Some(offset.max(checkpoint))
        }
        _ => Some(offset),
    }
}
