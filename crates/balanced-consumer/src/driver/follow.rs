//! Taking part in PyKafka's division of a group, for as long as a PyKafka member keeps everybody else from owning anything.
//!
//! The member stays registered as what it is, and holds nothing. A second one, in PyKafka's dialect and with a session of its own,
//! reads on its behalf, into the same engine. When the last of PyKafka's own members has gone the second one leaves, and when those
//! of all divvy's members have done so nothing blocks the group any more.

use std::sync::Arc;

use divvy_zookeeper::paths;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use super::{Driver, Member, Registered};
use crate::assignor::{Assignor, PyKafkaRange, PyKafkaRoundRobin};
use crate::dialect::{Dialect, OwnerDirectories};
use crate::fence::{FenceReport, KEPT_REPORTS};
use crate::machine::MembershipConfig;
use crate::view::{PoisonKind, PoisonMember};

/// As what a member takes part in PyKafka's division.
#[derive(Clone, Debug)]
pub(crate) struct Following {
    pub(crate) topic: String,
    /// The id of the second registration.
    pub(crate) consumer_id: Arc<str>,
}

/// The second member.
pub(super) struct Follower {
    /// Completed to make it leave in order; dropped to let go of everything.
    close: Option<oneshot::Sender<()>>,
    driver: JoinHandle<()>,
    settled: watch::Receiver<bool>,
    reports: mpsc::Sender<FenceReport>,
}

impl Follower {
    fn leave(&mut self) {
        if let Some(close) = self.close.take() {
            // It has left already where nobody hears of it.
            let _ = close.send(());
        }
    }

    pub(super) async fn ended(&mut self) {
        // It ends early only with its runtime.
        let _ = (&mut self.driver).await;
    }

    pub(super) fn is_settled(&self) -> bool {
        *self.settled.borrow()
    }

    /// Passes on what the offsets report, which both members share.
    pub(super) fn report(&self, report: FenceReport) {
        // What does not fit is found again by the looks at the owner nodes.
        let _ = self.reports.try_send(report);
    }
}

impl Driver {
    /// Begins or ends to take part in PyKafka's division, where that is due.
    pub(super) fn follow(&mut self) {
        let Some(following) = self.member.following.clone() else {
            return;
        };
        let blocked = self.machine.blocked_by();
        let genuine = blocked.is_some_and(|nodes| nodes.iter().any(is_genuine));
        match &mut self.follower {
            None => {
                let holds = self.machine.partitions().next().is_some();
                if genuine && !holds && !self.machine.is_closing() {
                    self.follower = Some(self.start_following(following));
                }
            }
            Some(follower) => {
                let over = blocked.is_some() && !genuine;
                let own_again = !self.machine.assigned().is_empty();
                if over || own_again || self.machine.is_closing() {
                    follower.leave();
                }
            }
        }
    }

    fn start_following(&self, following: Following) -> Follower {
        let Following { topic, consumer_id } = following;
        let Member { machine, .. } = &self.member;
        let directories = OwnerDirectories::default();
        let assignor: Arc<dyn Assignor> = match machine.assignor.name() {
            "roundrobin" => Arc::new(PyKafkaRoundRobin),
            _ => Arc::new(PyKafkaRange),
        };
        let (reports, reported) = mpsc::channel(KEPT_REPORTS);
        let member = Member {
            group: self.member.group.clone(),
            zookeeper: self.member.zookeeper.apart(),
            registration: Registered::PyKafka {
                topic,
                directories,
                beside_java: true,
            },
            machine: MembershipConfig {
                consumer_id,
                assignor,
                patience: Dialect::PyKafka(directories).patience(),
                ..machine.clone()
            },
            nudge: self.member.nudge.clone(),
            refuse_foreign: false,
            following: None,
            offsets: Arc::clone(&self.member.offsets),
            reports: reported,
            on_zk_loss: self.member.on_zk_loss,
            listener: Arc::clone(&self.member.listener),
            listener_timeout: self.member.listener_timeout,
            seed: self.member.seed.wrapping_add(1),
        };
        let (close, asked) = oneshot::channel();
        let (settles, settled) = watch::channel(false);
        let driver = Driver::new(member, Arc::clone(&self.engine), settles);
        let runtime = self.member.zookeeper.runtime();
        Follower {
            close: Some(close),
            driver: runtime.spawn(driver.boxed_run(asked)),
            settled,
            reports,
        }
    }

    /// [`Driver::run`], whose type would otherwise contain itself.
    fn boxed_run(self, close: oneshot::Receiver<()>) -> BoxFuture<'static, ()> {
        self.run(close).boxed()
    }
}

/// Whether a node is that of one of PyKafka's own members, and not of a divvy that takes part in their division.
fn is_genuine(poison: &PoisonMember) -> bool {
    poison.kind == PoisonKind::PyKafka && !is_own(&poison.node)
}

/// Whether a node is that of a divvy that takes part in PyKafka's division.
pub(super) fn is_own(node: &str) -> bool {
    let id = node.rsplit('/').next().unwrap_or_default();
    paths::is_own_pykafka_consumer_id(id)
}
