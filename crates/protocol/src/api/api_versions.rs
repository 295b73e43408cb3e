use super::{Message, Request};
use crate::error_code::ErrorCode;
use crate::versions::ApiKey;
use crate::wire::{DecodeError, EncodeError, Reader, Writer};

/// Asks which versions a broker accepts. Version 0.
///
/// Must not be sent to a broker before 0.10: 0.9 does not answer, does not close, and may leave the connections of other clients
/// deaf. See [`classify_metadata_probe`](crate::classify_metadata_probe) for how to tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApiVersionsRequest {}

/// Answers an [`ApiVersionsRequest`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApiVersionsResponse {
    /// Whether the broker could tell.
    pub error: ErrorCode,
    /// What it accepts.
    pub apis: Vec<ApiVersion>,
}

/// The versions of one API in an [`ApiVersionsResponse`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ApiVersion {
    /// Which API, see [`ApiKey::from_code`].
    pub api_key: i16,
    /// The lowest version.
    pub min_version: i16,
    /// The highest version.
    pub max_version: i16,
}

impl Request for ApiVersionsRequest {
    const API: ApiKey = ApiKey::ApiVersions;
    type Response = ApiVersionsResponse;
}

impl Message for ApiVersionsRequest {
    fn encode(&self, _w: &mut Writer, _version: i16) -> Result<(), EncodeError> {
        Ok(())
    }

    fn decode(_r: &mut Reader, _version: i16) -> Result<Self, DecodeError> {
        Ok(Self {})
    }
}

impl Message for ApiVersionsResponse {
    fn encode(&self, w: &mut Writer, _version: i16) -> Result<(), EncodeError> {
        self.error.write(w);
        w.array(&self.apis, |w, api| {
            w.i16(api.api_key);
            w.i16(api.min_version);
            w.i16(api.max_version);
            Ok(())
        })
    }

    fn decode(r: &mut Reader, _version: i16) -> Result<Self, DecodeError> {
        Ok(Self {
            error: ErrorCode::read(r)?,
            apis: r.array(|r| {
                Ok(ApiVersion {
                    api_key: r.i16()?,
                    min_version: r.i16()?,
                    max_version: r.i16()?,
                })
            })?,
        })
    }
}
