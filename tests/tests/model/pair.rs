//! The model and servers, side by side: all get the same frames, and all must send the same.

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

/// What the client of all has: the session that each server and the model gave it; none yet by default.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Session {
    servers: Vec<ConnectResponse>,
    model: ConnectResponse,
}

struct Client {
    servers: Vec<Real>,
    model: ConnectionId,
    next_xid: i32,
    /// What the model has sent.
    inbox: VecDeque<Option<ServerFrame>>,
}

/// Changes a frame of the model, so that it is seen whether that is noticed.
pub(crate) type Tamper = fn(&mut ServerFrame);

pub(crate) struct Pair {
    servers: Vec<SocketAddr>,
    pub(crate) model: Ensemble,
    started: Instant,
    clients: BTreeMap<usize, Client>,
    next_client: usize,
    /// The ids of sessions in their order, of each server.
    server_sessions: Vec<Vec<i64>>,
    model_sessions: Vec<i64>,
    tamper: Tamper,
    pub(crate) compared: usize,
    pub(crate) events: usize,
}

impl Pair {
    /// Fresh servers, and a fresh model of one with the same tick.
    pub(crate) fn new(servers: &[SocketAddr], tick: u64, tamper: Tamper) -> Pair {
        let config = Config {
            tick,
            ..Config::default()
        };
        Pair {
            servers: servers.to_vec(),
            model: Ensemble::new(config),
            started: Instant::now(),
            clients: BTreeMap::new(),
            next_client: 0,
            server_sessions: vec![Vec::new(); servers.len()],
            model_sessions: Vec::new(),
            tamper,
            compared: 0,
            events: 0,
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Opens a connection to all, for a new session or an earlier one. `None` where all refuse; otherwise the client and its
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
        let mut servers = Vec::new();
        for (number, address) in self.servers.iter().enumerate() {
            let mut server = Real::connect(*address)?;
            let none = ConnectResponse::default();
            let earlier = session.servers.get(number).unwrap_or(&none);
            server.send(&request(earlier))?;
            servers.push(server);
        }
        let Some(model) = self.model.connect(0) else {
            bail!("the model is down");
        };
        let client = self.next_client;
        self.next_client += 1;
        self.clients.insert(
            client,
            Client {
                servers,
                model,
                next_xid: 1,
                inbox: VecDeque::new(),
            },
        );
        self.model
            .receive(self.now(), model, request(&session.model));
        self.collect();
        let (answers, model) = self.next(client)?;
        let Some(ServerFrame::Connect(model)) = model else {
            ensure!(
                model.is_none() && answers.iter().all(Option::is_none),
                "connecting gives {answers:?}, and of the model {model:?}"
            );
            self.clients.remove(&client);
            return Ok(None);
        };
        let mut servers = Vec::new();
        for answer in answers {
            match answer {
                Some(ServerFrame::Connect(server)) if is_alike(&server, &model) => {
                    servers.push(server);
                }
                other => bail!("another session than the model's {model:?}: {other:?}"),
            }
        }
        let given = Session { servers, model };
        if given.model.session_id == 0 {
            self.expect_closed(client)?;
            return Ok(None);
        }
        if session.servers.is_empty() {
            self.model_sessions.push(given.model.session_id);
            for (known, server) in self.server_sessions.iter_mut().zip(&given.servers) {
                known.push(server.session_id);
            }
        } else {
            ensure!(
                given.ids().eq(session.ids()),
                "another session than the one that was asked for"
            );
        }
        Ok(Some((client, given)))
    }

    /// Sends a request to all, and compares everything that they send up to its answer. Gives the answer; `None` where all have
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
        for server in &mut known.servers {
            server.send(&frame)?;
        }
        let model = known.model;
        self.model.receive(self.now(), model, frame);
        self.collect();
        self.compare_until(client, xid)
    }

    fn compare_until(&mut self, client: usize, xid: i32) -> Result<Option<ServerFrame>> {
        let mut told = vec![Vec::new(); self.servers.len()];
        let mut told_by_model = Vec::new();
        let answer = loop {
            let (answers, model) = self.next(client)?;
            let is_event =
                |frame: &Option<ServerFrame>| matches!(frame, Some(ServerFrame::Event(_)));
            if is_event(&model) && answers.iter().all(is_event) {
                self.events += 1;
                for (told, event) in told.iter_mut().zip(answers) {
                    told.extend(event);
                }
                told_by_model.extend(model);
                continue;
            }
            let model = plain(model, &self.model_sessions);
            for (number, answer) in answers.into_iter().enumerate() {
                let answer = plain(answer, &self.server_sessions[number]);
                ensure!(
                    answer == model,
                    "{} sends\n  {answer:?}\nand the model\n  {model:?}",
                    self.servers[number]
                );
            }
            break model;
        };
        // A session's nodes go in any order.
        told_by_model.sort_by_key(|event| format!("{event:?}"));
        for (mut told, server) in told.into_iter().zip(&self.servers) {
            told.sort_by_key(|event| format!("{event:?}"));
            ensure!(
                told == told_by_model,
                "{server} tells\n  {told:?}\nand the model\n  {told_by_model:?}"
            );
        }
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

    /// Compares what all have told a client without being asked.
    pub(crate) fn settle(&mut self) -> Result<()> {
        for client in self.clients.keys().copied().collect::<Vec<_>>() {
            self.request(client, Request::Ping)?;
        }
        Ok(())
    }

    /// All close the connection.
    pub(crate) fn expect_closed(&mut self, client: usize) -> Result<()> {
        let end = self.next(client)?;
        let is_end = end.1.is_none() && end.0.iter().all(Option::is_none);
        ensure!(is_end, "more than an end: {end:?}");
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

    /// The next frame of each server and of the model.
    fn next(&mut self, client: usize) -> Result<(Vec<Option<ServerFrame>>, Option<ServerFrame>)> {
        let Some(client) = self.clients.get_mut(&client) else {
            bail!("no such client");
        };
        let servers = client.servers.iter_mut().map(Real::receive);
        let Some(model) = client.inbox.pop_front() else {
            let servers: Vec<_> = servers.collect();
            bail!("the model sends nothing, and the servers {servers:?}");
        };
        Ok((servers.collect::<Result<_>>()?, model))
    }
}

/// A frame without what differs between any two servers: the time, the ids of sessions, and the order of a set.
fn plain(frame: Option<ServerFrame>, sessions: &[i64]) -> Option<ServerFrame> {
    let strip = |stat: &mut Stat| {
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
            | Response::SetAcl(stat)
            | Response::Exists(stat)
            | Response::GetData { stat, .. }
            | Response::GetAcl { stat, .. } => {
                strip(stat);
            }
            Response::GetChildren { names } => names.sort(),
            Response::GetChildren2 { names, stat } => {
                names.sort();
                strip(stat);
            }
            Response::Multi(results) => {
                for result in results {
                    if let OpResult::SetData(stat) = result {
                        strip(stat);
                    }
                }
            }
            _ => {}
        }
    }
    Some(frame)
}

impl Session {
    fn ids(&self) -> impl Iterator<Item = i64> {
        let all = self.servers.iter().chain([&self.model]);
        all.map(|session| session.session_id)
    }
}

/// Whether a server has answered as the model, apart from what is its own.
fn is_alike(server: &ConnectResponse, model: &ConnectResponse) -> bool {
    server.timeout_ms == model.timeout_ms
        && (server.session_id == 0) == (model.session_id == 0)
        && server.password.reveal().len() == model.password.reveal().len()
        && server.read_only == model.read_only
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
        servers: session.servers.iter().map(wrong).collect(),
        model: wrong(&session.model),
    }
}
