use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka_sys as sys;

use crate::bare::{Config, Error, Handed, Parcel, Producer, Record, Records, Waker};

const PATIENCE: Duration = Duration::from_secs(30);

/// Values, without keys.
struct Values(Vec<String>);

impl Values {
    fn new(count: usize) -> Self {
        Self((0..count).map(|number| number.to_string()).collect())
    }
}

impl Records for Values {
    fn records(&self) -> impl Iterator<Item = Record<'_>> {
        self.0.iter().map(|value| Record {
            value: Some(value.as_bytes()),
            timestamp: 1,
            ..Record::default()
        })
    }
}

fn parcel<'a>(topic: &'a str, number: usize, records: &'a Values) -> Parcel<'a, Values> {
    Parcel {
        topic,
        partition: 0,
        number,
        records,
    }
}

/// A producer with a broker that librdkafka brings along for tests, and one that settings are given to.
fn producer(dated: bool, settings: &[(&str, &str)]) -> Producer {
    let mut config = Config::new();
    let broker = [("test.mock.num.brokers", "1"), ("linger.ms", "0")];
    for (name, value) in broker.iter().chain(settings) {
        config.set(name, value).unwrap();
    }
    Producer::new(config, dated).unwrap()
}

/// A producer whose broker never answers.
fn lonely() -> Producer {
    let mut config = Config::new();
    config.set("bootstrap.servers", "127.0.0.1:1").unwrap();
    Producer::new(config, false).unwrap()
}

/// Hands over a parcel as soon as librdkafka knows its partition, and gives what was rejected.
fn hand_over(producer: &mut Producer, parcel: &Parcel<'_, Values>) -> Vec<crate::bare::Rejected> {
    let began = Instant::now();
    loop {
        let handed = producer.hand_over(std::slice::from_ref(parcel)).unwrap();
        match handed.into_iter().next().unwrap() {
            Handed::Taken(rejected) => return rejected,
            Handed::Unknown => assert!(began.elapsed() < PATIENCE, "the partition is not known"),
        }
        producer.receive(Duration::from_millis(5)).each(|_| {});
    }
}

/// The code and offset of so many reports, by their numbers.
fn reports(producer: &mut Producer, count: usize) -> BTreeMap<usize, (i32, Option<i64>)> {
    let began = Instant::now();
    let mut reports = BTreeMap::new();
    while reports.len() < count {
        assert!(began.elapsed() < PATIENCE, "{} of {count}", reports.len());
        producer.receive(Duration::from_millis(100)).each(|report| {
            let twice = reports.insert(report.number(), (report.code(), report.offset()));
            assert_eq!(twice, None, "record {} is reported twice", report.number());
        });
    }
    reports
}

fn every_record_is_reported_once(dated: bool) {
    let mut producer = producer(dated, &[]);
    let (first, second) = (Values::new(1000), Values::new(10));
    assert_eq!(hand_over(&mut producer, &parcel("t", 7, &first)), []);
    let known = reports(&mut producer, 1000);
    for (number, offset) in (7..1007).zip(0..) {
        assert_eq!(known.get(&number), Some(&(0, Some(offset))));
    }
    hand_over(&mut producer, &parcel("t", 5000, &second));
    let known = reports(&mut producer, 10);
    assert_eq!(known.get(&5009), Some(&(0, Some(1009))));
}

#[test]
fn every_plain_record_is_reported_once() {
    every_record_is_reported_once(false);
}

#[test]
fn every_dated_record_is_reported_once() {
    every_record_is_reported_once(true);
}

/// How many Produce requests librdkafka's own broker has had since it was asked to count.
fn requests(producer: &Producer) -> usize {
    let mut count = 0;
    // SAFETY: The client is alive and has a broker of its own. The array holds as many requests as it says until it is destroyed.
    unsafe {
        let broker = sys::rd_kafka_handle_mock_cluster(producer.client().as_ptr());
        let all = sys::rd_kafka_mock_get_requests(broker, &raw mut count);
        let keys = (0..count).map(|at| sys::rd_kafka_mock_request_api_key(*all.add(at)));
        let produced = keys.filter(|key| *key == 0).count();
        sys::rd_kafka_mock_request_destroy_array(all, count);
        produced
    }
}

