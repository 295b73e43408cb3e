//! The model and a real server, side by side: both get the same frames, and both must send the same.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Instant;

use anyhow::{Result, bail, ensure};
use divvy_embedded_cluster::zookeeper::{Config, ConnectionId, Ensemble, Output};
use divvy_zookeeper::wire::{
    ClientFrame, ConnectRequest, ConnectResponse, OpResult, Request, Response, Secret, ServerFrame,
    Stat, XID_AUTH, XID_PING, XID_SET_WATCHES,
};

use crate::real::Real;

/// What the client of both has: the same session of two servers, and how the two are told apart from other sessions.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Session {
    pub(crate) real: ConnectResponse,
    pub(crate) model: ConnectResponse,
}

struct Client {
    real: Real,
    model: ConnectionId,
    next_xid: i32,
    /// What the model has sent.
    inbox: VecDeque<Option<ServerFrame>>,
    closed: bool,
}

/// Changes a frame of the model, so that it is seen whether that is noticed.
pub(crate) type Tamper = fn(&mut ServerFrame);

pub(crate) struct Pair {
    server: SocketAddr,
    pub(crate) model: Ensemble,
    started: Instant,
    clients: BTreeMap<usize, Client>,
    next_client: usize,
    /// The sessions by their number, with each server's id.
    real_sessions: Vec<i64>,
    model_sessions: Vec<i64>,
    tamper: Tamper,
    pub(crate) compared: usize,
    pub(crate) events: usize,
}

