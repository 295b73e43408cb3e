//! Which versions of which APIs the brokers accept.

#![deny(clippy::arithmetic_side_effects)]

mod api_key;
mod broker_version;
mod probe;
mod table;

#[cfg(test)]
mod tests;

pub use api_key::ApiKey;
pub use broker_version::{BrokerVersion, ParseBrokerVersionError};
pub use probe::{MetadataProbe, classify_metadata_probe};
pub use table::{ApiVersionTable, VersionRange, message_magic};
