use bytes::Bytes;

use crate::api::{MetadataRequest, decode_response};
use crate::wire::DecodeError;

/// What the answer to a Metadata request of version 1 tells of a broker, see [`classify_metadata_probe`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MetadataProbe {
    /// It ignored the version and answered in the layout of version 0: 0.8.2 or 0.9. ApiVersions must not be sent.
    Legacy,
    /// It answered in the layout of version 1: 0.10 or newer. It can be asked for its versions.
    Modern,
}

/// Tells an old broker from a newer one by its answer to a Metadata request of version 1 for no topics.
///
/// Such a request is understood by every broker, creates nothing and disturbs nothing. `topics` must be an empty list and never
/// null, which brokers before 0.10 fail on; to them an empty list means all topics. The bytes must be used up exactly. Should
/// they fit both layouts, the broker counts as old, because that mistake harms nobody.
///
/// # Errors
///
/// The bytes have neither layout: the peer is not a Kafka broker. The error is that of version 1.
pub fn classify_metadata_probe(body: Bytes) -> Result<MetadataProbe, DecodeError> {
    if decode_response::<MetadataRequest>(body.clone(), 0).is_ok() {
        return Ok(MetadataProbe::Legacy);
    }
    decode_response::<MetadataRequest>(body, 1).map(|_| MetadataProbe::Modern)
}
