//! Where Kafka and its consumer groups keep their nodes, relative to the chroot.
//!
//! The functions only join names. Check names of topics and groups that come from outside with [`validate_topic`] and
//! [`validate_group`] first; names with other characters are refused by ZooKeeper or would end up elsewhere.

use crate::error::{Error, Result};

#[cfg(test)]
mod tests;

/// The parent of the brokers' registrations.
pub const BROKER_IDS: &str = "/brokers/ids";
/// The parent of the topics.
pub const TOPICS: &str = "/brokers/topics";
/// The parent of the topics' settings.
pub const TOPIC_CONFIGS: &str = "/config/topics";
/// The parent of the consumer groups.
pub const CONSUMERS: &str = "/consumers";
/// The longest topic or group name. Kafka 0.8.2 allows a topic 255 characters, later versions 249.
pub const MAX_NAME_LEN: usize = 255;

/// The registration of a broker.
pub fn broker_id(broker: i32) -> String {
    format!("{BROKER_IDS}/{broker}")
}

/// The node with a topic's partitions and replicas.
pub fn topic(topic: &str) -> String {
    format!("{TOPICS}/{topic}")
}

/// The node with a topic's settings.
pub fn topic_config(topic: &str) -> String {
    format!("{TOPIC_CONFIGS}/{topic}")
}

/// The node that asks the controller to delete a topic.
pub fn deleted_topic(topic: &str) -> String {
    format!("/admin/delete_topics/{topic}")
}

/// The node with the leader and the in-sync replicas of a partition.
pub fn partition_state(topic: &str, partition: i32) -> String {
    format!("{TOPICS}/{topic}/partitions/{partition}/state")
}

/// The parent of a group's registrations.
pub fn group_ids(group: &str) -> String {
    format!("{CONSUMERS}/{group}/ids")
}

/// The registration of a group's member.
pub fn group_id(group: &str, consumer_id: &str) -> String {
    format!("{CONSUMERS}/{group}/ids/{consumer_id}")
}

/// The parent of the topics of which a group's members own partitions.
pub fn group_owners(group: &str) -> String {
    format!("{CONSUMERS}/{group}/owners")
}

/// The parent of a group's owner nodes for one topic.
pub fn topic_owners(group: &str, topic: &str) -> String {
    format!("{CONSUMERS}/{group}/owners/{topic}")
}

/// The node of the member that owns a partition.
pub fn owner(group: &str, topic: &str, partition: i32) -> String {
    format!("{CONSUMERS}/{group}/owners/{topic}/{partition}")
}

/// The parent of the topics of which a group has stored offsets.
pub fn group_offsets(group: &str) -> String {
    format!("{CONSUMERS}/{group}/offsets")
}

/// The parent of a group's stored offsets for one topic.
pub fn topic_offsets(group: &str, topic: &str) -> String {
    format!("{CONSUMERS}/{group}/offsets/{topic}")
}

/// The stored offset of a partition.
pub fn offset(group: &str, topic: &str, partition: i32) -> String {
    format!("{CONSUMERS}/{group}/offsets/{topic}/{partition}")
}

/// The parent of the topics of which divvy's members have fenced offsets in Kafka.
pub fn group_epochs(group: &str) -> String {
    format!("{CONSUMERS}/{group}/epochs")
}

/// The node that fences the offset of a partition whose offsets are in Kafka. Only divvy's members know it.
pub fn epoch(group: &str, topic: &str, partition: i32) -> String {
    format!("{CONSUMERS}/{group}/epochs/{topic}/{partition}")
}

/// The id under which a member registers: `<group>_<hostname>-<milliseconds>-<8 hex digits>`, as Java makes it.
///
/// Characters of the host name other than ASCII letters, digits, `.`, `_` and `-` become `-`, so that ids sort for every member
/// as they do for Java.
pub fn consumer_id(group: &str, hostname: &str, time_ms: u64, random: u32) -> String {
    let hostname = legal(hostname);
    format!("{group}_{hostname}-{time_ms}-{random:08x}")
}

/// What the ids of divvy's members begin with in a group of PyKafka's.
const OWN_PYKAFKA_PREFIX: &str = "divvy-";

