//! A TCP proxy that fails on command.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};

use anyhow::{Context as _, Result};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::ports::PortLease;

/// What a [`Proxy`] does with connections and bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyMode {
    /// Carries everything both ways.
    Forward,
    /// Refuses new connections, as a port that nobody listens on. Existing ones go on; [`cut`](Proxy::cut) ends them.
    Refuse,
    /// Accepts connections and carries nothing, so that every byte waits. Afterwards everything goes on, late.
    Freeze,
    /// As [`Freeze`](ProxyMode::Freeze), for what goes this way only.
    FreezeOneWay(Direction),
    /// Accepts connections, swallows everything, and never sends anything.
    BlackHole,
    /// As [`BlackHole`](ProxyMode::BlackHole), for what goes this way only. Swallowing what goes to the client loses answers:
    /// what it asks for is done, and it never learns so.
    BlackHoleOneWay(Direction),
}

/// Where bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the client, which has connected to the proxy.
    ToServer,
    /// From the address that the proxy leads to.
    ToClient,
}

/// What happens to the bytes of one direction.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flow {
    Carried,
    Frozen,
    Swallowed,
}

impl ProxyMode {
    fn flow(self, direction: Direction) -> Flow {
        match self {
            ProxyMode::Forward | ProxyMode::Refuse => Flow::Carried,
            ProxyMode::Freeze => Flow::Frozen,
            ProxyMode::BlackHole => Flow::Swallowed,
            ProxyMode::FreezeOneWay(way) if way == direction => Flow::Frozen,
            ProxyMode::BlackHoleOneWay(way) if way == direction => Flow::Swallowed,
            ProxyMode::FreezeOneWay(_) | ProxyMode::BlackHoleOneWay(_) => Flow::Carried,
        }
    }

    fn swallows(self) -> bool {
        matches!(self, ProxyMode::BlackHole | ProxyMode::BlackHoleOneWay(_))
    }
}

/// A loopback port that leads to another address. It ends when dropped, with its connections.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    control: Option<watch::Sender<Control>>,
    accepted: Arc<AtomicUsize>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Clone, Copy, Debug)]
struct Control {
    mode: ProxyMode,
    /// How often the connections were cut.
    cuts: u64,
}

impl Proxy {
    /// Starts a proxy to `target`.
    ///
    /// # Errors
    ///
    /// When there is no free port, or no thread.
    pub fn start(target: SocketAddr) -> Result<Proxy> {
        let lease = PortLease::new()?;
        let address = lease.address();
        let (control, commands) = watch::channel(Control {
            mode: ProxyMode::Forward,
            cuts: 0,
        });
        let accepted = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&accepted);
        let (ready, listening) = mpsc::channel();
        let thread = thread::Builder::new()
            .name("proxy".to_owned())
            .spawn(move || {
                // The lease lives as long as the thread.
                let _lease = lease;
                let outcome = runtime::Builder::new_current_thread().enable_all().build();
                match outcome {
                    Ok(runtime) => {
                        runtime.block_on(serve(address, target, commands, &count, &ready));
                    }
                    Err(error) => drop(ready.send(Err(error))),
                }
            })?;
        listening
            .recv()
            .context("the proxy ended at once")?
            .context("the proxy cannot listen")?;
        Ok(Proxy {
            address,
            control: Some(control),
            accepted,
            thread: Some(thread),
        })
    }

    /// Where clients connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections it has accepted.
    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::Relaxed)
    }

    /// From now on, does as `mode` says. Connections that were in a black hole are cut: bytes are missing there.
    pub fn set_mode(&self, mode: ProxyMode) {
        self.change(|control| {
            if control.mode.swallows() && mode != control.mode {
                control.cuts += 1;
            }
            control.mode = mode;
        });
    }

    /// Closes every connection, on both sides. New ones are accepted according to the mode.
    pub fn cut(&self) {
        self.change(|control| control.cuts += 1);
    }

    fn change(&self, change: impl FnOnce(&mut Control)) {
        if let Some(control) = &self.control {
            control.send_modify(change);
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // Without its sender the thread ends.
        self.control = None;
        if let Some(thread) = self.thread.take() {
            // It has nothing to say but a panic, which it has shown already.
            let _ = thread.join();
        }
    }
}

type Ready = mpsc::Sender<std::io::Result<()>>;

async fn serve(
    address: SocketAddr,
    target: SocketAddr,
    mut commands: watch::Receiver<Control>,
    count: &AtomicUsize,
    ready: &Ready,
) {
    let mut ready = Some(ready);
    let mut connections = JoinSet::new();
    loop {
        // Without a listener the kernel refuses.
        if commands
            .wait_for(|control| control.mode != ProxyMode::Refuse)
            .await
            .is_err()
        {
            return;
        }
        let listener = TcpListener::bind(address).await;
        if let Some(ready) = ready.take() {
            // The proxy's maker waits for this; it cannot be gone.
            let _ = ready.send(
                listener
                    .as_ref()
                    .map(|_| ())
                    .map_err(|error| error.kind().into()),
            );
        }
        let Ok(listener) = listener else { return };
        loop {
            tokio::select! {
                accepted = listener.accept() => if let Ok((client, _)) = accepted {
                    count.fetch_add(1, Ordering::Relaxed);
                    connections.spawn(connection(client, target, commands.clone()));
                },
                Some(_) = connections.join_next() => {}
                changed = commands.changed() => match changed {
                    Err(_) => return,
                    Ok(()) if commands.borrow().mode == ProxyMode::Refuse => break,
                    Ok(()) => {}
                },
            }
        }
    }
}

/// Carries one connection until either side ends it or it is cut.
async fn connection(client: TcpStream, target: SocketAddr, commands: watch::Receiver<Control>) {
    let cuts = commands.borrow().cuts;
    let mut cut = commands.clone();
    tokio::select! {
        () = carry(client, target, commands) => {}
        // Also when the proxy itself ends.
        _ = cut.wait_for(|control| control.cuts != cuts) => {}
    }
}

async fn carry(client: TcpStream, target: SocketAddr, commands: watch::Receiver<Control>) {
    let Ok(server) = TcpStream::connect(target).await else {
        return;
    };
    // Small requests must not wait for one another, as they would not without the proxy.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::join!(
        pump(
            Direction::ToServer,
            from_client,
            to_server,
            commands.clone()
        ),
        pump(Direction::ToClient, from_server, to_client, commands)
    );
}

async fn pump(
    direction: Direction,
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut commands: watch::Receiver<Control>,
) {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let Ok(read) = from.read(&mut buffer).await else {
            return;
        };
        // What was read just before the proxy froze waits as well.
        let Ok(flow) = commands
            .wait_for(|control| control.mode.flow(direction) != Flow::Frozen)
            .await
            .map(|control| control.mode.flow(direction))
        else {
            return;
        };
        let swallowed = flow == Flow::Swallowed;
        if read == 0 {
            // The other direction may go on: dropping this half says that nothing more is to come. A black
            // hole keeps even that for itself, until it is cut.
            if swallowed {
                std::future::pending::<()>().await;
            }
            return;
        }
        if !swallowed && to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}
