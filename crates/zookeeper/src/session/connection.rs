use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::Shared;
use super::link::{Answer, Command};
use super::watches::Asked;
use crate::dial::Pipe;
use crate::lease::{RequestKind, Sent};
use crate::wire::{
    ClientFrame, ErrorCode, Request, ServerFrame, SetWatches, XID_AUTH, XID_PING, XID_SET_WATCHES,
};

/// How many requests may wait for their answer. Servers stop reading at 1,000.
const MAX_PENDING: usize = 1000;
/// How many requests may wait to be sent.
const OUTBOX: usize = 64;

/// Serves a session over one connection.
pub(super) struct Connection<'a> {
    shared: &'a Shared,
    pipe: Box<dyn Pipe>,
    commands: mpsc::Receiver<Command>,
    pending: VecDeque<Pending>,
    last_xid: i32,
    last_zxid: i64,
    pace: Pace,
    /// When the server was last heard of, and when something was last sent to it.
    heard: Instant,
    sent: Instant,
    /// When the last request was sent that the leader answered.
    proven: Instant,
    /// When the `sync` was sent whose answer is due.
    probing: Option<Instant>,
    closing: bool,
}

/// A request that was sent.
struct Pending {
    xid: i32,
    at: Instant,
    sent: Sent,
    purpose: Purpose,
}

enum Purpose {
    Answer(Option<Asked>, tokio::sync::oneshot::Sender<Answer>),
    Probe,
    Close,
}

/// How often what happens, all in fractions of the session timeout.
#[derive(Clone, Copy)]
pub(super) struct Pace {
    pub(super) timeout: Duration,
    /// Whether there are other servers to go to.
    pub(super) alternatives: bool,
}

/// Why a connection is over.
#[derive(Debug)]
pub(super) enum Lost {
    /// The session is closed, and the server has confirmed it.
    Closed,
    /// The server refuses the identities.
    AuthFailed,
    Broken(io::Error),
    /// Nothing was received for that long.
    Silent(Duration),
    /// The server answers, and its leader does not.
    CutOff,
    /// The server has no use for the session.
    Refused(ErrorCode),
    Misbehaved(&'static str),
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("closed"),
            Self::AuthFailed => f.write_str("the server refuses the credentials"),
            Self::Broken(error) => write!(f, "{error}"),
            Self::Silent(time) => write!(f, "nothing heard of the server for {time:?}"),
            Self::CutOff => f.write_str("the server has no word of its leader"),
            Self::Refused(code) => write!(f, "the server answered {code}"),
            Self::Misbehaved(how) => f.write_str(how),
        }
    }
}

impl Pace {
    fn dead_after(self) -> Duration {
        self.timeout * 2 / 3
    }

    fn ping_after(self) -> Duration {
        self.timeout / 3
    }

    fn probe_after(self) -> Duration {
        self.timeout / 6
    }

    /// When another server is worth a try, so early that the lease outlives the change.
    fn leave_after(self) -> Duration {
        self.timeout / 3
    }
}

impl<'a> Connection<'a> {
    /// Sets the watches again that a former connection had, and takes requests from then on.
    pub(super) fn start(
        shared: &'a Shared,
        pipe: Box<dyn Pipe>,
        pace: Pace,
        watches: Vec<SetWatches>,
        last_zxid: i64,
    ) -> Result<Self, Lost> {
        let (outbox, commands) = mpsc::channel(OUTBOX);
        let now = Instant::now();
        let mut connection = Self {
            shared,
            pipe,
            commands,
            pending: VecDeque::new(),
            last_xid: 0,
            last_zxid,
            pace,
            heard: now,
            sent: now,
            proven: now,
            probing: None,
            closing: false,
        };
        for watches in watches {
            connection.put(XID_SET_WATCHES, Request::SetWatches(watches))?;
        }
        shared.up(outbox);
        Ok(connection)
    }

    /// Asks the leader at once, because what is known of it is old.
    pub(super) fn probe(&mut self) -> Result<(), Lost> {
        let path = self.shared.absolute("/");
        self.probing = Some(Instant::now());
        self.ask(Request::Sync { path }, Purpose::Probe)
    }

    /// The newest transaction that the servers have told of.
    pub(super) fn last_zxid(&self) -> i64 {
        self.last_zxid
    }

    /// Carries requests and answers until the connection is over.
    pub(super) async fn serve(&mut self) -> Lost {
        loop {
            match self.step().await {
                Ok(()) => {}
                Err(lost) => return lost,
            }
        }
    }

    async fn step(&mut self) -> Result<(), Lost> {
        let room = self.pending.len() < MAX_PENDING && !self.closing;
        let wake = self.wake();
        tokio::select! {
            biased;
            received = self.pipe.receive() => self.received(received.map_err(Lost::Broken)?),
            _ = self.shared.over(), if !self.closing => self.close(),
            command = self.commands.recv(), if room => match command {
                Some(command) => self.carry_out(command),
                // The link keeps the other end, for as long as the session is not over.
                None => self.close(),
            },
            () = sleep_until(wake) => self.woken(Instant::now()),
        }
    }

    fn carry_out(&mut self, command: Command) -> Result<(), Lost> {
        let Command { request, answer } = command;
        if answer.is_closed() {
            return Ok(());
        }
        let asked = Asked::by(&request);
        self.ask(request, Purpose::Answer(asked, answer))
    }

