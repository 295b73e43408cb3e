//! Taking chunks out of the queue and decoding them.

use std::collections::BTreeSet;
use std::sync::LazyLock;
use std::thread::available_parallelism;

use divvy_client::{Chunk, FetchError, TopicPartition};
use divvy_protocol::records::{Cursor, Decoded, Records, Rest};
use futures_util::FutureExt;
use tokio::task::JoinHandle;

use super::open::{Open, Origin, Place};
use super::{Filter, Receiver};
use crate::engine::Taken;
use crate::error::{Error, Result};
use crate::event::Event;

/// Chunks above this size are decompressed on the blocking pool: decompressing takes about a nanosecond a byte, and a runtime's
/// other tasks should not wait for that.
const DECODED_INLINE: usize = 16 << 10;

/// How many chunks are decompressed at the same time, ahead of the one that is handed out: as many as there are cores, up to a
/// number that bounds what they unpack to.
static DECODED_AHEAD: LazyLock<usize> =
    LazyLock::new(|| available_parallelism().map_or(1, |cores| cores.get().min(8)));

/// What was taken out of the queue and is not open yet.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) tp: TopicPartition,
    pub(super) epoch: u64,
    item: Item,
}

#[derive(Debug)]
enum Item {
    /// Is decoded when its turn has come.
    Plain(Chunk),
    /// Is being decoded.
    Decoding(Chunk, JoinHandle<Decoded>),
    /// The partition stands still.
    Failed(FetchError),
}

impl Pending {
    fn is_ready(&self) -> bool {
        match &self.item {
            Item::Decoding(_, task) => task.is_finished(),
            Item::Plain(_) | Item::Failed(_) => true,
        }
    }
}

impl Receiver {
    /// Another partition with messages, without waiting. Each partition gives one chunk a call, because its messages are borrowed
    /// from that chunk.
    pub(super) fn open_at_hand(
        &mut self,
        used: &BTreeSet<TopicPartition>,
    ) -> Option<TopicPartition> {
        loop {
            let unused = |tp: &TopicPartition| !used.contains(tp);
            if let Some(tp) = self.ready(unused) {
                return Some(tp);
            }
            match self.next_pending(unused) {
                Some(at) => {
                    let pending = self.pending.get(at).filter(|pending| pending.is_ready())?;
                    let (tp, epoch) = (pending.tp.clone(), pending.epoch);
                    if let Err(error) = self.open_pending(at).now_or_never()? {
                        self.keep_error(tp, epoch, error);
                        return None;
                    }
                }
                None => {
                    let pending = self.take_new(unused)?;
                    self.pending.push_back(pending);
                }
            }
        }
    }

    /// Takes the next chunk in turn out of the queue, if there is one.
    pub(super) fn take(&self, wanted: impl Fn(&TopicPartition) -> bool) -> Option<Pending> {
        let (tp, epoch, item) = match self.engine.take(self.id, wanted)? {
            Taken::Error(error, epoch) => (error.partition().clone(), epoch, Item::Failed(error)),
            Taken::Chunk(chunk, epoch) => (chunk.tp.clone(), epoch, self.begin_decoding(chunk)),
        };
        Some(Pending { tp, epoch, item })
    }

    /// Takes a chunk of a partition of which nothing is there yet.
    pub(super) fn take_new(&self, wanted: impl Fn(&TopicPartition) -> bool) -> Option<Pending> {
        let taken = |tp: &TopicPartition| self.pending.iter().any(|pending| pending.tp == *tp);
        self.take(|tp| wanted(tp) && !self.open.contains_key(tp) && !taken(tp))
    }

    /// Has more chunks decompressed on cores that are free, where chunks are compressed.
    pub(super) fn decode_ahead(&mut self, filter: Filter<'_>) {
        let wanted = |tp: &TopicPartition| filter.is_none_or(|filter| filter.contains(tp));
        while (1..*DECODED_AHEAD).contains(&self.pending.len())
            && let Some(pending) = self.take(wanted)
        {
            self.pending.push_back(pending);
        }
    }

    fn begin_decoding(&self, chunk: Chunk) -> Item {
        if !chunk.compressed || chunk.size() <= DECODED_INLINE {
            return Item::Plain(chunk);
        }
        let check_crcs = self.engine.config().check_crcs;
        let work = chunk.clone();
        let runtime = self.engine.runtime().handle();
        let task = runtime.spawn_blocking(move || work.decode(check_crcs));
        Item::Decoding(chunk, task)
    }