/// The id under which a member registers in a group of PyKafka's: `divvy-<hostname>:<UUID>`, where PyKafka's own members leave
/// the first word out. Characters of the host name are replaced as in [`consumer_id`].
pub fn pykafka_consumer_id(hostname: &str, random: u128) -> String {
    // Version 4, variant 1: a random UUID.
    let random = random & !(0xf000 << 64) & !(0xc000 << 48) | 0x4000 << 64 | 0x8000 << 48;
    let hex = format!("{random:032x}");
    let parts = [0..8, 8..12, 12..16, 16..20, 20..32].map(|part| hex.get(part).unwrap_or_default());
    format!(
        "{OWN_PYKAFKA_PREFIX}{}:{}",
        legal(hostname),
        parts.join("-")
    )
}

/// Whether an id was made by [`pykafka_consumer_id`], and not by PyKafka.
pub fn is_own_pykafka_consumer_id(id: &str) -> bool {
    id.starts_with(OWN_PYKAFKA_PREFIX)
}

/// A name with `-` in place of the characters that a group's name may not have.
fn legal(name: &str) -> String {
    name.chars()
        .map(|c| if is_legal(c) { c } else { '-' })
        .collect()
}

/// The thread id of a member's stream, which is also the text of its owner nodes: `<consumer id>-<stream>`.
pub fn thread_id(consumer_id: &str, stream: u32) -> String {
    format!("{consumer_id}-{stream}")
}

/// Checks a topic's name: `[a-zA-Z0-9._-]`, 1 to [`MAX_NAME_LEN`] characters, neither `.` nor `..`.
///
/// # Errors
/// [`Error::Name`].
pub fn validate_topic(topic: &str) -> Result<()> {
    validate_name("topic", topic)
}

/// Checks a group's name, by the same rule as a topic's.
///
/// # Errors
/// [`Error::Name`].
pub fn validate_group(group: &str) -> Result<()> {
    validate_name("group", group)
}

fn validate_name(kind: &'static str, name: &str) -> Result<()> {
    let why = if name.is_empty() {
        "is empty; give it one"
    } else if name.len() > MAX_NAME_LEN {
        "is longer than 255 characters"
    } else if name == "." || name == ".." {
        "is a relative path"
    } else if !name.chars().all(is_legal) {
        "has characters other than letters, digits, `.`, `_` and `-`"
    } else {
        return Ok(());
    };
    Err(Error::Name {
        kind,
        name: name.chars().take(MAX_NAME_LEN).collect(),
        why,
    })
}

fn is_legal(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')
}

/// Checks an absolute path by ZooKeeper's rules; the error completes the sentence "the path …".
pub(crate) fn validate(path: &str) -> Result<(), &'static str> {
    if path == "/" {
        return Ok(());
    }
    let Some(names) = path.strip_prefix('/') else {
        return Err("does not start with a slash");
    };
    for name in names.split('/') {
        match name {
            "" => return Err("has an empty name or ends with a slash"),
            "." | ".." => return Err("is relative"),
            _ if name.chars().any(char::is_control) => return Err("has control characters"),
            _ => {}
        }
    }
    Ok(())
}

/// The parent of a path; `None` for the root and its children, which need none.
pub(crate) fn parent(path: &str) -> Option<&str> {
    match path.rfind('/') {
        None | Some(0) => None,
        Some(slash) => Some(&path[..slash]),
    }
}

/// A path from the root of the tree on.
pub(crate) fn absolute(chroot: Option<&str>, path: &str) -> String {
    match chroot {
        None => path.to_owned(),
        Some(chroot) if path == "/" => chroot.to_owned(),
        Some(chroot) => format!("{chroot}{path}"),
    }
}

/// The opposite of [`absolute`]; `None` for what is not below the chroot.
pub(crate) fn below<'a>(chroot: Option<&str>, path: &'a str) -> Option<&'a str> {
    let Some(chroot) = chroot else {
        return Some(path);
    };
    match path.strip_prefix(chroot)? {
        "" => Some("/"),
        rest if rest.starts_with('/') => Some(rest),
        _ => None,
    }
}
