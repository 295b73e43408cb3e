use std::fmt;
use std::time::Duration;

use crate::crash_release::CrashRelease;
use crate::error::{Error, Result};
use crate::wire::MAX_FRAME;

#[cfg(test)]
mod tests;

/// How ZooKeeper is reached.
///
/// A plain struct: make one with [`Config::new`] and change single fields with struct update. Nothing is checked before
/// [`ZooKeeper::new`](crate::ZooKeeper::new) and nothing is connected before the first session.
#[derive(Clone, Debug)]
pub struct Config {
    /// The servers, and after the last one the chroot: `zk1:2181,zk2:2181/kafka`. The port may be left out (2181). Names are
    /// resolved again at each connection. Kafka: `zookeeper.connect`; PyKafka: `zookeeper_hosts`, `zookeeper_connect`.
    pub connect: String,
    /// How long a session outlives its last sign of life; the servers may choose another value within their own limits (2 to
    /// 20 ticks). Between 100 ms and one hour. Default: 6 s. Kafka: `zookeeper.session.timeout.ms`.
    pub session_timeout: Duration,
    /// How long opening a session may take, over all servers. Default: 6 s. Kafka: `zookeeper.connection.timeout.ms`; PyKafka:
    /// `zookeeper_connection_timeout_ms`.
    pub connect_timeout: Duration,
    /// How long one operation may take, time without a connection included. Default: 6 s. Kafka and PyKafka have no such
    /// limit.
    pub request_timeout: Duration,
    /// Who the session is for the ACLs of nodes. Default: nobody. Kafka takes it from a JAAS login.
    pub auth: Vec<Auth>,
    /// The ACL of the nodes that are created. Existing nodes are never changed. Default: [`Acl::Open`]. Kafka:
    /// `zookeeper.set.acl`.
    pub acl: Acl,
    /// The longest message that is taken from a server, in bytes; a longer one costs the connection. Between 2 MiB and 1 GiB,
    /// because a request may take 1 MiB. Default: 4 MiB. Java: the system property `jute.maxbuffer`.
    pub max_frame: usize,
    /// Whether a helper process closes the sessions of this one when it dies, so that others need not wait until they time out.
    /// Default: [`CrashRelease::Off`]. Kafka and PyKafka have nothing like it.
    pub crash_release: CrashRelease,
}

/// An identity that a session has.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Auth {
    /// ZooKeeper's `digest` scheme. The password goes over the network in clear text: use it on a private network only.
    Digest {
        /// The user's name; without a colon.
        username: String,
        /// The password. Never printed.
        password: String,
    },
}

/// The ACL that created nodes get.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Acl {
    /// Everybody may do everything, as Kafka 0.8.2 has it.
    #[default]
    Open,
    /// The creating identity (see [`Config::auth`]) may do everything, everybody else may read.
    Creator,
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Digest { username, .. } => f
                .debug_struct("Digest")
                .field("username", username)
                .field("password", &"<redacted>")
                .finish(),
        }
    }
}

impl Config {
    /// The configuration for a connect string, everything else being the default.
    pub fn new(connect: impl Into<String>) -> Self {
        Self {
            connect: connect.into(),
            session_timeout: Duration::from_secs(6),
            connect_timeout: Duration::from_secs(6),
            request_timeout: Duration::from_secs(6),
            auth: Vec::new(),
            acl: Acl::Open,
            max_frame: MAX_FRAME,
            crash_release: CrashRelease::Off,
        }
    }

    /// Checks every field and says which one is wrong.
    pub fn validate(&self) -> Result<()> {
        ConnectString::parse(&self.connect)?;
        let hour = Duration::from_secs(3600);
        for (field, value, least) in [
            (
                "session_timeout",
                self.session_timeout,
                Duration::from_millis(100),
            ),
            (
                "connect_timeout",
                self.connect_timeout,
                Duration::from_millis(1),
            ),
            (
                "request_timeout",
                self.request_timeout,
                Duration::from_millis(1),
            ),
        ] {
            if value < least || value > hour {
                return Err(Error::config(
                    field,
                    format!("{value:?} is not between {least:?} and {hour:?}"),
                ));
            }
        }
        if !(2 << 20..=1 << 30).contains(&self.max_frame) {
            return Err(Error::config(
                "max_frame",
                format!("{} bytes are not between 2 MiB and 1 GiB", self.max_frame),
            ));
        }
        for Auth::Digest { username, .. } in &self.auth {
            if username.is_empty() || username.contains(':') {
                return Err(Error::config(
                    "auth",
                    "a digest user name is empty or contains a colon",
                ));
            }
        }
        if self.acl == Acl::Creator && self.auth.is_empty() {
            return Err(Error::config(
                "acl",
                "`Creator` needs an identity in `auth`",
            ));
        }
        Ok(())
    }
}

/// A connect string, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ConnectString {
    /// Host and port of each server, IPv6 addresses in brackets.
    pub(crate) servers: Vec<String>,
    /// Starts with a slash and does not end with one; none for the root.
    pub(crate) chroot: Option<String>,
}

impl ConnectString {
    pub(crate) fn parse(connect: &str) -> Result<Self> {
        let connect = connect.trim();
        let (servers, chroot) = match connect.find('/') {
            Some(slash) => connect.split_at(slash),
            None => (connect, ""),
        };
        let servers = servers
            .split(',')
            .map(|server| parse_server(server.trim()))
            .collect::<Result<Vec<_>>>()?;
        let chroot = match chroot {
            "" | "/" => None,
            chroot => {
                crate::paths::validate(chroot).map_err(|why| {
                    Error::config("connect", format!("the chroot `{chroot}` {why}"))
                })?;
                Some(chroot.to_owned())
            }
        };
        Ok(Self { servers, chroot })
    }

    /// The servers, comma-separated.
    pub(crate) fn servers(&self) -> String {
        self.servers.join(",")
    }
}

impl fmt::Display for ConnectString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}{}",
            self.servers(),
            self.chroot.as_deref().unwrap_or_default()
        )
    }
}

fn parse_server(server: &str) -> Result<String> {
    let wrong = |why: &str| Err(Error::config("connect", format!("`{server}` {why}")));
    if server.is_empty() {
        return Err(Error::config(
            "connect",
            "a server is missing; write host:port,host:port/chroot",
        ));
    }
    let (host, port) = match server
        .strip_prefix('[')
        .and_then(|rest| rest.split_once(']'))
    {
        Some((host, port)) => (host, port),
        None => match server.find(':') {
            Some(colon) => server.split_at(colon),
            None => (server, ""),
        },
    };
    let port = match port.strip_prefix(':') {
        None if port.is_empty() => 2181,
        None => return wrong("is no server; write host:port"),
        Some(port) => match port.parse::<u16>() {
            Ok(port) if port > 0 => port,
            _ => return wrong("has no valid port; write host:port, an IPv6 address in brackets"),
        },
    };
    if host.is_empty() || host.len() > 255 || host.chars().any(char::is_whitespace) {
        return wrong("names no host; write host:port");
    }
    if host.contains(':') {
        return Ok(format!("[{host}]:{port}"));
    }
    Ok(format!("{host}:{port}"))
}
