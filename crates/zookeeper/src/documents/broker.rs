use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{Malformed, int, int_field, object};

/// The registration of a broker, `/brokers/ids/<id>`, of any version from 1 (Kafka 0.8) to 5 (2.7 and later).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broker {
    /// The broker's id, from the node's name.
    pub id: i32,
    /// The document's version: 1 from Kafka 0.8, 2 from 0.9 or from a later one that still speaks 0.9 to its peers, 3 and more
    /// from brokers that answer ApiVersions requests.
    pub version: i32,
    /// Where the broker listens.
    pub endpoints: Vec<Endpoint>,
    /// The rack, where the broker names one. Kafka: `broker.rack`.
    pub rack: Option<String>,
}

/// One listener of a broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The listener's name, which is the protocol's unless the broker maps it. Kafka: `listeners`.
    pub listener: String,
    /// The security protocol: `PLAINTEXT`, `SSL`, `SASL_PLAINTEXT` or `SASL_SSL`. Kafka: `listener.security.protocol.map`.
    pub protocol: String,
    /// A name or an address; an IPv6 address without brackets.
    pub host: String,
    /// The TCP port.
    pub port: u16,
}

impl Broker {
    /// Reads a registration. Listeners that cannot be read are left out, and a broker without listeners is no error: Kafka 0.9
    /// writes `"host":null,"port":-1` where there is none for plain text.
    ///
    /// # Errors
    /// [`Malformed`] where it is no JSON object or has no version.
    pub fn parse(id: i32, data: &[u8]) -> Result<Self, Malformed> {
        let document = object(data)?;
        let version = int_field(&document, "version")?;
        let protocols = protocols(&document);
        let mut endpoints: Vec<Endpoint> = document
            .get("endpoints")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(|endpoint| parse_endpoint(endpoint.as_str()?, &protocols))
            .collect();
        if endpoints.is_empty() {
            endpoints.extend(host_and_port(&document));
        }
        let rack = document.get("rack").and_then(Value::as_str);
        Ok(Self {
            id,
            version,
            endpoints,
            rack: rack.map(str::to_owned),
        })
    }

    /// The first listener for plain text, if there is one.
    pub fn plaintext(&self) -> Option<&Endpoint> {
        self.endpoints
            .iter()
            .find(|endpoint| endpoint.protocol == "PLAINTEXT")
    }
}

/// The protocols of listeners with names of their own, from version 4 on.
fn protocols(document: &Map<String, Value>) -> BTreeMap<&str, &str> {
    document
        .get("listener_security_protocol_map")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .filter_map(|(listener, protocol)| Some((listener.as_str(), protocol.as_str()?)))
        .collect()
}

fn parse_endpoint(text: &str, protocols: &BTreeMap<&str, &str>) -> Option<Endpoint> {
    let (listener, address) = text.split_once("://")?;
    let (host, port) = address.rsplit_once(':')?;
    let host = host.strip_prefix('[').unwrap_or(host);
    let host = host.strip_suffix(']').unwrap_or(host);
    Some(Endpoint {
        listener: listener.to_owned(),
        protocol: (*protocols.get(listener).unwrap_or(&listener)).to_owned(),
        host: valid_host(host)?,
        port: port.parse().ok().filter(|port| *port > 0)?,
    })
}

fn host_and_port(document: &Map<String, Value>) -> Option<Endpoint> {
    Some(Endpoint {
        listener: "PLAINTEXT".to_owned(),
        protocol: "PLAINTEXT".to_owned(),
        host: valid_host(document.get("host")?.as_str()?)?,
        port: document
            .get("port")
            .and_then(int)
            .and_then(|port| u16::try_from(port).ok())
            .filter(|port| *port > 0)?,
    })
}

fn valid_host(host: &str) -> Option<String> {
    let valid = !host.is_empty() && host.len() <= 255;
    valid.then(|| host.to_owned())
}

#[cfg(test)]
mod tests;
