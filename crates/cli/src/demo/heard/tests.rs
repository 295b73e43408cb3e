use super::*;

const MEMBER: Who = Who::Member(0);

#[test]
fn lines_of_members_are_places_and_numbers() {
    let heard = Heard::Printed {
        partition: 3,
        offset: 17,
        number: 42,
    };
    assert_eq!(on_stdout(MEMBER, "3 17 42"), heard);
}

#[test]
fn lines_that_cannot_be_read_count_as_no_number() {
    for line in ["", "3 17", "3 17 x", "3 17 42 43", "3 17 -1", "3 17  42"] {
        let heard = on_stdout(MEMBER, line);
        assert!(matches!(heard, Heard::Printed { number: 0, .. }), "{line}");
    }
    for line in ["", "7", "{}", r#"{"value":7}"#, r#"{"value":"x"}"#] {
        assert_eq!(
            on_stdout(Who::Producer, line),
            Heard::Acknowledged(0),
            "{line}"
        );
    }
}

#[test]
fn reports_are_acknowledgements() {
    let line = r#"{"topic":"numbers","partition":0,"offset":5,"key":null,"value":"7"}"#;
    assert_eq!(on_stdout(Who::Producer, line), Heard::Acknowledged(7));
}

#[test]
fn events_say_who_owns_what() {
    let event = |name: &str| {
        on_stderr(&format!(
            r#"{{"event":"{name}","topic":"numbers","partitions":[4,0],"reason":"r"}}"#
        ))
    };
    for name in ["assigned", "resumed"] {
        assert_eq!(event(name), Some(Heard::Assigned(vec![0, 4])));
    }
    for name in ["revoked", "lost", "suspended"] {
        assert_eq!(event(name), Some(Heard::Released(vec![0, 4])));
    }
    for name in ROUTINE {
        assert_eq!(event(name), None);
    }
}

#[test]
fn other_events_are_remarks_and_other_lines_are_for_the_log() {
    let error = r#"{"event":"error","message":"a broker is gone"}"#;
    let remark = Heard::Remark("error: a broker is gone".to_owned());
    assert_eq!(on_stderr(error), Some(remark));
    for line in ["", "divvy: no", "{", "[]", r#"{"event":1}"#] {
        assert_eq!(on_stderr(line), None, "{line}");
    }
}
