//! A TCP proxy that fails on command.

mod carry;
mod mode;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};

use anyhow::{Context as _, Result};
use tokio::net::TcpListener;
use tokio::runtime;
use tokio::sync::watch;
use tokio::task::JoinSet;

use self::carry::connection;
pub use self::mode::{Direction, ProxyMode, ZooKeeperRequest};
use crate::ports::PortLease;

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
