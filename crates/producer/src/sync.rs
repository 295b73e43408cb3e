use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks a mutex whose holders do not panic, and whose contents are valid after every statement, so that a poisoned lock means
/// nothing.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
