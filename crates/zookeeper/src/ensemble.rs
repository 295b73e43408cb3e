//! Connections to an ensemble: which server, the handshake, the identities.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout, timeout_at};
use tracing::debug;

use crate::clock::{BootTime, Clock};
use crate::config::{Auth, Config, ConnectString};
use crate::crash_release::Helper;
use crate::dial::{Dial, Pipe};
use crate::error::{Error, Result};
use crate::secret::Secret;
use crate::servers::Servers;
use crate::wire::{
    self, ClientFrame, ConnectRequest, ConnectResponse, Request, ServerFrame, XID_AUTH,
};

/// How long the pause between two rounds over all servers becomes at most.
const MAX_PAUSE: Duration = Duration::from_secs(1);
/// Below this a session timeout is no use, and would have the timers run all the time.
const LEAST_TIMEOUT: Duration = Duration::from_millis(20);
const LEAST_ATTEMPT: Duration = Duration::from_millis(100);
const NEW_SESSION_PASSWORD: [u8; 16] = [0; 16];

/// The ensemble that a session belongs to.
pub(crate) struct Ensemble {
    pub(crate) config: Arc<Config>,
    pub(crate) connect: ConnectString,
    pub(crate) dial: Arc<dyn Dial>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) servers: Servers,
    pub(crate) helper: Option<Arc<Helper>>,
}

/// What a client shows to go on with its session.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) id: i64,
    pub(crate) password: Secret,
    pub(crate) last_zxid: i64,
}

/// A connection that a server has taken for the session.
pub(crate) struct Attached {
    pub(crate) pipe: Box<dyn Pipe>,
    pub(crate) id: i64,
    pub(crate) password: Secret,
    /// The session timeout that the server chose.
    pub(crate) timeout: Duration,
    /// Before the session was asked for.
    pub(crate) asked: BootTime,
    pub(crate) server: String,
}

/// Why a server did not take a connection.
#[derive(Debug)]
pub(crate) enum Refused {
    Unreachable(io::Error),
    /// It was reached, but did not shake hands.
    Silent,
    Misbehaved(String),
    ReadOnly,
    AuthFailed,
    /// There is no such session any more.
    Expired,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(error) => write!(f, "{error}"),
            Self::Silent => f.write_str(
                "accepts connections and does not answer as ZooKeeper: it is a broker's port, or another service's, or it serves no sessions at the moment",
            ),
            Self::Misbehaved(why) => write!(f, "does not speak as ZooKeeper does: {why}"),
            Self::ReadOnly => f.write_str("is cut off from its ensemble and serves no sessions"),
            Self::AuthFailed => f.write_str("refuses the credentials"),
            Self::Expired => f.write_str("says that the session has expired"),
        }
    }
}

impl Ensemble {
    /// A connection with a new session, from the first server that gives one before the deadline.
    pub(crate) async fn open(&mut self, deadline: Instant) -> Result<Attached> {
        let new = Identity {
            id: 0,
            password: Secret::new(NEW_SESSION_PASSWORD),
            last_zxid: 0,
        };
        let mut whys = vec![None; self.servers.len()];
        let within = self.config.session_timeout.min(self.config.connect_timeout);
        let rounds = async {
            loop {
                for _ in 0..whys.len() {
                    let Some((at, server)) = self.servers.next() else {
                        continue;
                    };
                    match self.attempt(&server, &new, within).await {
                        Ok(attached) => return Some(attached),
                        Err(Refused::AuthFailed) => return None,
                        Err(why) => {
                            debug!("{server}: {why}");
                            if let Some(last) = whys.get_mut(at) {
                                *last = Some(format!("{server}: {why}"));
                            }
                        }
                    }
                }
                sleep(self.servers.pause(MAX_PAUSE)).await;
            }
        };
        match timeout_at(deadline, rounds).await {
            Ok(Some(attached)) => Ok(attached),
            Ok(None) => Err(Error::AuthFailed {
                servers: self.connect.servers(),
            }),
            Err(_) => Err(self.cannot_connect(whys)),
        }
    }

    /// One round over the servers with a session that there is already.
    pub(crate) async fn attach(
        &mut self,
        identity: &Identity,
        session_timeout: Duration,
    ) -> Result<Attached, Refused> {
        let mut refused = Refused::Silent;
        for _ in 0..self.servers.len() {
            let Some((_, server)) = self.servers.next() else {
                break;
            };
            match self.attempt(&server, identity, session_timeout).await {
                Err(why @ (Refused::AuthFailed | Refused::Expired)) => return Err(why),
                Err(why) => {
                    debug!("{server}: {why}");
                    refused = why;
                }
                attached => return attached,
            }
        }
        Err(refused)
    }

