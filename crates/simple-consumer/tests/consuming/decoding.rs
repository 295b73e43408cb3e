//! Messages whose bytes mean something, and those whose bytes do not.

use std::error::Error as _;

use divvy_simple_consumer::{AckMode, Decoder, Error, OwnedMessage, SpoutConfig};
use serde_json::Value;

use crate::common::*;

const VALUES: [Option<&[u8]>; 5] = [
    Some(b"[1]"),
    Some(b"{\"cut\": "),
    None,
    Some(b""),
    Some(b"[2]"),
];

fn filled() -> Setup {
    let setup = Setup::new(1);
    for value in VALUES {
        let key = Some(&b"\xff"[..]);
        setup.backend.append(&tp(0), None, key, value).unwrap();
    }
    setup
}

fn json(bytes: &[u8]) -> serde_json::Result<Value> {
    serde_json::from_slice(bytes)
}

/// What became of a message: its number, null, or the place that its error names.
#[derive(Debug, PartialEq, Eq)]
enum Decoded {
    Number(i64),
    Null,
    Wrong(i64, &'static str),
}

fn decoded(result: Result<Option<Value>, Error>) -> Decoded {
    match result {
        Ok(Some(value)) => Decoded::Number(value[0].as_i64().unwrap()),
        Ok(None) => Decoded::Null,
        Err(error) => {
            assert!(!error.is_retriable() && error.halted_partition().is_none());
            assert!(error.source().is_some(), "{error}");
            let Error::Decode {
                tp, offset, part, ..
            } = &error
            else {
                panic!("{error}");
            };
            assert_eq!((&*tp.topic, tp.partition), (TOPIC, 0));
            let place = format!("the {part} of the message at offset {offset} of t-0 ");
            assert!(error.to_string().starts_with(&place), "{error}");
            Decoded::Wrong(*offset, part)
        }
    }
}

fn expected() -> [Decoded; 5] {
    [
        Decoded::Number(1),
        Decoded::Wrong(1, "value"),
        Decoded::Null,
        Decoded::Wrong(3, "value"),
        Decoded::Number(2),
    ]
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_decoded_says_where_it_is_and_the_consumer_goes_on() {
    let setup = filled();
    let mut consumer = setup.started().await;
    for expected in expected() {
        let message = soon(consumer.recv()).await.unwrap();
        assert_eq!(decoded(message.decode_value(&json)), expected);
        let key = decoded(message.decode_key(&json));
        assert_eq!(key, Decoded::Wrong(message.offset(), "key"));
    }
    consumer.commit().await.unwrap();
    assert_eq!(setup.stored(0), Some(5));
}

#[tokio::test(start_paused = true)]
async fn messages_of_their_own_are_decoded_too_and_finished_by_their_acknowledgement_alone() {
    let setup = filled();
    let mut consumer = setup.started().await;
    let mut wrong = Vec::new();
    for expected in expected() {
        let message = soon(consumer.recv()).await.unwrap().into_owned();
        let found = decoded(message.decode_value(&json));
        assert_eq!(found, expected);
        let key = decoded(message.decode_key(&json));
        assert_eq!(key, Decoded::Wrong(message.offset, "key"));
        match found {
            Decoded::Wrong(..) => wrong.push(message),
            _ => assert!(message.ack()),
        }
    }
    consumer.commit().await.unwrap();
    assert_eq!(
        setup.stored(0),
        Some(1),
        "the first that could not be decoded"
    );
    assert!(wrong.iter().all(OwnedMessage::ack));
    consumer.commit().await.unwrap();
    assert_eq!(setup.stored(0), Some(5));
}

#[tokio::test(start_paused = true)]
async fn a_spouts_messages_are_decoded_too() {
    let mut setup = filled();
    setup.config.consumer.ack_mode = AckMode::Explicit;
    let (_engine, consumer) = shared(&setup).await;
    let mut spout = consumer.spout(SpoutConfig::new()).unwrap();
    let messages = spout.next_many(9, SECOND).await.unwrap();
    let values = messages
        .iter()
        .map(|message| decoded(message.decode_value(&json)));
    assert_eq!(values.collect::<Vec<_>>(), expected());
    let key = decoded(messages[4].decode_key(&json));
    assert_eq!(key, Decoded::Wrong(4, "key"));
}

/// What is decoded may borrow from the message, and a decoder may be an object.
#[tokio::test(start_paused = true)]
async fn decoders_may_borrow_and_have_settings() {
    struct Behind(&'static [u8]);

    impl<'a> Decoder<'a, &'a str> for Behind {
        fn decode(
            &self,
            bytes: &'a [u8],
        ) -> Result<&'a str, Box<dyn std::error::Error + Send + Sync>> {
            let rest = bytes.strip_prefix(self.0).ok_or("another prefix")?;
            Ok(std::str::from_utf8(rest)?)
        }
    }

    let setup = filled();
    let mut consumer = setup.started().await;
    let message = soon(consumer.recv()).await.unwrap();
    assert_eq!(
        message.decode_value(&std::str::from_utf8).unwrap(),
        Some("[1]")
    );
    let decoder: &dyn Decoder<'_, &str> = &Behind(b"[");
    assert_eq!(message.decode_value(decoder).unwrap(), Some("1]"));
    let error = message.decode_value(&Behind(b"{")).unwrap_err();
    assert!(error.to_string().ends_with(": another prefix"), "{error}");
}
