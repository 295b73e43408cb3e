use bytes::Bytes;

use super::{Message, Request};
use crate::error_code::ErrorCode;
use crate::versions::ApiKey;
use crate::wire::{DecodeError, EncodeError, Reader, Writer};

/// Asks what a broker knows of groups that it coordinates, their members included. Version 0. Brokers before 0.9 do not know it:
/// they coordinate no groups.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DescribeGroupsRequest {
    /// The groups.
    pub groups: Vec<String>,
}

/// Answers a [`DescribeGroupsRequest`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DescribeGroupsResponse {
    /// One for each group that was asked for.
    pub groups: Vec<DescribedGroup>,
}

/// A group in a [`DescribeGroupsResponse`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DescribedGroup {
    /// Whether the broker could tell; [`ErrorCode::NOT_COORDINATOR`] where another one coordinates the group.
    pub error: ErrorCode,
    /// The group. Kafka: `group.id`.
    pub group: String,
    /// Such as `Stable`, `PreparingRebalance`, `Empty` or, for a group that the broker does not know, `Dead`.
    pub state: String,
    /// What its members are, such as `consumer`; empty for a group without members.
    pub protocol_type: String,
    /// What its members have agreed on, such as `range`; empty while they have not.
    pub protocol: String,
    /// Its members.
    pub members: Vec<DescribedMember>,
}

/// A member of a [`DescribedGroup`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DescribedMember {
    /// Its id, which the coordinator made up.
    pub member: String,
    /// What it calls itself. Kafka: `client.id`.
    pub client_id: String,
    /// Where it connected from, such as `/10.0.0.7`.
    pub client_host: String,
    /// What it told the coordinator of the chosen protocol; of a consumer, its subscription.
    pub metadata: Bytes,
    /// What the group's leader gave it; of a consumer, its partitions.
    pub assignment: Bytes,
}

impl Request for DescribeGroupsRequest {
    const API: ApiKey = ApiKey::DescribeGroups;
    type Response = DescribeGroupsResponse;
}

impl Message for DescribeGroupsRequest {
    fn encode(&self, w: &mut Writer, _version: i16) -> Result<(), EncodeError> {
        w.array(&self.groups, |w, group| w.string(group))
    }

    fn decode(r: &mut Reader, _version: i16) -> Result<Self, DecodeError> {
        Ok(Self {
            groups: r.array(Reader::string)?,
        })
    }
}

impl Message for DescribeGroupsResponse {
    fn encode(&self, w: &mut Writer, _version: i16) -> Result<(), EncodeError> {
        w.array(&self.groups, |w, group| {
            group.error.write(w);
            w.string(&group.group)?;
            w.string(&group.state)?;
            w.string(&group.protocol_type)?;
            w.string(&group.protocol)?;
            w.array(&group.members, |w, member| member.write(w))
        })
    }

    fn decode(r: &mut Reader, _version: i16) -> Result<Self, DecodeError> {
        Ok(Self {
            groups: r.array(|r| {
                Ok(DescribedGroup {
                    error: ErrorCode::read(r)?,
                    group: r.string()?,
                    state: r.string()?,
                    protocol_type: r.string()?,
                    protocol: r.string()?,
                    members: r.array(DescribedMember::read)?,
                })
            })?,
        })
    }
}

impl DescribedMember {
    fn write(&self, w: &mut Writer) -> Result<(), EncodeError> {
        w.string(&self.member)?;
        w.string(&self.client_id)?;
        w.string(&self.client_host)?;
        w.bytes(&self.metadata)?;
        w.bytes(&self.assignment)
    }

    fn read(r: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self {
            member: r.string()?,
            client_id: r.string()?,
            client_host: r.string()?,
            metadata: r.bytes()?,
            assignment: r.bytes()?,
        })
    }
}
