//! Every codec against its own writer, against frames made by hand, and against bytes that lie.

use proptest::collection::vec;
use proptest::prelude::*;

use super::{Compression, CompressionError, compress, decompress};

const LIMIT: usize = 64 << 20;

fn available() -> impl Iterator<Item = Compression> {
    Compression::ALL
        .into_iter()
        .filter(|codec| codec.is_available())
}

/// Bytes that do not compress.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..len).map(|_| next()).collect()
}

#[test]
fn codes_and_names_lead_back_to_their_codec() {
    for (code, codec) in (0..).zip(Compression::ALL) {
        assert_eq!(codec.code(), code);
        assert_eq!(Compression::from_attributes(code | 0x78), Ok(codec));
        assert_eq!(codec.to_string().parse(), Ok(codec));
        assert_eq!(codec.to_string().to_uppercase().parse(), Ok(codec));
    }
    assert_eq!("uncompressed".parse(), Ok(Compression::None));
    for code in 5..8 {
        let unknown = Err(CompressionError::UnknownCode { code });
        assert_eq!(Compression::from_attributes(code), unknown);
    }
    let error = "brotli".parse::<Compression>().unwrap_err();
    assert_eq!(
        error,
        CompressionError::UnknownName {
            name: "brotli".to_owned()
        }
    );
}

#[test]
fn sizes_around_the_blocks_come_back_as_they_were() {
    for codec in available() {
        for len in [
            0,
            1,
            12,
            13,
            1023,
            32 << 10,
            (32 << 10) + 1,
            64 << 10,
            (64 << 10) + 1,
            300_000,
        ] {
            for input in [noise(len), vec![b'x'; len]] {
                for magic in 0..3 {
                    let packed = compress(codec, &input, magic).unwrap();
                    assert_eq!(
                        decompress(codec, &packed, len),
                        Ok(input.clone()),
                        "{codec} {len}"
                    );
                }
            }
        }
    }
}

#[test]
fn the_limit_is_exact() {
    for codec in available() {
        for len in [1, 40_000, 200_000] {
            let packed = compress(codec, &vec![7; len], 0).unwrap();
            let exceeded = CompressionError::LimitExceeded {
                codec,
                limit: len - 1,
            };
            assert_eq!(decompress(codec, &packed, len - 1), Err(exceeded));
            assert_eq!(decompress(codec, &packed, len).unwrap().len(), len);
            assert!(decompress(codec, &packed, 0).is_err());
        }
    }
}

#[test]
fn nothing_honest_lies_beyond_what_a_codec_can_hold() {
    for codec in available() {
        let input = vec![0; 10 << 20];
        let packed = compress(codec, &input, 1).unwrap();
        assert!(
            codec.expansion_bound(packed.len()) >= input.len(),
            "{codec}"
        );
    }
}

#[test]
fn output_that_compressed_well_keeps_no_more_memory_than_it_needs() {
    for codec in available() {
        let packed = compress(codec, &vec![7; 100_000], 1).unwrap();
        let output = decompress(codec, &packed, LIMIT).unwrap();
        assert!(
            output.capacity() <= 200_000,
            "{codec}: {}",
            output.capacity()
        );
    }
}

#[test]
fn data_that_is_cut_off_is_malformed() {
    let input = noise(100_000);
    for codec in available().filter(|codec| *codec != Compression::None) {
        let packed = compress(codec, &input, 0).unwrap();
        for cut in (0..100)
            .chain((100..packed.len()).step_by(997))
            .chain(packed.len() - 50..packed.len())
        {
            let Ok(output) = decompress(codec, &packed[..cut], LIMIT) else {
                continue;
            };
            // A snappy frame that ends between two blocks looks whole; the record set's own CRC
            // does not.
            assert_eq!(codec, Compression::Snappy);
            assert_eq!(output, input[..output.len()]);
            assert_eq!(output.len() % (32 << 10), 0);
        }
    }
}

