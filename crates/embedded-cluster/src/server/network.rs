//! A server's port: who may connect, and what befalls connections.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tracing::debug;

use super::error::{Error, Result};

/// How many connections a port has at most; further ones are closed at once.
pub(super) const MAX_CONNECTIONS: usize = 1024;
/// How much is read at a time, in bytes.
const READ: usize = 64 << 10;
/// How long a port waits after it could not accept, because the process has no more files for example.
const PAUSE: Duration = Duration::from_millis(50);
/// How long a client may take to receive what it has asked for.
const SLOWEST: Duration = Duration::from_secs(60);

/// What goes wrong on the way between a server and its clients. The default is nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// How long the server waits before it sends each answer.
    pub delay: Duration,
    /// Requests are carried out, and nothing comes back. The connections stay open.
    pub lose_replies: bool,
    /// New connections are closed at once.
    pub refuse: bool,
    /// The server stands still, as one whose process is stopped: connections stay open and new ones come about, but nothing is read
    /// and nothing is sent. What was sent to it meanwhile is answered when this ends.
    pub freeze: bool,
}

/// What a port's connections look at. Connections that began under another number of cuts are over.
#[derive(Clone, Copy, Debug, Default)]
struct State {
    faults: Faults,
    cuts: u64,
}

/// The faults of one server, which outlive its port.
#[derive(Clone, Debug)]
pub(super) struct Weather(Arc<watch::Sender<State>>);

impl Weather {
    pub(super) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(State::default())))
    }

    pub(super) fn set(&self, faults: Faults) {
        self.0.send_modify(|state| state.faults = faults);
    }

    pub(super) fn faults(&self) -> Faults {
        self.0.borrow().faults
    }

    /// Returns once the server does not stand still.
    pub(super) async fn thawed(&self) {
        if self.faults().freeze {
            let mut states = self.0.subscribe();
            // The sender is this value's own.
            let _ = states.wait_for(|state| !state.faults.freeze).await;
        }
    }

    /// Ends every connection that there is.
    pub(super) fn cut(&self) {
        self.0.send_modify(|state| state.cuts += 1);
    }

    /// Returns when the connections that begin now are to end.
    fn until_cut(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut states = self.0.subscribe();
        let began = states.borrow_and_update().cuts;
        async move {
            // The sender lives as long as the server; without it the connection has nothing to live for either.
            let _ = states.wait_for(|state| state.cuts != began).await;
        }
    }
}

/// A port that is listened on. Dropping it closes it, with its connections.
#[derive(Debug)]
pub(super) struct Port {
    address: SocketAddr,
    task: Task,
}

impl Port {
    /// Binds the address, and has `serve` care for each connection until that returns.
    pub(super) async fn open<F, S>(
        address: SocketAddr,
        weather: Weather,
        most: usize,
        serve: S,
    ) -> Result<Self>
    where
        F: Future<Output = ()> + Send + 'static,
        S: Fn(Line) -> F + Send + 'static,
    {
        let failed = |source| Error::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let task = Task::spawn(listen(listener, weather, most, serve));
        Ok(Self { address, task })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Closes the port and its connections, and returns when they are closed.
    pub(super) async fn close(self) {
        self.task.end().await;
    }
}

/// A task that ends when this is dropped.
#[derive(Debug)]
pub(super) struct Task(JoinHandle<()>);

impl Task {
    pub(super) fn spawn(future: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(tokio::spawn(future))
    }

    /// Ends it, and returns when it has ended.
    pub(super) async fn end(mut self) {
        self.0.abort();
        // It was aborted, which is what the error says.
        let _ = (&mut self.0).await;
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn listen<F, S>(listener: TcpListener, weather: Weather, most: usize, serve: S)
where
    F: Future<Output = ()> + Send + 'static,
    S: Fn(Line) -> F + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        match accepted {
            Ok((stream, _)) if connections.len() >= most || weather.faults().refuse => drop(stream),
            Ok((stream, peer)) => match Line::new(stream, peer, weather.clone()) {
                Ok(line) => {
                    let (cut, serving) = (weather.until_cut(), serve(line));
                    connections.spawn(async move {
                        tokio::select! {
                            () = cut => {}
                            () = serving => {}
                        }
                    });
                }
                Err(error) => debug!("the connection of {peer} is gone already: {error}"),
            },
            Err(error) => {
                debug!("cannot accept connections: {error}");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// A connection with a client.
#[derive(Debug)]
pub(super) struct Line {
    peer: SocketAddr,
    read: OwnedReadHalf,
    write: OwnedWriteHalf,
    weather: Weather,
}

/// What arrives on a connection.
#[derive(Debug)]
pub(super) struct Incoming {
    read: OwnedReadHalf,
    weather: Weather,
}

/// What is sent on a connection.
#[derive(Debug)]
pub(super) struct Outgoing {
    write: OwnedWriteHalf,
    weather: Weather,
}

impl Line {
    fn new(stream: TcpStream, peer: SocketAddr, weather: Weather) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        let (read, write) = stream.into_split();
        Ok(Self {
            peer,
            read,
            write,
            weather,
        })
    }

    pub(super) fn peer(&self) -> SocketAddr {
        self.peer
    }

    pub(super) fn split(self) -> (Incoming, Outgoing) {
        let Self {
            read,
            write,
            weather,
            ..
        } = self;
        let incoming = Incoming {
            read,
            weather: weather.clone(),
        };
        (incoming, Outgoing { write, weather })
    }
}

impl Incoming {
    /// Waits for more, and appends it; `false` at the end.
    pub(super) async fn read(&mut self, buffer: &mut BytesMut) -> io::Result<bool> {
        buffer.reserve(READ.min(buffer.len().max(4 << 10)));
        let read = self.read.read_buf(buffer).await?;
        self.weather.thawed().await;
        Ok(read > 0)
    }
}

impl Outgoing {
    /// Sends an answer, or what the faults make of it. A client that does not take it in time is given up.
    pub(super) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.weather.thawed().await;
        let faults = self.weather.faults();
        if !faults.delay.is_zero() {
            tokio::time::sleep(faults.delay).await;
        }
        if faults.lose_replies {
            return Ok(());
        }
        match tokio::time::timeout(SLOWEST, self.write.write_all(bytes)).await {
            Ok(written) => written,
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}
