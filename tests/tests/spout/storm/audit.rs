//! Looks again and again whether nothing is committed that is not acknowledged.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Result, anyhow};
use divvy_tests::{Cluster, wait_for};

use super::ledger::Ledger;
use super::task::lock;

/// Longer than any test.
const LONGEST: Duration = Duration::from_secs(3600);

/// An audit that goes on, on a thread of its own.
pub(crate) struct Audit {
    is_over: Arc<AtomicBool>,
    thread: JoinHandle<Result<BTreeSet<(i32, i64)>>>,
}

impl Audit {
    pub(crate) fn start(
        cluster: &Cluster,
        group: &str,
        topic: &str,
        ledger: &Arc<Mutex<Ledger>>,
    ) -> Result<Self> {
        let view = cluster.zookeeper_view()?;
        let (group, topic) = (group.to_owned(), topic.to_owned());
        let ledger = Arc::clone(ledger);
        let is_over = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&is_over);
        let thread = thread::spawn(move || {
            let mut commits = BTreeSet::new();
            let mut looked = Ok(());
            wait_for(LONGEST, "the end of the audit", || {
                looked = view.offsets(&group, &topic).and_then(|committed| {
                    lock(&ledger).covers(&committed)?;
                    commits.extend(committed);
                    Ok(())
                });
                looked.is_err() || told.load(Ordering::Relaxed)
            })?;
            looked.map(|()| commits)
        });
        Ok(Self { is_over, thread })
    }

    /// Whether nothing was wrong so far.
    pub(crate) fn is_running(&self) -> bool {
        !self.thread.is_finished()
    }

    /// Ends it, and gives the committed offsets that it has seen.
    ///
    /// # Errors
    ///
    /// What was wrong.
    pub(crate) fn end(self) -> Result<BTreeSet<(i32, i64)>> {
        self.is_over.store(true, Ordering::Relaxed);
        let ended = self.thread.join();
        ended.map_err(|_| anyhow!("the audit has panicked"))?
    }
}
