use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use divvy_zookeeper::wire::{
    ClientFrame, ConnectResponse, ErrorCode, EventKind, Request, Response, Secret, ServerFrame,
    Stat, WatcherEvent, XID_AUTH, XID_PING, XID_SET_WATCHES,
};
use divvy_zookeeper::{Auth, Change, ChangeKind, Config, Error, Session, State};
use tokio::time::{Instant, timeout};
use tracing_subscriber::fmt::MakeWriter;

use crate::fake::{ID, PASSWORD, Peer, Servers, T, client, granted};
use crate::{config, opened, pass, state};

fn digest() -> Vec<Auth> {
    vec![Auth::Digest {
        username: "user".to_owned(),
        password: "canary-of-the-user".to_owned(),
    }]
}

/// Answers the request to add an identity.
async fn identify(peer: &mut Peer) {
    let (xid, request) = peer.request().await;
    assert_eq!(xid, XID_AUTH);
    let Request::Auth(auth) = request else {
        panic!("{request:?}");
    };
    assert_eq!(auth.data, Secret::new("user:canary-of-the-user"));
    peer.answer(xid, Ok(Response::Empty));
}

#[tokio::test(start_paused = true)]
async fn the_same_session_is_attached_again_with_its_identity_and_its_watches() {
    let config = Config {
        auth: digest(),
        ..config()
    };
    let (zookeeper, mut servers) = client(config);
    let opening = tokio::spawn(async move { zookeeper.session().await });
    let (mut peer, asked) = servers.attach().await;
    assert_eq!((asked.session_id, asked.last_zxid), (0, 0));
    identify(&mut peer).await;
    let session = opening.await.unwrap().unwrap();
    let mut changes = session.subscribe();

    let reading = tokio::spawn({
        let session = session.clone();
        async move {
            session.get_watched("/a").await.unwrap();
            session.children_watched("/b").await.unwrap();
            session.exists_watched("/c").await.unwrap()
        }
    });
    let stat = Stat::default();
    for answer in [
        Ok(Response::GetData { data: None, stat }),
        Ok(Response::GetChildren2 {
            names: Vec::new(),
            stat,
        }),
        Err(ErrorCode::NoNode),
    ] {
        let (xid, _) = peer.request().await;
        peer.answer(xid, answer);
    }
    assert_eq!(reading.await.unwrap(), None);
    let seen = peer.zxid;

    drop(peer);
    state(&session, State::Disconnected).await;
    let (mut peer, asked) = servers.attach().await;
    assert_eq!((asked.session_id, asked.last_zxid), (ID, seen));
    assert_eq!(asked.password, Secret::new(PASSWORD));
    identify(&mut peer).await;
    let (xid, request) = peer.request().await;
    assert_eq!(xid, XID_SET_WATCHES);
    let Request::SetWatches(watches) = request else {
        panic!("{request:?}");
    };
    assert_eq!(watches.last_zxid, seen);
    assert_eq!(watches.data, ["/a"]);
    assert_eq!(watches.exist, ["/c"]);
    assert_eq!(watches.child, ["/b"]);
    peer.send(ServerFrame::Event(WatcherEvent {
        kind: EventKind::Created,
        state: WatcherEvent::CONNECTED,
        path: "/c".to_owned(),
    }));
    peer.answer(xid, Ok(Response::Empty));
    assert_eq!(
        changes.recv().await,
        Some(Change::Node {
            path: "/c".into(),
            kind: ChangeKind::Created
        })
    );
    assert_eq!(session.state(), State::Connected);
}

#[tokio::test(start_paused = true)]
async fn only_a_server_s_word_ends_a_session() {
    let (session, mut servers, mut peer) = opened(config()).await;
    let mut changes = session.subscribe();
    let watching = tokio::spawn({
        let session = session.clone();
        async move { session.exists_watched("/a").await }
    });
    let (xid, _) = peer.request().await;
    peer.answer(xid, Err(ErrorCode::NoNode));
    assert_eq!(watching.await.unwrap().unwrap(), None);
    let started = Instant::now();
    drop(peer);
    // Far longer than any session lives: servers that go away in the handshake say nothing about it.
    while started.elapsed() < 5 * T {
        drop(servers.accept().await);
        assert!(!session.is_over());
    }
    let mut peer = servers.accept().await;
    assert_eq!(peer.handshake().await.session_id, ID);
    peer.send(ServerFrame::Connect(ConnectResponse::default()));
    timeout(T, session.expired()).await.unwrap();
    assert_eq!(
        changes.recv().await,
        Some(Change::Node {
            path: "/a".into(),
            kind: ChangeKind::WatchLost
        })
    );
    assert_eq!(changes.recv().await, None);
    let error = session.get("/").await.unwrap_err();
    assert!(matches!(error, Error::SessionExpired { session: ID }));
}