#[test]
fn a_parcel_is_one_request() {
    const PARCELS: usize = 100;
    const RECORDS: usize = 2000;
    for dated in [false, true] {
        let mut producer = producer(dated, &[("batch.num.messages", "1000000")]);
        hand_over(&mut producer, &parcel("t", 0, &Values::new(1)));
        reports(&mut producer, 1);
        // SAFETY: The client is alive and has a broker of its own.
        unsafe {
            let broker = sys::rd_kafka_handle_mock_cluster(producer.client().as_ptr());
            sys::rd_kafka_mock_start_request_tracking(broker);
        }
        let values = Values::new(RECORDS);
        for _ in 0..PARCELS {
            let handed = producer.hand_over(&[parcel("t", 0, &values)]).unwrap();
            assert_eq!(handed, [Handed::Taken(Vec::new())]);
            reports(&mut producer, RECORDS);
        }
        assert_eq!(requests(&producer), PARCELS);
    }
}

#[test]
fn what_is_too_large_is_rejected_and_the_rest_is_taken() {
    for dated in [false, true] {
        let mut producer = producer(dated, &[("message.max.bytes", "1000")]);
        let values = Values(vec!["a".to_owned(), "b".repeat(2000), "c".to_owned()]);
        let rejected = hand_over(&mut producer, &parcel("t", 0, &values));
        assert_eq!(rejected.len(), 1);
        assert_eq!((rejected[0].number, rejected[0].code), (1, 10));
        assert!(rejected[0].why.contains("too large"), "{}", rejected[0].why);
        let known = reports(&mut producer, 2);
        assert_eq!(known.into_keys().collect::<Vec<_>>(), [0, 2]);
    }
}

#[test]
fn a_time_that_librdkafka_takes_for_none_is_rejected() {
    struct First;
    impl Records for First {
        fn records(&self) -> impl Iterator<Item = Record<'_>> {
            std::iter::once(Record::default())
        }
    }
    let mut producer = producer(true, &[]);
    hand_over(&mut producer, &parcel("t", 0, &Values::new(1)));
    let first = Parcel {
        topic: "t",
        partition: 0,
        number: 1,
        records: &First,
    };
    let handed = producer.hand_over(&[first]).unwrap();
    let [Handed::Taken(rejected)] = handed.as_slice() else {
        panic!("{handed:?}");
    };
    assert_eq!(rejected.len(), 1);
    assert_eq!(rejected[0].number, 1);
}

#[test]
fn headers_are_rejected_where_they_would_be_left_out() {
    struct WithHeader;
    impl Records for WithHeader {
        fn records(&self) -> impl Iterator<Item = Record<'_>> {
            std::iter::once(Record {
                timestamp: 1,
                headers: vec![(b"name".as_slice(), None)],
                ..Record::default()
            })
        }
    }
    for (dated, expected) in [(false, 1), (true, 0)] {
        let mut producer = producer(dated, &[]);
        hand_over(&mut producer, &parcel("t", 0, &Values::new(1)));
        let with_header = Parcel {
            topic: "t",
            partition: 0,
            number: 1,
            records: &WithHeader,
        };
        let handed = producer.hand_over(&[with_header]).unwrap();
        let [Handed::Taken(rejected)] = handed.as_slice() else {
            panic!("{handed:?}");
        };
        assert_eq!(rejected.len(), expected);
    }
}

#[test]
fn nothing_is_taken_for_a_partition_that_is_not_known() {
    let mut producer = lonely();
    let values = Values::new(3);
    let handed = producer.hand_over(&[parcel("t", 0, &values)]).unwrap();
    assert_eq!(handed, [Handed::Unknown]);
}

#[test]
fn a_zero_byte_in_a_topic_reaches_no_c() {
    let refused = lonely().hand_over(&[parcel("a\0b", 0, &Values::new(1))]);
    let text = "a\0b".to_owned();
    assert_eq!(refused, Err(Error::ZeroByte { text }));
}

#[test]
fn a_wait_ends_when_it_is_woken() {
    let mut producer = lonely();
    let waker = Waker::default();
    producer.wake_by(&waker);
    let began = Instant::now();
    waker.wake();
    producer.receive(PATIENCE).each(|_| {});
    assert!(began.elapsed() < PATIENCE);
    drop(producer);
    // There is nothing to wake any more.
    waker.wake();
}

#[test]
fn what_is_on_its_way_does_not_hold_up_the_end() {
    let mut producer = producer(false, &[("test.mock.broker.rtt", "60000")]);
    // An answer to the first question takes a minute too, so that the records lie somewhere on their way.
    let values = Values::new(10);
    producer.hand_over(&[parcel("t", 0, &values)]).unwrap();
    let began = Instant::now();
    drop(producer);
    assert!(began.elapsed() < PATIENCE);
}

#[test]
fn a_leader_that_cannot_be_reached_is_an_error() {
    let refused = lonely().reach("t", 3, Duration::from_millis(1));
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("reach t-3"), "{refused}");
}
