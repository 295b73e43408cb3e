use std::io::{self, ErrorKind};

use bytes::BytesMut;
use divvy_zookeeper::wire::{
    Acl, ClientCodec, ClientFrame, ConnectRequest, ConnectResponse, Create, CreateMode, ErrorCode,
    EventKind, Request, Response, ServerFrame, SetWatches, XID_PING, XID_SET_WATCHES, permission,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::*;

const PATIENCE: Duration = Duration::from_secs(20);

async fn start() -> ZooKeeperServer {
    let builder = ZooKeeperServer::builder().tick(Duration::from_millis(50));
    builder.start().await.expect("a free port")
}

/// A client that sees every frame.
struct Peer {
    stream: TcpStream,
    codec: ClientCodec,
    received: BytesMut,
    xid: i32,
}

impl Peer {
    async fn connect(server: &ZooKeeperServer) -> Peer {
        let stream = TcpStream::connect(server.address())
            .await
            .expect("a server");
        Peer {
            stream,
            codec: ClientCodec::new(),
            received: BytesMut::new(),
            xid: 0,
        }
    }

    async fn send(&mut self, frame: &ClientFrame) {
        let mut bytes = BytesMut::new();
        self.codec.encode(frame, &mut bytes).expect("a short frame");
        // That the server has gone is found out by reading.
        let _ = self.stream.write_all(&bytes).await;
    }

    /// The next frame; `None` once the server has closed the connection.
    async fn next(&mut self) -> Option<ServerFrame> {
        let frame = async {
            loop {
                if let Some(frame) = self.codec.decode(&mut self.received).expect("a frame") {
                    return Some(frame);
                }
                match self.stream.read_buf(&mut self.received).await {
                    Ok(0) => return None,
                    Ok(_) => {}
                    Err(error) if error.kind() == ErrorKind::ConnectionReset => return None,
                    Err(error) => panic!("{error}"),
                }
            }
        };
        timeout(PATIENCE, frame).await.expect("no answer in time")
    }

    async fn session(&mut self, request: ConnectRequest) -> Option<ConnectResponse> {
        self.send(&ClientFrame::Connect(request)).await;
        match self.next().await? {
            ServerFrame::Connect(response) => Some(response),
            other => panic!("{other:?}"),
        }
    }

    async fn ask(&mut self, request: Request) -> Option<Result<Response, ErrorCode>> {
        self.xid += 1;
        let xid = match request {
            Request::Ping => XID_PING,
            Request::SetWatches(_) => XID_SET_WATCHES,
            _ => self.xid,
        };
        self.send(&ClientFrame::Request { xid, request }).await;
        match self.next().await? {
            ServerFrame::Reply { result, .. } => Some(result),
            other => panic!("{other:?}"),
        }
    }

    async fn event(&mut self) -> (EventKind, String) {
        match self.next().await {
            Some(ServerFrame::Event(event)) => (event.kind, event.path),
            other => panic!("{other:?}"),
        }
    }
}

fn fresh(timeout_ms: i32) -> ConnectRequest {
    ConnectRequest {
        timeout_ms,
        ..ConnectRequest::default()
    }
}

fn create(path: &str, mode: CreateMode) -> Request {
    Request::Create(Create {
        path: path.to_owned(),
        data: None,
        acl: vec![Acl::anyone(permission::ALL)],
        mode,
    })
}

fn exists(path: &str, watch: bool) -> Request {
    Request::Exists {
        path: path.to_owned(),
        watch,
    }
}

#[tokio::test]
async fn a_silent_session_ends_by_the_clock_with_its_nodes() {
    let server = start().await;
    let mut watcher = Peer::connect(&server).await;
    let mut silent = Peer::connect(&server).await;
    let kept = watcher.session(fresh(1_000)).await.unwrap();
    let session = silent.session(fresh(1)).await.unwrap();
    assert_eq!((kept.timeout_ms, session.timeout_ms), (1_000, 100));
    silent
        .ask(create("/e", CreateMode::Ephemeral))
        .await
        .unwrap()
        .unwrap();
    watcher.ask(exists("/e", true)).await.unwrap().unwrap();

    assert_eq!(watcher.event().await, (EventKind::Deleted, "/e".to_owned()));
    assert_eq!(silent.next().await, None, "the connection is closed");
    assert_eq!(server.sessions(), [kept.session_id]);
    let again = ConnectRequest {
        session_id: session.session_id,
        password: session.password,
        ..fresh(1_000)
    };
    let answer = Peer::connect(&server).await.session(again).await.unwrap();
    assert_eq!((answer.session_id, answer.timeout_ms), (0, 0));
}

#[tokio::test]
async fn a_session_outlives_its_connection_and_hears_what_it_missed() {
    let server = start().await;
    let mut first = Peer::connect(&server).await;
    let session = first.session(fresh(1_000)).await.unwrap();
    first
        .ask(create("/e", CreateMode::Ephemeral))
        .await
        .unwrap()
        .unwrap();
    server.cut_connections();
    assert_eq!(first.next().await, None);

    let again = ConnectRequest {
        session_id: session.session_id,
        password: session.password,
        ..fresh(1_000)
    };
    let mut second = Peer::connect(&server).await;
    let resumed = second.session(again).await.unwrap();
    assert_eq!(resumed.session_id, session.session_id);
    let missed = SetWatches {
        data: vec!["/gone".to_owned()],
        ..SetWatches::default()
    };
    let xid = XID_SET_WATCHES;
    let request = Request::SetWatches(missed);
    second.send(&ClientFrame::Request { xid, request }).await;
    assert_eq!(
        second.event().await,
        (EventKind::Deleted, "/gone".to_owned())
    );
    assert!(matches!(
        second.next().await,
        Some(ServerFrame::Reply { .. })
    ));
    let stat = second.ask(exists("/e", false)).await.unwrap().unwrap();
    assert!(matches!(stat, Response::Exists(stat) if stat.ephemeral_owner == session.session_id));

    server.expire_session(session.session_id);
    assert_eq!(second.next().await, None, "an expired session");
    assert!(server.sessions().is_empty());
}

#[tokio::test]
async fn closing_a_session_is_answered_before_the_connection_ends() {
    let server = start().await;
    let mut peer = Peer::connect(&server).await;
    peer.session(fresh(1_000)).await.unwrap();
    assert_eq!(
        peer.ask(Request::CloseSession).await,
        Some(Ok(Response::Empty))
    );
    assert_eq!(peer.next().await, None);
    assert!(server.sessions().is_empty());
}

#[tokio::test]
async fn replies_are_lost_and_requests_carried_out() {
    let server = start().await;
    let mut peer = Peer::connect(&server).await;
    peer.session(fresh(1_000)).await.unwrap();
    server.set_faults(Faults {
        lose_replies: true,
        ..Faults::default()
    });
    let request = create("/lost", CreateMode::Persistent);
    peer.send(&ClientFrame::Request { xid: 1, request }).await;
    let created = async {
        while server.hub.summary().0.nodes < 4 {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, created).await.expect("a node");
    server.set_faults(Faults::default());
    server.cut_connections();
    assert_eq!(peer.next().await, None, "no word of it");

    server.set_faults(Faults {
        refuse: true,
        ..Faults::default()
    });
    assert_eq!(
        Peer::connect(&server).await.session(fresh(1_000)).await,
        None
    );
}

#[tokio::test]
async fn faults_befall_a_single_session() {
    let server = start().await;
    let (mut struck, mut other) = (Peer::connect(&server).await, Peer::connect(&server).await);
    let session = struck.session(fresh(1_000)).await.unwrap();
    other.session(fresh(1_000)).await.unwrap();
    let id = session.session_id;
    let again = || ConnectRequest {
        session_id: id,
        password: session.password.clone(),
        ..fresh(1_000)
    };
    let node = create("/e", CreateMode::Ephemeral);
    struck.ask(node).await.unwrap().unwrap();
    server.cut_session(id);
    assert_eq!(struck.next().await, None);
    assert_eq!(other.ask(Request::Ping).await, Some(Ok(Response::Empty)));
    let mut struck = Peer::connect(&server).await;
    assert_eq!(struck.session(again()).await.unwrap().session_id, id);

    let refuse = Faults {
        refuse: true,
        ..Faults::default()
    };
    server.set_session_faults(id, refuse);
    assert_eq!(Peer::connect(&server).await.session(again()).await, None);
    struck.ask(exists("/e", false)).await.unwrap().unwrap();

    // Nothing of it is heard, and its time goes on.
    let lose_requests = Faults {
        lose_requests: true,
        ..Faults::default()
    };
    server.set_session_faults(id, lose_requests);
    for _ in 0..3 {
        let (xid, request) = (XID_PING, Request::Ping);
        struck.send(&ClientFrame::Request { xid, request }).await;
    }
    assert_eq!(struck.next().await, None);
    assert!(!server.sessions().contains(&id));
}

async fn word(server: &ZooKeeperServer, word: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(server.address()).await?;
    stream.write_all(word.as_bytes()).await?;
    let mut answer = String::new();
    let reading = stream.read_to_string(&mut answer);
    timeout(PATIENCE, reading)
        .await
        .expect("an answer in time")?;
    Ok(answer)
}

#[tokio::test]
async fn tools_ask_in_four_letters() -> io::Result<()> {
    let server = start().await;
    let mut peer = Peer::connect(&server).await;
    let session = peer.session(fresh(1_000)).await.unwrap().session_id;
    peer.ask(create("/e", CreateMode::Ephemeral))
        .await
        .unwrap()
        .unwrap();
    peer.ask(exists("/e", true)).await.unwrap().unwrap();

    assert_eq!(word(&server, "ruok").await?, "imok");
    assert_eq!(word(&server, "isro").await?, "rw");
    let client = format!("sid={session:#x},to=1000");
    let owner = format!("{session:#x}:\n\t/e\n");
    for (name, expected) in [
        ("srvr", "Mode: standalone\nNode count: 4\n"),
        ("srvr", "Zxid: 0x2\n"),
        ("stat", client.as_str()),
        ("cons", client.as_str()),
        ("mntr", "zk_znode_count\t4\n"),
        ("mntr", "zk_ephemerals_count\t1\n"),
        ("envi", "zookeeper.version=3.4.6"),
        ("dump", owner.as_str()),
        ("wchs", "1 connections watching 1 paths\nTotal watches:1\n"),
        ("conf", "tickTime=50\n"),
    ] {
        let answer = word(&server, name).await?;
        assert!(answer.contains(expected), "{name}: {answer}");
    }
    Ok(())
}

#[tokio::test]
async fn what_is_no_request_ends_its_connection_alone() {
    let server = start().await;
    let mut good = Peer::connect(&server).await;
    good.session(fresh(1_000)).await.unwrap();
    let request = [
        &[0, 0, 0, 8][..],
        &1_i32.to_be_bytes(),
        &15_i32.to_be_bytes(),
    ]
    .concat();
    for (hostile, greets) in [
        // A frame that claims two gigabytes, one of a negative length, an HTTP request, and a greeting that ends too early.
        (&[0x7f, 0xff, 0xff, 0xff][..], false),
        (&[0xff, 0xff, 0xff, 0xff], false),
        (b"GET / HTTP/1.1\r\n\r\n", false),
        (&[0, 0, 0, 3, 1, 2, 3], false),
        // A request that nobody knows, and one that is too short to have a number.
        (&request, true),
        (&[0, 0, 0, 2, 0, 1], true),
    ] {
        let mut peer = Peer::connect(&server).await;
        if greets {
            peer.session(fresh(1_000)).await.unwrap();
        }
        peer.stream.write_all(hostile).await.expect("a connection");
        let mut rest = Vec::new();
        match timeout(PATIENCE, peer.stream.read_to_end(&mut rest)).await {
            Ok(Ok(length)) => assert!(length <= 20, "{rest:?} for {hostile:?}"),
            Ok(Err(error)) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
            Err(_) => panic!("still open after {hostile:?}"),
        }
    }
    assert_eq!(good.ask(Request::Ping).await, Some(Ok(Response::Empty)));
}

#[tokio::test]
async fn there_are_only_so_many_connections() {
    let builder = ZooKeeperServer::builder().max_connections(1);
    let server = builder.start().await.expect("a free port");
    let mut first = Peer::connect(&server).await;
    first.session(fresh(6_000)).await.unwrap();
    assert_eq!(
        Peer::connect(&server).await.session(fresh(6_000)).await,
        None
    );
    drop(first);
    let freed = async {
        while Peer::connect(&server)
            .await
            .session(fresh(6_000))
            .await
            .is_none()
        {}
    };
    timeout(PATIENCE, freed).await.expect("room for another");
    let address = server.address();
    server.shutdown().await;
    assert!(
        TcpStream::connect(address).await.is_err(),
        "the port is closed"
    );
}

#[tokio::test]
async fn a_restart_keeps_sessions_and_nodes() {
    let mut server = start().await;
    let mut peer = Peer::connect(&server).await;
    let session = peer.session(fresh(1_000)).await.unwrap();
    let made = peer.ask(create("/mine", CreateMode::Ephemeral)).await;
    assert!(matches!(made, Some(Ok(_))), "{made:?}");
    let address = server.address();

    server.stop().await;
    assert_eq!(peer.next().await, None, "its connection is closed");
    assert!(TcpStream::connect(address).await.is_err());
    server.restart().await.expect("the same port");
    assert_eq!(server.address(), address);

    let mut back = Peer::connect(&server).await;
    let same = ConnectRequest {
        session_id: session.session_id,
        password: session.password.clone(),
        ..fresh(1_000)
    };
    let attached = back.session(same).await.unwrap();
    assert_eq!(attached.session_id, session.session_id);
    let found = back.ask(exists("/mine", false)).await;
    assert!(
        matches!(&found, Some(Ok(Response::Exists(stat))) if stat.ephemeral_owner == session.session_id),
        "{found:?}"
    );
}

#[tokio::test]
async fn a_frozen_server_answers_when_it_goes_on() {
    let server = start().await;
    let mut peer = Peer::connect(&server).await;
    peer.session(fresh(1_000)).await.unwrap();
    let frozen = Faults {
        freeze: true,
        ..Faults::default()
    };
    server.set_faults(frozen);
    peer.xid += 1;
    let frame = ClientFrame::Request {
        xid: peer.xid,
        request: create("/later", CreateMode::Persistent),
    };
    peer.send(&frame).await;
    let silence = timeout(Duration::from_millis(150), peer.next()).await;
    assert!(silence.is_err(), "{silence:?}");
    assert!(server.hub.data("/later").is_none(), "it reads nothing");
    server.set_faults(Faults::default());
    let answer = peer.next().await;
    assert!(
        matches!(answer, Some(ServerFrame::Reply { result: Ok(_), .. })),
        "{answer:?}"
    );
}

#[tokio::test]
async fn what_was_due_while_a_server_stood_still_is_due_then() -> io::Result<()> {
    let server = start().await;
    let mut peer = Peer::connect(&server).await;
    peer.session(fresh(100)).await.unwrap();
    let frozen = Faults {
        freeze: true,
        ..Faults::default()
    };
    server.set_faults(frozen);
    // Longer than the session, and nobody has ended it.
    let silence = timeout(Duration::from_millis(300), peer.next()).await;
    assert!(silence.is_err(), "{silence:?}");
    assert_eq!(server.sessions().len(), 1);
    server.set_faults(Faults::default());
    let over = async {
        while !server.sessions().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, over).await?;
    assert_eq!(peer.next().await, None);
    Ok(())
}
