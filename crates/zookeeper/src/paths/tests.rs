use super::*;

#[test]
fn paths_are_those_of_kafka() {
    for (made, kafka) in [
        (broker_id(7), "/brokers/ids/7"),
        (topic("t"), "/brokers/topics/t"),
        (topic_config("t"), "/config/topics/t"),
        (
            partition_state("t", 3),
            "/brokers/topics/t/partitions/3/state",
        ),
        (group_ids("g"), "/consumers/g/ids"),
        (group_id("g", "g_h-1-2"), "/consumers/g/ids/g_h-1-2"),
        (group_owners("g"), "/consumers/g/owners"),
        (topic_owners("g", "t"), "/consumers/g/owners/t"),
        (owner("g", "t", 10), "/consumers/g/owners/t/10"),
        (group_offsets("g"), "/consumers/g/offsets"),
        (topic_offsets("g", "t"), "/consumers/g/offsets/t"),
        (offset("g", "t", 10), "/consumers/g/offsets/t/10"),
    ] {
        assert_eq!(made, kafka);
        assert_eq!(validate(kafka), Ok(()));
    }
}

#[test]
fn consumer_ids_are_made_as_java_makes_them() {
    assert_eq!(
        consumer_id("g1", "hosta", 1_433_000_000_000, 0xaaaa_aaaa),
        "g1_hosta-1433000000000-aaaaaaaa"
    );
    assert_eq!(consumer_id("g", "h", 1, 0xf), "g_h-1-0000000f");
    assert_eq!(consumer_id("g", "höst/1 x", 1, 0), "g_h-st-1-x-1-00000000");
    assert_eq!(thread_id("g_h-1-2", 10), "g_h-1-2-10");
}

#[test]
fn names_are_checked_as_kafka_checks_them() {
    let longest = "a".repeat(MAX_NAME_LEN);
    for good in [
        "orders",
        "Orders.2_a-b",
        "__consumer_offsets",
        "...",
        "1",
        &longest,
    ] {
        assert!(validate_topic(good).is_ok(), "{good}");
        assert!(validate_group(good).is_ok(), "{good}");
    }
    let too_long = "a".repeat(MAX_NAME_LEN + 1);
    for bad in [
        "", ".", "..", "a/b", "a b", "ä", "a\0", "a,b", "b'topic'", &too_long,
    ] {
        assert!(
            matches!(validate_topic(bad), Err(Error::Name { kind: "topic", .. })),
            "{bad}"
        );
        assert!(
            matches!(validate_group(bad), Err(Error::Name { kind: "group", .. })),
            "{bad}"
        );
    }
}

#[test]
fn absolute_paths_are_checked_as_zookeeper_checks_them() {
    for good in ["/", "/a", "/a/b", "/a/.b", "/a/..b", "/a b"] {
        assert_eq!(validate(good), Ok(()), "{good}");
    }
    for bad in ["", "a", "/a/", "//", "/a//b", "/a/.", "/../b", "/a\u{1}"] {
        assert!(validate(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_child_of_the_root_needs_no_parent() {
    assert_eq!(parent("/a/b/c"), Some("/a/b"));
    assert_eq!(parent("/a"), None);
    assert_eq!(parent("/"), None);
}

#[test]
fn a_chroot_is_put_before_and_taken_away() {
    for (chroot, path, absolute) in [
        (None, "/", "/"),
        (None, "/a", "/a"),
        (Some("/kafka"), "/", "/kafka"),
        (Some("/kafka"), "/a/b", "/kafka/a/b"),
    ] {
        assert_eq!(super::absolute(chroot, path), absolute);
        assert_eq!(below(chroot, absolute), Some(path));
    }
    for outside in ["/", "/kaf", "/kafkaesque", "/other", ""] {
        assert_eq!(below(Some("/kafka"), outside), None, "{outside}");
    }
}

#[test]
fn ids_for_pykafka_are_told_from_its_own() {
    let id = pykafka_consumer_id("höst", u128::MAX);
    assert_eq!(id, "divvy-h-st:ffffffff-ffff-4fff-bfff-ffffffffffff");
    assert!(is_own_pykafka_consumer_id(&id));
    assert_eq!(
        pykafka_consumer_id("h", 1),
        "divvy-h:00000000-0000-4000-8000-000000000001"
    );
    let theirs = "h-st:ffffffff-ffff-4fff-bfff-ffffffffffff";
    assert!(!is_own_pykafka_consumer_id(theirs));
}