    /// How long to wait before the next round.
    pub(crate) fn pause(&mut self, session_timeout: Duration) -> Duration {
        self.servers.pause((session_timeout / 12).min(MAX_PAUSE))
    }

    pub(crate) fn cannot_connect(&self, whys: Vec<Option<String>>) -> Error {
        let mut whys: Vec<String> = whys.into_iter().flatten().collect();
        if whys.is_empty() {
            whys.push("no answer".to_owned());
        }
        Error::CannotConnect {
            servers: self.connect.servers(),
            after: self.config.connect_timeout,
            why: whys.join("; "),
        }
    }

    /// Tries one server, for so long that all of them have their turn within that time.
    async fn attempt(
        &self,
        server: &str,
        identity: &Identity,
        within: Duration,
    ) -> Result<Attached, Refused> {
        let shares = u32::try_from(self.servers.len()).unwrap_or(u32::MAX);
        let limit = (within / shares.saturating_add(1)).max(LEAST_ATTEMPT);
        let deadline = Instant::now() + limit;
        let pipe = match timeout(limit, self.dial.dial(server)).await {
            Ok(pipe) => pipe.map_err(Refused::Unreachable)?,
            Err(_) => return Err(Refused::Unreachable(io::ErrorKind::TimedOut.into())),
        };
        match timeout_at(deadline, self.shake_hands(pipe, server, identity)).await {
            Ok(attached) => attached,
            Err(_) => Err(Refused::Silent),
        }
    }

    async fn shake_hands(
        &self,
        mut pipe: Box<dyn Pipe>,
        server: &str,
        identity: &Identity,
    ) -> Result<Attached, Refused> {
        let asked = self.clock.now();
        let wanted = self.config.session_timeout;
        send(
            &mut *pipe,
            ClientFrame::Connect(ConnectRequest {
                last_zxid: identity.last_zxid,
                timeout_ms: wanted.as_millis().try_into().unwrap_or(i32::MAX),
                session_id: identity.id,
                password: identity.password.clone(),
                read_only: false,
            }),
        )?;
        let response = match receive(&mut *pipe).await? {
            ServerFrame::Connect(response) => response,
            _ => return Err(out_of_place()),
        };
        let timeout = check(&response, identity, wanted)?;
        for Auth::Digest { username, password } in &self.config.auth {
            let request = Request::Auth(wire::Auth {
                scheme: "digest".to_owned(),
                data: Secret::new(format!("{username}:{password}")),
            });
            let xid = XID_AUTH;
            send(&mut *pipe, ClientFrame::Request { xid, request })?;
            match receive(&mut *pipe).await? {
                ServerFrame::Reply {
                    xid: XID_AUTH,
                    result,
                    ..
                } => result.map_err(|_| Refused::AuthFailed)?,
                _ => return Err(out_of_place()),
            };
        }
        Ok(Attached {
            pipe,
            id: response.session_id,
            password: response.password,
            timeout,
            asked,
            server: server.to_owned(),
        })
    }
}

/// Whether the answer is one to the question, and which session timeout to reckon with: never much more than was asked for,
/// whatever a server says, because that would only make a dead connection be noticed later.
fn check(
    response: &ConnectResponse,
    identity: &Identity,
    wanted: Duration,
) -> Result<Duration, Refused> {
    let id = response.session_id;
    if id == 0 && identity.id != 0 {
        return Err(Refused::Expired);
    }
    if id == 0 || (identity.id != 0 && identity.id != id) {
        return Err(Refused::Misbehaved(format!("gave the session 0x{id:x}")));
    }
    if response.read_only {
        return Err(Refused::ReadOnly);
    }
    match u64::try_from(response.timeout_ms) {
        Ok(timeout) if timeout > 0 => {
            let most = (wanted * 2).max(LEAST_TIMEOUT);
            Ok(Duration::from_millis(timeout).clamp(LEAST_TIMEOUT, most))
        }
        _ => Err(Refused::Misbehaved(format!(
            "gave a session timeout of {} ms",
            response.timeout_ms
        ))),
    }
}

fn send(pipe: &mut dyn Pipe, frame: ClientFrame) -> Result<(), Refused> {
    pipe.send(frame).map_err(broken)
}

async fn receive(pipe: &mut dyn Pipe) -> Result<ServerFrame, Refused> {
    loop {
        if let Some(frame) = pipe.receive().await.map_err(broken)? {
            return Ok(frame);
        }
    }
}

/// What a failure means once somebody was reached.
fn broken(error: io::Error) -> Refused {
    match error.kind() {
        io::ErrorKind::InvalidData => Refused::Misbehaved(error.to_string()),
        _ => Refused::Silent,
    }
}

fn out_of_place() -> Refused {
    Refused::Misbehaved("sent something else than the handshake".to_owned())
}