    /// Has more of a chunk decoded, which unpacks to more than should be held at once: one piece while another is handed out.
    fn rest_of(&self, chunk: &Chunk, epoch: u64, rest: Rest, from_offset: i64) -> Pending {
        let runtime = self.engine.runtime().handle();
        let task = runtime.spawn_blocking(move || rest.decode());
        let mut chunk = chunk.clone();
        chunk.from_offset = from_offset;
        Pending {
            tp: chunk.tp.clone(),
            epoch,
            item: Item::Decoding(chunk, task),
        }
    }

    /// The first that can be opened: of each partition one at a time, in their order.
    pub(super) fn next_pending(&self, wanted: impl Fn(&TopicPartition) -> bool) -> Option<usize> {
        let free = |tp: &TopicPartition| wanted(tp) && !self.open.contains_key(tp);
        self.pending.iter().position(|pending| free(&pending.tp))
    }

    /// Opens a chunk that was taken, when it is decoded. A cancelled call leaves it where it is.
    pub(super) async fn open_pending(&mut self, at: usize) -> Result<()> {
        let mut decoded = None;
        if let Some(Pending {
            item: Item::Decoding(_, task),
            ..
        }) = self.pending.get_mut(at)
        {
            // It fails only when the runtime is shutting down.
            decoded = Some(task.await.map_err(|_| Error::Closed)?);
        }
        let Some(Pending { epoch, item, .. }) = self.pending.remove(at) else {
            return Ok(());
        };
        match item {
            Item::Failed(error) => self.standing_still(error, epoch).map_or(Ok(()), Err),
            Item::Plain(chunk) | Item::Decoding(chunk, _) => {
                let check_crcs = self.engine.config().check_crcs;
                let decoded = decoded.unwrap_or_else(|| chunk.decode(check_crcs));
                self.opened(&chunk, epoch, decoded);
                Ok(())
            }
        }
    }

    fn opened(&mut self, chunk: &Chunk, epoch: u64, decoded: Decoded) {
        let tp = chunk.tp.clone();
        if !self.engine.is_current(self.id, &tp, epoch) {
            return;
        }
        let Some(token) = self.engine.token(&tp, epoch) else {
            return;
        };
        if decoded.error.is_some() {
            // What was taken behind it comes again, or never.
            self.pending.retain(|pending| pending.tp != tp);
        }
        let error = decoded
            .error
            .and_then(|error| self.engine.damaged(&tp, epoch, decoded.next_offset, &error));
        if let Some(rest) = decoded.rest {
            let pending = self.rest_of(chunk, epoch, rest, decoded.next_offset);
            self.pending.push_front(pending);
        }
        let open = Open {
            counted: decoded.records.len(),
            place: Place {
                cursor: Cursor::default(),
                left: decoded.records.len(),
                yielded: chunk.from_offset,
                next_offset: decoded.next_offset,
            },
            origin: Origin {
                tp: tp.clone(),
                epoch,
                token,
                records: decoded.records,
                high_watermark: chunk.high_watermark,
            },
            hand: None,
            error: error.map(Error::from),
        };
        self.open.insert(tp, open);
    }

    /// Has an error reported by the next call: it comes behind messages that are handed out now.
    fn keep_error(&mut self, tp: TopicPartition, epoch: u64, error: Error) {
        let Ok(position) = self.engine.position(&tp) else {
            return;
        };
        let open = Open {
            counted: 0,
            place: Place {
                cursor: Cursor::default(),
                left: 0,
                yielded: position,
                next_offset: position,
            },
            origin: Origin {
                tp: tp.clone(),
                epoch,
                token: 0,
                records: Records::default(),
                high_watermark: -1,
            },
            hand: None,
            error: Some(error),
        };
        self.open.insert(tp, open);
    }

    /// A partition was stopped by the backend: resolved in the background where the policy allows, else an error.
    fn standing_still(&self, error: FetchError, epoch: u64) -> Option<Error> {
        let error = match error {
            FetchError::OffsetOutOfRange { tp, offset } => {
                self.engine.out_of_range(tp, epoch, offset)?
            }
            error => error.into(),
        };
        self.engine.emit(match &error {
            Error::Fetch(FetchError::Corrupt {
                tp, offset, why, ..
            }) => Event::Corrupt {
                tp: tp.clone(),
                offset: *offset,
                why: why.clone(),
            },
            error => Event::Error {
                message: error.to_string(),
            },
        });
        Some(error)
    }
}
