//! What each version lacks, said a second time and in another way than the code says it.

use divvy_protocol::ErrorCode;
use divvy_protocol::api::*;
use proptest::strategy::BoxedStrategy;

use crate::{Case, arbitrary, samples};

macro_rules! case {
    ($type:ident: $sample:expr, $arbitrary:expr, |$it:ident, $version:ident| $neutral:block) => {
        impl Case for $type {
            fn sample() -> Self {
                $sample
            }

            fn arbitrary() -> BoxedStrategy<Self> {
                $arbitrary
            }

            #[allow(unused_mut, reason = "some messages are the same in all versions")]
            fn in_version(self, $version: i16) -> Self {
                let mut $it = self;
                $neutral
                $it
            }
        }
    };
}

case!(ProduceRequest: samples::produce(), arbitrary::produce(), |it, version| {
    if version < 3 {
        it.transactional_id = None;
    }
});

case!(ProduceResponse: samples::produced(), arbitrary::produced(), |it, version| {
    if version < 1 {
        it.throttle_ms = 0;
    }
    for partition in it.topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
        if version < 2 {
            partition.log_append_time = -1;
        }
        if version < 5 {
            partition.log_start_offset = -1;
        }
    }
});

case!(FetchRequest: samples::fetch(), arbitrary::fetch(), |it, version| {
    if version < 3 {
        it.max_bytes = i32::MAX;
    }
    if version < 4 {
        it.isolation_level = 0;
    }
    if version < 7 {
        (it.session_id, it.session_epoch) = (0, -1);
        it.forgotten.clear();
    }
    if version < 11 {
        it.rack_id.clear();
    }
    for partition in it.topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
        if version < 5 {
            partition.log_start_offset = -1;
        }
        if version < 9 {
            partition.current_leader_epoch = -1;
        }
    }
});

case!(FetchResponse: samples::fetched(), arbitrary::fetched(), |it, version| {
    if version < 1 {
        it.throttle_ms = 0;
    }
    if version < 7 {
        (it.error, it.session_id) = (ErrorCode::NONE, 0);
    }
    for partition in it.topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
        if version < 4 {
            partition.last_stable_offset = -1;
            partition.aborted.clear();
        }
        if version < 5 {
            partition.log_start_offset = -1;
        }
        if version < 11 {
            partition.preferred_read_replica = -1;
        }
    }
});

case!(ListOffsetsRequest: samples::list_offsets(), arbitrary::list_offsets(), |it, version| {
    if version < 2 {
        it.isolation_level = 0;
    }
    for partition in it.topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
        if version > 0 {
            partition.max_num_offsets = 1;
        }
    }
});

case!(ListOffsetsResponse: samples::listed_offsets(), arbitrary::listed_offsets(), |it, version| {
    if version < 2 {
        it.throttle_ms = 0;
    }
    for partition in it.topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
        if version > 0 {
            partition.old_style_offsets = None;
        } else {
            (partition.timestamp, partition.offset) = (-1, -1);
        }
    }
});

case!(MetadataRequest: samples::metadata(), arbitrary::metadata(), |it, version| {
    if version < 4 {
        it.allow_auto_topic_creation = true;
    }
    if version < 1 && it.topics.as_ref().is_some_and(Vec::is_empty) {
        it.topics = None;
    }
});

case!(MetadataResponse: samples::described_metadata(), arbitrary::described_metadata(), |it, version| {
    if version < 3 {
        it.throttle_ms = 0;
    }
    if version < 2 {
        it.cluster_id = None;
    }
    if version < 1 {
        it.controller_id = -1;
        it.brokers.iter_mut().for_each(|broker| broker.rack = None);
        it.topics.iter_mut().for_each(|topic| topic.is_internal = false);
    }
});

case!(OffsetCommitRequest: samples::offset_commit(), arbitrary::offset_commit(), |it, version| {
    if version < 1 {
        it.generation = -1;
        it.member.clear();
    }
    if version < 2 {
        it.retention_ms = -1;
    }
    for partition in it.topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
        if version != 1 {
            partition.timestamp = -1;
        }
    }
});

case!(OffsetCommitResponse: samples::offset_committed(), arbitrary::offset_committed(), |it, _version| {});

case!(OffsetFetchRequest: samples::offset_fetch(), arbitrary::offset_fetch(), |it, version| {
    if version < 2 && it.topics.is_none() {
        it.topics = Some(Vec::new());
    }
});

case!(OffsetFetchResponse: samples::offset_fetched(), arbitrary::offset_fetched(), |it, version| {
    if version < 2 {
        it.error = ErrorCode::NONE;
    }
});

case!(FindCoordinatorRequest: samples::find_coordinator(), arbitrary::find_coordinator(), |it, _version| {});

case!(FindCoordinatorResponse: samples::found_coordinator(), arbitrary::found_coordinator(), |it, _version| {});

case!(DescribeGroupsRequest: samples::describe_groups(), arbitrary::describe_groups(), |it, _version| {});

case!(DescribeGroupsResponse: samples::described_groups(), arbitrary::described_groups(), |it, _version| {});

case!(ListGroupsRequest: Self::default(), arbitrary::list_groups(), |it, _version| {});

case!(ListGroupsResponse: samples::listed_groups(), arbitrary::listed_groups(), |it, _version| {});

case!(ApiVersionsRequest: Self::default(), arbitrary::api_versions_request(), |it, _version| {});

case!(ApiVersionsResponse: samples::api_versions(), arbitrary::api_versions(), |it, _version| {});

case!(CreateTopicsRequest: samples::create_topics(), arbitrary::create_topics(), |it, version| {
    if version < 1 {
        it.validate_only = false;
    }
});

case!(CreateTopicsResponse: samples::created_topics(), arbitrary::created_topics(), |it, version| {
    if version < 2 {
        it.throttle_ms = 0;
    }
    if version < 1 {
        it.topics.iter_mut().for_each(|topic| topic.message = None);
    }
});

case!(DeleteTopicsRequest: samples::delete_topics(), arbitrary::delete_topics(), |it, _version| {});

case!(DeleteTopicsResponse: samples::deleted_topics(), arbitrary::deleted_topics(), |it, version| {
    if version < 1 {
        it.throttle_ms = 0;
    }
});
