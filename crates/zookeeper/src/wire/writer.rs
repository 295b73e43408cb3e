use bytes::{BufMut, BytesMut};

use super::error::EncodeError;
use crate::stat::Stat;

/// Writes the fields of one frame.
pub(crate) struct Writer<'a>(&'a mut BytesMut);

/// Appends a frame: its length, and what `body` writes. Leaves the buffer as it was where that is longer than `limit`.
pub(crate) fn frame(
    buffer: &mut BytesMut,
    limit: usize,
    body: impl FnOnce(&mut Writer<'_>),
) -> Result<(), EncodeError> {
    let start = buffer.len();
    buffer.put_i32(0);
    body(&mut Writer(buffer));
    let length = buffer.len() - start - size_of::<i32>();
    let claimed = i32::try_from(length).ok().filter(|_| length <= limit);
    match (claimed, buffer.get_mut(start..start + size_of::<i32>())) {
        (Some(claimed), Some(head)) => {
            head.copy_from_slice(&claimed.to_be_bytes());
            Ok(())
        }
        _ => {
            buffer.truncate(start);
            Err(EncodeError { length, limit })
        }
    }
}

impl Writer<'_> {
    pub(crate) fn bool(&mut self, value: bool) {
        self.0.put_u8(value.into());
    }

    pub(crate) fn i32(&mut self, value: i32) {
        self.0.put_i32(value);
    }

    pub(crate) fn i64(&mut self, value: i64) {
        self.0.put_i64(value);
    }

    /// Bytes, or null.
    pub(crate) fn buffer(&mut self, bytes: Option<&[u8]>) {
        match bytes {
            Some(bytes) => {
                self.length(bytes.len());
                self.0.put_slice(bytes);
            }
            None => self.i32(-1),
        }
    }

    pub(crate) fn string(&mut self, text: &str) {
        self.buffer(Some(text.as_bytes()));
    }

    pub(crate) fn vector<T>(&mut self, elements: &[T], mut element: impl FnMut(&mut Self, &T)) {
        self.length(elements.len());
        for each in elements {
            element(self, each);
        }
    }

    pub(crate) fn stat(&mut self, stat: &Stat) {
        self.i64(stat.czxid);
        self.i64(stat.mzxid);
        self.i64(stat.ctime);
        self.i64(stat.mtime);
        self.i32(stat.version);
        self.i32(stat.cversion);
        self.i32(stat.aversion);
        self.i64(stat.ephemeral_owner);
        self.i32(stat.data_length);
        self.i32(stat.num_children);
        self.i64(stat.pzxid);
    }

    /// Bytes that are fields already.
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.0.put_slice(bytes);
    }

    /// A length that does not fit belongs to a frame that is too long, which is found out at its end.
    fn length(&mut self, length: usize) {
        self.i32(i32::try_from(length).unwrap_or(i32::MAX));
    }
}