#[test]
fn gzip_members_in_a_row_are_one() {
    let mut packed = compress(Compression::Gzip, b"one, ", 0).unwrap();
    packed.extend(compress(Compression::Gzip, b"two", 0).unwrap());
    assert_eq!(
        decompress(Compression::Gzip, &packed, 100).unwrap(),
        b"one, two"
    );
}

#[test]
fn a_gzip_trailer_may_not_lie() {
    let mut packed = compress(Compression::Gzip, &[7; 1000], 0).unwrap();
    let at = packed.len() - 4;
    for claim in [0_u32, 999, 1001, u32::MAX] {
        packed[at..].copy_from_slice(&claim.to_le_bytes());
        let result = decompress(Compression::Gzip, &packed, LIMIT);
        assert!(
            matches!(result, Err(CompressionError::Malformed { .. })),
            "{claim}"
        );
    }
}

/// The framing of the Java library around blocks of the given size.
fn xerial(input: &[u8], block: usize) -> Vec<u8> {
    let mut framed = b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01".to_vec();
    for block in input.chunks(block) {
        let packed = snap::raw::Encoder::new().compress_vec(block).unwrap();
        framed.extend((packed.len() as u32).to_be_bytes());
        framed.extend(packed);
    }
    framed
}

#[test]
fn snappy_is_read_bare_and_in_blocks_of_any_size() {
    let input: Vec<u8> = noise(5000).repeat(3);
    let bare = snap::raw::Encoder::new().compress_vec(&input).unwrap();
    assert_eq!(
        decompress(Compression::Snappy, &bare, LIMIT).unwrap(),
        input
    );
    // The Java producers of 0.8.2 and 0.9 write blocks of 1 KiB, and brokers of 32.
    for block in [1, 1024, 32 << 10] {
        let framed = xerial(&input, block);
        assert_eq!(
            decompress(Compression::Snappy, &framed, LIMIT).unwrap(),
            input
        );
    }
    assert_eq!(
        compress(Compression::Snappy, &input, 0).unwrap(),
        xerial(&input, 32 << 10)
    );
}

#[test]
fn snappy_blocks_may_not_lie_about_their_lengths() {
    let malformed = |input: &[u8]| {
        let result = decompress(Compression::Snappy, input, LIMIT);
        assert!(
            matches!(result, Err(CompressionError::Malformed { .. })),
            "{result:?}"
        );
    };
    let sound = xerial(&[7; 3000], 1024);
    for length in [-1, i32::MIN, i32::MAX, 1, 1000] {
        let mut framed = sound.clone();
        framed[16..20].copy_from_slice(&i32::to_be_bytes(length));
        malformed(&framed);
    }
    malformed(&sound[..12]);
    malformed(&[]);
    // A bare block that claims 4 GiB, and one that claims more than its bytes could ever hold.
    malformed(&[0xff, 0xff, 0xff, 0xff, 0x0f, 0, 1]);
    malformed(&[0xff, 0xff, 0x3f, 0, 1]);
}

/// An LZ4 frame around `blocks`, each with its raw length field.
fn lz4(flags: u8, descriptor: u8, blocks: &[(u32, &[u8])]) -> Vec<u8> {
    let mut frame = vec![0x04, 0x22, 0x4d, 0x18, flags, descriptor];
    if flags & 0x08 != 0 {
        frame.extend([9; 8]);
    }
    frame.push(0x55);
    for (length, bytes) in blocks {
        frame.extend(length.to_le_bytes());
        frame.extend(*bytes);
        if flags & 0x10 != 0 {
            frame.extend([9; 4]);
        }
    }
    frame.extend([0; 4]);
    if flags & 0x04 != 0 {
        frame.extend([9; 4]);
    }
    frame
}

