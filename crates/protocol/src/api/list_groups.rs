use super::{Message, Request};
use crate::error_code::ErrorCode;
use crate::versions::ApiKey;
use crate::wire::{DecodeError, EncodeError, Reader, Writer};

/// Asks for the groups that a broker coordinates, so every broker has a part of the answer. Version 0.
///
/// 0.9 answers it and 0.8.2 closes the connection, which is how the two are told apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListGroupsRequest {}

/// Answers a [`ListGroupsRequest`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListGroupsResponse {
    /// Whether the broker could tell.
    pub error: ErrorCode,
    /// The groups that it coordinates.
    pub groups: Vec<ListedGroup>,
}

/// A group in a [`ListGroupsResponse`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListedGroup {
    /// The group. Kafka: `group.id`.
    pub group: String,
    /// What its members are, such as `consumer`; empty for a group that only stores offsets.
    pub protocol_type: String,
}

impl Request for ListGroupsRequest {
    const API: ApiKey = ApiKey::ListGroups;
    type Response = ListGroupsResponse;
}

impl Message for ListGroupsRequest {
    fn encode(&self, _w: &mut Writer, _version: i16) -> Result<(), EncodeError> {
        Ok(())
    }

    fn decode(_r: &mut Reader, _version: i16) -> Result<Self, DecodeError> {
        Ok(Self {})
    }
}

impl Message for ListGroupsResponse {
    fn encode(&self, w: &mut Writer, _version: i16) -> Result<(), EncodeError> {
        self.error.write(w);
        w.array(&self.groups, |w, group| {
            w.string(&group.group)?;
            w.string(&group.protocol_type)
        })
    }

    fn decode(r: &mut Reader, _version: i16) -> Result<Self, DecodeError> {
        Ok(Self {
            error: ErrorCode::read(r)?,
            groups: r.array(|r| {
                Ok(ListedGroup {
                    group: r.string()?,
                    protocol_type: r.string()?,
                })
            })?,
        })
    }
}
