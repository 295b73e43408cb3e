//! Chunks that are unpacked elsewhere, several at a time.

use divvy_client::{Chunk, FetchError};
use divvy_protocol::compression::Compression;
use divvy_simple_consumer::{Error, Message, SeekTo};

use crate::common::*;

/// A compressed chunk that is large enough to be unpacked elsewhere.
pub(crate) fn push_large(backend: &Scripted, partition: i32, first_offset: i64) {
    let noise = noise();
    let values: [&[u8]; 2] = [&noise, b"last"];
    backend.push_values(partition, first_offset, &values, Compression::Gzip);
}

/// What gzip makes no smaller.
fn noise() -> Vec<u8> {
    let mut random = 1_u32;
    std::iter::repeat_with(|| {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        random.to_be_bytes()[0]
    })
    .take(40 << 10)
    .collect()
}

#[tokio::test(start_paused = true)]
async fn get_many_takes_nothing_before_what_is_being_unpacked() {
    let backend = Scripted::new(2);
    let mut consumer = backend.consumer().await;
    backend.push_values(0, 0, &[b"a"], Compression::None);
    push_large(&backend, 1, 0);
    backend.push_values(1, 2, &[b"small"], Compression::None);
    // This leaves the large chunk in work, unless it is unpacked sooner than it is looked for.
    let first = soon(consumer.get_many(2, SECOND)).await.unwrap();
    let mut of_partition_1: Vec<i64> = first
        .iter()
        .filter(|message| message.partition() == &tp(1))
        .map(Message::offset)
        .collect();
    assert_eq!(first.len(), 1 + of_partition_1.len());
    backend.push_values(0, 1, &[b"b"], Compression::None);
    // A receive that asks for the other partition alone opens its chunk and leaves that in work.
    let other = soon(consumer.recv_from(&[tp(0)])).await.unwrap();
    assert_eq!(other.offset(), 1);
    backend.push_values(0, 2, &[b"c", b"d"], Compression::None);
    let other = soon(consumer.recv_from(&[tp(0)])).await.unwrap();
    assert_eq!(other.offset(), 2);
    while of_partition_1.len() < 3 {
        for message in soon(consumer.get_many(10, SECOND)).await.unwrap() {
            if message.partition() == &tp(1) {
                of_partition_1.push(message.offset());
            }
        }
    }
    assert_eq!(of_partition_1, [0, 1, 2]);
}

#[tokio::test(start_paused = true)]
async fn what_is_unpacked_ahead_comes_in_order() {
    let backend = Scripted::new(2);
    let mut consumer = backend.consumer().await;
    for n in 0..10 {
        push_large(&backend, 0, 3 * n);
        // Unpacked on the spot, which is sooner than what lies before it.
        backend.push_values(0, 3 * n + 2, &[b"small"], Compression::None);
        push_large(&backend, 1, 2 * n);
    }
    let mut read = [Vec::new(), Vec::new()];
    for _ in 0..50 {
        let (partition, offset) = next(&mut consumer).await;
        read[usize::try_from(partition).unwrap()].push(offset);
    }
    assert_eq!(read[0], (0..30).collect::<Vec<_>>());
    assert_eq!(read[1], (0..20).collect::<Vec<_>>());
    assert_nothing(&mut consumer).await;
}

#[tokio::test(start_paused = true)]
async fn nothing_that_was_unpacked_ahead_comes_behind_damage() {
    let backend = Scripted::new(1);
    let mut consumer = backend.consumer().await;
    let damaged = || {
        let noise = noise();
        let mut entries = record_set(2, &[&noise, b"last"], Compression::Gzip).to_vec();
        entries[1000] ^= 1;
        let mut chunk = Chunk::new(tp(0), 2, 4, 1000, entries.into());
        chunk.compressed = true;
        Ok(chunk)
    };
    push_large(&backend, 0, 0);
    backend.push(0, damaged());
    for n in 2..6 {
        push_large(&backend, 0, 2 * n);
    }
    assert_eq!(next(&mut consumer).await, (0, 0));
    assert_eq!(next(&mut consumer).await, (0, 1));
    // It is fetched again before it is believed.
    assert_nothing(&mut consumer).await;
    backend.push(0, damaged());
    assert_nothing(&mut consumer).await;
    backend.push(0, damaged());
    let error = soon(consumer.recv()).await.unwrap_err();
    let at = FetchError::offset;
    assert!(
        matches!(&error, Error::Fetch(error) if at(error) == 2),
        "{error}"
    );
    assert_nothing(&mut consumer).await;
}

#[tokio::test(start_paused = true)]
async fn what_was_unpacked_ahead_is_dropped_by_a_seek() {
    let backend = Scripted::new(1);
    let mut consumer = backend.consumer().await;
    for n in 0..4 {
        push_large(&backend, 0, 2 * n);
    }
    assert_eq!(next(&mut consumer).await, (0, 0));
    consumer.seek(&tp(0), SeekTo::Offset(6)).await.unwrap();
    assert_nothing(&mut consumer).await;
    push_large(&backend, 0, 6);
    assert_eq!(next(&mut consumer).await, (0, 6));
    assert_eq!(backend.starts(0), [0, 6]);
}

#[tokio::test(start_paused = true)]
async fn what_was_unpacked_ahead_waits_behind_a_chunk_that_is_kept_back() {
    let backend = Scripted::new(2);
    let mut consumer = backend.consumer().await;
    for n in 0..4 {
        push_large(&backend, 0, 2 * n);
    }
    assert_eq!(next(&mut consumer).await, (0, 0));
    consumer.pause(&[tp(0)]).unwrap();
    push_large(&backend, 1, 0);
    for offset in 0..2 {
        assert_eq!(next(&mut consumer).await, (1, offset));
    }
    assert_nothing(&mut consumer).await;
    consumer.resume(&[tp(0)]).unwrap();
    for offset in 1..8 {
        assert_eq!(next(&mut consumer).await, (0, offset));
    }
}
