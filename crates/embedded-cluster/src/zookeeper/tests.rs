use bytes::Bytes;
use divvy_zookeeper::wire::{
    Acl, Auth, ClientFrame, ConnectRequest, ConnectResponse, Create, CreateMode, ErrorCode,
    EventKind, Request, Response, Secret, ServerFrame, permission,
};

use super::*;

const TICK: Millis = 500;

/// An ensemble, what its servers have sent, and the time.
struct World {
    ensemble: Ensemble,
    now: Millis,
    sent: Vec<(Millis, Output)>,
    xid: i32,
}

impl World {
    fn new(servers: usize) -> World {
        let config = Config {
            servers,
            tick: TICK,
            journal: true,
            ..Config::default()
        };
        World {
            ensemble: Ensemble::new(config),
            now: 0,
            sent: Vec::new(),
            xid: 0,
        }
    }

    fn collect(&mut self) {
        while let Some(output) = self.ensemble.poll_output() {
            self.sent.push((self.now, output));
        }
    }

    /// Lets time pass.
    fn pass(&mut self, span: Millis) {
        let end = self.now + span;
        while let Some(next) = self.ensemble.poll_timeout().filter(|next| *next <= end) {
            assert!(next >= self.now, "a timeout in the past");
            self.now = next;
            self.ensemble.handle_timeout(next);
            self.collect();
        }
        self.now = end;
    }

    fn connect(
        &mut self,
        server: usize,
        request: ConnectRequest,
    ) -> (ConnectionId, Option<ConnectResponse>) {
        let connection = self.ensemble.connect(server).expect("a server");
        let frame = ClientFrame::Connect(request);
        self.ensemble.receive(self.now, connection, frame);
        self.collect();
        let found = self.sent.iter().find_map(|(_, output)| match output {
            Output::Frame(to, ServerFrame::Connect(response)) if *to == connection => {
                Some(response.clone())
            }
            _ => None,
        });
        (connection, found)
    }

    fn session(&mut self, server: usize, timeout_ms: i32) -> (ConnectionId, ConnectResponse) {
        let (connection, response) = self.connect(
            server,
            ConnectRequest {
                timeout_ms,
                ..ConnectRequest::default()
            },
        );
        (connection, response.expect("a session"))
    }

    fn send(&mut self, connection: ConnectionId, request: Request) -> i32 {
        self.xid += 1;
        let xid = self.xid;
        let frame = ClientFrame::Request { xid, request };
        self.ensemble.receive(self.now, connection, frame);
        self.collect();
        xid
    }

    fn answer(&self, connection: ConnectionId, xid: i32) -> Option<Result<Response, ErrorCode>> {
        self.sent.iter().find_map(|(_, output)| match output {
            Output::Frame(
                to,
                ServerFrame::Reply {
                    xid: of, result, ..
                },
            ) if *to == connection && *of == xid => Some(result.clone()),
            _ => None,
        })
    }

    fn ask(&mut self, connection: ConnectionId, request: Request) -> Result<Response, ErrorCode> {
        let xid = self.send(connection, request);
        self.answer(connection, xid).expect("an answer")
    }

    fn exists(&mut self, connection: ConnectionId, path: &str, watch: bool) -> bool {
        let path = path.to_owned();
        self.ask(connection, Request::Exists { path, watch })
            .is_ok()
    }

    fn is_closed(&self, connection: ConnectionId) -> bool {
        let closed = Output::Closed(connection);
        self.sent.iter().any(|(_, output)| *output == closed)
    }
}

fn create(path: &str, mode: CreateMode) -> Request {
    Request::Create(Create {
        path: path.to_owned(),
        data: Some(Bytes::new()),
        acl: vec![Acl::anyone(permission::ALL)],
        mode,
    })
}

fn again(session: &ConnectResponse, last_zxid: i64) -> ConnectRequest {
    ConnectRequest {
        last_zxid,
        timeout_ms: session.timeout_ms,
        session_id: session.session_id,
        password: session.password.clone(),
        read_only: false,
    }
}

