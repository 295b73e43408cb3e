use std::net::TcpListener;
use std::time::Duration;

use crate::bare::{Config, Consumer, Error};

fn consumer() -> Consumer {
    // Nobody listens here any more once this returns: no test needs an answer.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut config = Config::new();
    let address = silent.local_addr().unwrap().to_string();
    config.set("bootstrap.servers", &address).unwrap();
    Consumer::new(config).unwrap()
}

#[test]
fn an_unknown_property_is_refused_with_librdkafkas_text() {
    let refused = Config::new().set("no.such.property", "1").unwrap_err();
    let Error::Property { why, .. } = refused else {
        panic!("{refused}");
    };
    assert!(why.contains("No such configuration property"), "{why}");
}

#[test]
fn a_value_out_of_range_is_refused_with_its_name() {
    let refused = Config::new()
        .set("fetch.message.max.bytes", "-5")
        .unwrap_err();
    assert!(
        refused.to_string().contains("fetch.message.max.bytes=-5"),
        "{refused}"
    );
}

#[test]
fn a_zero_byte_reaches_no_c() {
    let text = "a\0b".to_owned();
    assert_eq!(
        Config::new().set("client.id", "a\0b"),
        Err(Error::ZeroByte { text: text.clone() })
    );
    assert_eq!(
        consumer().start("a\0b", 0, 0),
        Err(Error::ZeroByte { text })
    );
}

#[test]
fn an_offset_below_zero_is_refused() {
    let refused = consumer().start("topic", 3, -1001).unwrap_err();
    assert!(refused.to_string().contains("topic-3"), "{refused}");
}

#[test]
fn partitions_start_anew_stop_twice_and_end_with_the_consumer() {
    let mut consumer = consumer();
    consumer.start("topic", 0, 0).unwrap();
    consumer.start("topic", 0, 7).unwrap();
    consumer.start("topic", 1, 0).unwrap();
    consumer.stop("topic", 0).unwrap();
    consumer.stop("topic", 0).unwrap();
    let batch = consumer.receive(10, Duration::from_millis(1)).unwrap();
    assert!(batch.iter().all(|message| message.error().is_some()));
}
