use std::fmt;
use std::marker::PhantomData;
use std::ptr::NonNull;

use rdkafka_sys as sys;

use super::message::{Clock, Message};

/// What became of messages of a [`Producer`](super::Producer), as far as it is known by now.
pub struct Reports<'a> {
    /// `None` where there is nothing to report.
    event: Option<NonNull<sys::rd_kafka_event_t>>,
    producer: PhantomData<&'a mut ()>,
}

impl Reports<'_> {
    /// The event is nobody else's, and of any type.
    pub(super) fn new(event: Option<NonNull<sys::rd_kafka_event_t>>) -> Self {
        Self {
            event,
            producer: PhantomData,
        }
    }

    /// Hands out each report, in the order in which librdkafka has them.
    pub fn each(&mut self, mut take: impl FnMut(Report<'_>)) {
        let Some(event) = self.event else { return };
        loop {
            // SAFETY: The event is valid; one that carries no messages gives none.
            let raw = unsafe { sys::rd_kafka_event_message_next(event.as_ptr()) };
            if raw.is_null() {
                return;
            }
            // The event keeps the message until it is destroyed, and the closure cannot keep the report.
            take(Report {
                message: Message::new(raw),
            });
        }
    }
}

impl fmt::Debug for Reports<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reports").finish_non_exhaustive()
    }
}

impl Drop for Reports<'_> {
    fn drop(&mut self) {
        if let Some(event) = self.event {
            // SAFETY: The event is valid, and nobody uses it after this.
            unsafe { sys::rd_kafka_event_destroy(event.as_ptr()) };
        }
    }
}

/// What became of one message.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    message: Message<'a>,
}

impl Report<'_> {
    /// Its number: that of its parcel's first record, and its place in the parcel.
    pub fn number(&self) -> usize {
        self.message.opaque()
    }

    /// Where it was stored, as far as the broker said. An error is not stored, or not known to be.
    pub fn offset(&self) -> Option<i64> {
        Some(self.message.offset()).filter(|offset| *offset >= 0)
    }

    /// When the broker appended it, in milliseconds since 1970, where its topic takes the broker's time.
    pub fn log_append_time(&self) -> Option<i64> {
        match self.message.timestamp() {
            Some((at, Clock::Broker)) if at >= 0 => Some(at),
            _ => None,
        }
    }

    /// The broker that it was sent to last, by `broker.id`; below 0 where it was sent to none.
    pub fn broker(&self) -> i32 {
        self.message.broker()
    }

    /// 0, or librdkafka's code of what went wrong. Codes below 0 are its own, others the broker's.
    pub fn code(&self) -> i32 {
        self.message.code()
    }

    /// librdkafka's text of what went wrong.
    pub fn why(&self) -> String {
        self.message
            .error()
            .map_or_else(String::new, |(_, why)| why)
    }
}