/// Lets servers refuse a session that has seen more than they have, until the client shows itself without that.
async fn blank(servers: &mut Servers) -> Peer {
    loop {
        let mut peer = servers.accept().await;
        let request = peer.handshake().await;
        assert_eq!(request.session_id, ID);
        if request.last_zxid == 0 {
            peer.send(ServerFrame::Connect(granted()));
            return peer;
        }
    }
}

/// Answers the question how far the server is.
async fn is_at(peer: &mut Peer, zxid: i64) {
    let ping = peer.next().await.expect("it is not asked");
    let xid = XID_PING;
    let request = Request::Ping;
    assert_eq!(ping, ClientFrame::Request { xid, request });
    let result = Ok(Response::Empty);
    peer.send(ServerFrame::Reply { xid, zxid, result });
}

async fn that_has_seen_something() -> (Session, Servers) {
    let (session, servers, mut peer) = opened(config()).await;
    peer.zxid = 1000;
    let reading = tokio::spawn({
        let session = session.clone();
        async move { session.get("/a").await }
    });
    let (xid, _) = peer.request().await;
    peer.answer(xid, Err(ErrorCode::NoNode));
    assert_eq!(reading.await.unwrap().unwrap(), None);
    (session, servers)
}

#[tokio::test(start_paused = true)]
async fn a_session_that_has_seen_what_is_no_more_is_given_up() {
    let (session, mut servers) = that_has_seen_something().await;
    let began = Instant::now();
    let mut peer = blank(&mut servers).await;
    assert!(began.elapsed() >= 2 * T, "{:?}", began.elapsed());
    is_at(&mut peer, 999).await;
    let closed = peer.next().await;
    let closes = |frame: &ClientFrame| {
        let is_close = |request: &Request| *request == Request::CloseSession;
        matches!(frame, ClientFrame::Request { request, .. } if is_close(request))
    };
    assert!(closed.as_ref().is_some_and(closes), "{closed:?}");
    drop(peer);
    timeout(T, session.expired()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_session_that_the_servers_lost_is_over() {
    let (session, mut servers) = that_has_seen_something().await;
    let began = Instant::now();
    while !session.is_over() {
        assert!(began.elapsed() < 5 * T, "it goes on for ever");
        let mut peer = servers.accept().await;
        if peer.handshake().await.last_zxid == 0 {
            peer.send(ServerFrame::Connect(ConnectResponse::default()));
            timeout(T, session.expired()).await.unwrap();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn servers_that_were_away_for_long_and_have_everything_keep_the_session() {
    let (session, mut servers) = that_has_seen_something().await;
    let mut peer = blank(&mut servers).await;
    is_at(&mut peer, 1001).await;
    state(&session, State::Connected).await;
    assert!(matches!(
        peer.next().await,
        Some(ClientFrame::Request { .. })
    ));
}

#[tokio::test(start_paused = true)]
async fn servers_that_are_no_good_are_passed_over() {
    let (session, mut servers, peer) = opened(config()).await;
    drop(peer);
    for wrong in [
        ConnectResponse {
            read_only: true,
            ..granted()
        },
        ConnectResponse {
            session_id: ID + 1,
            ..granted()
        },
        ConnectResponse {
            timeout_ms: 0,
            ..granted()
        },
        ConnectResponse {
            timeout_ms: -1,
            ..granted()
        },
    ] {
        let mut peer = servers.accept().await;
        peer.handshake().await;
        peer.send(ServerFrame::Connect(wrong));
        assert!(peer.next().await.is_none(), "the connection is kept");
        assert_eq!(session.state(), State::Disconnected);
    }
    let _peer = servers.attach().await;
    state(&session, State::Connected).await;
}

#[tokio::test(start_paused = true)]
async fn all_servers_have_their_turn() {
    let (zookeeper, mut servers) = client(Config::new("zk1:1,zk2:2,zk3:3"));
    let opening = tokio::spawn(async move { zookeeper.session().await });
    // The first two take the connection and say nothing.
    let (first, second) = (servers.accept().await, servers.accept().await);
    let (third, _) = servers.attach().await;
    let mut names = [&first.server, &second.server, &third.server];
    names.sort();
    assert_eq!(names, ["zk1:1", "zk2:2", "zk3:3"]);
    opening.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_refused_identity_is_an_error() {
    let config = Config {
        auth: digest(),
        ..config()
    };
    let (zookeeper, mut servers) = client(config);
    let opening = tokio::spawn(async move { zookeeper.session().await });
    let (mut peer, _) = servers.attach().await;
    let (xid, _) = peer.request().await;
    peer.answer(xid, Err(ErrorCode::AuthFailed));
    let error = opening.await.unwrap().unwrap_err();
    assert!(matches!(error, Error::AuthFailed { .. }), "{error}");
}

#[tokio::test(start_paused = true)]
async fn closing_is_confirmed() {
    let (session, _servers, mut peer) = opened(config()).await;
    let closing = tokio::spawn({
        let session = session.clone();
        async move { session.close().await }
    });
    let (xid, request) = peer.request().await;
    assert_eq!(request, Request::CloseSession);
    assert!(!closing.is_finished());
    peer.answer(xid, Ok(Response::Empty));
    closing.await.unwrap().unwrap();
    assert_eq!(session.state(), State::Closed);
    assert!(peer.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_lost_confirmation_is_fetched() {
    let (session, mut servers, mut peer) = opened(config()).await;
    let closing = tokio::spawn({
        let session = session.clone();
        async move { session.close().await }
    });
    peer.request().await;
    drop(peer);
    let mut peer = servers.accept().await;
    assert_eq!(peer.handshake().await.session_id, ID);
    peer.send(ServerFrame::Connect(ConnectResponse::default()));
    closing.await.unwrap().unwrap();
    assert_eq!(session.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_nobody_can_close_is_given_up() {
    let (session, mut servers, peer) = opened(config()).await;
    drop(peer);
    state(&session, State::Disconnected).await;
    let closing = tokio::spawn({
        let session = session.clone();
        async move { session.close().await }
    });
    tokio::task::yield_now().await;
    drop(servers.accept().await);
    let error = closing.await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }), "{error}");
    assert_eq!(session.state(), State::Closed);
    servers.nobody_connects_for(10 * T).await;
}

#[tokio::test(start_paused = true)]
async fn another_timeout_is_taken_over() {
    for (chosen, reckoned) in [
        (4000, Duration::from_secs(4)),
        (i32::MAX, 2 * T),
        (1, Duration::from_millis(20)),
    ] {
        let (zookeeper, mut servers) = client(config());
        let opening = tokio::spawn(async move { zookeeper.session().await });
        let mut peer = servers.accept().await;
        peer.handshake().await;
        peer.send(ServerFrame::Connect(ConnectResponse {
            timeout_ms: chosen,
            ..granted()
        }));
        let session = opening.await.unwrap().unwrap();
        assert_eq!(session.timeout(), reckoned);
        // Half of it, because it is not what was asked for.
        let remaining = session.lease().remaining();
        assert!(
            remaining <= reckoned / 2 && remaining > reckoned / 3,
            "{remaining:?}"
        );
    }
}

/// Collects what is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test(start_paused = true)]
async fn no_password_is_logged() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(log.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let config = Config {
        auth: digest(),
        ..config()
    };
    let (zookeeper, mut servers) = client(config);
    let opening = tokio::spawn(async move { zookeeper.session().await });
    let (mut peer, asked) = servers.attach().await;
    tracing::info!("{asked:?} {:?}", granted());
    identify(&mut peer).await;
    let session = opening.await.unwrap().unwrap();
    tracing::info!("{session:?} {:?}", session.credentials());
    drop(peer);
    let (peer, asked) = servers.attach().await;
    tracing::info!("{asked:?}");
    drop(peer);
    let mut peer = servers.accept().await;
    peer.handshake().await;
    peer.send(ServerFrame::Connect(ConnectResponse::default()));
    session.expired().await;
    pass(T).await;
    let logged = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(
        logged.contains("0x5e55") && logged.contains("redacted"),
        "{logged}"
    );
    let bytes = format!("{PASSWORD:?}");
    assert!(
        !logged.contains("canary") && !logged.contains(&bytes),
        "{logged}"
    );
}
