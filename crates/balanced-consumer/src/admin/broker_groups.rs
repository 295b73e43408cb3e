//! Groups that brokers coordinate: they are told from the others here, and nothing more.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use divvy_client::{Broker, Client, Error, Result};
use divvy_protocol::api::{
    DescribeGroupsRequest, DescribedGroup, DescribedMember, ListGroupsRequest,
};
use divvy_protocol::wire::Reader;
use divvy_protocol::{ApiKey, ErrorCode};

/// What the groups of consumers call themselves, whose members say what they subscribe.
const CONSUMER: &str = "consumer";

/// A group that a broker coordinates, by Kafka's own group protocol of 0.9 and later. PyKafka: a group of managed consumers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BrokerGroup {
    /// Its name.
    pub group: String,
    /// The broker that coordinates it.
    pub coordinator: i32,
    /// Such as `Stable` or `PreparingRebalance`; `Empty` or `Dead` without members.
    pub state: String,
    /// What its members are, such as `consumer`; empty for a group that only stores offsets.
    pub protocol_type: String,
    /// How they share partitions out, such as `range`; empty while they have not agreed.
    pub protocol: String,
    /// How many members it has.
    pub members: usize,
    /// What they subscribe, as far as they are consumers.
    pub topics: BTreeSet<String>,
}

/// The groups that the brokers of a cluster coordinate, sorted by name. Those that are coordinated through ZooKeeper are not among
/// them, unless they store offsets in Kafka.
///
/// # Errors
/// [`Error::Unsupported`] where brokers are older than 0.9, which coordinate no groups; and why a broker could not be asked.
pub async fn broker_groups(client: &Client) -> Result<Vec<BrokerGroup>> {
    let mut groups = BTreeMap::new();
    let mut brokers = client.brokers();
    if brokers.is_empty() {
        brokers = client.seeds().await?;
    }
    for broker in brokers {
        let id = broker.id().unwrap_or(-1);
        for described in described(&broker).await? {
            // While a group moves, its former coordinator does not know it any more.
            if described.error.is_ok() {
                groups.insert(described.group.clone(), group(id, described));
            }
        }
    }
    Ok(groups.into_values().collect())
}

/// Every group that one broker coordinates.
async fn described(broker: &Broker) -> Result<Vec<DescribedGroup>> {
    let address = broker.address().to_string();
    if broker
        .versions()
        .await?
        .choose(ApiKey::ListGroups)
        .is_none()
    {
        return Err(Error::Unsupported {
            broker: address,
            request: ApiKey::ListGroups.name(),
        });
    }
    let listed = broker.call(&ListGroupsRequest::default()).await?;
    if listed.error != ErrorCode::NONE {
        return Err(Error::Broker {
            broker: address,
            request: ApiKey::ListGroups.name(),
            subject: "all groups".to_owned(),
            code: listed.error,
        });
    }
    let groups: Vec<String> = listed.groups.into_iter().map(|one| one.group).collect();
    if groups.is_empty() {
        return Ok(Vec::new());
    }
    let response = broker.call(&DescribeGroupsRequest { groups }).await?;
    Ok(response.groups)
}

fn group(coordinator: i32, described: DescribedGroup) -> BrokerGroup {
    let topics = match &*described.protocol_type {
        CONSUMER => described.members.iter().flat_map(subscribed).collect(),
        _ => BTreeSet::new(),
    };
    BrokerGroup {
        group: described.group,
        coordinator,
        state: described.state,
        protocol_type: described.protocol_type,
        protocol: described.protocol,
        members: described.members.len(),
        topics,
    }
}

/// The topics in a consumer's metadata, which begins with a version; none where it cannot be read, as while the group shares out.
fn subscribed(member: &DescribedMember) -> Vec<String> {
    topics(member.metadata.clone()).unwrap_or_default()
}

fn topics(metadata: Bytes) -> Option<Vec<String>> {
    let mut reader = Reader::new(metadata);
    reader.i16().ok()?;
    reader.array(Reader::string).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(metadata: &'static [u8]) -> DescribedMember {
        DescribedMember {
            metadata: Bytes::from_static(metadata),
            ..DescribedMember::default()
        }
    }

    #[test]
    fn topics_are_read_from_what_members_say() {
        let described = DescribedGroup {
            group: "billing".to_owned(),
            protocol_type: CONSUMER.to_owned(),
            members: vec![
                member(b"\0\0\0\0\0\x02\0\x01a\0\x01b\xff\xff\xff\xff"),
                member(b"\0\x03\0\0\0\x01\0\x01b more of later versions"),
                member(b"\0\0\0\0"),
                member(b""),
                member(b"\0\0\x7f\xff\xff\xff\0"),
            ],
            ..DescribedGroup::default()
        };
        let found = group(2, described.clone());
        assert_eq!(found.topics, ["a", "b"].map(str::to_owned).into());
        assert_eq!((found.members, found.coordinator), (5, 2));
        // What other kinds of members say is written otherwise.
        let connect = DescribedGroup {
            protocol_type: "connect".to_owned(),
            ..described
        };
        assert_eq!(group(2, connect).topics, BTreeSet::new());
    }
}
