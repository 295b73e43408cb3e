//! What surrounds the messages.

use bytes::Bytes;
use divvy_protocol::ApiKey;
use divvy_protocol::api::*;
use divvy_protocol::wire::{DecodeError, EncodeError};

use crate::{Case, Check, for_every_api};

#[test]
fn only_produce_without_acks_has_no_answer() {
    let acks = |acks| ProduceRequest {
        acks,
        ..ProduceRequest::default()
    };
    assert!(!acks(0).expects_response());
    assert!(acks(1).expects_response() && acks(-1).expects_response());
    assert!(ListGroupsRequest::default().expects_response());
}

struct UnknownVersions;

impl Check for UnknownVersions {
    fn check<R: Request<Response: Case> + Case>(&self) {
        let api = R::API;
        let beyond = api.implemented().last().unwrap() + 1;
        for version in [i16::MIN, -1, beyond, i16::MAX] {
            let unwritable = Err(EncodeError::UnsupportedVersion { api, version });
            let unreadable = DecodeError::UnsupportedVersion { api, version };
            assert_eq!(encode_request(&R::sample(), version, 1, "me"), unwritable);
            let response = R::Response::sample();
            assert_eq!(encode_response::<R>(&response, version, 1), unwritable);
            let error = decode_request::<R>(Bytes::new(), version).unwrap_err();
            assert_eq!(error, unreadable);
            let error = decode_response::<R>(Bytes::new(), version).unwrap_err();
            assert_eq!(error, unreadable);
        }
    }
}

#[test]
fn versions_that_are_not_known_are_neither_written_nor_read() {
    for_every_api(&UnknownVersions);
}

#[test]
fn errors_say_what_is_wrong_and_where() {
    let body = Bytes::from_static(&[0, 0, 0, 1, 0, 5, b't']);
    let error = decode_request::<MetadataRequest>(body, 0).unwrap_err();
    assert_eq!(
        error.to_string(),
        "a string at byte 4 takes 5 bytes, but only 1 are left"
    );
    let error = decode_request::<FetchRequest>(Bytes::new(), 12).unwrap_err();
    assert_eq!(
        error.to_string(),
        "version 12 of Fetch is not supported here"
    );
    assert!(!error.is_retriable());

    let long = FindCoordinatorRequest {
        group: "g".repeat(32_768),
    };
    let error = encode_request(&long, 0, 1, "me").unwrap_err();
    // Behind the frame's size, the header and its client id.
    assert_eq!(
        error.to_string(),
        "a string at byte 16 has a length of 32768, which is more than 32767"
    );
    assert!(!error.is_retriable());
}

#[test]
fn a_header_may_lack_the_client_id() {
    let frame = Bytes::from_static(b"\0\x12\0\0\0\0\0\x01\xff\xff");
    let (header, body) = split_request(frame).unwrap();
    assert_eq!(header.client_id, None);
    assert_eq!(ApiKey::from_code(header.api_key), Some(ApiKey::ApiVersions));
    assert!(body.is_empty());
}

#[test]
fn frames_that_are_too_short_are_refused() {
    let whole = encode_request(&ListGroupsRequest::default(), 0, 1, "me").unwrap();
    let payload = whole.slice(4..);
    for end in 0..payload.len() {
        assert!(split_request(payload.slice(..end)).is_err());
    }
    for end in 0..4 {
        assert!(split_response(payload.slice(..end)).is_err());
    }
}

#[test]
fn records_are_a_slice_of_the_frame() {
    let frame = encode_response::<FetchRequest>(&FetchResponse::sample(), 4, 1).unwrap();
    let (_, body) = split_response(frame.slice(4..)).unwrap();
    let response = decode_response::<FetchRequest>(body, 4).unwrap();
    let records = &response.topics[0].partitions[0].records;
    assert_eq!(records[..], [10, 11, 12]);
    let frame = frame.as_ptr_range();
    assert!(frame.contains(&records.as_ptr()));
}
