use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::BytesMut;
use divvy_zookeeper::wire::{ServerCodec, ServerFrame};
use tokio::sync::Notify;

/// Above this many bytes nothing more is taken from the client until some are sent.
const FULL: usize = 1 << 20;
/// With this many bytes, which can only be events and answers to what was taken before, the client is given up.
const LOST: usize = 64 << 20;

/// What is to be sent to one client.
///
/// The hub puts in what the model says, without waiting, and so holds up nobody; the connection's own task sends it.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    state: Mutex<State>,
    filled: Notify,
    drained: Notify,
}

#[derive(Debug, Default)]
struct State {
    bytes: BytesMut,
    closed: bool,
}

impl Outbox {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a frame in. One that cannot be written, and a client that takes nothing, close the connection.
    pub(super) fn put(&self, frame: &ServerFrame) {
        // What a server sends is bounded by what it holds.
        let codec = ServerCodec::with_limit(LOST);
        let mut state = self.lock();
        if codec.encode(frame, &mut state.bytes).is_err() || state.bytes.len() > LOST {
            state.bytes.clear();
            state.closed = true;
        }
        drop(state);
        self.filled.notify_one();
    }

    /// Nothing comes after what is in.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.filled.notify_one();
    }

    /// Waits for something to send; `None` when that was all.
    pub(super) async fn take(&self) -> Option<BytesMut> {
        loop {
            {
                let mut state = self.lock();
                if !state.bytes.is_empty() {
                    let bytes = state.bytes.split();
                    drop(state);
                    self.drained.notify_one();
                    return Some(bytes);
                }
                if state.closed {
                    return None;
                }
            }
            self.filled.notified().await;
        }
    }

    /// What is in it now.
    pub(super) fn take_now(&self) -> BytesMut {
        self.lock().bytes.split()
    }

    /// Waits until there is room for the answers to more requests.
    pub(super) async fn room(&self) {
        while self.lock().bytes.len() > FULL {
            self.drained.notified().await;
        }
    }
}
