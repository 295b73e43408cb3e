use bytes::{Buf, Bytes, TryGetError};

use super::error::DecodeError;

type Result<T> = std::result::Result<T, DecodeError>;

/// A cursor over received bytes.
///
/// Byte fields are slices of the same buffer and are not copied; they keep all of it alive.
#[derive(Clone, Debug)]
pub struct Reader {
    bytes: Bytes,
    /// How many bytes there were at first.
    length: usize,
}

impl Reader {
    /// Begins at the first byte.
    pub fn new(bytes: Bytes) -> Self {
        let length = bytes.len();
        Self { bytes, length }
    }

    /// How many bytes have not been read yet.
    pub fn remaining(&self) -> usize {
        self.bytes.len()
    }

    /// How many bytes have been read.
    pub fn position(&self) -> usize {
        self.length.saturating_sub(self.bytes.len())
    }

    /// Reads one byte.
    pub fn i8(&mut self) -> Result<i8> {
        let value = self.bytes.try_get_i8();
        value.map_err(|error| self.truncated("an int8", &error))
    }

    /// Reads two bytes.
    pub fn i16(&mut self) -> Result<i16> {
        let value = self.bytes.try_get_i16();
        value.map_err(|error| self.truncated("an int16", &error))
    }

    /// Reads four bytes.
    pub fn i32(&mut self) -> Result<i32> {
        let value = self.bytes.try_get_i32();
        value.map_err(|error| self.truncated("an int32", &error))
    }

    /// Reads eight bytes.
    pub fn i64(&mut self) -> Result<i64> {
        let value = self.bytes.try_get_i64();
        value.map_err(|error| self.truncated("an int64", &error))
    }

    /// Reads one byte; anything but 0 is true, as for Kafka itself.
    pub fn bool(&mut self) -> Result<bool> {
        Ok(self.i8()? != 0)
    }

    /// Reads a string that must not be null.
    pub fn string(&mut self) -> Result<String> {
        let position = self.position();
        let length = self.i16()?;
        self.string_of(length, position)
    }

    /// Reads a string or null.
    pub fn nullable_string(&mut self) -> Result<Option<String>> {
        let position = self.position();
        match self.i16()? {
            -1 => Ok(None),
            length => self.string_of(length, position).map(Some),
        }
    }

    /// Reads bytes that must not be null.
    pub fn bytes(&mut self) -> Result<Bytes> {
        let position = self.position();
        let length = self.i32()?;
        self.take("bytes", length, position)
    }

    /// Reads bytes or null.
    pub fn nullable_bytes(&mut self) -> Result<Option<Bytes>> {
        let position = self.position();
        match self.i32()? {
            -1 => Ok(None),
            length => self.take("bytes", length, position).map(Some),
        }
    }

    /// Reads an array that must not be null, with `element` reading one of its elements.
    pub fn array<T>(&mut self, element: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        let position = self.position();
        let count = self.i32()?;
        self.array_of(count, position, element)
    }

    /// Reads an array or null, with `element` reading one of its elements.
    pub fn nullable_array<T>(
        &mut self,
        element: impl FnMut(&mut Self) -> Result<T>,
    ) -> Result<Option<Vec<T>>> {
        let position = self.position();
        match self.i32()? {
            -1 => Ok(None),
            count => self.array_of(count, position, element).map(Some),
        }
    }

    /// Ends reading. Bytes that are left over are an error: they show that the peer speaks another version of the message.
    pub fn finish(self) -> Result<()> {
        match self.remaining() {
            0 => Ok(()),
            left => Err(DecodeError::TrailingBytes {
                left,
                position: self.position(),
            }),
        }
    }

    /// What has not been read yet.
    pub(crate) fn into_rest(self) -> Bytes {
        self.bytes
    }

    fn string_of(&mut self, length: i16, position: usize) -> Result<String> {
        let bytes = self.take("a string", length.into(), position)?;
        match std::str::from_utf8(&bytes) {
            Ok(text) => Ok(text.to_owned()),
            Err(_) => Err(DecodeError::InvalidUtf8 { position }),
        }
    }

    fn take(&mut self, what: &'static str, length: i32, position: usize) -> Result<Bytes> {
        let needed = usize::try_from(length).map_err(|_| DecodeError::NegativeLength {
            what,
            length,
            position,
        })?;
        let left = self.remaining();
        if needed > left {
            return Err(DecodeError::Truncated {
                what,
                needed,
                left,
                position,
            });
        }
        Ok(self.bytes.split_to(needed))
    }

    fn array_of<T>(
        &mut self,
        count: i32,
        position: usize,
        mut element: impl FnMut(&mut Self) -> Result<T>,
    ) -> Result<Vec<T>> {
        let count = usize::try_from(count).map_err(|_| DecodeError::NegativeLength {
            what: "an array",
            length: count,
            position,
        })?;
        let left = self.remaining();
        // No element of any message takes less than a byte.
        if count > left {
            return Err(DecodeError::ImpossibleCount {
                count,
                left,
                position,
            });
        }
        let mut elements = Vec::with_capacity(count.min(affordable::<T>(left)));
        for _ in 0..count {
            elements.push(element(self)?);
        }
        Ok(elements)
    }

    fn truncated(&self, what: &'static str, error: &TryGetError) -> DecodeError {
        DecodeError::Truncated {
            what,
            needed: error.requested,
            left: error.available,
            position: self.position(),
        }
    }
}

/// For how many elements room may be made on a peer's word alone: not more memory than the bytes that are still to be read. A
/// longer array grows as its elements arrive.
pub(super) fn affordable<T>(left: usize) -> usize {
    left.checked_div(size_of::<T>()).unwrap_or(left)
}
