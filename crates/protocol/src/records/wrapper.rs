//! Compressed messages of magic 0 and 1: one message whose value is a packed row of messages.

use super::entry::{Entry, Magic};
use super::error::Corruption;
use super::input::Input;
use super::message::{self, Message, MessageContext};
use super::view::Span;

/// The messages within a wrapper, checked.
pub(super) struct Inner {
    pub(super) context: MessageContext,
    /// The bytes of the messages that are wanted, counted from the end of the unpacked bytes.
    pub(super) wanted: usize,
    /// `None` if none is wanted.
    pub(super) span: Option<Span>,
    /// The offset of the last message, wanted or not.
    pub(super) last_offset: i64,
}

/// Checks the unpacked messages of a wrapper, and finds those at or above `from_offset`. They have
/// to lie above `previous`, the last offset of what comes before the wrapper.
pub(super) fn check(
    entry: &Entry<'_>,
    wrapper: &Message<'_>,
    unpacked: &[u8],
    previous: Option<i64>,
    from_offset: i64,
    check_crc: bool,
) -> Result<Inner, Corruption> {
    let stored = check_messages(unpacked, check_crc)?;
    let shift = shift(entry, stored.last_offset)?;
    let (first, last) = (
        stored.first_offset.saturating_add(shift),
        stored.last_offset.saturating_add(shift),
    );
    if let Some(previous) = previous.filter(|previous| first <= *previous) {
        return Err(Corruption::OffsetBackwards {
            previous,
            offset: first,
        });
    }
    let log_append_time = wrapper
        .is_log_append_time()
        .then_some(wrapper.timestamp)
        .filter(|_| entry.magic == Magic::V1);
    let context = MessageContext {
        shift,
        log_append_time,
    };
    let (wanted, span) = find(
        unpacked,
        Span {
            first_offset: first,
            last_offset: last,
            ..stored
        },
        shift,
        from_offset,
    );
    Ok(Inner {
        context,
        wanted,
        span,
        last_offset: last,
    })
}

/// Checks messages that follow each other, and gives their offsets as they are stored.
fn check_messages(unpacked: &[u8], check_crc: bool) -> Result<Span, Corruption> {
    let mut input = Input(unpacked);
    let mut span: Option<Span> = None;
    while !input.0.is_empty() {
        let start = input.0;
        let message =
            Message::take(&mut input).ok_or(Corruption::malformed("a message within it"))?;
        if message.attributes & 0x07 != 0 {
            return Err(Corruption::Nested);
        }
        if check_crc {
            message::check_crc(
                start
                    .get(..start.len().saturating_sub(input.0.len()))
                    .unwrap_or_default(),
            )?;
        }
        let offset = message.offset;
        if offset < 0 || offset == i64::MAX {
            return Err(Corruption::OffsetRange { offset });
        }
        match &mut span {
            Some(span) if offset <= span.last_offset => {
                return Err(Corruption::OffsetBackwards {
                    previous: span.last_offset,
                    offset,
                });
            }
            Some(span) => (span.count, span.last_offset) = (span.count.saturating_add(1), offset),
            None => {
                span = Some(Span {
                    count: 1,
                    first_offset: offset,
                    last_offset: offset,
                });
            }
        }
    }
    span.ok_or(Corruption::Empty)
}

/// What turns stored offsets into the partition's.
///
/// In magic 0 the stored ones are the partition's. In magic 1 they count from anywhere, usually 0,
/// and the last one stands for the wrapper's own offset; the number of messages says nothing,
/// because compaction leaves gaps. A wrapper at offset 0 is one that no broker has numbered (old
/// librdkafka sends such), and its messages are taken as they are.
fn shift(entry: &Entry<'_>, last_stored: i64) -> Result<i64, Corruption> {
    let wrapper = entry.offset;
    match entry.magic {
        _ if wrapper == 0 => Ok(0),
        _ if wrapper < last_stored => Err(Corruption::OffsetRange {
            offset: last_stored,
        }),
        Magic::V0 => Ok(0),
        _ => Ok(wrapper.saturating_sub(last_stored)),
    }
}

/// Leaves out the messages below `from_offset`. A wrapper is fetched whole, so it may begin before
/// what was asked for.
fn find(unpacked: &[u8], all: Span, shift: i64, from_offset: i64) -> (usize, Option<Span>) {
    if all.first_offset >= from_offset {
        return (unpacked.len(), Some(all));
    }
    let mut input = Input(unpacked);
    let mut count = all.count;
    loop {
        let wanted = input.0.len();
        let Some(message) = Message::take(&mut input) else {
            return (0, None);
        };
        let offset = message.offset.saturating_add(shift);
        if offset >= from_offset {
            return (
                wanted,
                Some(Span {
                    count,
                    first_offset: offset,
                    last_offset: all.last_offset,
                }),
            );
        }
        count = count.saturating_sub(1);
    }
}
