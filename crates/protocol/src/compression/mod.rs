//! The codecs that Kafka compresses record sets with, as Kafka uses them.
//!
//! [`decompress`] is made for input that nobody vouches for: it checks every length, never
//! allocates more than the caller's limit, and never more than the codec can possibly unfold from
//! so many bytes. [`compress`] writes what the oldest supported broker that knows the codec can
//! read.
//!
//! ```
//! use divvy_protocol::compression::{Compression, compress, decompress};
//!
//! let plain = b"to be, or not to be, or not to be".repeat(10);
//! let packed = compress(Compression::Snappy, &plain, 0)?;
//! assert!(packed.len() < plain.len());
//! assert_eq!(decompress(Compression::Snappy, &packed, 1 << 20)?, plain);
//! # Ok::<(), divvy_protocol::compression::CompressionError>(())
//! ```

use std::fmt;
use std::str::FromStr;

mod buffer;
mod error;
mod gzip;
mod lz4;
mod snappy;
#[cfg(test)]
mod tests;
#[cfg(feature = "zstd")]
mod zstd;

pub use error::CompressionError;

/// A codec, named as in Kafka's `compression.type` and `compression.codec`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Compression {
    /// Records as they are; the default.
    #[default]
    None,
    /// A gzip stream: small and slow.
    Gzip,
    /// Snappy, in the block framing of Kafka's Java clients.
    Snappy,
    /// An LZ4 frame. Brokers read it from 0.8.2 on.
    Lz4,
    /// Zstandard. Brokers read it from 2.1 on; this build does with the feature `zstd`.
    Zstd,
}

impl Compression {
    /// Every codec, by ascending code.
    pub const ALL: [Self; 5] = [Self::None, Self::Gzip, Self::Snappy, Self::Lz4, Self::Zstd];

    /// The lowest three bits of a record set's attributes hold the codec.
    const MASK: i16 = 0x07;

    /// The code in a record set's attributes, 0 to 4.
    #[must_use]
    pub const fn code(self) -> i16 {
        match self {
            Self::None => 0,
            Self::Gzip => 1,
            Self::Snappy => 2,
            Self::Lz4 => 3,
            Self::Zstd => 4,
        }
    }

    /// The codec that the attributes of a message or batch name.
    ///
    /// # Errors
    /// [`CompressionError::UnknownCode`] for the codes 5, 6 and 7, which Kafka has not given out.
    pub const fn from_attributes(attributes: i16) -> Result<Self, CompressionError> {
        match attributes & Self::MASK {
            0 => Ok(Self::None),
            1 => Ok(Self::Gzip),
            2 => Ok(Self::Snappy),
            3 => Ok(Self::Lz4),
            4 => Ok(Self::Zstd),
            code => Err(CompressionError::UnknownCode { code }),
        }
    }

    /// Kafka's name of the codec, in lower case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }

    /// Whether this build can read and write the codec; only [`Compression::Zstd`] ever misses.
    #[must_use]
    pub const fn is_available(self) -> bool {
        !matches!(self, Self::Zstd) || cfg!(feature = "zstd")
    }

    /// The most bytes that `input` bytes of this codec can unfold to, whatever they say.
    ///
    /// Deflate's longest match takes two bits for 258 bytes, a Snappy copy three bytes for 64, and
    /// an LZ4 length grows by 255 with each byte. A bound from the format never refuses honest
    /// data. Zstandard has no useful one.
    fn expansion_bound(self, input: usize) -> usize {
        let per_byte = match self {
            Self::None => 1,
            Self::Gzip => 1032,
            Self::Snappy => 22,
            Self::Lz4 => 255,
            Self::Zstd => return usize::MAX,
        };
        input.saturating_mul(per_byte).saturating_add(1)
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Compression {
    type Err = CompressionError;

    /// Reads Kafka's names, in any case; `uncompressed` is the old clients' word for `none`.
    fn from_str(name: &str) -> Result<Self, CompressionError> {
        if name.eq_ignore_ascii_case("uncompressed") {
            return Ok(Self::None);
        }
        Self::ALL
            .into_iter()
            .find(|codec| codec.name().eq_ignore_ascii_case(name))
            .ok_or_else(|| CompressionError::UnknownName {
                name: name.to_owned(),
            })
    }
}

/// Unpacks `input`, which may come from anywhere, into at most `limit` bytes.
///
/// Snappy is read with the Java clients' framing and without; LZ4 with right and wrong header
/// checksums, since brokers before 0.10 require the wrong one. Checksums inside LZ4 frames are not
/// verified: the record set's own CRC covers the same bytes.
///
/// # Errors
/// [`CompressionError::LimitExceeded`] if there is more than `limit`,
/// [`CompressionError::Malformed`] if the bytes are not what `codec` calls for,
/// [`CompressionError::NotBuilt`] for zstd in a build without the feature `zstd`,
/// [`CompressionError::OutOfMemory`] if the output cannot be allocated.
pub fn decompress(
    codec: Compression,
    input: &[u8],
    limit: usize,
) -> Result<Vec<u8>, CompressionError> {
    match codec {
        Compression::None if input.len() > limit => {
            Err(CompressionError::LimitExceeded { codec, limit })
        }
        Compression::None => Ok(input.to_vec()),
        Compression::Gzip => gzip::decompress(input, limit),
        Compression::Snappy => snappy::decompress(input, limit),
        Compression::Lz4 => lz4::decompress(input, limit),
        #[cfg(feature = "zstd")]
        Compression::Zstd => zstd::decompress(input, limit),
        #[cfg(not(feature = "zstd"))]
        Compression::Zstd => Err(CompressionError::NotBuilt { codec }),
    }
}

/// Packs `input` for a record set of the format `magic` (0, 1 or 2).
///
/// The format matters to LZ4 alone: brokers before 0.10 want the frame's header checksum taken over
/// one field too many, and so does magic 0 for ever after.
///
/// # Errors
/// [`CompressionError::NotBuilt`] for zstd in a build without the feature `zstd`;
/// [`CompressionError::Failed`] if the codec's library refuses.
pub fn compress(codec: Compression, input: &[u8], magic: i8) -> Result<Vec<u8>, CompressionError> {
    match codec {
        Compression::None => Ok(input.to_vec()),
        Compression::Gzip => gzip::compress(input),
        Compression::Snappy => snappy::compress(input),
        Compression::Lz4 => lz4::compress(input, magic),
        #[cfg(feature = "zstd")]
        Compression::Zstd => zstd::compress(input),
        #[cfg(not(feature = "zstd"))]
        Compression::Zstd => Err(CompressionError::NotBuilt { codec }),
    }
}
