use std::sync::Arc;

use tokio::time::{Instant, timeout_at};
use tracing::{info, warn};

use crate::ensemble::{Attached, Ensemble};
use crate::error::{Error, Result};
use crate::lease::{Lease, RequestKind, Sent};
use crate::session::{Session, fraction};
use crate::thread::Thread;

/// Opens a session. Runs on the session's thread.
pub(crate) async fn open(mut ensemble: Ensemble, thread: Arc<Thread>) -> Result<Session> {
    let deadline = Instant::now() + ensemble.config.connect_timeout;
    let attached = ensemble.open(deadline).await?;
    let (config, connect) = (ensemble.config.clone(), ensemble.connect.clone());
    let (wanted, chosen) = (config.session_timeout, attached.timeout);
    info!(session = %format_args!("0x{:x}", attached.id), timeout = ?chosen, "opened a ZooKeeper session at {connect}");
    if wanted != chosen {
        warn!(
            "ZooKeeper at {connect} chose a session timeout of {chosen:?} where {wanted:?} was asked for; delivery pauses \
             after half of it without a word of the servers instead of two thirds"
        );
    }
    let lease = begin_lease(&ensemble, &attached);
    let session = Session::start(attached, ensemble, lease, thread);
    match connect.chroot {
        Some(chroot) => check_chroot(session, chroot, deadline).await,
        None => Ok(session),
    }
}

/// The servers have agreed on a new session, which is as good as a write.
fn begin_lease(ensemble: &Ensemble, attached: &Attached) -> Lease {
    let fraction = fraction(ensemble.config.session_timeout, attached.timeout);
    let lease = Lease::new(ensemble.clock.clone(), attached.timeout, fraction);
    lease.acknowledged(Sent::at(attached.asked, RequestKind::Write));
    lease
}

/// ZooKeeper answers reads below a chroot that does not exist as if there were no brokers, topics and members.
async fn check_chroot(session: Session, chroot: String, deadline: Instant) -> Result<Session> {
    let config = session.config();
    let servers = || config.connect.clone();
    match timeout_at(deadline, session.exists("/")).await {
        Ok(Ok(Some(_))) => Ok(session),
        Ok(Ok(None)) => Err(Error::NoChroot {
            servers: servers(),
            chroot,
        }),
        Ok(Err(error @ Error::NoAuth { .. })) => Err(error),
        Ok(Err(error)) => Err(Error::CannotConnect {
            servers: servers(),
            after: config.connect_timeout,
            why: error.to_string(),
        }),
        Err(_) => Err(Error::CannotConnect {
            servers: servers(),
            after: config.connect_timeout,
            why: format!("no answer about {chroot}"),
        }),
    }
}
