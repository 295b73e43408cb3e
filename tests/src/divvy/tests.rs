use super::*;

fn parse(text: &str) -> Option<Event> {
    let now = Instant::now();
    Event::parse(&Line {
        at: now,
        since: now,
        bytes: text.as_bytes().to_vec(),
    })
}

#[test]
fn an_event_is_told_from_other_lines() {
    let event =
        parse(r#"{"event":"assigned","topic":"t","partitions":[10,2,3]}"#).expect("an event");
    assert_eq!(event.name, "assigned");
    assert_eq!(event.partitions(), [2, 3, 10]);
    assert_eq!(event.fields["topic"], "t");

    assert!(parse(r#"{"event":"idle"}"#).is_some_and(|event| event.partitions().is_empty()));
    assert!(parse("WARN the broker is slow").is_none());
    assert!(parse(r#"{"level":"warn"}"#).is_none());
    assert!(parse("7").is_none());
}
