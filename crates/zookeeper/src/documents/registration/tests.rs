use super::*;

/// What the released `Json.encode` of Kafka writes for a static subscription.
const JAVA: &str =
    r#"{"version":1,"subscription":{"mytopic":2},"pattern":"static","timestamp":"1433000000000"}"#;

fn java() -> Registration {
    Registration {
        pattern: Pattern::Static,
        subscription: vec![("mytopic".to_owned(), 2)],
        timestamp: Some(1_433_000_000_000),
        client: None,
        readable_by_java: true,
    }
}

fn parse(data: &str) -> Registration {
    Registration::parse(data.as_bytes()).expect(data)
}

#[test]
fn reads_and_writes_java_s_text() {
    assert_eq!(parse(JAVA), java());
    assert_eq!(java().to_json().as_deref(), Ok(JAVA));
}

#[test]
fn accepts_what_java_accepts() {
    for data in [
        r#"{"version":1,"subscription":{"mytopic":2},"pattern":"static","timestamp":"1433000000000","client":"x","a":true,"b":null,"c":[1,{"d":2}]}"#,
        r#"{"subscription":{"mytopic":2},"pattern":"static"}"#,
        " {\"pattern\" : \"static\",\n \"subscription\":{\"mytopic\":2} , \"version\":9}\n",
        r#"{"version":1,"subscription":{"mytopic":2},"pattern":"weird","timestamp":"soon"}"#,
        r#"{"version":1,"subscription":{"mytopic":2},"pattern":"static","timestamp":1512315465}"#,
    ] {
        let registration = parse(data);
        assert_eq!(registration.pattern, Pattern::Static, "{data}");
        assert_eq!(
            registration.subscription,
            [("mytopic".to_owned(), 2)],
            "{data}"
        );
        assert!(registration.readable_by_java, "{data}");
    }
    let nudge = parse(r#"{"version":1,"subscription":{},"pattern":"static","timestamp":"1"}"#);
    assert_eq!(nudge.subscription, []);
}

#[test]
fn accepts_numbers_that_only_java_stumbles_over() {
    for (timestamp, read) in [
        ("1433000000000", Some(1_433_000_000_000)),
        ("1.5", None),
        ("1e3", None),
    ] {
        let data = format!(
            r#"{{"version":1,"subscription":{{"t":1}},"pattern":"static","timestamp":{timestamp}}}"#
        );
        let registration = parse(&data);
        assert_eq!(registration.timestamp, read, "{timestamp}");
        assert!(!registration.readable_by_java, "{timestamp}");
    }
    let nested = parse(r#"{"subscription":{"t":1},"pattern":"static","extra":{"list":[1.0]}}"#);
    assert!(!nested.readable_by_java);
}

#[test]
fn a_timestamp_in_seconds_is_taken_as_such() {
    let kazoo =
        parse(r#"{"version":1,"subscription":{"t":1},"pattern":"static","timestamp":1512315465}"#);
    assert_eq!(kazoo.timestamp, Some(1_512_315_465_000));
}

#[test]
fn refuses_what_java_refuses() {
    for data in [
        "",
        "mytopic",
        "123",
        "\"mytopic\"",
        "[1]",
        "{}",
        "null",
        r#"{"version":1,"subscription":{"t":1}}"#,
        r#"{"version":1,"pattern":"static"}"#,
        r#"{"subscription":{"t":1},"pattern":1}"#,
        r#"{"subscription":{"t":0},"pattern":"static"}"#,
        r#"{"subscription":{"t":-1},"pattern":"static"}"#,
        r#"{"subscription":{"t":"1"},"pattern":"static"}"#,
        r#"{"subscription":{"t":1.0},"pattern":"static"}"#,
        r#"{"subscription":{"t":4294967297},"pattern":"static"}"#,
        r#"{"subscription":["t"],"pattern":"static"}"#,
        r#"{"subscription":{"t":1},"pattern":"static""#,
    ] {
        assert!(Registration::parse(data.as_bytes()).is_err(), "{data}");
    }
}

#[test]
fn keeps_the_order_of_expressions_because_java_takes_the_first() {
    let registration =
        parse(r#"{"version":1,"subscription":{"orders":1,"clicks":1},"pattern":"white_list"}"#);
    assert_eq!(registration.pattern, Pattern::WhiteList);
    assert_eq!(registration.subscription[0].0, "orders");
    assert_eq!(
        parse(r#"{"subscription":{"a":1},"pattern":"black_list"}"#).pattern,
        Pattern::BlackList
    );
}

#[test]
fn escapes_as_kafka_does() {
    let white_list = Registration {
        pattern: Pattern::WhiteList,
        subscription: vec![("a/\"b\\\n\u{1}\u{7f}ä".to_owned(), 1)],
        timestamp: None,
        client: None,
        readable_by_java: true,
    };
    let json = white_list.to_json().unwrap();
    assert_eq!(
        json,
        r#"{"version":1,"subscription":{"a\/\"b\\\n\u0001\u007fä":1},"pattern":"white_list"}"#
    );
    assert_eq!(parse(&json), white_list);
}

#[test]
fn writes_nothing_that_java_would_not_read() {
    let with = |pattern, subscription: &[(&str, u32)]| {
        let subscription = subscription
            .iter()
            .map(|(topic, streams)| ((*topic).to_owned(), *streams))
            .collect();
        Registration {
            pattern,
            subscription,
            ..java()
        }
        .to_json()
    };
    assert!(with(Pattern::Static, &[("t", 0)]).is_err());
    assert!(with(Pattern::Static, &[("t", u32::MAX)]).is_err());
    assert!(with(Pattern::WhiteList, &[]).is_err());
    assert!(with(Pattern::BlackList, &[("a", 1), ("b", 1)]).is_err());
    assert!(with(Pattern::Static, &[]).is_ok());
    let two = with(Pattern::Static, &[("b", 1), ("a", 2)]).unwrap();
    assert!(two.contains(r#"{"b":1,"a":2}"#), "{two}");
}

#[test]
fn tells_members_apart() {
    let is_topic = |name: &str| matches!(name, "mytopic" | "123");
    let parse = |data: &str| Member::parse(data.as_bytes(), is_topic);
    assert_eq!(parse(JAVA), Member::Registered(java()));
    assert_eq!(parse(""), Member::InProgress);
    for topic in ["mytopic", "123"] {
        assert_eq!(
            parse(topic),
            Member::PyKafka {
                topic: topic.to_owned()
            }
        );
    }
    for garbage in ["unknown", "\"mytopic\"", "{}", "mytopic\n", "[1]"] {
        assert!(
            matches!(parse(garbage), Member::Garbage { .. }),
            "{garbage}"
        );
    }
    assert!(matches!(
        Member::parse(&[0xff, 0xfe], |_| true),
        Member::Garbage { .. }
    ));
}

#[test]
fn a_client_names_itself_behind_what_java_writes() {
    let named = Registration {
        client: Some("divvy".to_owned()),
        ..java()
    };
    let json = named.to_json().unwrap();
    let without = java().to_json().unwrap();
    assert_eq!(
        json,
        format!(
            r#"{},"client":"divvy"}}"#,
            without.trim_end_matches('}').to_owned()
        )
    );
    assert_eq!(parse(&json), named);
}

#[test]
fn a_member_may_subscribe_nothing() {
    let nothing = Registration {
        subscription: Vec::new(),
        ..java()
    };
    let json = nothing.to_json().unwrap();
    assert!(
        json.starts_with(r#"{"version":1,"subscription":{},"pattern":"static","#),
        "{json}"
    );
    assert_eq!(parse(&json), nothing);
}
