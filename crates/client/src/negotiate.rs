//! Finding out which versions a broker speaks, without a request that could disturb an old one.
//!
//! A 0.9 broker that gets an ApiVersions request never answers it and forgets the other clients whose requests came in the same
//! moment, so it is only sent where the broker is known to be 0.10 or newer: its registration in ZooKeeper says so, or it
//! answered a Metadata request in the layout of 0.10. Metadata version 1 with an empty list is understood by every broker, and
//! the old ones answer it in the layout of version 0.

use std::time::Duration;

use divvy_protocol::api::{ApiVersionsRequest, ListGroupsRequest, MetadataRequest};
use divvy_protocol::{
    ApiKey, ApiVersionTable, BrokerVersion, MetadataProbe, classify_metadata_probe,
};

use crate::connection::Connection;
use crate::error::{Error, Result};

/// What is known of a broker before it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hint {
    /// The configuration or the broker's registration names its line.
    Line(BrokerVersion),
    /// Its registration says that it understands ApiVersions.
    Modern,
    /// Nothing.
    Unknown,
}

impl Hint {
    /// What the `version` of a broker's document in ZooKeeper tells: 1 was written by 0.8, 2 by 0.9 (or by a newer broker in the
    /// middle of an upgrade from it, for which the same versions are right), later ones by brokers that can be asked.
    pub(crate) fn from_registration(version: i32) -> Self {
        match version {
            ..=1 => Self::Line(BrokerVersion::V0_8_2),
            2 => Self::Line(BrokerVersion::V0_9),
            _ => Self::Modern,
        }
    }
}

/// What was found out.
#[derive(Clone, Debug)]
pub(crate) struct Negotiated {
    pub(crate) versions: ApiVersionTable,
    /// The line whose versions these are, where the broker did not name them itself.
    pub(crate) line: Option<BrokerVersion>,
}

impl Negotiated {
    fn line(line: BrokerVersion) -> Self {
        Self {
            versions: ApiVersionTable::for_broker(line),
            line: Some(line),
        }
    }
}

/// Finds the versions for a fresh connection. `throw_away` opens another connection to the same broker, for the one question
/// that 0.8.2 answers by closing it.
pub(crate) async fn versions<F>(
    connection: &Connection,
    hint: Hint,
    timeout: Duration,
    throw_away: impl FnOnce() -> F,
) -> Result<Negotiated>
where
    F: Future<Output = Result<Connection>>,
{
    match hint {
        Hint::Line(line) => Ok(Negotiated::line(line)),
        Hint::Modern => ask(connection, timeout).await,
        Hint::Unknown => match probe(connection, timeout).await? {
            MetadataProbe::Modern => ask(connection, timeout).await,
            MetadataProbe::Legacy => {
                let line = legacy_line(&throw_away().await?, timeout).await?;
                Ok(Negotiated::line(line))
            }
        },
    }
}

async fn probe(connection: &Connection, timeout: Duration) -> Result<MetadataProbe> {
    let request = MetadataRequest {
        topics: Some(Vec::new()),
        allow_auto_topic_creation: false,
    };
    let body = connection.exchange(&request, 1, timeout).await?;
    classify_metadata_probe(body).map_err(|error| Error::Peer {
        broker: connection.broker().to_owned(),
        why: format!("its metadata has the layout of no known version: {error}"),
    })
}

async fn ask(connection: &Connection, timeout: Duration) -> Result<Negotiated> {
    let answer = connection
        .call_version(&ApiVersionsRequest::default(), 0, timeout)
        .await?;
    if !answer.error.is_ok() {
        return Err(Error::Broker {
            broker: connection.broker().to_owned(),
            request: ApiKey::ApiVersions.name(),
            subject: "this client".to_owned(),
            code: answer.error,
        });
    }
    Ok(Negotiated {
        versions: ApiVersionTable::from_api_versions(&answer),
        line: None,
    })
}

/// 0.9 knows ListGroups and 0.8.2 closes the connection on it (with one stack trace in its log and no other effect).
async fn legacy_line(connection: &Connection, timeout: Duration) -> Result<BrokerVersion> {
    match connection
        .exchange(&ListGroupsRequest::default(), 0, timeout)
        .await
    {
        Ok(_) => Ok(BrokerVersion::V0_9),
        Err(Error::Disconnected { .. }) => Ok(BrokerVersion::V0_8_2),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests;
