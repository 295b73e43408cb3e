//! A server's port and its connections.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tracing::debug;

use super::error::{Error, Result};
use super::weather::{Exposure, Weather};

/// How many connections a port has at most; further ones are closed at once.
pub(super) const MAX_CONNECTIONS: usize = 1024;
/// How much is read at a time, in bytes.
const READ: usize = 64 << 10;
/// How long a port waits after it could not accept, because the process has no more files for example.
const PAUSE: Duration = Duration::from_millis(50);
/// How long a client may take to receive what it has asked for.
const SLOWEST: Duration = Duration::from_secs(60);

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
            Ok((stream, peer)) => match Line::new(stream, peer, &weather) {
                Ok(line) => {
                    let (cut, serving) = (line.exposure.until_cut(), serve(line));
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
    exposure: Exposure,
}

/// What arrives on a connection.
#[derive(Debug)]
pub(super) struct Incoming {
    read: OwnedReadHalf,
    exposure: Exposure,
}

/// What is sent on a connection.
#[derive(Debug)]
pub(super) struct Outgoing {
    write: OwnedWriteHalf,
    exposure: Exposure,
}

impl Line {
    fn new(stream: TcpStream, peer: SocketAddr, weather: &Weather) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        let (read, write) = stream.into_split();
        Ok(Self {
            peer,
            read,
            write,
            exposure: weather.expose(),
        })
    }

    pub(super) fn peer(&self) -> SocketAddr {
        self.peer
    }

    pub(super) fn split(self) -> (Incoming, Outgoing) {
        let Self {
            read,
            write,
            exposure,
            ..
        } = self;
        let incoming = Incoming {
            read,
            exposure: exposure.clone(),
        };
        (incoming, Outgoing { write, exposure })
    }
}

impl Incoming {
    /// Waits for more, and appends it; `false` at the end.
    pub(super) async fn read(&mut self, buffer: &mut BytesMut) -> io::Result<bool> {
        buffer.reserve(READ.min(buffer.len().max(4 << 10)));
        let read = self.read.read_buf(buffer).await?;
        self.exposure.thawed().await;
        Ok(read > 0)
    }

    /// Says whose connection it is, once that is known; `false` where it is to end because of that.
    pub(super) fn introduce(&self, client: &str) -> bool {
        self.exposure.introduce(client)
    }

    /// Whether requests vanish at the moment.
    pub(super) fn loses_requests(&self) -> bool {
        self.exposure.faults().lose_requests
    }
}

impl Outgoing {
    /// Sends an answer, or what the faults make of it. A client that does not take it in time is given up.
    pub(super) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.exposure.thawed().await;
        let faults = self.exposure.faults();
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
