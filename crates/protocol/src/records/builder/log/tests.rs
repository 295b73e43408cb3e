use proptest::prelude::*;

use super::LogWriter;
use crate::records::record::{Header, TimestampType};
use crate::records::{DecodeOptions, Record, decode, scan};

const UNCHECKED: DecodeOptions = DecodeOptions {
    from_offset: 0,
    max_decompressed: 64 << 20,
    pause_after: 64 << 20,
    check_crc: false,
    check_inner_crc: false,
    aborted: Vec::new(),
};

/// A message as it is written and as it has to be read.
#[derive(Clone, Debug, PartialEq)]
struct Written {
    offset: i64,
    timestamp: Option<(i64, TimestampType)>,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

impl Written {
    fn read(record: &Record<'_>) -> Self {
        let header = |header: Header<'_>| {
            let value = header.value.map(<[u8]>::to_vec);
            (header.key.to_vec(), value)
        };
        Self {
            offset: record.offset,
            timestamp: record.timestamp.map(|at| (at, record.timestamp_type)),
            key: record.key.map(<[u8]>::to_vec),
            value: record.value.map(<[u8]>::to_vec),
            headers: record.headers.iter().map(header).collect(),
        }
    }

    fn append_to(&self, writer: &mut LogWriter) {
        let header = |(key, value): &'_ (Vec<u8>, Option<Vec<u8>>)| (key.clone(), value.clone());
        let headers: Vec<_> = self.headers.iter().map(header).collect();
        let headers: Vec<Header<'_>> = headers
            .iter()
            .map(|(key, value)| Header {
                key,
                value: value.as_deref(),
            })
            .collect();
        let (key, value) = (self.key.as_deref(), self.value.as_deref());
        writer
            .append(self.offset, self.timestamp, key, value, &headers)
            .unwrap();
    }
}

fn bytes() -> impl Strategy<Value = Option<Vec<u8>>> {
    prop::option::of(prop::collection::vec(any::<u8>(), 0..40))
}

fn timestamp() -> impl Strategy<Value = Option<(i64, TimestampType)>> {
    let kind = prop_oneof![
        Just(TimestampType::CreateTime),
        Just(TimestampType::LogAppendTime)
    ];
    let given = any::<i64>().prop_filter("is none", |at| *at != -1);
    prop::option::of((given, kind))
}

fn messages() -> impl Strategy<Value = Vec<Written>> {
    let key = prop::collection::vec(any::<u8>(), 0..10);
    let headers = prop_oneof![
        3 => Just(Vec::new()),
        1 => prop::collection::vec((key, bytes()), 1..4),
    ];
    let message = (1_i64..1000, timestamp(), bytes(), bytes(), headers);
    prop::collection::vec(message, 1..20).prop_map(|messages| {
        let mut next = 0;
        let place = |(step, timestamp, key, value, headers)| {
            next += step;
            Written {
                offset: next,
                timestamp,
                key,
                value,
                headers,
            }
        };
        messages.into_iter().map(place).collect()
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read(messages in messages()) {
        let mut writer = LogWriter::default();
        for message in &messages {
            message.append_to(&mut writer);
        }
        let entries = writer.finish();
        let end = messages.last().unwrap().offset + 1;
        prop_assert_eq!(scan(&entries).next_offset, Some(end));
        let decoded = decode(&entries, &UNCHECKED);
        prop_assert!(decoded.error.is_none(), "{:?}", decoded.error);
        prop_assert_eq!(decoded.next_offset, end);
        let read: Vec<Written> = decoded.records.iter().map(|record| Written::read(&record)).collect();
        prop_assert_eq!(read, messages);
    }

    #[test]
    fn the_room_that_is_named_is_enough(key in bytes(), value in bytes(), at in timestamp()) {
        let (key, value) = (key.as_deref(), value.as_deref());
        let mut writer = LogWriter::default();
        writer.append(7, at, key, value, &[]).unwrap();
        prop_assert!(writer.finish().len() <= LogWriter::size_of(key, value));
    }
}
