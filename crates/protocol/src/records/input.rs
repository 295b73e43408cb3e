//! Reading primitive types off the front of a slice.
//!
//! Every function gives `None` when the slice is too short or the value impossible; none can panic.
//! They are small so that the compiler sees through them: a record is read in a few nanoseconds.

/// A slice that gets shorter as it is read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Input<'a>(pub(super) &'a [u8]);

impl<'a> Input<'a> {
    #[inline]
    pub(super) fn array<const N: usize>(&mut self) -> Option<&'a [u8; N]> {
        let (array, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(array)
    }

    #[inline]
    pub(super) fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(bytes)
    }

    #[inline]
    pub(super) fn u8(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    #[inline]
    pub(super) fn i8(&mut self) -> Option<i8> {
        self.array().copied().map(i8::from_be_bytes)
    }

    #[inline]
    pub(super) fn i16(&mut self) -> Option<i16> {
        self.array().copied().map(i16::from_be_bytes)
    }

    #[inline]
    pub(super) fn i32(&mut self) -> Option<i32> {
        self.array().copied().map(i32::from_be_bytes)
    }

    #[inline]
    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().copied().map(u32::from_be_bytes)
    }

    #[inline]
    pub(super) fn i64(&mut self) -> Option<i64> {
        self.array().copied().map(i64::from_be_bytes)
    }

    /// Bytes behind a 32-bit length; −1 is null, and what the outer `Option` lacks did not fit.
    #[inline]
    pub(super) fn nullable_bytes(&mut self) -> Option<Option<&'a [u8]>> {
        let len = self.i32()?;
        self.nullable(len)
    }

    /// Bytes behind a varint length; −1 is null.
    #[inline]
    pub(super) fn nullable_varint_bytes(&mut self) -> Option<Option<&'a [u8]>> {
        let len = self.varint()?;
        self.nullable(len)
    }

    #[inline]
    fn nullable(&mut self, len: i32) -> Option<Option<&'a [u8]>> {
        if len == -1 {
            return Some(None);
        }
        self.take(usize::try_from(len).ok()?).map(Some)
    }

    /// A zig-zag varint of at most 32 bits in at most five bytes.
    #[inline]
    pub(super) fn varint(&mut self) -> Option<i32> {
        // Nearly every varint of a record is one byte long.
        if let Some((&byte, rest)) = self.0.split_first()
            && byte < 0x80
        {
            self.0 = rest;
            return Some(zigzag_32(u32::from(byte)));
        }
        u32::try_from(self.unsigned_varint(5)?).ok().map(zigzag_32)
    }

    /// A zig-zag varint of at most 64 bits in at most ten bytes.
    #[inline]
    pub(super) fn varlong(&mut self) -> Option<i64> {
        self.unsigned_varint(10).map(zigzag_64)
    }

    #[inline]
    fn unsigned_varint(&mut self, max_bytes: u32) -> Option<u64> {
        let mut value = 0;
        for index in 0..max_bytes {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7f);
            // The tenth byte has room for one bit only.
            if index == 9 && bits > 1 {
                return None;
            }
            value |= bits << (7 * index);
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }
}

#[inline]
const fn zigzag_32(value: u32) -> i32 {
    (value >> 1).cast_signed() ^ -((value & 1).cast_signed())
}

#[inline]
const fn zigzag_64(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -((value & 1).cast_signed())
}

#[cfg(test)]
mod tests {
    use super::Input;

    #[test]
    fn varints_are_zigzag_and_of_bounded_length() {
        for (bytes, expected) in [
            (&[0x00][..], Some(0)),
            (&[0x01], Some(-1)),
            (&[0x02], Some(1)),
            (&[0x80, 0x01], Some(64)),
            (&[0xff, 0xff, 0xff, 0xff, 0x0f], Some(i32::MIN)),
            (&[0xfe, 0xff, 0xff, 0xff, 0x0f], Some(i32::MAX)),
            (&[0xff, 0xff, 0xff, 0xff, 0x1f], None),
            (&[0x80, 0x80, 0x80, 0x80, 0x80, 0x00], None),
            (&[0x80], None),
            (&[], None),
        ] {
            assert_eq!(Input(bytes).varint(), expected, "{bytes:02x?}");
        }
    }

    #[test]
    fn varlongs_are_zigzag_and_of_bounded_length() {
        let mut longest = [0xff; 10];
        longest[9] = 0x01;
        assert_eq!(Input(&longest).varlong(), Some(i64::MIN));
        longest[9] = 0x03;
        assert_eq!(Input(&longest).varlong(), None);
        assert_eq!(Input(&[0x80; 11]).varlong(), None);
        assert_eq!(
            Input(&[0xfe, 0xff, 0xff, 0xff, 0x1f]).varlong(),
            Some(0xffff_ffff)
        );
    }

    #[test]
    fn lengths_below_null_and_beyond_the_end_are_refused() {
        assert_eq!(
            Input(&[0xff, 0xff, 0xff, 0xff]).nullable_bytes(),
            Some(None)
        );
        assert_eq!(
            Input(&[0xff, 0xff, 0xff, 0xfe, 1, 2]).nullable_bytes(),
            None
        );
        assert_eq!(Input(&[0, 0, 0, 2, 1]).nullable_bytes(), None);
        assert_eq!(Input(&[0, 0, 0, 0]).nullable_bytes(), Some(Some(&[][..])));
        assert_eq!(Input(&[0x03, 1]).nullable_varint_bytes(), None);
    }
}
