use super::*;

fn endpoint(listener: &str, protocol: &str, host: &str, port: u16) -> Endpoint {
    Endpoint {
        listener: listener.to_owned(),
        protocol: protocol.to_owned(),
        host: host.to_owned(),
        port,
    }
}

fn parse(data: &str) -> Broker {
    Broker::parse(7, data.as_bytes()).expect(data)
}

#[test]
fn reads_version_1_of_kafka_0_8() {
    let broker =
        parse(r#"{"jmx_port":-1,"timestamp":"1433000000000","host":"h1","version":1,"port":9092}"#);
    let expected = endpoint("PLAINTEXT", "PLAINTEXT", "h1", 9092);
    assert_eq!((broker.id, broker.version), (7, 1));
    assert_eq!(broker.endpoints.as_slice(), std::slice::from_ref(&expected));
    assert_eq!(broker.plaintext(), Some(&expected));
}

#[test]
fn reads_the_endpoints_of_version_2() {
    let broker = parse(
        r#"{"jmx_port":-1,"timestamp":"1","endpoints":["SSL://h1:9093","PLAINTEXT://[::1]:9092"],"host":"::1","version":2,"port":9092}"#,
    );
    let plaintext = endpoint("PLAINTEXT", "PLAINTEXT", "::1", 9092);
    assert_eq!(
        broker.endpoints,
        [endpoint("SSL", "SSL", "h1", 9093), plaintext.clone()]
    );
    assert_eq!(broker.plaintext(), Some(&plaintext));
}

#[test]
fn a_broker_without_plain_text_is_no_error() {
    let broker = parse(
        r#"{"jmx_port":-1,"timestamp":"1","endpoints":["SSL://h1:9093"],"host":null,"version":2,"port":-1}"#,
    );
    assert_eq!(broker.endpoints.len(), 1);
    assert_eq!(broker.plaintext(), None);
    let bare = parse(r#"{"host":null,"version":1,"port":-1}"#);
    assert_eq!(bare.endpoints, []);
}

#[test]
fn maps_listeners_to_protocols_from_version_4_on() {
    let broker = parse(
        r#"{"listener_security_protocol_map":{"INSIDE":"PLAINTEXT","OUTSIDE":"SASL_SSL"},
            "endpoints":["OUTSIDE://h1:9094","INSIDE://h1:9092"],"rack":"r1","features":{},
            "jmx_port":-1,"host":"h1","timestamp":"1","port":9092,"version":5}"#,
    );
    assert_eq!(broker.version, 5);
    assert_eq!(broker.rack.as_deref(), Some("r1"));
    assert_eq!(
        broker.plaintext(),
        Some(&endpoint("INSIDE", "PLAINTEXT", "h1", 9092))
    );
    let version_3 =
        r#"{"endpoints":["PLAINTEXT://h1:1"],"rack":null,"version":3,"port":1,"host":"h1"}"#;
    assert_eq!(parse(version_3).rack, None);
}

#[test]
fn leaves_out_listeners_that_cannot_be_read() {
    let long = "h".repeat(256);
    for text in [
        "h1:9092",
        "PLAINTEXT://h1",
        "PLAINTEXT://h1:0",
        "PLAINTEXT://h1:65536",
        "PLAINTEXT://:1",
        "PLAINTEXT://h1:-1",
        &format!("PLAINTEXT://{long}:1"),
    ] {
        let data = format!(r#"{{"version":2,"host":null,"port":-1,"endpoints":[{text:?},7]}}"#);
        assert_eq!(parse(&data).endpoints, [], "{text}");
    }
}

#[test]
fn refuses_what_is_no_registration() {
    for data in [
        "",
        "7",
        "[]",
        "{",
        "{}",
        r#"{"host":"h1","port":9092}"#,
        r#"{"version":"1"}"#,
        "\u{ff}",
    ] {
        assert!(Broker::parse(7, data.as_bytes()).is_err(), "{data}");
    }
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(Broker::parse(7, deep.as_bytes()).is_err());
    assert!(Broker::parse(7, &vec![b' '; super::super::MAX_DOCUMENT_LEN + 1]).is_err());
}
