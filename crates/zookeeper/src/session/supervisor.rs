use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use tracing::{info, warn};

use super::connection::{Connection, Lost, Pace};
use super::link::End;
use super::{Shared, fraction};
use crate::dial::Pipe;
use crate::ensemble::{Attached, Ensemble, Identity, Refused};
use crate::thread::Busy;
use crate::wire::{ClientFrame, Request, ServerFrame, XID_PING};

/// How long a connection must have lasted to be a good one, after which the next attempt comes at once.
const GOOD: Duration = Duration::from_secs(1);

/// After how many session timeouts without a server the supervisor asks whether the servers have lost what it has seen.
const LEFT_BEHIND_AFTER: u32 = 2;

/// Keeps a session: connects it again for as long as the servers keep it. Only their word ends it.
pub(super) struct Supervisor {
    pub(super) shared: Arc<Shared>,
    pub(super) ensemble: Ensemble,
    pub(super) identity: Identity,
    pub(super) timeout: Duration,
}

impl Supervisor {
    /// Runs until the session is over and everybody knows.
    pub(super) async fn run(mut self, attached: Attached, _busy: Busy) {
        let end = self.live(attached).await;
        self.shared.end(end);
        if let Some(helper) = &self.ensemble.helper
            && end != End::Unconfirmed
        {
            helper.forget(self.identity.id);
        }
        self.shared.finish();
    }

    async fn live(&mut self, attached: Attached) -> End {
        let session = format!("0x{:x}", self.identity.id);
        let mut first = true;
        let mut attached = attached;
        loop {
            let server = attached.server.clone();
            let started = Instant::now();
            let lost = self.serve(attached, !first).await;
            first = false;
            match lost {
                Lost::Closed => return End::Closed,
                Lost::AuthFailed => {
                    warn!(session, "ZooKeeper refuses the session's credentials");
                    return End::Closed;
                }
                lost => info!(session, "lost the ZooKeeper server {server}: {lost}"),
            }
            if started.elapsed() >= GOOD {
                self.ensemble.servers.good();
            } else {
                self.pause().await;
            }
            attached = match self.attach().await {
                Ok(attached) => attached,
                Err(End::Expired) => {
                    warn!(session, "ZooKeeper session has expired");
                    return End::Expired;
                }
                Err(end) => return end,
            };
            info!(
                session,
                "attached to the ZooKeeper session again at {}", attached.server
            );
        }
    }

    async fn serve(&mut self, attached: Attached, again: bool) -> Lost {
        let watches = match again {
            true => self.shared.watches.set_again(self.identity.last_zxid),
            false => Vec::new(),
        };
        let pace = Pace {
            timeout: self.timeout,
            alternatives: self.ensemble.servers.len() > 1,
        };
        let last_zxid = self.identity.last_zxid;
        let started = Connection::start(&self.shared, attached.pipe, pace, watches, last_zxid);
        let mut connection = match started {
            Ok(connection) => connection,
            Err(lost) => return lost,
        };
        let probed = match again {
            true => connection.probe(),
            false => Ok(()),
        };
        let lost = match probed {
            Ok(()) => connection.serve().await,
            Err(lost) => lost,
        };
        self.identity.last_zxid = connection.last_zxid();
        lost
    }

    /// Tries to attach to the session again, until a server says that it is gone. A session that is being closed gets one round
    /// over the servers, because its nodes are to go now.
    async fn attach(&mut self) -> Result<Attached, End> {
        let began = Instant::now();
        loop {
            match self.ensemble.attach(&self.identity, self.timeout).await {
                Ok(attached) => {
                    self.renegotiate(attached.timeout);
                    return Ok(attached);
                }
                Err(Refused::Expired) => return Err(End::Expired),
                Err(Refused::AuthFailed) => {
                    warn!(
                        "ZooKeeper refuses the credentials of session 0x{:x}",
                        self.identity.id
                    );
                    return Err(End::Closed);
                }
                Err(_) => {}
            }
            if self.shared.is_over() {
                return Err(End::Unconfirmed);
            }
            if began.elapsed() >= self.timeout * LEFT_BEHIND_AFTER {
                match self.attach_blank().await {
                    Ok(attached) => return Ok(attached),
                    Err(Refused::Expired) => return Err(End::Expired),
                    Err(_) => {}
                }
            }
            self.pause().await;
        }
    }

    /// Tries to attach to the session as if it had seen nothing. Servers that were restored from an older state than the session
    /// has seen, or have lost it, close every other connection without a word, as if they served nobody. Where that is so the
    /// session is closed, if they have it still: what it has seen is no more.
    async fn attach_blank(&mut self) -> Result<Attached, Refused> {
        let blank = Identity {
            last_zxid: 0,
            ..self.identity.clone()
        };
        let mut attached = self.ensemble.attach(&blank, self.timeout).await?;
        let asked = timeout(self.timeout, last_zxid(&mut *attached.pipe)).await;
        let Ok(Some(last_zxid)) = asked else {
            return Err(Refused::Silent);
        };
        if last_zxid >= self.identity.last_zxid {
            self.renegotiate(attached.timeout);
            return Ok(attached);
        }
        warn!(
            "ZooKeeper at {} has an older state than session 0x{:x} has seen; the session is given up",
            attached.server, self.identity.id
        );
        close(attached, self.timeout).await;
        Err(Refused::Expired)
    }

    /// Waits before the next attempts, unless the session is to be closed.
    async fn pause(&mut self) {
        let pause = self.ensemble.pause(self.timeout);
        tokio::select! {
            biased;
            _ = self.shared.over() => {}
            () = sleep(pause) => {}
        }
    }

    /// Servers may have other limits than those that the session began with.
    fn renegotiate(&mut self, timeout: Duration) {
        if timeout == self.timeout {
            return;
        }
        warn!(
            "ZooKeeper chose another timeout for session 0x{:x}: {timeout:?}, so far {:?}",
            self.identity.id, self.timeout
        );
        self.timeout = timeout;
        let fraction = fraction(self.ensemble.config.session_timeout, timeout);
        self.shared.lease.renegotiated(timeout, fraction);
        self.shared.set_timeout(timeout);
    }
}

/// How far a server is.
async fn last_zxid(pipe: &mut dyn Pipe) -> Option<i64> {
    let (xid, request) = (XID_PING, Request::Ping);
    pipe.send(ClientFrame::Request { xid, request }).ok()?;
    loop {
        match pipe.receive().await.ok()? {
            Some(ServerFrame::Reply {
                xid: XID_PING,
                zxid,
                ..
            }) => return Some(zxid),
            Some(_) => return None,
            None => {}
        }
    }
}

/// Closes a session on a connection that nothing else is done with.
async fn close(mut attached: Attached, within: Duration) {
    let frame = ClientFrame::Request {
        xid: 1,
        request: Request::CloseSession,
    };
    if attached.pipe.send(frame).is_err() {
        return;
    }
    // Whatever is answered: the session times out if this did not close it.
    let closed = async { while attached.pipe.receive().await.is_ok() {} };
    let _ = timeout(within, closed).await;
}
