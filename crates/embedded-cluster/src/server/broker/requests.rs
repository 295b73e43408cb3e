use std::sync::Arc;

use bytes::Bytes;
use divvy_protocol::api::{
    self, FetchRequest, FindCoordinatorRequest, FindCoordinatorResponse, ListGroupsRequest,
    ListGroupsResponse, ListOffsetsRequest, MetadataRequest, OffsetCommitRequest,
    OffsetFetchRequest, ProduceRequest, Request, RequestHeader,
};
use divvy_protocol::{ApiKey, ErrorCode};

use super::Release;
use super::state::Shared;

/// What becomes of a request.
#[derive(Debug)]
pub(super) enum Answer {
    /// A frame is sent back.
    Reply(Bytes),
    /// It asked for no answer.
    Nothing,
    /// The connection is closed.
    Close,
    /// The connection stays open, and nothing on it is answered any more.
    Never,
}

/// One broker, as its clients see it.
#[derive(Debug)]
pub(super) struct Broker {
    pub(super) shared: Arc<Shared>,
    pub(super) id: i32,
}

impl Broker {
    /// Answers a request as the release does, which looks at the versions of few requests only.
    pub(super) async fn answer(&self, frame: Bytes) -> Answer {
        let Ok((header, body)) = api::split_request(frame) else {
            return Answer::Close;
        };
        let is_9 = self.shared.settings.release == Release::V0_9;
        // From 0.9 on there is a throttle time behind version 0.
        let throttled = i16::from(is_9 && header.api_version > 0);
        let of_two = header.api_version.clamp(0, 1);
        let known = ApiKey::ALL.iter().find(|key| key.code() == header.api_key);
        let answer = match known {
            Some(ApiKey::Produce) => return self.produced(&header, body, throttled),
            Some(ApiKey::Fetch) => match api::decode_request::<FetchRequest>(body, throttled) {
                Ok(request) => {
                    let response = self.fetch(&request).await;
                    reply::<FetchRequest>(&header, throttled, &response)
                }
                Err(_) => None,
            },
            Some(ApiKey::ListOffsets) => {
                respond(&header, body, 0, |request: ListOffsetsRequest| {
                    self.list_offsets(&request)
                })
            }
            Some(ApiKey::Metadata) => respond(&header, body, 0, |request: MetadataRequest| {
                self.metadata(&request)
            }),
            Some(ApiKey::OffsetCommit)
                if (0..=1 + i16::from(is_9)).contains(&header.api_version) =>
            {
                let version = header.api_version;
                respond(&header, body, version, |request: OffsetCommitRequest| {
                    self.commit(&request, version)
                })
            }
            Some(ApiKey::OffsetFetch) => {
                respond(&header, body, of_two, |request: OffsetFetchRequest| {
                    self.committed(&request, of_two)
                })
            }
            Some(ApiKey::FindCoordinator) => {
                respond(&header, body, 0, |request: FindCoordinatorRequest| {
                    self.find_coordinator(&request)
                })
            }
            Some(ApiKey::ListGroups) if is_9 => {
                respond(&header, body, 0, |_: ListGroupsRequest| {
                    ListGroupsResponse::default()
                })
            }
            _ if is_9 => return Answer::Never,
            _ => None,
        };
        answer.map_or(Answer::Close, Answer::Reply)
    }

    fn produced(&self, header: &RequestHeader, body: Bytes, version: i16) -> Answer {
        let Ok(request) = api::decode_request::<ProduceRequest>(body, version) else {
            return Answer::Close;
        };
        let response = self.produce(&request);
        if request.acks != 0 {
            let reply = reply::<ProduceRequest>(header, version, &response);
            return reply.map_or(Answer::Close, Answer::Reply);
        }
        // It is all that a producer without acknowledgements learns of a failure.
        let mut partitions = response.topics.iter().flat_map(|topic| &topic.partitions);
        match partitions.all(|partition| partition.error.is_ok()) {
            true => Answer::Nothing,
            false => Answer::Close,
        }
    }

    /// Who asks first is told that there is no coordinator yet.
    fn find_coordinator(&self, request: &FindCoordinatorRequest) -> FindCoordinatorResponse {
        let found = self.shared.lock().coordinator(&request.group);
        if found.is_none() {
            self.shared.create_offsets_topic();
        }
        match found {
            Some((node_id, address)) => FindCoordinatorResponse {
                error: ErrorCode::NONE,
                node_id,
                host: address.ip().to_string(),
                port: address.port().into(),
            },
            None => FindCoordinatorResponse {
                error: ErrorCode::COORDINATOR_NOT_AVAILABLE,
                node_id: -1,
                host: String::new(),
                port: -1,
            },
        }
    }
}

/// The answer to a request, of which both have the same version; `None` where the request cannot be read.
fn respond<R: Request>(
    header: &RequestHeader,
    body: Bytes,
    version: i16,
    answer: impl FnOnce(R) -> R::Response,
) -> Option<Bytes> {
    let request = api::decode_request::<R>(body, version).ok()?;
    reply::<R>(header, version, &answer(request))
}

fn reply<R: Request>(
    header: &RequestHeader,
    version: i16,
    response: &R::Response,
) -> Option<Bytes> {
    api::encode_response::<R>(response, version, header.correlation_id).ok()
}
