use bytes::{BufMut, Bytes, BytesMut};

use super::error::EncodeError;

type Result<T> = std::result::Result<T, EncodeError>;

/// Writes a message, growing as needed.
#[derive(Debug, Default)]
pub struct Writer {
    bytes: BytesMut,
}

impl Writer {
    /// Begins with nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many bytes have been written.
    pub fn position(&self) -> usize {
        self.bytes.len()
    }

    /// Writes one byte.
    pub fn i8(&mut self, value: i8) {
        self.bytes.put_i8(value);
    }

    /// Writes two bytes.
    pub fn i16(&mut self, value: i16) {
        self.bytes.put_i16(value);
    }

    /// Writes four bytes.
    pub fn i32(&mut self, value: i32) {
        self.bytes.put_i32(value);
    }

    /// Writes eight bytes.
    pub fn i64(&mut self, value: i64) {
        self.bytes.put_i64(value);
    }

    /// Writes one byte, 0 or 1.
    pub fn bool(&mut self, value: bool) {
        self.bytes.put_i8(value.into());
    }

    /// Writes a string of at most 32,767 bytes.
    pub fn string(&mut self, value: &str) -> Result<()> {
        let Ok(length) = i16::try_from(value.len()) else {
            return Err(self.too_long("a string", value.len(), i16::MAX.unsigned_abs().into()));
        };
        self.bytes.put_i16(length);
        self.bytes.put_slice(value.as_bytes());
        Ok(())
    }

    /// Writes a string or null.
    pub fn nullable_string(&mut self, value: Option<&str>) -> Result<()> {
        match value {
            Some(value) => self.string(value),
            None => {
                self.bytes.put_i16(-1);
                Ok(())
            }
        }
    }

    /// Writes at most 2,147,483,647 bytes.
    pub fn bytes(&mut self, value: &[u8]) -> Result<()> {
        let length = self.length("bytes", value.len())?;
        self.bytes.put_i32(length);
        self.bytes.put_slice(value);
        Ok(())
    }

    /// Writes bytes or null.
    pub fn nullable_bytes(&mut self, value: Option<&[u8]>) -> Result<()> {
        match value {
            Some(value) => self.bytes(value),
            None => {
                self.bytes.put_i32(-1);
                Ok(())
            }
        }
    }

    /// Writes an array, with `element` writing one of its elements.
    pub fn array<T>(
        &mut self,
        values: &[T],
        mut element: impl FnMut(&mut Self, &T) -> Result<()>,
    ) -> Result<()> {
        let count = self.length("an array", values.len())?;
        self.bytes.put_i32(count);
        values.iter().try_for_each(|value| element(self, value))
    }

    /// Writes an array or null, with `element` writing one of its elements.
    pub fn nullable_array<T>(
        &mut self,
        values: Option<&[T]>,
        element: impl FnMut(&mut Self, &T) -> Result<()>,
    ) -> Result<()> {
        match values {
            Some(values) => self.array(values, element),
            None => {
                self.bytes.put_i32(-1);
                Ok(())
            }
        }
    }

    /// Writes an array of int32.
    pub fn i32_array(&mut self, values: &[i32]) -> Result<()> {
        self.array(values, |w, value| {
            w.i32(*value);
            Ok(())
        })
    }

    /// Ends writing.
    pub fn finish(self) -> Bytes {
        self.bytes.freeze()
    }

    /// Ends writing, as a frame: what was written, behind its size as an int32.
    ///
    /// The room for the size is made by [`Writer::frame`].
    pub(crate) fn finish_frame(mut self) -> Result<Bytes> {
        let payload = self.position().saturating_sub(FRAME_SIZE);
        let size = self.length("a frame", payload)?;
        if let Some(field) = self.bytes.first_chunk_mut::<FRAME_SIZE>() {
            *field = size.to_be_bytes();
        }
        Ok(self.bytes.freeze())
    }

    /// Begins a frame, see [`Writer::finish_frame`].
    pub(crate) fn frame() -> Self {
        let mut writer = Self::new();
        writer.i32(0);
        writer
    }

    fn length(&self, what: &'static str, length: usize) -> Result<i32> {
        i32::try_from(length).map_err(|_| {
            let max = usize::try_from(i32::MAX).unwrap_or(usize::MAX);
            self.too_long(what, length, max)
        })
    }

    fn too_long(&self, what: &'static str, length: usize, max: usize) -> EncodeError {
        EncodeError::TooLong {
            what,
            length,
            max,
            position: self.position(),
        }
    }
}

/// The bytes of a frame's size field.
const FRAME_SIZE: usize = size_of::<i32>();