#[test]
fn lists_say_who_may_do_what() {
    let mut world = World::new(1);
    let (owner, _) = world.session(0, 10_000);
    let (other, _) = world.session(0, 10_000);
    let identity = |scheme: &str| {
        Request::Auth(Auth {
            scheme: scheme.to_owned(),
            data: Secret::new(*b"user:password"),
        })
    };
    let guarded = || {
        Request::Create(Create {
            path: "/a".to_owned(),
            data: None,
            acl: vec![Acl::creator(permission::ALL)],
            mode: CreateMode::Persistent,
        })
    };
    let read = || Request::GetData {
        path: "/a".to_owned(),
        watch: false,
    };
    let child = || create("/a/b", CreateMode::Persistent);
    let refused = Err(ErrorCode::InvalidAcl);
    assert_eq!(world.ask(owner, guarded()), refused, "it is nobody yet");
    world.ask(owner, identity("digest")).unwrap();
    world.ask(owner, guarded()).unwrap();
    world.ask(owner, read()).unwrap();
    assert!(world.exists(other, "/a", false));
    for request in [read(), child()] {
        assert_eq!(world.ask(other, request), Err(ErrorCode::NoAuth));
    }
    world.ask(other, identity("digest")).unwrap();
    for request in [read(), child()] {
        world.ask(other, request).unwrap();
    }
    let unknown = world.ask(other, identity("nobody"));
    assert_eq!(unknown, Err(ErrorCode::AuthFailed));
    assert!(world.is_closed(other));
}

#[test]
fn a_session_ends_between_one_timeout_and_a_tick_more() {
    for offset in [0, 1, 130, 499, 500, 777] {
        let mut world = World::new(1);
        world.pass(offset);
        let (watcher, _) = world.session(0, 10_000);
        let (owner, _) = world.session(0, 1_700);
        world
            .ask(owner, create("/e", CreateMode::Ephemeral))
            .unwrap();
        world.pass(321);
        world.exists(watcher, "/e", true);
        world.ask(owner, Request::Ping).unwrap();
        let touched = world.now;
        world.pass(5_000);
        let (gone, _) = world
            .sent
            .iter()
            .find(|(_, output)| matches!(output, Output::Frame(_, ServerFrame::Event(event)) if event.kind == EventKind::Deleted))
            .expect("the session ends");
        assert!(
            (1_700..=1_700 + TICK).contains(&(gone - touched)),
            "{gone} {touched}"
        );
        assert!(world.is_closed(owner) && !world.is_closed(watcher));
        let (_, session) = world.session(0, 60_000);
        assert_eq!(session.timeout_ms, 20 * TICK as i32);
    }
}

#[test]
fn a_follower_lags_until_it_is_told_to_sync() {
    let mut world = World::new(3);
    let (writer, _) = world.session(0, 10_000);
    world.ensemble.set_lag(world.now, 1, 200);
    let (reader, _) = world.connect(1, ConnectRequest::default());
    world.pass(1_000);
    world
        .ask(writer, create("/a", CreateMode::Persistent))
        .unwrap();
    assert!(!world.exists(reader, "/a", true), "read ahead");
    let sync = world.send(
        reader,
        Request::Sync {
            path: "/".to_owned(),
        },
    );
    let behind = world.send(
        reader,
        Request::Exists {
            path: "/a".to_owned(),
            watch: false,
        },
    );
    world.pass(399);
    assert_eq!(world.answer(reader, sync), None);
    world.pass(1);
    assert!(world.answer(reader, sync).is_some());
    assert!(
        matches!(world.answer(reader, behind), Some(Ok(_))),
        "sync was overtaken"
    );
    let kinds: Vec<_> = world
        .sent
        .iter()
        .filter_map(|(at, output)| match output {
            Output::Frame(to, ServerFrame::Event(event)) if *to == reader => {
                Some((*at, event.kind))
            }
            _ => None,
        })
        .collect();
    assert_eq!(kinds, [(1_200, EventKind::Created)]);
}

#[test]
fn a_server_that_is_behind_its_client_refuses_it() {
    let mut world = World::new(3);
    world.ensemble.set_lag(0, 1, 300);
    let (writer, session) = world.session(0, 10_000);
    world
        .ask(writer, create("/a", CreateMode::Ephemeral))
        .unwrap();
    let seen = world.ensemble.last_zxid();
    let (refused, response) = world.connect(1, again(&session, seen));
    assert!(response.is_none() && world.is_closed(refused));
    world.pass(300);
    let (moved, _) = world.connect(1, again(&session, seen));
    world.pass(600);
    assert!(
        world.exists(moved, "/a", false),
        "the session was not taken up"
    );
    // What the client has sent through its first server before is no longer good there.
    let late = world.send(writer, create("/late", CreateMode::Persistent));
    assert_eq!(world.answer(writer, late), None);
    assert!(world.is_closed(writer) && world.ensemble.node("/late").is_none());
}