    /// Ends the session. Nobody waits for other answers any more.
    fn close(&mut self) -> Result<(), Lost> {
        self.closing = true;
        self.commands.close();
        self.ask(Request::CloseSession, Purpose::Close)
    }

    fn ask(&mut self, request: Request, purpose: Purpose) -> Result<(), Lost> {
        self.last_xid = self.last_xid.checked_add(1).unwrap_or(1);
        let xid = self.last_xid;
        let pending = Pending {
            xid,
            at: Instant::now(),
            sent: self.shared.lease.sent(proof(&request)),
            purpose,
        };
        self.pending.push_back(pending);
        self.put(xid, request)
    }

    fn put(&mut self, xid: i32, request: Request) -> Result<(), Lost> {
        self.sent = Instant::now();
        let frame = ClientFrame::Request { xid, request };
        self.pipe.send(frame).map_err(Lost::Broken)
    }

    fn received(&mut self, frame: Option<ServerFrame>) -> Result<(), Lost> {
        self.heard = Instant::now();
        match frame {
            None => Ok(()),
            Some(ServerFrame::Connect(_)) => Err(Lost::Misbehaved("a second handshake")),
            Some(ServerFrame::Event(event)) => {
                self.shared.watches.fired(&event);
                Ok(())
            }
            Some(ServerFrame::Reply { xid, zxid, result }) => {
                self.last_zxid = self.last_zxid.max(zxid);
                self.replied(xid, result)
            }
        }
    }

    fn replied(&mut self, xid: i32, result: Answer) -> Result<(), Lost> {
        match xid {
            XID_PING => return Ok(()),
            XID_AUTH => return result.map(|_| ()).map_err(|_| Lost::AuthFailed),
            XID_SET_WATCHES => return result.map(|_| ()).map_err(Lost::Refused),
            _ => {}
        }
        let out_of_turn = Lost::Misbehaved("an answer out of turn");
        let pending = match self.pending.pop_front() {
            Some(pending) if pending.xid == xid => pending,
            _ => return Err(out_of_turn),
        };
        if let Err(code @ (ErrorCode::SessionExpired | ErrorCode::SessionMoved)) = result {
            return Err(Lost::Refused(code));
        }
        self.acknowledge(&pending, &result);
        match pending.purpose {
            Purpose::Answer(asked, answer) => {
                if let Some(asked) = asked {
                    self.shared.watches.arm(asked, &result);
                }
                // Where nobody waits any more somebody has given up.
                let _ = answer.send(result);
                Ok(())
            }
            Purpose::Probe => {
                self.probing = None;
                Ok(())
            }
            Purpose::Close => Err(Lost::Closed),
        }
    }

    /// What the leader has answered shows that it keeps the session.
    fn acknowledge(&mut self, pending: &Pending, result: &Answer) {
        if !pending.sent.is_proof() || !is_the_leader_s(result) {
            return;
        }
        self.shared.lease.acknowledged(pending.sent);
        self.proven = self.proven.max(pending.at);
    }

    fn wake(&self) -> Instant {
        let dead = self.heard + self.pace.dead_after();
        let ping = self.sent + self.pace.ping_after();
        let probe = match self.probing {
            None => Some(self.proven + self.pace.probe_after()),
            Some(since) if self.pace.alternatives => Some(since + self.pace.leave_after()),
            Some(_) => None,
        };
        let wake = dead.min(ping);
        probe.map_or(wake, |probe| wake.min(probe))
    }

    fn woken(&mut self, now: Instant) -> Result<(), Lost> {
        if now >= self.heard + self.pace.dead_after() {
            return Err(Lost::Silent(now - self.heard));
        }
        match self.probing {
            None if now >= self.proven + self.pace.probe_after() => self.probe()?,
            Some(since) if self.pace.alternatives && now >= since + self.pace.leave_after() => {
                return Err(Lost::CutOff);
            }
            _ => {}
        }
        if now >= self.sent + self.pace.ping_after() {
            self.put(XID_PING, Request::Ping)?;
        }
        Ok(())
    }
}

/// What the answer to a request proves; pings are not among these.
fn proof(request: &Request) -> RequestKind {
    match request {
        Request::Create(_)
        | Request::Delete(_)
        | Request::SetData(_)
        | Request::Multi(_)
        | Request::CloseSession => RequestKind::Write,
        Request::Sync { .. } => RequestKind::Sync,
        _ => RequestKind::Read,
    }
}

/// Whether an answer to a write came from the leader. Other refusals may be the connected server's own.
fn is_the_leader_s(answer: &Answer) -> bool {
    match answer {
        Ok(_) => true,
        Err(code) => matches!(
            code,
            ErrorCode::NoNode
                | ErrorCode::NodeExists
                | ErrorCode::BadVersion
                | ErrorCode::NotEmpty
                | ErrorCode::NoChildrenForEphemerals
                | ErrorCode::NoAuth
                | ErrorCode::InvalidAcl
        ),
    }
}

/// A lost connection takes what was asked over it along. The link must be down before anybody hears of that.
impl Drop for Connection<'_> {
    fn drop(&mut self) {
        self.shared.down();
    }
}
