//! The model of ZooKeeper and the embedded server against the real 3.4.6: the same random operations on all, and everything that
//! they send must be equal.

mod operations;
mod pair;
mod real;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use divvy_embedded_cluster::server::ZooKeeperServer;
use divvy_tests::{Cluster, scale};
use divvy_zookeeper::wire::{
    Auth, ErrorCode, EventKind, OpCode, OpResult, Request, Response, Secret, ServerFrame,
};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use operations::Generator;
use pair::{Pair, Session, Tamper, with_wrong_password};

/// How many clients there are at a time.
const CLIENTS: usize = 4;
/// ZooKeeper's tick in ms, by which session timeouts are bounded.
const TICK_MS: u32 = 500;
/// Codes that 3.4.6 does not know.
const UNKNOWN: [i32; 4] = [15, 18, 105, 999];

/// Who clients say that they are.
const IDENTITIES: [(&str, &[u8]); 5] = [
    ("digest", b"user:password"),
    ("digest", b"user:another"),
    ("digest", b"user"),
    ("digest", b"a:b:c"),
    ("ip", b""),
];

struct Run {
    rng: StdRng,
    pair: Pair,
    clients: Vec<(usize, Session)>,
    ended: Vec<Session>,
}

impl Run {
    fn new(seed: u64, servers: &[SocketAddr], tamper: Tamper) -> Run {
        Run {
            rng: StdRng::seed_from_u64(seed),
            pair: Pair::new(servers, u64::from(TICK_MS), tamper),
            clients: Vec::new(),
            ended: Vec::new(),
        }
    }

    fn operations(&mut self, count: usize) -> Result<()> {
        while self.pair.compared < count {
            let before = self.pair.compared;
            self.step()
                .with_context(|| format!("after {before} operations"))?;
        }
        Ok(())
    }

    fn step(&mut self) -> Result<()> {
        if self.clients.len() < CLIENTS {
            return self.join();
        }
        for _ in 0..self.rng.random_range(1..12) {
            let index = self.rng.random_range(0..self.clients.len());
            let (client, _) = self.clients[index];
            let model = &self.pair.model;
            let rng = &mut self.rng;
            let request = Generator { rng, model }.request();
            let said = format!("{request:?}");
            self.pair
                .request(client, request)
                .with_context(|| format!("client {client} asked for {said}"))?;
        }
        self.pair.settle()?;
        if self.rng.random_ratio(1, 20) {
            self.part()?;
        }
        Ok(())
    }

    fn join(&mut self) -> Result<()> {
        let timeout_ms = self.rng.random_range(8_000..12_000);
        if self.rng.random_ratio(1, 5)
            && let Some(session) = self.ended.pop()
        {
            // Over, or about to be.
            self.pair.connect(0, timeout_ms, &session)?;
        }
        let joined = self.pair.connect(0, timeout_ms, &Session::default())?;
        let joined = joined.context("no session")?;
        if self.rng.random_ratio(3, 4) {
            let (scheme, data) = IDENTITIES[self.rng.random_range(0..IDENTITIES.len())];
            self.pair.request(joined.0, identity(scheme, data))?;
        }
        self.clients.push(joined);
        Ok(())
    }

    /// A client goes away in one way or another; mostly it comes back.
    fn part(&mut self) -> Result<()> {
        let index = self.rng.random_range(0..self.clients.len());
        let (client, session) = self.clients.swap_remove(index);
        match self.rng.random_range(0..7) {
            0 | 1 => {
                self.pair.request(client, Request::CloseSession)?;
                self.pair.expect_closed(client)?;
                self.ended.push(session);
                return self.pair.settle();
            }
            2 => {
                let code = UNKNOWN[self.rng.random_range(0..UNKNOWN.len())];
                let code = OpCode::from(code);
                let body = bytes::Bytes::new();
                self.pair.request(client, Request::Other { code, body })?;
                self.pair.expect_closed(client)?;
            }
            3 => {
                let wrong = with_wrong_password(&session);
                self.pair.connect(0, 10_000, &wrong)?;
                // All have closed the client's first connection all the same.
                self.pair.expect_closed(client)?;
            }
            4 => {
                let ahead = self.pair.model.last_zxid() + 1;
                self.pair.connect(ahead, 10_000, &session)?;
                self.pair.drop_connection(client);
            }
            5 => {
                self.pair.request(client, identity("nobody", b"knows"))?;
                self.pair.expect_closed(client)?;
            }
            _ => self.pair.drop_connection(client),
        }
        let seen = self.pair.model.last_zxid();
        let back = self.pair.connect(seen, 10_000, &session)?;
        let (client, session) = back.context("the session is over")?;
        let (scheme, data) = IDENTITIES[0];
        self.pair.request(client, identity(scheme, data))?;
        self.clients.push((client, session));
        Ok(())
    }
}

