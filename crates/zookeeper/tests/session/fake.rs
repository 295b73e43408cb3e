//! A server in memory whose every word the test decides.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use divvy_zookeeper::wire::{
    ClientFrame, ConnectRequest, ConnectResponse, ErrorCode, Request, Response, Secret,
    ServerFrame, XID_AUTH, XID_PING, XID_SET_WATCHES,
};
use divvy_zookeeper::{BootTime, Clock, Config, Dial, Parts, Pipe, ZooKeeper};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

/// The session timeout of all of these tests.
pub(crate) const T: Duration = Duration::from_secs(6);
/// What a session has here unless a test says otherwise.
pub(crate) const ID: i64 = 0x5e55;
pub(crate) const PASSWORD: &[u8] = b"canary-of-16-byt";

/// tokio's clock, so that the paused time of a test is the lease's too.
#[derive(Debug)]
struct TokioClock(Instant);

impl Clock for TokioClock {
    fn now(&self) -> BootTime {
        BootTime::from_nanos(1) + self.0.elapsed()
    }
}

#[derive(Debug)]
struct FakeDial(mpsc::UnboundedSender<Peer>);

#[derive(Debug)]
struct FakePipe {
    sent: mpsc::UnboundedSender<ClientFrame>,
    received: mpsc::UnboundedReceiver<ServerFrame>,
}

#[async_trait]
impl Dial for FakeDial {
    async fn dial(&self, server: &str) -> io::Result<Box<dyn Pipe>> {
        let (sent, from_client) = mpsc::unbounded_channel();
        let (to_client, received) = mpsc::unbounded_channel();
        let peer = Peer {
            server: server.to_owned(),
            from_client,
            to_client,
            zxid: 1,
        };
        let refused = |_| io::Error::from(io::ErrorKind::ConnectionRefused);
        self.0.send(peer).map_err(refused)?;
        Ok(Box::new(FakePipe { sent, received }))
    }
}

#[async_trait]
impl Pipe for FakePipe {
    fn send(&mut self, frame: ClientFrame) -> io::Result<()> {
        let closed = |_| io::Error::from(io::ErrorKind::BrokenPipe);
        self.sent.send(frame).map_err(closed)
    }

    async fn receive(&mut self) -> io::Result<Option<ServerFrame>> {
        match self.received.recv().await {
            Some(frame) => Ok(Some(frame)),
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

/// Every server of the connect string: gives the connections as they are made.
pub(crate) struct Servers(mpsc::UnboundedReceiver<Peer>);

/// The server's end of a connection. Dropping it closes the connection.
pub(crate) struct Peer {
    pub(crate) server: String,
    from_client: mpsc::UnboundedReceiver<ClientFrame>,
    to_client: mpsc::UnboundedSender<ServerFrame>,
    pub(crate) zxid: i64,
}

/// A client of servers in memory, on the test's runtime.
pub(crate) fn client(config: Config) -> (ZooKeeper, Servers) {
    let (dialled, servers) = mpsc::unbounded_channel();
    let parts = Parts {
        dial: Arc::new(FakeDial(dialled)),
        clock: Arc::new(TokioClock(Instant::now())),
        runtime: Handle::current().into(),
        seed: 1,
    };
    let zookeeper = ZooKeeper::with_parts(config, parts).unwrap();
    (zookeeper, Servers(servers))
}

pub(crate) fn granted() -> ConnectResponse {
    ConnectResponse {
        timeout_ms: T.as_millis().try_into().unwrap(),
        session_id: ID,
        password: Secret::new(PASSWORD),
        read_only: false,
    }
}

impl Servers {
    pub(crate) async fn accept(&mut self) -> Peer {
        let accepted = timeout(100 * T, self.0.recv()).await;
        accepted.expect("nobody connects").expect("nobody is left")
    }

    /// The next connection, with its session granted.
    pub(crate) async fn attach(&mut self) -> (Peer, ConnectRequest) {
        let mut peer = self.accept().await;
        let request = peer.handshake().await;
        peer.send(ServerFrame::Connect(granted()));
        (peer, request)
    }

    pub(crate) async fn nobody_connects_for(&mut self, time: Duration) {
        if let Ok(Some(peer)) = timeout(time, self.0.recv()).await {
            panic!("a connection to {}", peer.server);
        }
    }
}

impl Peer {
    pub(crate) fn send(&self, frame: ServerFrame) {
        // The client may have gone.
        let _ = self.to_client.send(frame);
    }

    pub(crate) async fn handshake(&mut self) -> ConnectRequest {
        match self.next().await {
            Some(ClientFrame::Connect(request)) => request,
            other => panic!("{other:?} in place of a handshake"),
        }
    }

    /// The next frame; none once the client has closed the connection.
    pub(crate) async fn next(&mut self) -> Option<ClientFrame> {
        let next = timeout(100 * T, self.from_client.recv()).await;
        next.expect("nothing is sent")
    }

    /// The next frame but pings and probes, which are answered.
    pub(crate) async fn request(&mut self) -> (i32, Request) {
        loop {
            match self.next().await.expect("the client has gone") {
                ClientFrame::Request {
                    xid,
                    request: Request::Ping | Request::Sync { .. },
                } => self.answer(xid, Ok(Response::Empty)),
                ClientFrame::Request { xid, request } => return (xid, request),
                other => panic!("{other:?} in place of a request"),
            }
        }
    }

    pub(crate) fn answer(&mut self, xid: i32, result: Result<Response, ErrorCode>) {
        self.zxid += 1;
        let beside = [XID_PING, XID_AUTH, XID_SET_WATCHES].contains(&xid);
        self.send(ServerFrame::Reply {
            xid,
            zxid: if beside { -1 } else { self.zxid },
            result,
        });
    }

    /// Answers pings and probes until the client has gone.
    pub(crate) async fn idle(mut self) {
        while let Some(frame) = self.next().await {
            match frame {
                ClientFrame::Request { xid, .. } => self.answer(xid, Ok(Response::Empty)),
                other => panic!("{other:?}"),
            }
        }
    }
}