#[test]
fn a_new_leader_gives_every_session_its_whole_time() {
    let mut world = World::new(3);
    let (client, session) = world.session(1, 2_000);
    world
        .ask(client, create("/e", CreateMode::Ephemeral))
        .unwrap();
    world.pass(400);
    world.ensemble.stop(world.now, 0);
    world.collect();
    assert!(world.is_closed(client) && world.ensemble.connect(1).is_none());
    world.pass(300);
    let leader = world.ensemble.leader().expect("a leader");
    assert_ne!(leader, 0);
    world.pass(1_999);
    assert!(world.ensemble.node("/e").is_some());
    let zxid = world.ensemble.last_zxid();
    let (back, _) = world.connect(1, again(&session, 0));
    world.pass(1_900);
    assert!(world.ensemble.session_of(back).is_some());
    assert!(zxid >> 32 == 1, "no new epoch");
    world.pass(700);
    assert!(world.ensemble.node("/e").is_none(), "nobody has touched it");
    world.ensemble.start(world.now, 0);
    assert!(world.ensemble.serves(0) && world.ensemble.leader() == Some(leader));
}

#[test]
fn a_follower_without_its_leader_answers_reads_while_sessions_end() {
    let mut world = World::new(3);
    let (client, _) = world.session(1, 1_000);
    world.pass(100);
    world
        .ask(client, create("/e", CreateMode::Ephemeral))
        .unwrap();
    for _ in 0..8 {
        world.pass(400);
        world.ask(client, Request::Ping).unwrap();
    }
    assert!(
        world.ensemble.node("/e").is_some(),
        "touches do not reach the leader"
    );
    let cut = world.now;
    world.ensemble.cut(cut, 1);
    let write = world.send(client, create("/f", CreateMode::Persistent));
    for _ in 0..5 {
        world.pass(400);
    }
    assert!(
        world.ensemble.node("/e").is_none(),
        "the leader knows of no touch"
    );
    assert!(!world.is_closed(client));
    world.pass(500);
    assert!(world.is_closed(client), "it serves for ever");
    assert_eq!(world.answer(client, write), None);
    world.ensemble.heal(world.now, 1);
    assert!(world.ensemble.serves(1));
}

#[test]
fn a_leader_without_followers_decides_nothing() {
    let mut world = World::new(3);
    let (client, _) = world.session(0, 1_000);
    world.ensemble.cut(world.now, 0);
    let write = world.send(client, create("/a", CreateMode::Persistent));
    world.pass(2_400);
    assert_eq!(world.answer(client, write), None);
    world.pass(500);
    assert!(world.is_closed(client));
    assert!(world.ensemble.leader().is_some_and(|leader| leader != 0));
    assert!(world.ensemble.node("/a").is_none());
}

#[test]
fn what_was_waiting_is_decided_once_the_followers_are_back() {
    let mut world = World::new(3);
    let (client, _) = world.session(0, 10_000);
    world.ensemble.cut(world.now, 0);
    let writes = ["/a", "/b"].map(|path| world.send(client, create(path, CreateMode::Persistent)));
    world.pass(1_000);
    world.ensemble.heal(world.now, 0);
    world.collect();
    for write in writes {
        assert!(matches!(world.answer(client, write), Some(Ok(_))));
    }
}

#[test]
fn a_standalone_server_keeps_sessions_over_a_restart() {
    let mut world = World::new(1);
    let (client, session) = world.session(0, 1_000);
    world
        .ask(client, create("/e", CreateMode::Ephemeral))
        .unwrap();
    world.ensemble.stop(world.now, 0);
    world.pass(5_000);
    assert!(world.ensemble.connect(0).is_none());
    world.ensemble.start(world.now, 0);
    let (_, back) = world.connect(0, again(&session, 0));
    assert_eq!(back.map(|back| back.session_id), Some(session.session_id));
    assert!(world.ensemble.node("/e").is_some());
}

#[test]
fn a_clock_that_steps_ends_sessions_early() {
    let mut world = World::new(1);
    let (client, session) = world.session(0, 4_000);
    world.ensemble.step_clock(world.now, 5_000);
    world.collect();
    assert!(world.is_closed(client));
    let (_, back) = world.connect(0, again(&session, 0));
    assert_eq!(back.map(|back| back.session_id), Some(0));
}

#[test]
fn the_journal_tells_everything_in_order() {
    let mut world = World::new(1);
    let (client, session) = world.session(0, 4_000);
    world
        .ask(client, create("/p", CreateMode::Persistent))
        .unwrap();
    world
        .ask(client, create("/p/e", CreateMode::EphemeralSequential))
        .unwrap();
    world.ensemble.expire_session(world.now, session.session_id);
    let written = world.ensemble.take_written();
    let told: Vec<_> = written
        .iter()
        .map(|written| (written.path.as_str(), written.kind))
        .collect();
    let expected = [
        ("/p", EventKind::Created),
        ("/p/e0000000000", EventKind::Created),
        ("/p/e0000000000", EventKind::Deleted),
    ];
    assert_eq!(told, expected);
    assert!(written.is_sorted_by_key(|written| written.zxid));
}
