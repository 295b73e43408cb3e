//! The ways of an ensemble's servers to one another.

use anyhow::{Context as _, Result};

use super::Cluster;
use crate::ports::PortLease;
use crate::proxy::{Direction, Proxy, ProxyMode};

/// How one server reaches another: it follows it, or elects with it, through these.
#[derive(Debug)]
pub(super) struct Link {
    from: usize,
    to: usize,
    follow: Proxy,
    elect: Proxy,
}

impl Link {
    /// A link to the server whose own ports these are.
    pub(super) fn start(from: usize, to: usize, ports: &[PortLease; 2]) -> Result<Link> {
        let [follow, elect] = ports;
        Ok(Link {
            from,
            to,
            follow: Proxy::start(follow.address())?,
            elect: Proxy::start(elect.address())?,
        })
    }

    pub(super) fn leads(&self, from: usize, to: usize) -> bool {
        (self.from, self.to) == (from, to)
    }

    /// The ports by which `from` knows `to`.
    pub(super) fn ports(&self) -> [u16; 2] {
        [self.follow.address().port(), self.elect.address().port()]
    }

    fn set_mode(&self, mode: ProxyMode) {
        self.follow.set_mode(mode);
        self.elect.set_mode(mode);
    }
}

/// Faults between the servers of an ensemble that was built [with links](super::ClusterBuilder::linked). Servers are counted from
/// 0, as in [`Cluster::zookeepers`].
impl Cluster {
    /// Nothing passes between two servers, as if a cable were pulled: what is sent waits, and arrives when they are
    /// [joined](Cluster::join) again, if the connection still lives then.
    ///
    /// # Errors
    ///
    /// When there are no links between these.
    pub fn separate(&self, one: usize, other: usize) -> Result<()> {
        self.set_links(one, other, ProxyMode::Freeze, ProxyMode::Freeze)
    }

    /// As [`separate`](Cluster::separate), for what `from` says to `to` only: it still hears it.
    ///
    /// # Errors
    ///
    /// When there are no links between these.
    pub fn silence(&self, from: usize, to: usize) -> Result<()> {
        let there = ProxyMode::FreezeOneWay(Direction::ToServer);
        let back = ProxyMode::FreezeOneWay(Direction::ToClient);
        self.set_links(from, to, there, back)
    }

    /// Ends what [`separate`](Cluster::separate) or [`silence`](Cluster::silence) began.
    ///
    /// # Errors
    ///
    /// When there are no links between these.
    pub fn join(&self, one: usize, other: usize) -> Result<()> {
        self.set_links(one, other, ProxyMode::Forward, ProxyMode::Forward)
    }

    fn set_links(&self, from: usize, to: usize, there: ProxyMode, back: ProxyMode) -> Result<()> {
        for (from, to, mode) in [(from, to, there), (to, from, back)] {
            let link = self.links.iter().find(|link| link.leads(from, to));
            link.with_context(|| format!("there is no link from server {from} to {to}"))?
                .set_mode(mode);
        }
        Ok(())
    }
}
