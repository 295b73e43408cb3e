use std::ptr::NonNull;
use std::sync::{Arc, Mutex, PoisonError};

use rdkafka_sys as sys;

/// Ends the wait of a consumer in [`receive`](super::Consumer::receive) from another thread, or the next wait where it is not
/// waiting. Does nothing before it [belongs](super::Consumer::wake_by) to a consumer, and after that consumer's end.
#[derive(Clone, Debug, Default)]
pub struct Waker(Arc<Mutex<Slot>>);

#[derive(Debug, Default)]
struct Slot(Option<NonNull<sys::rd_kafka_queue_t>>);

// SAFETY: librdkafka's queues may be used by any thread.
unsafe impl Send for Slot {}

impl Waker {
    /// Wakes the consumer.
    pub fn wake(&self) {
        let slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(queue) = slot.0 {
            // SAFETY: The queue's owner empties the slot before it destroys the queue, and the slot is locked.
            unsafe { sys::rd_kafka_queue_yield(queue.as_ptr()) };
        }
    }

    pub(super) fn attach(&self, queue: NonNull<sys::rd_kafka_queue_t>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0 = Some(queue);
    }

    /// Must have returned before the queue is destroyed.
    pub(super) fn detach(&self, queue: NonNull<sys::rd_kafka_queue_t>) {
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        slot.0 = slot.0.filter(|other| *other != queue);
    }
}
