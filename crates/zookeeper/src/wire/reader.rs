use bytes::{Buf, Bytes, TryGetError};

use super::error::DecodeError;
use crate::stat::Stat;

pub(super) type Result<T> = std::result::Result<T, DecodeError>;

/// For how many elements room is made on a peer's word alone. A longer vector grows as its elements are read.
const ROOM: usize = 1024;

/// A cursor over the bytes of one frame. Byte fields are slices of the same buffer and are not copied.
pub(crate) struct Reader(Bytes);

impl Reader {
    pub(crate) fn new(frame: Bytes) -> Self {
        Self(frame)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn bool(&mut self, what: &'static str) -> Result<bool> {
        let value = self.0.try_get_u8();
        Ok(value.map_err(|short| truncated(what, &short))? != 0)
    }

    pub(crate) fn i32(&mut self, what: &'static str) -> Result<i32> {
        let value = self.0.try_get_i32();
        value.map_err(|short| truncated(what, &short))
    }

    pub(crate) fn i64(&mut self, what: &'static str) -> Result<i64> {
        let value = self.0.try_get_i64();
        value.map_err(|short| truncated(what, &short))
    }

    /// Bytes, or null.
    pub(crate) fn buffer(&mut self, what: &'static str) -> Result<Option<Bytes>> {
        let length = self.i32(what)?;
        if length == -1 {
            return Ok(None);
        }
        let needed =
            usize::try_from(length).map_err(|_| DecodeError::NegativeLength { what, length })?;
        let left = self.0.len();
        if needed > left {
            return Err(DecodeError::Truncated { what, needed, left });
        }
        Ok(Some(self.0.split_to(needed)))
    }

    /// A string that must not be null.
    pub(crate) fn string(&mut self, what: &'static str) -> Result<String> {
        match self.buffer(what)? {
            Some(bytes) => utf8(what, &bytes),
            None => Err(DecodeError::NegativeLength { what, length: -1 }),
        }
    }

    /// A string; empty for null.
    pub(crate) fn string_or_empty(&mut self, what: &'static str) -> Result<String> {
        utf8(what, &self.buffer(what)?.unwrap_or_default())
    }

    /// The name of a child. Java's servers take and give back names that are not quite UTF-8: such a child cannot be reached, but
    /// must not keep anybody from its siblings.
    pub(crate) fn name(&mut self) -> Result<String> {
        let bytes = self.buffer("a child's name")?.unwrap_or_default();
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// A vector of elements that take at least `least` bytes each; null is none.
    pub(crate) fn vector<T>(
        &mut self,
        what: &'static str,
        least: usize,
        mut element: impl FnMut(&mut Self) -> Result<T>,
    ) -> Result<Vec<T>> {
        let length = self.i32(what)?;
        if length == -1 {
            return Ok(Vec::new());
        }
        let count =
            usize::try_from(length).map_err(|_| DecodeError::NegativeLength { what, length })?;
        let left = self.0.len();
        if count > left / least.max(1) {
            return Err(DecodeError::ImpossibleCount { what, count, left });
        }
        let mut elements = Vec::with_capacity(count.min(ROOM));
        for _ in 0..count {
            elements.push(element(self)?);
        }
        Ok(elements)
    }

    pub(crate) fn stat(&mut self) -> Result<Stat> {
        let what = "a stat";
        Ok(Stat {
            czxid: self.i64(what)?,
            mzxid: self.i64(what)?,
            ctime: self.i64(what)?,
            mtime: self.i64(what)?,
            version: self.i32(what)?,
            cversion: self.i32(what)?,
            aversion: self.i32(what)?,
            ephemeral_owner: self.i64(what)?,
            data_length: self.i32(what)?,
            num_children: self.i32(what)?,
            pzxid: self.i64(what)?,
        })
    }

    /// What has not been read yet.
    pub(crate) fn into_rest(self) -> Bytes {
        self.0
    }
}

fn utf8(what: &'static str, bytes: &[u8]) -> Result<String> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text.to_owned()),
        Err(_) => Err(DecodeError::InvalidUtf8 { what }),
    }
}

fn truncated(what: &'static str, short: &TryGetError) -> DecodeError {
    DecodeError::Truncated {
        what,
        needed: short.requested,
        left: short.available,
    }
}
