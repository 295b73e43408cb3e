//! One node of a cluster.

use std::fmt::{self, Display};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};

use super::embedded::Part;
use super::jvm::Jvm;
use crate::proxy::{Proxy, ProxyMode};

/// A ZooKeeper server or a Kafka broker: in a JVM of its own, or a part of an embedded cluster, which this process runs.
///
/// Its methods take `&self`, so that a test can strike a node while other threads use the cluster.
#[derive(Debug)]
pub struct Node {
    /// What stands before it, where clients reach it through a proxy.
    pub(super) proxy: Option<Proxy>,
    pub(super) body: Body,
}

/// What a node is made of.
#[derive(Debug)]
pub(super) enum Body {
    Jvm(Box<Jvm>),
    Embedded(Part),
}

impl Node {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        match &self.body {
            Body::Jvm(jvm) => jvm.address(),
            Body::Embedded(part) => part.address(),
        }
    }

    /// The proxy before it, if it has one. See
    /// [`ClusterBuilder::brokers_behind_proxies`](crate::ClusterBuilder::brokers_behind_proxies).
    pub fn proxy(&self) -> Option<&Proxy> {
        self.proxy.as_ref()
    }

    /// The JVM's process id, while it runs; none for a part of an embedded cluster.
    pub fn pid(&self) -> Option<u32> {
        match &self.body {
            Body::Jvm(jvm) => jvm.pid(),
            Body::Embedded(_) => None,
        }
    }

    /// Whether it runs, or is stopped by a signal.
    pub fn is_running(&self) -> bool {
        match &self.body {
            Body::Jvm(jvm) => jvm.is_running(),
            Body::Embedded(part) => part.is_running(),
        }
    }

    /// Starts it and waits until it serves. A broker whose earlier run is still registered in ZooKeeper
    /// waits for the end of that session first, because brokers from 0.9 on refuse to start before.
    ///
    /// # Errors
    ///
    /// When it runs already, ends, or does not serve in time; the error shows the end of its log.
    pub fn start(&self) -> Result<()> {
        match &self.body {
            Body::Jvm(jvm) => jvm.start(),
            Body::Embedded(part) => part.start(),
        }
    }

    /// Kills it (SIGKILL). One that has ended already is none the worse.
    pub fn kill(&self) {
        match &self.body {
            Body::Jvm(jvm) => jvm.kill(),
            Body::Embedded(part) => part.kill(),
        }
    }

    /// Asks it to stop (SIGTERM) and waits for its end. A broker hands its partitions over first.
    ///
    /// # Errors
    ///
    /// When it does not run, or does not end in time.
    pub fn term(&self) -> Result<()> {
        match &self.body {
            Body::Jvm(jvm) => jvm.term(),
            Body::Embedded(part) => part.term(),
        }
    }

    /// Stops it in its tracks (SIGSTOP): its connections stay open and nothing answers.
    ///
    /// # Errors
    ///
    /// When it does not run.
    pub fn stop(&self) -> Result<()> {
        match &self.body {
            Body::Jvm(jvm) => jvm.stop(),
            Body::Embedded(part) => part.freeze(true),
        }
    }

    /// Lets it go on after [`stop`](Node::stop) (SIGCONT).
    ///
    /// # Errors
    ///
    /// When it does not run.
    pub fn cont(&self) -> Result<()> {
        match &self.body {
            Body::Jvm(jvm) => jvm.cont(),
            Body::Embedded(part) => part.freeze(false),
        }
    }

    /// From now on each of its answers comes so much later, one after the other; zero ends that. A JVM is slow through the
    /// [proxy](Node::proxy) before it.
    ///
    /// # Errors
    ///
    /// When it does not run, or is a JVM without a proxy.
    pub fn slow_down(&self, delay: Duration) -> Result<()> {
        if let Body::Embedded(part) = &self.body {
            return part.delay(delay);
        }
        let proxy = self.proxy().context("there is no proxy before it")?;
        proxy.set_mode(match delay.is_zero() {
            true => ProxyMode::Forward,
            false => ProxyMode::Slow(delay),
        });
        Ok(())
    }

    /// Kills it and starts it anew, on the same port and data.
    ///
    /// # Errors
    ///
    /// As [`start`](Node::start).
    pub fn restart(&self) -> Result<()> {
        self.kill();
        self.start()
    }

    /// Its log since the cluster was started, over all runs. A part of an embedded cluster has none.
    pub fn log(&self) -> String {
        match &self.body {
            Body::Jvm(jvm) => jvm.log(),
            Body::Embedded(_) => String::new(),
        }
    }

    /// The last `count` lines of its log.
    pub fn log_tail(&self, count: usize) -> String {
        match &self.body {
            Body::Jvm(jvm) => jvm.log_tail(count),
            Body::Embedded(_) => String::new(),
        }
    }

    /// The JVM that it is.
    pub(super) fn jvm(&self) -> Result<&Jvm> {
        match &self.body {
            Body::Jvm(jvm) => Ok(jvm),
            Body::Embedded(part) => Err(anyhow!("{part} is no JVM")),
        }
    }
}

impl Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.body {
            Body::Jvm(jvm) => jvm.fmt(f),
            Body::Embedded(part) => part.fmt(f),
        }
    }
}

/// Asks a ZooKeeper server one of its administrator's questions, such as `ruok`, `srvr` or `dump`.
///
/// # Errors
///
/// When the server cannot be reached or does not answer within a few seconds.
pub fn four_letter_word(server: SocketAddr, word: &str) -> Result<String> {
    let patience = Duration::from_secs(3);
    let mut stream = TcpStream::connect_timeout(&server, patience)?;
    stream.set_read_timeout(Some(patience))?;
    stream.write_all(word.as_bytes())?;
    let mut answer = Vec::new();
    stream.take(16 << 20).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
