use bytes::{Buf as _, Bytes};

/// Offset and size stand before each message.
const HEAD: usize = 12;

/// What stands before a message in a set, on the wire and on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) offset: i64,
    /// How many bytes the entry has, with its head.
    pub(super) length: usize,
}

impl Head {
    pub(super) const BYTES: usize = HEAD;

    /// The head of the first entry of a set; `None` where it is cut off, or no head.
    pub(super) fn read(set: &[u8]) -> Option<Self> {
        let offset = i64::from_be_bytes(*set.first_chunk()?);
        let size = i32::from_be_bytes(*set.get(8..)?.first_chunk()?);
        let length = usize::try_from(size).ok()?.checked_add(HEAD)?;
        Some(Self { offset, length })
    }
}

/// How many bytes the first entry of a set has, if all of them are there.
pub(in crate::server::broker) fn entry_length(set: &[u8]) -> Option<usize> {
    let length = Head::read(set)?.length;
    (length <= set.len()).then_some(length)
}

/// A set without its entries before the one that has the offset. The offset of a compressed one is that of its last message.
pub(super) fn from(set: &Bytes, offset: i64) -> Bytes {
    let mut rest = set.clone();
    while let Some(first) = Head::read(&rest)
        && first.offset < offset
        && first.length <= rest.len()
    {
        rest.advance(first.length);
    }
    rest
}