fn identity(scheme: &str, data: &[u8]) -> Request {
    Request::Auth(Auth {
        scheme: scheme.to_owned(),
        data: Secret::new(data),
    })
}

fn zookeeper() -> Result<Cluster> {
    Cluster::builder().brokers(0).tick_ms(TICK_MS).start()
}

/// The model, and the server that has it answer on a socket.
#[test]
fn the_embedded_server_does_what_the_real_one_does() -> Result<()> {
    let cluster = zookeeper()?;
    let runtime = tokio::runtime::Runtime::new()?;
    let tick = Duration::from_millis(u64::from(TICK_MS));
    let embedded = runtime.block_on(ZooKeeperServer::builder().tick(tick).start())?;
    let servers = [cluster.zookeepers()[0].address(), embedded.address()];
    let seed = seed();
    let mut run = Run::new(seed, &servers, |_| {});
    let count = scale(20_000, 100_000);
    let began = Instant::now();
    let outcome = run.operations(count);
    outcome.with_context(|| format!("seed {seed}; repeat it with MODEL_SEED={seed}"))?;
    let events = run.pair.events;
    assert!(events > count / 20, "{events} events");
    println!(
        "seed {seed}: {count} operations, {events} events, {:?}",
        began.elapsed()
    );
    Ok(())
}

/// `MODEL_SEED`, or always the same.
fn seed() -> u64 {
    let given = std::env::var("MODEL_SEED").ok();
    given.and_then(|seed| seed.parse().ok()).unwrap_or(1)
}

/// A comparison that notices nothing proves nothing: each of these differences must be seen.
#[test]
fn differences_are_noticed() -> Result<()> {
    let tampers: [(&str, Tamper); 10] = [
        ("another error", another_error),
        ("an error within a multi", another_step),
        ("a sequential name", another_name),
        ("a child too few", a_child_too_few),
        ("the transaction of the children", another_pzxid),
        ("the count of the children's changes", another_cversion),
        ("null for empty", null_for_empty),
        ("another event", another_event),
        ("what a list allows", another_permission),
        ("whom a list refuses", nobody_refused),
    ];
    for (what, tamper) in tampers {
        let cluster = zookeeper()?;
        let mut run = Run::new(2, &[cluster.zookeepers()[0].address()], tamper);
        let outcome = run.operations(20_000);
        assert!(outcome.is_err(), "nobody notices {what}");
    }
    Ok(())
}

fn another_error(frame: &mut ServerFrame) {
    if let ServerFrame::Reply { result, .. } = frame
        && *result == Err(ErrorCode::NoChildrenForEphemerals)
    {
        *result = Err(ErrorCode::NoNode);
    }
}

fn another_step(frame: &mut ServerFrame) {
    if let Some(Response::Multi(results)) = response(frame)
        && let Some(last) = results.last_mut()
        && *last == OpResult::Error(Some(ErrorCode::RuntimeInconsistency))
    {
        *last = OpResult::Error(None);
    }
}

fn another_name(frame: &mut ServerFrame) {
    if let Some(Response::Create { path }) = response(frame)
        && path.ends_with("0000000012")
    {
        path.pop();
        path.push('3');
    }
}

fn a_child_too_few(frame: &mut ServerFrame) {
    if let Some(Response::GetChildren { names }) = response(frame) {
        names.pop();
    }
}

fn another_pzxid(frame: &mut ServerFrame) {
    if let Some(Response::Exists(stat)) = response(frame) {
        stat.pzxid = stat.mzxid;
    }
}

fn another_cversion(frame: &mut ServerFrame) {
    if let Some(Response::GetChildren2 { stat, .. }) = response(frame) {
        stat.cversion = stat.num_children;
    }
}

fn null_for_empty(frame: &mut ServerFrame) {
    if let Some(Response::GetData { data, .. }) = response(frame)
        && data.as_ref().is_some_and(bytes::Bytes::is_empty)
    {
        *data = None;
    }
}

fn another_event(frame: &mut ServerFrame) {
    if let ServerFrame::Event(event) = frame
        && event.kind == EventKind::Created
    {
        event.kind = EventKind::DataChanged;
    }
}

fn another_permission(frame: &mut ServerFrame) {
    if let Some(Response::GetAcl { acl, .. }) = response(frame)
        && acl.len() > 1
    {
        acl.swap(0, 1);
    }
}

fn nobody_refused(frame: &mut ServerFrame) {
    if let ServerFrame::Reply { result, .. } = frame
        && *result == Err(ErrorCode::NoAuth)
    {
        *result = Ok(Response::Empty);
    }
}

fn response(frame: &mut ServerFrame) -> Option<&mut Response> {
    match frame {
        ServerFrame::Reply { result, .. } => result.as_mut().ok(),
        _ => None,
    }
}
