use bytes::Bytes;

use super::reader::affordable;
use super::{DecodeError, EncodeError, Reader, Writer};

fn reader(bytes: &'static [u8]) -> Reader {
    Reader::new(Bytes::from_static(bytes))
}

#[test]
fn numbers_are_big_endian() {
    let mut r = reader(b"\x80\x01\x02\xff\xff\xff\xfe\x00\x00\x00\x00\x00\x00\x01\x00\x01\x00\x07");
    assert_eq!(r.i8(), Ok(-128));
    assert_eq!(r.i16(), Ok(0x102));
    assert_eq!(r.i32(), Ok(-2));
    assert_eq!(r.position(), 7);
    assert_eq!(r.i64(), Ok(256));
    let booleans = [r.bool(), r.bool(), r.bool()];
    assert_eq!(booleans, [Ok(true), Ok(false), Ok(true)]);
    assert_eq!((r.position(), r.remaining()), (18, 0));
    assert_eq!(r.finish(), Ok(()));
}

#[test]
fn what_is_written_is_read() {
    let mut w = Writer::new();
    w.i8(-1);
    w.i16(-2);
    w.i32(-3);
    w.i64(i64::MIN);
    w.bool(true);
    w.string("é").unwrap();
    w.nullable_string(None).unwrap();
    w.nullable_string(Some("")).unwrap();
    w.bytes(b"\0\xff").unwrap();
    w.nullable_bytes(None).unwrap();
    w.nullable_bytes(Some(b"")).unwrap();
    w.i32_array(&[1, 2]).unwrap();
    w.nullable_array::<i32>(None, |_, _| Ok(())).unwrap();
    w.nullable_array(Some(&["a"]), |w, text| w.string(text))
        .unwrap();
    let length = w.position();

    let mut r = Reader::new(w.finish());
    assert_eq!(r.remaining(), length);
    assert_eq!(r.i8(), Ok(-1));
    assert_eq!(r.i16(), Ok(-2));
    assert_eq!(r.i32(), Ok(-3));
    assert_eq!(r.i64(), Ok(i64::MIN));
    assert_eq!(r.bool(), Ok(true));
    assert_eq!(r.string().unwrap(), "é");
    assert_eq!(r.nullable_string(), Ok(None));
    assert_eq!(r.nullable_string(), Ok(Some(String::new())));
    assert_eq!(r.bytes().unwrap()[..], [0, 255]);
    assert_eq!(r.nullable_bytes(), Ok(None));
    assert_eq!(r.nullable_bytes(), Ok(Some(Bytes::new())));
    assert_eq!(r.array(Reader::i32), Ok(vec![1, 2]));
    assert_eq!(r.nullable_array(Reader::i32), Ok(None));
    assert_eq!(r.nullable_array(Reader::string).unwrap().unwrap(), ["a"]);
    assert_eq!(r.finish(), Ok(()));
}

#[test]
fn null_is_refused_where_it_is_not_allowed() {
    let negative = |what, length| DecodeError::NegativeLength {
        what,
        length,
        position: 0,
    };
    let all_ones = || reader(&[255; 4]);
    assert_eq!(all_ones().string(), Err(negative("a string", -1)));
    assert_eq!(all_ones().bytes(), Err(negative("bytes", -1)));
    assert_eq!(all_ones().array(Reader::i8), Err(negative("an array", -1)));
}

#[test]
fn lengths_below_null_are_refused() {
    let negative = |what, length| DecodeError::NegativeLength {
        what,
        length,
        position: 0,
    };
    let lowest = || reader(b"\x80\0\0\0");
    assert_eq!(
        lowest().nullable_string(),
        Err(negative("a string", i16::MIN.into()))
    );
    assert_eq!(lowest().nullable_bytes(), Err(negative("bytes", i32::MIN)));
    assert_eq!(
        lowest().nullable_array(Reader::i8),
        Err(negative("an array", i32::MIN))
    );
}

#[test]
fn an_error_says_where_it_is() {
    let mut r = reader(b"\0\x01a\0\x02\xff\xfe\0\0");
    assert_eq!(r.string().unwrap(), "a");
    assert_eq!(r.string(), Err(DecodeError::InvalidUtf8 { position: 3 }));
    let expected = DecodeError::Truncated {
        what: "an int32",
        needed: 4,
        left: 2,
        position: 7,
    };
    assert_eq!(r.i32(), Err(expected));
    let expected = DecodeError::TrailingBytes {
        left: 2,
        position: 7,
    };
    assert_eq!(r.finish(), Err(expected));
}

#[test]
fn a_count_is_believed_no_further_than_the_bytes_go() {
    let expected = DecodeError::ImpossibleCount {
        count: 3,
        left: 2,
        position: 0,
    };
    assert_eq!(reader(b"\0\0\0\x03\0\0").array(Reader::i8), Err(expected));
    assert_eq!(reader(b"\0\0\0\x02\0\0").array(Reader::i8), Ok(vec![0, 0]));
}

#[test]
fn room_for_elements_is_paid_for_by_the_bytes_that_are_left() {
    assert_eq!(affordable::<[u8; 1000]>(4096), 4);
    assert_eq!(affordable::<[u8; 1000]>(999), 0);
    assert_eq!(affordable::<i32>(4096), 1024);
    assert_eq!(affordable::<()>(5), 5);
    // Sixteen million elements that are a tebibyte together, if one believes the count.
    let mut bytes = (1_i32 << 24).to_be_bytes().to_vec();
    bytes.resize(4 + (1 << 24), 0);
    let refused = DecodeError::InvalidUtf8 { position: 4 };
    let read = Reader::new(bytes.into()).array::<[u8; 1 << 16]>(|_| Err(refused.clone()));
    assert_eq!(read, Err(refused));
}

#[test]
fn what_does_not_fit_its_length_field_is_refused() {
    let mut w = Writer::new();
    w.i8(0);
    let too_long = EncodeError::TooLong {
        what: "a string",
        length: 32_768,
        max: 32_767,
        position: 1,
    };
    let text = "x".repeat(32_768);
    assert_eq!(w.string(&text), Err(too_long.clone()));
    assert_eq!(w.nullable_string(Some(&text)), Err(too_long));
    assert_eq!(w.string(&text[1..]), Ok(()));
    assert_eq!(w.position(), 1 + 2 + 32_767);

    // As many elements as no count can say, which take no room.
    let mut w = Writer::new();
    let elements = vec![(); 1 << 31];
    let too_long = EncodeError::TooLong {
        what: "an array",
        length: 1 << 31,
        max: (1 << 31) - 1,
        position: 0,
    };
    assert_eq!(w.array(&elements, |_, ()| Ok(())), Err(too_long));
}

#[test]
fn a_frame_begins_with_its_size() {
    let mut w = Writer::frame();
    w.i16(7);
    assert_eq!(w.finish_frame().unwrap()[..], [0, 0, 0, 2, 0, 7]);
    assert_eq!(Writer::frame().finish_frame().unwrap()[..], [0; 4]);
}
