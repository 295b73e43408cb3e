use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Malformed, ints, object};

/// The largest number of replicas in all that is written: more would not fit into a node.
const MAX_REPLICAS: usize = 100_000;

/// A topic, `/brokers/topics/<topic>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// The topic's name, from the node's.
    pub name: String,
    /// The partitions, with the brokers that hold them; the first is the preferred leader.
    pub partitions: BTreeMap<i32, Vec<i32>>,
}

impl Topic {
    /// Reads a topic. Fields that later versions of Kafka have added are ignored.
    ///
    /// # Errors
    /// [`Malformed`] where it is no JSON object, has no partitions, or a partition that is no number from 0 on.
    pub fn parse(name: &str, data: &[u8]) -> Result<Self, Malformed> {
        let document = object(data)?;
        let partitions = document
            .get("partitions")
            .and_then(Value::as_object)
            .ok_or_else(|| Malformed::new("it has no object `partitions`"))?
            .iter()
            .map(|(partition, replicas)| {
                let number: i32 = partition.parse().ok().filter(|number| *number >= 0)?;
                Some((number, ints(replicas)?))
            })
            .collect::<Option<_>>()
            .ok_or_else(|| Malformed::new("a partition is not a number with a list of brokers"))?;
        Ok(Self {
            name: name.to_owned(),
            partitions,
        })
    }
}

/// Which brokers are to hold which partition of a topic that is to be created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicAssignment {
    replicas: Vec<Vec<i32>>,
}

impl TopicAssignment {
    /// Takes the brokers for each partition from 0 on, the preferred leader first.
    ///
    /// # Errors
    /// [`Malformed`] where there is no partition, a partition has no broker or one twice, partitions have different numbers of
    /// brokers, or a broker's id is negative: a broker's controller would stumble over each.
    pub fn new(replicas: Vec<Vec<i32>>) -> Result<Self, Malformed> {
        let Some(factor) = replicas.first().map(Vec::len) else {
            return Err(Malformed::new("a topic needs at least one partition"));
        };
        if replicas.len().saturating_mul(factor) > MAX_REPLICAS {
            return Err(Malformed::new(
                "a topic of so many replicas does not fit into a node",
            ));
        }
        for (partition, brokers) in replicas.iter().enumerate() {
            let distinct: BTreeSet<i32> = brokers.iter().copied().collect();
            if brokers.is_empty() {
                return Err(Malformed::new(format!(
                    "partition {partition} has no broker"
                )));
            }
            if brokers.len() != factor {
                return Err(Malformed::new(format!(
                    "partition {partition} has {} brokers where partition 0 has {factor}",
                    brokers.len()
                )));
            }
            if distinct.len() != factor {
                return Err(Malformed::new(format!(
                    "partition {partition} has a broker twice"
                )));
            }
            if distinct.first().is_some_and(|broker| *broker < 0) {
                return Err(Malformed::new(format!(
                    "partition {partition} has a negative broker id"
                )));
            }
        }
        Ok(Self { replicas })
    }

    /// Deals partitions out to brokers as Kafka's own tools do: leaders in turn, followers shifted by one more broker with each
    /// round, so that every broker's followers are spread over the others. `start` and `shift` say where to begin; Kafka draws
    /// them at random.
    ///
    /// # Errors
    /// [`Malformed`] where there are no partitions, or more replicas than brokers or none.
    pub fn deal(
        brokers: &[i32],
        partitions: usize,
        replication_factor: usize,
        start: usize,
        shift: usize,
    ) -> Result<Self, Malformed> {
        let count = brokers.len();
        if replication_factor == 0 || replication_factor > count {
            let brokers = if count == 1 { "broker" } else { "brokers" };
            return Err(Malformed::new(format!(
                "a replication factor of {replication_factor} is not possible with {count} {brokers}"
            )));
        }
        if partitions.saturating_mul(replication_factor) > MAX_REPLICAS {
            return Err(Malformed::new(
                "a topic of so many replicas does not fit into a node",
            ));
        }
        let (start, shift) = (start % count, shift % (count - 1).max(1));
        let replicas = (0..partitions).map(|partition| {
            let leader = (start + partition) % count;
            // Starting at 0, the round is over whenever the partitions have gone once around.
            let shift = shift + partition / count;
            (0..replication_factor).map(move |replica| match replica {
                0 => leader,
                _ => (leader + 1 + (shift + replica - 1) % (count - 1)) % count,
            })
        });
        Self::new(
            replicas
                .map(|places| {
                    places
                        .filter_map(|place| brokers.get(place).copied())
                        .collect()
                })
                .collect(),
        )
    }

    /// How many partitions the topic will have.
    pub fn partitions(&self) -> usize {
        self.replicas.len()
    }

    /// The brokers of each partition, in their order of preference.
    pub fn replicas(&self) -> &[Vec<i32>] {
        &self.replicas
    }

    /// The document that creates the topic.
    pub fn to_json(&self) -> String {
        let partitions: Vec<String> = self
            .replicas
            .iter()
            .enumerate()
            .map(|(partition, brokers)| {
                let brokers: Vec<String> = brokers.iter().map(i32::to_string).collect();
                format!("\"{partition}\":[{}]", brokers.join(","))
            })
            .collect();
        format!(
            "{{\"version\":1,\"partitions\":{{{}}}}}",
            partitions.join(",")
        )
    }
}

/// The settings of a topic, `/config/topics/<topic>`, without any.
pub fn topic_config_json() -> &'static str {
    r#"{"version":1,"config":{}}"#
}

/// The settings of a topic, by their names; what is no text is left out. A topic without the node has none.
///
/// # Errors
/// [`Malformed`] where it is no JSON object.
pub fn parse_topic_config(data: &[u8]) -> Result<BTreeMap<String, String>, Malformed> {
    let document = object(data)?;
    let settings = document.get("config").and_then(Value::as_object);
    let settings = settings.into_iter().flatten();
    let texts = settings.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.into())));
    Ok(texts.collect())
}

#[cfg(test)]
mod tests;
