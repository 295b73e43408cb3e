//! Every request and response, in every version.

#![allow(clippy::unwrap_used, reason = "these are tests, down to their helpers")]

mod arbitrary;
mod frames;
mod golden;
mod hostile;
mod neutral;
mod round_trip;
mod samples;

use std::fmt::Debug;

use divvy_protocol::api::{
    ApiVersionsRequest, CreateTopicsRequest, DeleteTopicsRequest, DescribeGroupsRequest,
    FetchRequest, FindCoordinatorRequest, ListGroupsRequest, ListOffsetsRequest, Message,
    MetadataRequest, OffsetCommitRequest, OffsetFetchRequest, ProduceRequest, Request,
};
use proptest::strategy::BoxedStrategy;

/// What the tests need of a message.
trait Case: Message + Clone + Debug + PartialEq {
    /// The message whose bytes are in `golden.txt`.
    fn sample() -> Self;

    /// Any message.
    fn arbitrary() -> BoxedStrategy<Self>;

    /// The message that a version can carry: what the version lacks has its neutral value.
    fn in_version(self, version: i16) -> Self;
}

/// A check that is made for every API.
trait Check {
    fn check<R: Request<Response: Case> + Case>(&self);
}

fn for_every_api(check: &impl Check) {
    check.check::<ProduceRequest>();
    check.check::<FetchRequest>();
    check.check::<ListOffsetsRequest>();
    check.check::<MetadataRequest>();
    check.check::<OffsetCommitRequest>();
    check.check::<OffsetFetchRequest>();
    check.check::<FindCoordinatorRequest>();
    check.check::<DescribeGroupsRequest>();
    check.check::<ListGroupsRequest>();
    check.check::<ApiVersionsRequest>();
    check.check::<CreateTopicsRequest>();
    check.check::<DeleteTopicsRequest>();
}

/// The versions that can be written and read.
fn versions<R: Request>() -> std::ops::RangeInclusive<i16> {
    0..=*R::API.implemented().last().unwrap()
}
