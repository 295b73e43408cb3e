use std::fmt;
use std::str::FromStr;

/// The host and port of a broker.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostPort {
    /// A name or an address; an IPv6 address without brackets.
    pub host: String,
    /// The TCP port.
    pub port: u16,
}

impl HostPort {
    /// Names an address.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self {
            host: host.into(),
            port,
        }
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl FromStr for HostPort {
    type Err = String;

    /// Takes `host:port`, `[v6]:port` and `host` (port 9092, Kafka's own).
    fn from_str(text: &str) -> Result<Self, String> {
        let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, "")) => (host, None),
            Some((host, rest)) => (host, rest.strip_prefix(':')),
            None => match text.rsplit_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            },
        };
        let port = match port {
            None => 9092,
            Some(port) => port
                .parse()
                .map_err(|_| format!("`{text}` has no valid port; write host:port"))?,
        };
        if host.is_empty() || host.chars().any(char::is_whitespace) {
            return Err(format!("`{text}` names no host; write host:port"));
        }
        Ok(Self::new(host, port))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_names_addresses_and_the_default_port() {
        for (text, host, port) in [
            ("kafka1:9093", "kafka1", 9093),
            ("kafka1", "kafka1", 9092),
            ("[::1]:9093", "::1", 9093),
            ("[::1]", "::1", 9092),
        ] {
            assert_eq!(text.parse(), Ok(HostPort::new(host, port)), "{text}");
        }
    }

    #[test]
    fn refuses_what_names_no_host_or_port() {
        for text in ["", ":9092", "kafka:", "kafka:port", "kafka:70000", "a b:1"] {
            assert!(text.parse::<HostPort>().is_err(), "{text}");
        }
    }

    #[test]
    fn prints_an_address_that_reads_back() {
        for text in ["kafka1:9093", "[::1]:9093"] {
            assert_eq!(text.parse::<HostPort>().unwrap().to_string(), text);
        }
    }
}
