use super::*;

fn seen() -> Seen {
    Seen {
        offset: 7,
        key: None,
        value: Some(b"value".to_vec()),
        timestamp: Some(1000),
    }
}

#[test]
fn what_is_the_same_differs_in_nothing() {
    let same = || {
        [
            Step::Message(seen()),
            Step::Damage {
                offset: 7,
                skip_to: 8,
            },
            Step::Failed("refused".to_owned()),
            Step::End,
        ]
    };
    for (ours, theirs) in same().iter().zip(&same()) {
        assert_eq!(difference(ours, theirs), None);
    }
    // Where to go on is not always known.
    let later = Step::Damage {
        offset: 7,
        skip_to: 100,
    };
    assert_eq!(difference(&same()[1], &later), None);
}

#[test]
fn each_field_is_compared() {
    let others = [
        (
            "offset",
            Seen {
                offset: 8,
                ..seen()
            },
        ),
        (
            "key of offset 7",
            Seen {
                key: Some(Vec::new()),
                ..seen()
            },
        ),
        (
            "value of offset 7",
            Seen {
                value: None,
                ..seen()
            },
        ),
        (
            "timestamp of offset 7",
            Seen {
                timestamp: None,
                ..seen()
            },
        ),
    ];
    for (field, other) in others {
        let difference = difference(&Step::Message(seen()), &Step::Message(other)).unwrap();
        assert!(
            difference.starts_with(&format!("{field}: ")),
            "{difference}"
        );
    }
}

#[test]
fn what_comes_next_is_compared() {
    let damage = |offset| Step::Damage { offset, skip_to: 9 };
    for (ours, theirs) in [
        (Step::Message(seen()), Step::End),
        (damage(7), damage(8)),
        (damage(7), Step::Message(seen())),
        (Step::End, Step::Failed("refused".to_owned())),
    ] {
        let difference = difference(&ours, &theirs).unwrap();
        assert!(
            difference.starts_with("what comes next: native has "),
            "{difference}"
        );
    }
}

#[test]
fn a_difference_shows_what_both_have() {
    let long = Seen {
        key: Some(vec![0, 255]),
        value: Some(vec![b'x'; 50]),
        timestamp: None,
        ..seen()
    };
    assert_eq!(
        difference(&Step::Message(seen()), &Step::Message(long)).unwrap(),
        format!(
            "key of offset 7: native has offset 7, timestamp 1000, key null, value \"value\", librdkafka offset 7, no timestamp, key \"\\x00\\xff\", value \"{}\"… (50 bytes)",
            "x".repeat(40)
        )
    );
}
