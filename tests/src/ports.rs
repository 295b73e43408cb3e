//! Free ports, without races.
//!
//! A port is taken from below the range that the kernel gives to outgoing connections: there, a client that
//! keeps trying to reach a broker that is down could otherwise be given the broker's own port, and be connected
//! to itself. Each port is locked through a file for as long as it is leased, so that test processes that run
//! at the same time never choose the same one, and was seen to be free when it was chosen.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use rustix::fs::{FlockOperation, flock};

#[cfg(test)]
mod tests;

const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;

/// A loopback port that belongs to this process until it is dropped.
#[derive(Debug)]
pub struct PortLease {
    port: u16,
    /// Its lock ends with the file, and with the process at the latest.
    _lock: File,
}

impl PortLease {
    /// Takes a free port.
    ///
    /// # Errors
    ///
    /// When none is free, or the lock files cannot be written.
    pub fn new() -> Result<PortLease> {
        let user = rustix::process::getuid().as_raw();
        let locks = std::env::temp_dir().join(format!("divvy-ports-{user}"));
        fs::create_dir_all(&locks).with_context(|| format!("cannot create {}", locks.display()))?;
        let start = rand::random_range(0..COUNT);
        for step in 0..COUNT {
            if let Some(lease) = PortLease::take(FIRST + (start + step) % COUNT, &locks)? {
                return Ok(lease);
            }
        }
        bail!("no port from {FIRST} to {} is free", FIRST + COUNT - 1)
    }

    /// Takes this port, unless it is leased or in use.
    fn take(port: u16, locks: &Path) -> Result<Option<PortLease>> {
        let path = locks.join(port.to_string());
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .with_context(|| format!("cannot open {}", path.display()))?;
        let is_ours = flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok();
        Ok((is_ours && is_free(port)).then_some(PortLease { port, _lock: lock }))
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The port on the loopback address.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}
