//! The right to hand out, as the session's lease gives it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use divvy_simple_consumer::Gate;
use divvy_zookeeper::Lease;

use super::Driver;
use crate::consumer::OnZkLoss;
use crate::machine::SessionEvent;

/// The gate of one partition: open while the lease runs without having lapsed since the claim was last known to stand.
#[derive(Debug)]
pub(super) struct LeaseGate {
    lease: Lease,
    policy: OnZkLoss,
    lapses: AtomicU64,
}

impl LeaseGate {
    /// The gate of a claim that was known to stand when the lease had lapsed this often.
    pub(super) fn new(lease: Lease, policy: OnZkLoss, lapses: u64) -> Arc<Self> {
        Arc::new(Self {
            lease,
            policy,
            lapses: AtomicU64::new(lapses),
        })
    }

    /// The claim stands; the lease has lapsed this often before that was known.
    pub(super) fn reopen(&self, lapses: u64) {
        self.lapses.store(lapses, Ordering::Release);
    }
}

impl Gate for LeaseGate {
    fn is_open(&self) -> bool {
        match self.policy {
            OnZkLoss::Continue => true,
            OnZkLoss::Pause if !self.lease.is_connected() => false,
            // In this order: a lapse is counted before the lease is current again.
            OnZkLoss::Pause | OnZkLoss::Lease => {
                self.lease.is_current()
                    && self.lease.lapses() == self.lapses.load(Ordering::Acquire)
            }
        }
    }
}

/// The lease as the machine was told of it.
#[derive(Debug)]
pub(super) struct Followed {
    lease: Lease,
    policy: OnZkLoss,
    /// Whether the machine takes it for current.
    current: bool,
    /// How often it had lapsed when the machine was told so.
    pub(super) lapses: u64,
}

impl Followed {
    pub(super) fn new(lease: Lease, policy: OnZkLoss) -> Self {
        Self {
            lapses: lease.lapses(),
            current: true,
            lease,
            policy,
        }
    }

    pub(super) fn gate(&self) -> Arc<LeaseGate> {
        LeaseGate::new(self.lease.clone(), self.policy, self.lapses)
    }

    /// What the machine has to be told now.
    fn news(&mut self) -> Option<SessionEvent> {
        let connected = self.policy != OnZkLoss::Pause || self.lease.is_connected();
        let runs = self.lease.is_current() && connected;
        let lapses = self.lease.lapses();
        if self.policy == OnZkLoss::Continue {
            return None;
        }
        if self.current && (!runs || lapses != self.lapses) {
            self.current = false;
            return Some(SessionEvent::LeaseEnded);
        }
        if !self.current && runs {
            (self.current, self.lapses) = (true, lapses);
            return Some(SessionEvent::LeaseRenewed);
        }
        None
    }

    /// Waits until the machine may have to be told something.
    pub(super) async fn changed(&self) {
        match (self.policy, self.current) {
            (OnZkLoss::Continue, _) => std::future::pending().await,
            (OnZkLoss::Lease, true) => self.lease.ended().await,
            (OnZkLoss::Lease, false) => self.lease.renewed().await,
            (OnZkLoss::Pause, true) => tokio::select! {
                biased;
                () = self.lease.ended() => {}
                () = self.lease.disconnected() => {}
            },
            (OnZkLoss::Pause, false) => {
                self.lease.connected().await;
                self.lease.renewed().await;
            }
        }
    }
}

impl Driver {
    /// Tells the machine what has become of the lease.
    pub(super) fn follow_lease(&mut self) {
        while let Some(news) = self.lease.as_mut().and_then(Followed::news) {
            self.handle_session(news);
        }
    }
}
