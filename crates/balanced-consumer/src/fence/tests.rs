use super::document::{Epoch, begin, committed_token};

fn epoch(offset: i64, token: i64) -> Epoch {
    Epoch {
        offset: Some(offset),
        token: Some(token),
    }
}

fn metadata(token: i64) -> String {
    format!(r#"{{"consumer_id":"c","hostname":"h","token":"{token}"}}"#)
}

#[test]
fn an_epoch_reads_what_it_writes() {
    for written in [epoch(7, i64::MAX), Epoch::default()] {
        assert_eq!(Epoch::parse(&written.to_json()), written);
    }
    let text = String::from_utf8(epoch(7, 0x1_0000_0000_0001).to_json()).unwrap();
    assert!(
        text.contains(r#""token":"281474976710657""#),
        "a number beyond 32 bits breaks Kafka's reader: {text}"
    );
}

#[test]
fn what_is_no_epoch_says_nothing() {
    for data in ["", "12", "[]", "{}", r#"{"offset":"7","token":7}"#, "\u{0}"] {
        assert_eq!(Epoch::parse(data.as_bytes()), Epoch::default(), "{data}");
    }
    assert_eq!(Epoch::parse(&[0xff, 0xfe]), Epoch::default());
}

#[test]
fn only_our_commits_have_tokens() {
    assert_eq!(committed_token(&metadata(12)), Some(12));
    for text in [
        "",
        r#"{"consumer_id":"c","hostname":"h"}"#,
        "x",
        r#"{"token":12}"#,
    ] {
        assert_eq!(committed_token(text), None, "{text}");
    }
}

#[test]
fn a_zombies_commit_does_not_take_the_group_behind_the_checkpoint() {
    let (old, new) = (metadata(5), metadata(6));
    assert_eq!(begin(Some((10, &old)), epoch(90, 6)), Some(90));
    assert_eq!(
        begin(Some((95, &old)), epoch(90, 6)),
        Some(95),
        "it is true that everything below was finished"
    );
    assert_eq!(begin(Some((120, &new)), epoch(90, 6)), Some(120));
    assert_eq!(
        begin(Some((80, &new)), epoch(90, 6)),
        Some(80),
        "the owner itself went back"
    );
}

#[test]
fn a_commit_without_a_token_is_deliberate() {
    for text in ["", r#"{"consumer_id":"pykafka","hostname":"h"}"#] {
        assert_eq!(begin(Some((10, text)), epoch(90, 6)), Some(10));
    }
}

#[test]
fn the_checkpoint_stands_in_for_what_kafka_forgot() {
    assert_eq!(begin(None, epoch(90, 6)), Some(90));
    assert_eq!(begin(None, Epoch::default()), None);
    assert_eq!(begin(Some((10, "")), Epoch::default()), Some(10));
}