fn lz4_reason(frame: &[u8]) -> String {
    match decompress(Compression::Lz4, frame, LIMIT) {
        Err(CompressionError::Malformed { reason, .. }) => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn lz4_frames_are_read_with_any_checksum_and_option() {
    let packed = lz4_flex::block::compress(&[7; 1000]);
    let blocks = [(packed.len() as u32, &packed[..]), (3 | 1 << 31, b"abc")];
    let expected = [&[7; 1000][..], b"abc"].concat();
    for options in 0..8 {
        let frame = lz4(0x60 | options << 2, 0x40, &blocks);
        assert_eq!(
            decompress(Compression::Lz4, &frame, LIMIT).unwrap(),
            expected,
            "{options:b}"
        );
    }
    let frames = lz4(0x60, 0x40, &blocks).repeat(2);
    assert_eq!(
        decompress(Compression::Lz4, &frames, LIMIT).unwrap(),
        expected.repeat(2)
    );
}

#[test]
fn lz4_frames_that_kafka_refuses_are_refused() {
    let one = [(3 | 1 << 31, &b"abc"[..])];
    assert!(lz4_reason(&lz4(0x40, 0x40, &one)).contains("depend on each other"));
    assert!(lz4_reason(&lz4(0xa0, 0x40, &one)).contains("version 2"));
    assert!(lz4_reason(&lz4(0x61, 0x40, &one)).contains("dictionary"));
    assert!(lz4_reason(&lz4(0x60, 0x30, &one)).contains("descriptor"));
    assert!(lz4_reason(&lz4(0x60, 0x40, &[(70_000, &[0; 70_000])])).contains("the most"));
    assert!(
        lz4_reason(&[lz4(0x60, 0x40, &one), vec![1, 2, 3, 4]].concat()).contains("magic number")
    );
    // A block that unfolds to more than the frame's block size.
    let packed = lz4_flex::block::compress(&[7; 100_000]);
    let frame = lz4(0x60, 0x40, &[(packed.len() as u32, &packed)]);
    assert!(lz4_reason(&frame).contains("too small"));
    let frame = lz4(0x60, 0x50, &[(packed.len() as u32, &packed)]);
    assert_eq!(
        decompress(Compression::Lz4, &frame, LIMIT).unwrap(),
        [7; 100_000]
    );
}

#[test]
fn lz4_stores_blocks_that_do_not_shrink() {
    let packed = compress(Compression::Lz4, &noise(70_000), 1).unwrap();
    assert_eq!(
        packed.len(),
        7 + 4 + (64 << 10) + 4 + (70_000 - (64 << 10)) + 4
    );
}

#[cfg(not(feature = "zstd"))]
#[test]
fn zstd_without_the_feature_is_an_error_of_its_own() {
    let not_built = CompressionError::NotBuilt {
        codec: Compression::Zstd,
    };
    assert_eq!(
        decompress(Compression::Zstd, &[], LIMIT),
        Err(not_built.clone())
    );
    assert_eq!(compress(Compression::Zstd, &[], 2), Err(not_built));
}

#[cfg(feature = "zstd")]
#[test]
fn zstd_may_unfold_further_than_the_other_codecs_could() {
    let input = vec![0; 10 << 20];
    let packed = compress(Compression::Zstd, &input, 2).unwrap();
    assert!(packed.len() * 5000 < input.len());
    assert_eq!(
        decompress(Compression::Zstd, &packed, LIMIT).unwrap(),
        input
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_survived_within_the_limit(input in vec(any::<u8>(), 0..400), limit in 0..5000_usize) {
        for codec in available() {
            for prefix in [&[][..], b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01", b"\x04\x22\x4d\x18\x60\x40\x82"] {
                let input = [prefix, &input].concat();
                if let Ok(output) = decompress(codec, &input, limit) {
                    prop_assert!(output.len() <= limit);
                }
            }
        }
    }

    #[test]
    fn changed_bytes_are_survived(input in vec(any::<u8>(), 1..400), at in any::<prop::sample::Index>(), byte: u8) {
        for codec in available() {
            let mut packed = compress(codec, &input, 1).unwrap();
            let at = at.index(packed.len());
            packed[at] = byte;
            if let Ok(output) = decompress(codec, &packed, LIMIT) {
                prop_assert!(output.len() <= codec.expansion_bound(packed.len()));
            }
        }
    }
}
