//! The shallow walk.

use super::entry::{Entry, Step};
use super::error::RecordsError;

/// What a walk over a record set found; see [`scan`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Scan {
    /// How many bytes whole entries take up, from the front.
    pub complete: usize,
    /// The offset to fetch from next: the one after the last whole entry, even if that holds
    /// nothing to deliver. `None` without a whole entry.
    pub next_offset: Option<i64>,
    /// The length in bytes of the entry that the set ends within, if enough of it arrived to tell.
    /// Without a whole entry before it, that is the fetch size that the partition needs (Fetch
    /// before version 3).
    pub first_incomplete: Option<usize>,
    /// Whether any whole entry is compressed, so that decoding will take long.
    pub compressed: bool,
    /// Why the walk ended early: an impossible length, format or offset. Nothing behind it can be
    /// found.
    pub malformed: Option<RecordsError>,
}

/// Walks over a record set from entry to entry, at a few nanoseconds each, so that the next fetch
/// can be sent before this one is decoded.
///
/// Only lengths and the order of offsets are looked at. So the answer is right for everything that
/// a broker sends, and whoever decodes afterwards has the last word: [`decode`](super::decode) may
/// stop before [`Scan::next_offset`].
///
/// A set that ends within an entry is no error, since brokers cut sets at the fetch size.
#[must_use]
pub fn scan(set: &[u8]) -> Scan {
    let mut scan = Scan::default();
    let mut previous = None;
    loop {
        let position = scan.complete;
        match Entry::step(set.get(position..).unwrap_or_default()) {
            Step::Whole(entry) => {
                if let Err(reason) = entry.check_after(previous) {
                    scan.malformed = Some(entry.error(position, reason));
                    return scan;
                }
                previous = Some(entry.last_offset);
                scan.complete = position.saturating_add(entry.bytes.len());
                scan.next_offset = Some(entry.next_offset());
                scan.compressed |= entry.is_compressed();
            }
            Step::Partial { needed } => {
                scan.first_incomplete = needed;
                return scan;
            }
            Step::Malformed { offset, reason } => {
                scan.malformed = Some(RecordsError {
                    offset,
                    position,
                    skip_to: None,
                    reason,
                });
                return scan;
            }
        }
    }
}
