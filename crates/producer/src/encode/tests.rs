use divvy_protocol::records::{DecodeOptions, Record, decode};
use tokio::time::Instant;

use super::*;
use crate::accumulator::Accumulator;
use crate::budget::Budget;
use crate::config::ProducerConfig;
use crate::record::{Fields, ProducerRecord};

fn batch(records: impl IntoIterator<Item = ProducerRecord>) -> Batch {
    let config = ProducerConfig {
        batch_size: 1 << 30,
        max_request_size: 1 << 30,
        ..ProducerConfig::default()
    };
    let budget = Budget::new(1 << 30);
    let (mut accumulator, now) = (Accumulator::new(&config, &budget), Instant::now());
    let slot = accumulator.slot(&TopicPartition::new("t", 0));
    for record in records {
        let fields = Fields::new(&record, 1234);
        accumulator.append(slot, &fields, || now).unwrap();
    }
    let mut plan = accumulator.drain(|_| Some(1), true, now);
    plan.requests.remove(0).batches.remove(0)
}

fn record(key: Option<&'static str>, value: Option<&'static str>) -> ProducerRecord {
    ProducerRecord {
        key: key.map(Bytes::from),
        value: value.map(Bytes::from),
        ..ProducerRecord::new("t", "")
    }
}

#[test]
fn every_format_and_codec_keeps_every_record() {
    let codecs = Compression::ALL
        .into_iter()
        .filter(|codec| codec.is_available());
    for codec in codecs {
        for magic in 0..=2 {
            if codec == Compression::Zstd && magic < 2 {
                continue;
            }
            let records = [
                record(None, Some("value")),
                record(Some("key"), None),
                record(Some(""), Some("")),
            ];
            let encoded = encode_batch(&batch(records), magic, codec).unwrap();
            let decoded = decode(&encoded, &DecodeOptions::default());
            assert!(
                decoded.error.is_none(),
                "{codec} {magic}: {:?}",
                decoded.error
            );
            let read: Vec<Record<'_>> = decoded.records.iter().collect();
            let read: Vec<_> = read
                .iter()
                .map(|record| (record.offset, record.key, record.value))
                .collect();
            let expected = [
                (0, None, Some(&b"value"[..])),
                (1, Some(&b"key"[..]), None),
                (2, Some(&b""[..]), Some(&b""[..])),
            ];
            assert_eq!(read, expected, "{codec} {magic}");
            let has_time = decoded
                .records
                .iter()
                .all(|record| record.timestamp == Some(1234));
            assert_eq!(has_time, magic > 0, "{codec} {magic}");
        }
    }
}

#[test]
fn headers_are_kept_where_the_format_has_them_and_refused_elsewhere() {
    let mut dressed = record(None, Some("value"));
    dressed.headers = vec![
        ("hat".to_owned(), Some("red".into())),
        ("hat".to_owned(), None),
    ];
    let batch = batch([dressed]);
    let records = encode_batch(&batch, 2, Compression::None).unwrap();
    let decoded = decode(&records, &DecodeOptions::default());
    let read = decoded.records.iter().next().unwrap();
    let headers: Vec<_> = read
        .headers
        .iter()
        .map(|header| (header.key, header.value))
        .collect();
    assert_eq!(
        headers,
        [(&b"hat"[..], Some(&b"red"[..])), (&b"hat"[..], None)]
    );
    for magic in [0, 1] {
        let refused = encode_batch(&batch, magic, Compression::None);
        assert_eq!(refused.unwrap_err(), BuildError::Headers { magic });
    }
}

/// What is counted before sending is never less than what is sent, or brokers would refuse what was accepted here.
#[test]
fn the_size_that_is_counted_is_an_upper_bound() {
    let large = "x".repeat(20_000);
    for magic in 0..=2 {
        for (key, value) in [("", ""), ("k", "v"), ("key", large.as_str())] {
            for count in [1, 1000] {
                let record = ProducerRecord {
                    key: Some(key.to_owned().into()),
                    timestamp: Some(i64::MAX),
                    headers: match magic {
                        2 => vec![("a".to_owned(), Some("b".into())), (String::new(), None)],
                        _ => Vec::new(),
                    },
                    ..ProducerRecord::new("t", value.to_owned())
                };
                let mut records = vec![record; count];
                records[0].timestamp = Some(0);
                let batch = batch(records);
                let sent = encode_batch(&batch, magic, Compression::None).unwrap();
                assert!(
                    sent.len() <= batch.wire_size,
                    "{magic} {} {}",
                    sent.len(),
                    batch.wire_size
                );
            }
        }
    }
}

#[tokio::test]
async fn large_batches_are_written_elsewhere_with_the_same_result() {
    let large = "y".repeat(INLINE_PLAIN);
    for value in ["small", &large] {
        for codec in [Compression::None, Compression::Gzip] {
            let record = ProducerRecord::new("t", value.to_owned());
            let batch = batch([record]);
            let expected = encode_batch(&batch, 0, codec).unwrap();
            let encoded = encode(vec![batch], 0, codec).await.unwrap();
            assert_eq!(encoded[0].1, Ok(expected));
        }
    }
}

#[test]
fn partitions_are_arranged_by_topic() {
    let tps = [("b", 1), ("a", 0), ("b", 0)]
        .map(|(topic, partition)| TopicPartition::new(topic, partition));
    let topics = by_topic(tps.iter().map(|tp| (tp, Bytes::from(tp.to_string()))));
    let arranged: Vec<(&str, Vec<i32>)> = topics
        .iter()
        .map(|topic| {
            let partitions = topic.partitions.iter().map(|partition| partition.partition);
            (topic.name.as_str(), partitions.collect())
        })
        .collect();
    assert_eq!(arranged, [("a", vec![0]), ("b", vec![1, 0])]);
    assert_eq!(topics[1].partitions[0].records, Some(Bytes::from("b-1")));
}
