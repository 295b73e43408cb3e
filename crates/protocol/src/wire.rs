//! The primitive types that every request and response is made of.
//!
//! All integers are big endian. A string is an int16 length and UTF-8, bytes are an int32 length and the bytes, an array is an
//! int32 count and its elements; a length of -1 stands for null where the protocol allows it. A boolean is one byte.
//!
//! [`Reader`] is made for input that nobody vouches for: it checks every length against what is left, and no claim of the
//! peer makes it allocate more than the peer has sent.
//!
//! ```
//! use bytes::Bytes;
//! use divvy_protocol::wire::{Reader, Writer};
//!
//! let mut writer = Writer::new();
//! writer.string("events")?;
//! writer.array(&[3, 1, 2], |w, replica| {
//!     w.i32(*replica);
//!     Ok(())
//! })?;
//!
//! let mut reader = Reader::new(writer.finish());
//! assert_eq!(reader.string()?, "events");
//! assert_eq!(reader.array(Reader::i32)?, [3, 1, 2]);
//! reader.finish()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![deny(clippy::arithmetic_side_effects)]

mod error;
mod reader;
mod writer;

#[cfg(test)]
mod tests;

pub use error::{DecodeError, EncodeError};
pub use reader::Reader;
pub use writer::Writer;
