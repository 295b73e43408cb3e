use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

/// A value that many may wait for.
///
/// Those who wait are woken in the order in which they came, so that the same things happening give the same run; tokio's own
/// `watch` wakes them in a random one.
#[derive(Debug, Default)]
pub(super) struct Waited<T> {
    value: Mutex<T>,
    changed: Notify,
}

impl<T> Waited<T> {
    pub(super) fn new(value: T) -> Self {
        Self {
            value: Mutex::new(value),
            changed: Notify::new(),
        }
    }

    /// Looks at the value, which must not take long.
    pub(super) fn look<R>(&self, look: impl FnOnce(&T) -> R) -> R {
        look(&self.value.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes the value, if `change` says that it did, and tells those who wait. Gives whether it did.
    pub(super) fn change(&self, change: impl FnOnce(&mut T) -> bool) -> bool {
        let mut value = self.value.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = change(&mut value);
        drop(value);
        if changed {
            self.changed.notify_waiters();
        }
        changed
    }

    /// Waits until `wanted` finds something in the value.
    pub(super) async fn wait<R>(&self, wanted: impl Fn(&T) -> Option<R>) -> R {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if let Some(found) = self.look(&wanted) {
                return found;
            }
            changed.await;
        }
    }
}
