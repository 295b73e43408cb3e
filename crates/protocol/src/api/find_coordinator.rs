use super::{Message, Request};
use crate::error_code::ErrorCode;
use crate::versions::ApiKey;
use crate::wire::{DecodeError, EncodeError, Reader, Writer};

/// Asks which broker keeps a group's offsets in Kafka; any broker answers. Version 0.
///
/// The first such request to a fresh cluster creates `__consumer_offsets`; until that is done the answer is
/// [`ErrorCode::COORDINATOR_NOT_AVAILABLE`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FindCoordinatorRequest {
    /// The group. Kafka: `group.id`.
    pub group: String,
}

/// Answers a [`FindCoordinatorRequest`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FindCoordinatorResponse {
    /// Whether there is a coordinator.
    pub error: ErrorCode,
    /// Its `broker.id`; -1 with an error.
    pub node_id: i32,
    /// Where clients reach it; empty with an error.
    pub host: String,
    /// The port beside the host; -1 with an error.
    pub port: i32,
}

impl Request for FindCoordinatorRequest {
    const API: ApiKey = ApiKey::FindCoordinator;
    type Response = FindCoordinatorResponse;
}

impl Message for FindCoordinatorRequest {
    fn encode(&self, w: &mut Writer, _version: i16) -> Result<(), EncodeError> {
        w.string(&self.group)
    }

    fn decode(r: &mut Reader, _version: i16) -> Result<Self, DecodeError> {
        Ok(Self { group: r.string()? })
    }
}

impl Message for FindCoordinatorResponse {
    fn encode(&self, w: &mut Writer, _version: i16) -> Result<(), EncodeError> {
        self.error.write(w);
        w.i32(self.node_id);
        w.string(&self.host)?;
        w.i32(self.port);
        Ok(())
    }

    fn decode(r: &mut Reader, _version: i16) -> Result<Self, DecodeError> {
        Ok(Self {
            error: ErrorCode::read(r)?,
            node_id: r.i32()?,
            host: r.string()?,
            port: r.i32()?,
        })
    }
}
