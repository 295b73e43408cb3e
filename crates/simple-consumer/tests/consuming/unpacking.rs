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

/// A chunk of six messages that takes little and unpacks to 6 MiB.
fn dense(partition: i32, first_offset: i64, damaged: Option<i64>) -> Chunk {
    let zeros = vec![0; 1 << 20];
    let mut entries = Vec::new();
    for n in 0..6 {
        let begin = entries.len();
        entries.extend_from_slice(&record_set(first_offset + n, &[&zeros], Compression::Gzip));
        if damaged == Some(n) {
            let middle = (begin + entries.len()) / 2;
            entries[middle] ^= 1;
        }
    }
    assert!(entries.len() < 64 << 10, "{}", entries.len());
    let (begin, end) = (first_offset, first_offset + 6);
    let mut chunk = Chunk::new(tp(partition), begin, end, 1000, entries.into());
    chunk.compressed = true;
    chunk
}

#[tokio::test(start_paused = true)]
async fn what_unpacks_to_much_comes_piece_by_piece_and_is_fetched_once() {
    let backend = Scripted::new(2);
    let mut consumer = backend.consumer().await;
    for n in 0..3 {
        backend.push(0, Ok(dense(0, 6 * n, None)));
        backend.push(1, Ok(dense(1, 6 * n, None)));
    }
    let mut read = [Vec::new(), Vec::new()];
    let mut largest = 0;
    while read.iter().map(Vec::len).sum::<usize>() < 36 {
        let mut batch = soon(consumer.next_batch()).await.unwrap();
        let partition = batch.partition().partition;
        let offsets = yielded(&mut batch, 9);
        largest = largest.max(offsets.len());
        read[usize::try_from(partition).unwrap()].extend(offsets);
    }
    let expected: Vec<i64> = (0..18).collect();
    assert_eq!(read, [expected.clone(), expected]);
    for partition in 0..2 {
        assert_eq!(backend.starts(partition), [0]);
        assert_eq!(consumer.position(&tp(partition)).unwrap(), 18);
    }
    assert!(largest < 6, "a chunk came in one piece");
}

#[tokio::test(start_paused = true)]
async fn a_seek_leaves_the_pieces_out_that_were_to_come() {
    let backend = Scripted::new(1);
    let mut consumer = backend.consumer().await;
    backend.push(0, Ok(dense(0, 0, None)));
    assert_eq!(next(&mut consumer).await, (0, 0));
    consumer.seek(&tp(0), SeekTo::Offset(100)).await.unwrap();
    backend.push(0, Ok(dense(0, 100, None)));
    for offset in 100..106 {
        assert_eq!(next(&mut consumer).await, (0, offset));
    }
    assert_nothing(&mut consumer).await;
}

#[tokio::test(start_paused = true)]
async fn damage_in_a_later_piece_comes_behind_the_pieces_before_it() {
    let backend = Scripted::new(1);
    let mut consumer = backend.consumer().await;
    // It is believed at the third time.
    backend.push(0, Ok(dense(0, 0, Some(4))));
    for offset in 0..4 {
        assert_eq!(next(&mut consumer).await, (0, offset));
    }
    for _ in 0..2 {
        assert_nothing(&mut consumer).await;
        let mut again = dense(0, 0, Some(4));
        again.from_offset = 4;
        backend.push(0, Ok(again));
    }
    let error = soon(consumer.recv()).await.unwrap_err();
    assert!(error.to_string().contains("offset 4"), "{error}");
}
