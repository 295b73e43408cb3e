//! Small sets that unfold to 100 MB: refused, and without the memory that they ask for.
//!
//! The process's own peak is the measure, so this file holds a single test.

#![allow(clippy::unwrap_used, reason = "what is wrong in a test may panic")]

use std::io::{Read, Write};

use bytes::Bytes;
use divvy_protocol::compression::{Compression, CompressionError};
use divvy_protocol::records::{Corruption, DecodeOptions, decode};
use flate2::write::GzEncoder;

const UNFOLDED: usize = 100_000_000;

/// A message of magic 1 at offset 42 whose value is packed.
fn wrapper(codec: Compression, packed: &[u8]) -> Bytes {
    let mut covered = vec![1, codec.code() as u8];
    covered.extend(0_i64.to_be_bytes());
    covered.extend((-1_i32).to_be_bytes());
    covered.extend((packed.len() as i32).to_be_bytes());
    covered.extend(packed);
    let mut set = 42_i64.to_be_bytes().to_vec();
    set.extend((covered.len() as i32 + 4).to_be_bytes());
    set.extend(crc32fast::hash(&covered).to_be_bytes());
    set.extend(covered);
    set.into()
}

fn gzip_bomb() -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::best());
    std::io::copy(&mut std::io::repeat(0).take(UNFOLDED as u64), &mut encoder).unwrap();
    encoder.flush().unwrap();
    encoder.finish().unwrap()
}

/// Blocks of zeroes, over and over, between a head and a tail.
fn repeated(head: &[u8], block: &[u8], unfolded: usize, tail: &[u8]) -> Vec<u8> {
    [head, &block.repeat(UNFOLDED / unfolded), tail].concat()
}

fn lz4_bomb() -> Vec<u8> {
    let zeroes = lz4_flex::block::compress(&vec![0; 4 << 20]);
    let block = [&(zeroes.len() as u32).to_le_bytes(), &zeroes[..]].concat();
    repeated(b"\x04\x22\x4d\x18\x60\x70\x00", &block, 4 << 20, &[0; 4])
}

fn snappy_bomb() -> Vec<u8> {
    let zeroes = snap::raw::Encoder::new()
        .compress_vec(&vec![0; 32 << 10])
        .unwrap();
    let block = [&(zeroes.len() as u32).to_be_bytes(), &zeroes[..]].concat();
    repeated(b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01", &block, 32 << 10, &[])
}

/// A few bytes that claim to be 100 MB.
fn snappy_lie() -> Vec<u8> {
    [&[0x80, 0xc2, 0xd7, 0x2f][..], &[0; 100_000]].concat()
}

#[cfg(target_os = "linux")]
fn peak_memory() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .unwrap();
    line.split_whitespace()
        .nth(1)
        .unwrap()
        .parse::<usize>()
        .unwrap()
        * 1024
}

#[cfg(not(target_os = "linux"))]
fn peak_memory() -> usize {
    0
}

#[test]
fn bombs_are_refused_within_the_limit() {
    let bombs = [
        (Compression::Gzip, gzip_bomb()),
        (Compression::Lz4, lz4_bomb()),
        (Compression::Snappy, snappy_bomb()),
        (Compression::Snappy, snappy_lie()),
    ];
    let before = peak_memory();
    for (codec, packed) in bombs {
        assert!(packed.len() < 6_000_000, "{codec}: {}", packed.len());
        let claimed_only = packed.len() < 200_000 && codec == Compression::Snappy;
        let decoded = decode(&wrapper(codec, &packed), &DecodeOptions::default());
        let error = decoded.error.unwrap();
        assert_eq!((error.offset, decoded.next_offset), (42, 0));
        assert!(decoded.records.is_empty());
        match error.reason {
            Corruption::Compression(CompressionError::Malformed { .. }) => assert!(claimed_only),
            reason => {
                let exceeded = CompressionError::LimitExceeded {
                    codec,
                    limit: 64 << 20,
                };
                assert_eq!(reason, Corruption::Compression(exceeded));
            }
        }
    }
    let grown = peak_memory() - before;
    assert!(grown < 80 << 20, "{grown} bytes at the peak");
}