impl Pair {
    /// A fresh real server and a fresh model of one with the same tick.
    pub(crate) fn new(server: SocketAddr, tick: u64, tamper: Tamper) -> Pair {
        let config = Config {
            tick,
            ..Config::default()
        };
        Pair {
            server,
            model: Ensemble::new(config),
            started: Instant::now(),
            clients: BTreeMap::new(),
            next_client: 0,
            real_sessions: Vec::new(),
            model_sessions: Vec::new(),
            tamper,
            compared: 0,
            events: 0,
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Opens a connection to both, for a new session or an earlier one. `None` where both refuse; otherwise the client and its
    /// session.
    pub(crate) fn connect(
        &mut self,
        last_zxid: i64,
        timeout_ms: i32,
        session: &Session,
    ) -> Result<Option<(usize, Session)>> {
        let request = |session: &ConnectResponse| {
            ClientFrame::Connect(ConnectRequest {
                last_zxid,
                timeout_ms,
                session_id: session.session_id,
                password: session.password.clone(),
                read_only: false,
            })
        };
        let mut real = Real::connect(self.server)?;
        real.send(&request(&session.real))?;
        let Some(model) = self.model.connect(0) else {
            bail!("the model is down");
        };
        let client = self.next_client;
        self.next_client += 1;
        self.clients.insert(
            client,
            Client {
                real,
                model,
                next_xid: 1,
                inbox: VecDeque::new(),
                closed: false,
            },
        );
        self.model
            .receive(self.now(), model, request(&session.model));
        self.collect();
        let answers = self.next(client)?;
        let (Some(ServerFrame::Connect(real)), Some(ServerFrame::Connect(model))) = answers else {
            ensure!(
                answers == (None, None),
                "connecting gives different answers: {answers:?}"
            );
            self.clients.remove(&client);
            return Ok(None);
        };
        ensure!(
            real.timeout_ms == model.timeout_ms
                && (real.session_id == 0) == (model.session_id == 0)
                && real.password.reveal().len() == model.password.reveal().len()
                && real.read_only == model.read_only,
            "different sessions: {real:?}, {model:?}"
        );
        if real.session_id == 0 {
            self.expect_closed(client)?;
            return Ok(None);
        }
        if session.real.session_id == 0 {
            self.real_sessions.push(real.session_id);
            self.model_sessions.push(model.session_id);
        } else {
            ensure!(
                real.session_id == session.real.session_id
                    && model.session_id == session.model.session_id,
                "another session than the one that was asked for"
            );
        }
        Ok(Some((client, Session { real, model })))
    }

    /// Sends a request to both, and compares everything that they send up to its answer. Gives the answer; `None` where both have
    /// closed the connection instead.
    pub(crate) fn request(
        &mut self,
        client: usize,
        request: Request,
    ) -> Result<Option<ServerFrame>> {
        let Some(known) = self.clients.get_mut(&client) else {
            bail!("no such client");
        };
        let xid = match &request {
            Request::Ping => XID_PING,
            Request::SetWatches(_) => XID_SET_WATCHES,
            Request::Auth(_) => XID_AUTH,
            _ => {
                known.next_xid += 1;
                known.next_xid
            }
        };
        let frame = ClientFrame::Request { xid, request };
        known.real.send(&frame)?;
        let model = known.model;
        self.model.receive(self.now(), model, frame);
        self.collect();
        self.compare_until(client, xid)
    }

    fn compare_until(&mut self, client: usize, xid: i32) -> Result<Option<ServerFrame>> {
        let (mut reals, mut models) = (Vec::new(), Vec::new());
        let answer = loop {
            let (real, model) = self.next(client)?;
            let is_event =
                |frame: &Option<ServerFrame>| matches!(frame, Some(ServerFrame::Event(_)));
            if is_event(&real) && is_event(&model) {
                self.events += 1;
                reals.extend(real);
                models.extend(model);
                continue;
            }
            let (real, model) = (self.plain(real, true), self.plain(model, false));
            ensure!(
                real == model,
                "the real server sends\n  {real:?}\nand the model\n  {model:?}"
            );
            break real;
        };
        // A session's nodes go in any order.
        reals.sort_by_key(|event| format!("{event:?}"));
        models.sort_by_key(|event| format!("{event:?}"));
        ensure!(
            reals == models,
            "the real server tells\n  {reals:?}\nand the model\n  {models:?}"
        );
        self.compared += 1;
        match &answer {
            None => {
                self.clients.remove(&client);
            }
            Some(ServerFrame::Reply { xid: got, .. }) => ensure!(*got == xid, "another answer"),
            Some(other) => bail!("{other:?} instead of an answer"),
        }
        Ok(answer)
    }

    /// Compares what both have told a client without being asked.
    pub(crate) fn settle(&mut self) -> Result<()> {
        for client in self.clients.keys().copied().collect::<Vec<_>>() {
            self.request(client, Request::Ping)?;
        }
        Ok(())
    }

    /// Both close the connection.
    pub(crate) fn expect_closed(&mut self, client: usize) -> Result<()> {
        let end = self.next(client)?;
        ensure!(end == (None, None), "more than an end: {end:?}");
        self.clients.remove(&client);
        Ok(())
    }

    /// Drops a connection without a word.
    pub(crate) fn drop_connection(&mut self, client: usize) {
        if let Some(client) = self.clients.remove(&client) {
            self.model.disconnect(self.now(), client.model);
        }
    }

    fn collect(&mut self) {
        while let Some(output) = self.model.poll_output() {
            let (connection, frame) = match output {
                Output::Frame(connection, frame) => (connection, Some(frame)),
                Output::Closed(connection) => (connection, None),
            };
            let client = self
                .clients
                .values_mut()
                .find(|client| client.model == connection);
            if let Some(client) = client {
                let tampered = frame.map(|mut frame| {
                    (self.tamper)(&mut frame);
                    frame
                });
                client.inbox.push_back(tampered);
            }
        }
    }

    /// The next frame of both.
    fn next(&mut self, client: usize) -> Result<(Option<ServerFrame>, Option<ServerFrame>)> {
        let Some(client) = self.clients.get_mut(&client) else {
            bail!("no such client");
        };
        let Some(model) = client.inbox.pop_front() else {
            bail!(
                "the model sends nothing, and the real server {:?}",
                client.real.receive()?
            );
        };
        client.closed |= model.is_none();
        Ok((client.real.receive()?, model))
    }

    /// A frame without what differs between any two servers: the time, the ids of sessions, and the order of a set.
    fn plain(&self, frame: Option<ServerFrame>, is_real: bool) -> Option<ServerFrame> {
        let sessions = if is_real {
            &self.real_sessions
        } else {
            &self.model_sessions
        };
        let plain = |stat: &mut Stat| {
            stat.ctime = 0;
            stat.mtime = 0;
            if stat.ephemeral_owner != 0 {
                let number = sessions.iter().position(|id| *id == stat.ephemeral_owner);
                stat.ephemeral_owner = number.map_or(-1, |number| number as i64 + 1);
            }
        };
        let mut frame = frame?;
        if let ServerFrame::Reply {
            result: Ok(response),
            ..
        } = &mut frame
        {
            match response {
                Response::SetData(stat)
                | Response::Exists(stat)
                | Response::GetData { stat, .. } => plain(stat),
                Response::GetChildren { names } => names.sort(),
                Response::GetChildren2 { names, stat } => {
                    names.sort();
                    plain(stat);
                }
                Response::Multi(results) => {
                    for result in results {
                        if let OpResult::SetData(stat) = result {
                            plain(stat);
                        }
                    }
                }
                _ => {}
            }
        }
        Some(frame)
    }
}

/// A session whose password is wrong by one bit.
pub(crate) fn with_wrong_password(session: &Session) -> Session {
    let wrong = |response: &ConnectResponse| {
        let mut password = response.password.reveal().to_vec();
        if let Some(last) = password.last_mut() {
            *last ^= 1;
        }
        ConnectResponse {
            password: Secret::new(password),
            ..response.clone()
        }
    };
    Session {
        real: wrong(&session.real),
        model: wrong(&session.model),
    }
}
