use std::fmt::{self, Write as _};
use std::str::FromStr;

use divvy_client::TopicPartition;

/// Which message an [`ack`](super::Spout::ack) or a [`fail`](super::Spout::fail) means: `topic/partition/offset/epoch`.
///
/// As text, which [`FromStr`] reads back, it has at most 100 bytes, so that it can go through systems such as Storm. The epoch is
/// the fencing token of the claim under which the message was handed out: when the partition has been to another member and back,
/// the same message has another id, and what still comes for the old one is told apart and ignored. A message that is handed out
/// again after a failure keeps its id.
///
/// The name of a topic that is longer than 49 characters is cut, and completed by `~` and its hash.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageId {
    place: TopicPartition,
    offset: i64,
    epoch: i64,
}

/// A text that is not the text of a [`MessageId`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no message id: {why}; it should be `topic/partition/offset/epoch`")]
#[non_exhaustive]
pub struct ParseMessageIdError {
    /// The text, or its beginning.
    pub text: String,
    /// What is wrong with it.
    pub why: &'static str,
}

/// What an id may have, in bytes: 49 for the topic, 10 for the partition, twice 19 for offset and epoch, and three slashes.
const MAX_LEN: usize = 100;
const MAX_TOPIC_LEN: usize = 49;
/// What is left of a name that is cut: `~` and 16 digits follow.
const CUT_TOPIC_LEN: usize = MAX_TOPIC_LEN - 17;

impl MessageId {
    /// The id of the message at an offset, handed out under a claim.
    pub fn new(tp: &TopicPartition, offset: i64, epoch: i64) -> Self {
        Self {
            place: place(tp),
            offset,
            epoch,
        }
    }

    pub(super) fn at(place: &TopicPartition, offset: i64, epoch: i64) -> Self {
        Self {
            place: place.clone(),
            offset,
            epoch,
        }
    }

    /// The topic's name, cut where it is longer than 49 characters.
    pub fn topic(&self) -> &str {
        &self.place.topic
    }

    /// The partition's number.
    pub fn partition(&self) -> i32 {
        self.place.partition
    }

    /// The message's offset.
    pub fn offset(&self) -> i64 {
        self.offset
    }

    /// The fencing token of the claim under which it was handed out; 0 outside of a group.
    pub fn epoch(&self) -> i64 {
        self.epoch
    }

    /// The partition, under the name that ids have for it.
    pub(super) fn place(&self) -> &TopicPartition {
        &self.place
    }
}

/// The name of a partition within ids.
pub(super) fn place(tp: &TopicPartition) -> TopicPartition {
    if tp.topic.len() <= MAX_TOPIC_LEN {
        return tp.clone();
    }
    let mut cut: String = tp
        .topic
        .char_indices()
        .take_while(|(at, char)| at + char.len_utf8() <= CUT_TOPIC_LEN)
        .map(|(_, char)| char)
        .collect();
    // Writing to a string cannot fail.
    let _ = write!(cut, "~{:016x}", fnv(tp.topic.as_bytes()));
    TopicPartition::new(cut, tp.partition)
}

/// FNV-1a: the same everywhere and for ever, as names that leave the process must be.
pub(super) fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TopicPartition {
            topic, partition, ..
        } = &self.place;
        write!(f, "{topic}/{partition}/{}/{}", self.offset, self.epoch)
    }
}

impl FromStr for MessageId {
    type Err = ParseMessageIdError;

    fn from_str(text: &str) -> Result<Self, ParseMessageIdError> {
        parse(text).map_err(|why| ParseMessageIdError {
            text: text.chars().take(MAX_LEN).collect(),
            why,
        })
    }
}

fn parse(text: &str) -> Result<MessageId, &'static str> {
    if text.len() > MAX_LEN {
        return Err("it is longer than 100 bytes");
    }
    let mut parts = text.split('/');
    let (Some(topic), Some(partition), Some(offset), Some(epoch), None) = (
        parts.next(),
        parts.next(),
        parts.next(),
        parts.next(),
        parts.next(),
    ) else {
        return Err("it does not have four parts");
    };
    if topic.is_empty() {
        return Err("it names no topic");
    }
    Ok(MessageId {
        place: TopicPartition::new(topic, number(partition, "the partition is no number")?),
        offset: number(offset, "the offset is no number")?,
        epoch: number(epoch, "the epoch is no number")?,
    })
}

/// Reads a number exactly as it is written, so that no two texts mean one message.
fn number<T: FromStr>(text: &str, why: &'static str) -> Result<T, &'static str> {
    let canonical = text.bytes().all(|byte| byte.is_ascii_digit())
        && (text.len() == 1 || !text.starts_with('0'));
    match text.parse() {
        Ok(number) if canonical => Ok(number),
        _ => Err(why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        let longest = "x".repeat(255);
        for (topic, partition, offset, epoch) in [
            ("orders", 0, 0, 0),
            ("a.b_c-d", 17, 123_456, 4_294_967_317),
            (longest.as_str(), i32::MAX, i64::MAX, i64::MAX),
            (&longest[..49], i32::MAX, i64::MAX, i64::MAX),
        ] {
            let id = MessageId::new(&TopicPartition::new(topic, partition), offset, epoch);
            let text = id.to_string();
            assert!(text.len() <= 100, "{text} has {} bytes", text.len());
            assert_eq!(text.parse(), Ok(id.clone()));
            assert_eq!(
                (id.partition(), id.offset(), id.epoch()),
                (partition, offset, epoch)
            );
        }
        let id = MessageId::new(&TopicPartition::new("orders", 3), 42, 7);
        assert_eq!(
            (id.to_string().as_str(), id.topic()),
            ("orders/3/42/7", "orders")
        );
    }

    #[test]
    fn tells_long_names_apart() {
        let id = |topic: &str| MessageId::new(&TopicPartition::new(topic, 0), 0, 0);
        let long = "x".repeat(60);
        assert_ne!(id(&format!("{long}a")), id(&format!("{long}b")));
        assert_eq!(id(&"x".repeat(49)).topic(), "x".repeat(49));
        // No topic has such a character, but the type takes any text.
        assert!(id(&"ü".repeat(60)).to_string().len() <= 100);
    }

    #[test]
    fn refuses_what_is_no_id() {
        for text in [
            "",
            "orders",
            "orders/0/1",
            "orders/0/1/2/3",
            "/0/1/2",
            "orders/-1/1/2",
            "orders/0/+1/2",
            "orders/0/01/2",
            "orders/0//2",
            "orders/0/1/x",
            "orders/0/1/9223372036854775808",
            "orders/2147483648/1/2",
            &format!("{}/0/1/2", "x".repeat(100)),
        ] {
            let error = text.parse::<MessageId>().unwrap_err();
            assert!(error.to_string().contains("no message id"), "{error}");
            assert!(error.text.len() <= 100);
        }
    }
}
