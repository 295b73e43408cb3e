//! Bytes that are not what they should be: an error each time, never a panic, and no more memory than the bytes are worth.

use std::fmt::Debug;

use bytes::Bytes;
use divvy_protocol::api::*;
use divvy_protocol::wire::{DecodeError, Writer};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::{Case, Check, for_every_api, versions};

fn body(message: &impl Message, version: i16) -> Bytes {
    let mut w = Writer::new();
    message.encode(&mut w, version).unwrap();
    w.finish()
}

/// Every proper prefix is refused, and so is a byte too many.
fn only_whole<T: Debug>(whole: &Bytes, decode: impl Fn(Bytes) -> Result<T, DecodeError>) {
    for end in 0..whole.len() {
        let error = decode(whole.slice(..end)).unwrap_err();
        let expected = matches!(
            error,
            DecodeError::Truncated { .. } | DecodeError::ImpossibleCount { .. }
        );
        assert!(expected, "{error} at {end} of {}", whole.len());
    }
    let longer = Bytes::from([whole, &[0][..]].concat());
    let error = decode(longer).unwrap_err();
    let expected = DecodeError::TrailingBytes {
        left: 1,
        position: whole.len(),
    };
    assert_eq!(error, expected);
}

struct Truncated;

impl Check for Truncated {
    fn check<R: Request<Response: Case> + Case>(&self) {
        for version in versions::<R>() {
            let request = body(&R::sample().in_version(version), version);
            only_whole(&request, |bytes| decode_request::<R>(bytes, version));
            let response = body(&R::Response::sample(), version);
            only_whole(&response, |bytes| decode_response::<R>(bytes, version));
        }
    }
}

#[test]
fn a_message_is_read_whole_or_not_at_all() {
    for_every_api(&Truncated);
}

/// Bytes that may be anything, are small numbers at times, so that lengths and counts are believable.
fn noise() -> impl Strategy<Value = Vec<u8>> {
    vec(prop_oneof![Just(0), 0..4u8, any::<u8>(), Just(255)], 0..120)
}

struct Noise;

impl Check for Noise {
    fn check<R: Request<Response: Case> + Case>(&self) {
        let mut runner = TestRunner::new(Config {
            cases: 400,
            failure_persistence: None,
            ..Config::default()
        });
        for version in versions::<R>() {
            let samples = [
                body(&R::sample().in_version(version), version),
                body(&R::Response::sample(), version),
            ];
            let input = (noise(), any::<prop::sample::Index>(), any::<u8>());
            let result = runner.run(&input, |(noise, at, byte)| {
                let changed = samples.iter().map(|sample| {
                    let mut changed = sample.to_vec();
                    if !changed.is_empty() {
                        changed[at.index(sample.len())] = byte;
                    }
                    changed
                });
                for bytes in changed.chain([noise]) {
                    let bytes = Bytes::from(bytes);
                    read_or_refused::<R>(&bytes, version);
                }
                Ok(())
            });
            result.unwrap();
        }
    }
}

/// What is read must be what was there: written again it gives as many bytes.
fn read_or_refused<R: Request>(bytes: &Bytes, version: i16) {
    if let Ok(request) = decode_request::<R>(bytes.clone(), version) {
        assert_eq!(body(&request, version).len(), bytes.len());
    }
    if let Ok(response) = decode_response::<R>(bytes.clone(), version) {
        assert_eq!(body(&response, version).len(), bytes.len());
    }
}

#[test]
fn noise_is_read_or_refused() {
    for_every_api(&Noise);
}

struct ImpossibleCounts;

impl Check for ImpossibleCounts {
    /// Puts 2,147,483,647 at every place: whether it is a count, a length or a number, there must be an answer at once.
    fn check<R: Request<Response: Case> + Case>(&self) {
        for version in versions::<R>() {
            let response = body(&R::Response::sample(), version);
            for at in 0..response.len().saturating_sub(3) {
                let mut changed = response.to_vec();
                changed[at..at + 4].copy_from_slice(&i32::MAX.to_be_bytes());
                let _ = decode_response::<R>(changed.into(), version);
            }
        }
    }
}

#[test]
fn impossible_counts_are_refused_at_once() {
    for_every_api(&ImpossibleCounts);
    let claims_much = Bytes::from_static(&[0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
    let error = decode_response::<ProduceRequest>(claims_much, 0).unwrap_err();
    let expected = DecodeError::ImpossibleCount {
        count: 0x7fff_ffff,
        left: 4,
        position: 0,
    };
    assert_eq!(error, expected);
}
