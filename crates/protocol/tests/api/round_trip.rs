//! What is written is read back, in every version.

use divvy_protocol::api::*;
use divvy_protocol::wire::EncodeError;
use proptest::test_runner::{Config, TestRunner};

use crate::{Case, Check, for_every_api, versions};

fn runner() -> TestRunner {
    TestRunner::new(Config {
        cases: 64,
        failure_persistence: None,
        ..Config::default()
    })
}

fn request_round_trip<R: Request + Case>(request: R, version: i16) {
    let request = request.in_version(version);
    let frame = encode_request(&request, version, 9, "me").unwrap();
    let (header, body) = split_request(frame.slice(4..)).unwrap();
    assert_eq!(header.api_key, R::API.code());
    assert_eq!(header.api_version, version);
    assert_eq!(header.correlation_id, 9);
    assert_eq!(header.client_id.as_deref(), Some("me"));
    assert_eq!(decode_request::<R>(body, version).unwrap(), request);
}

fn response_round_trip<R: Request<Response: Case>>(response: R::Response, version: i16) {
    let frame = encode_response::<R>(&response, version, -3).unwrap();
    let (correlation_id, body) = split_response(frame.slice(4..)).unwrap();
    assert_eq!(correlation_id, -3);
    // What the version lacks was left out and comes back neutral.
    let read = decode_response::<R>(body, version).unwrap();
    assert_eq!(read, response.in_version(version));
}

struct RoundTrip;

impl Check for RoundTrip {
    fn check<R: Request<Response: Case> + Case>(&self) {
        for version in versions::<R>() {
            let requests = runner().run(&R::arbitrary(), |request| {
                request_round_trip(request, version);
                Ok(())
            });
            requests.unwrap();
            let responses = runner().run(&R::Response::arbitrary(), |response| {
                response_round_trip::<R>(response, version);
                Ok(())
            });
            responses.unwrap();
        }
    }
}

#[test]
fn every_message_survives_a_round_trip() {
    for_every_api(&RoundTrip);
}

/// Writing must either give the bytes of the message that the version can carry, or refuse.
struct LeavesOutOrRefuses;

impl Check for LeavesOutOrRefuses {
    fn check<R: Request<Response: Case> + Case>(&self) {
        for version in versions::<R>() {
            let result = runner().run(&R::arbitrary(), |request| {
                let plain = encode_request(&request.clone().in_version(version), version, 1, "me");
                match encode_request(&request, version, 1, "me") {
                    Ok(frame) => assert_eq!(frame, plain.unwrap()),
                    Err(EncodeError::NotInVersion { api, .. }) => assert_eq!(api, R::API),
                    Err(error) => panic!("{error}"),
                }
                Ok(())
            });
            result.unwrap();
        }
    }
}

#[test]
fn what_a_version_lacks_is_left_out_or_refused() {
    for_every_api(&LeavesOutOrRefuses);
}

#[test]
fn what_must_not_be_left_out_is_refused() {
    fn refused<R: Request>(request: &R, version: i16) -> &'static str {
        match encode_request(request, version, 1, "me") {
            Err(EncodeError::NotInVersion { field, .. }) => field,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(refused(&ProduceRequest::sample(), 2), "transactional_id");
    assert_eq!(refused(&CreateTopicsRequest::sample(), 0), "validate_only");
    let all = OffsetFetchRequest {
        group: "g".into(),
        topics: None,
    };
    assert_eq!(refused(&all, 1), "topics: None");
}
