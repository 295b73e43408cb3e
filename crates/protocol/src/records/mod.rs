//! Record sets: what a partition's log holds and what Fetch and Produce carry.
//!
//! A record set is a row of entries. An entry is a single message (magic 0 and 1), a message that
//! wraps a compressed row of messages (magic 0 and 1), or a batch of records (magic 2). One set may
//! mix all of them, because the log of a cluster that was upgraded does, so the format is read off
//! each entry and never off the version of the request.
//!
//! Reading has two steps, so that a consumer can send its next fetch before it spends time on this
//! one: [`scan`] hops from entry to entry and says where the set ends, [`decode`] checks everything
//! once and gives [`Records`], which borrow from the fetched bytes and cannot fail any more.
//! [`RecordsBuilder`] writes.
//!
//! ```
//! use divvy_protocol::compression::Compression;
//! use divvy_protocol::records::{DecodeOptions, RecordsBuilder, decode, scan};
//!
//! let mut builder = RecordsBuilder::new(2, Compression::Lz4)?;
//! builder.try_append(Some(1_500_000_000_000), Some(b"key"), Some(b"value"), &[])?;
//! let bytes = builder.finish()?;
//!
//! assert_eq!(scan(&bytes).next_offset, Some(1));
//! let decoded = decode(&bytes, &DecodeOptions::default());
//! assert!(decoded.error.is_none());
//! for record in &decoded.records {
//!     assert_eq!((record.offset, record.value), (0, Some(&b"value"[..])));
//! }
//! # Ok::<(), divvy_protocol::records::BuildError>(())
//! ```

mod aborted;
mod batch;
mod builder;
mod decode;
mod entry;
mod error;
mod input;
mod message;
mod record;
mod scan;
mod view;
mod wrapper;

pub use builder::{BuildError, LogWriter, RecordsBuilder};
pub use decode::{DecodeOptions, Decoded, Rest, decode};
pub use error::{Corruption, RecordsError};
pub use record::{Header, Headers, HeadersIter, Record, TimestampType};
pub use scan::{Scan, scan};
pub use view::{Cursor, Iter, Records};
