use super::*;

fn commands(mut input: &[u8]) -> Result<Vec<Command>> {
    std::iter::from_fn(|| read_command(&mut input).transpose()).collect()
}

#[test]
fn commands_are_told_apart() {
    let input = br#"{"command":"activate"}
end
{"command":"next"}
end
[3, 4]
end
{"command":"ack",
"id":"orders/0/7/12"}
end
{"command":"fail","id":"orders/0/8/12"}
end
{"command":"fail","id":8}
end
{"command":"deactivate"}
end
{"command":"dance"}
end
{"command":"next"}
"#;
    let expected = [
        Command::Activate,
        Command::Next,
        Command::Ack("orders/0/7/12".to_owned()),
        Command::Fail("orders/0/8/12".to_owned()),
        Command::Fail(String::new()),
        Command::Deactivate,
        Command::Other,
    ];
    // The last one is cut off: Storm has gone.
    assert_eq!(commands(input).unwrap(), expected);
}

#[test]
fn what_is_no_command_is_an_error() {
    for input in ["7\nend\n", "next\nend\n", "end\n", "\u{fffd}\nend\n"] {
        assert!(commands(input.as_bytes()).is_err(), "{input:?}");
    }
}

#[test]
fn a_message_has_a_longest_length() {
    let endless = io::repeat(b' ').take(MAX_MESSAGE + 1);
    let error = read(&mut io::BufReader::new(endless)).unwrap_err();
    assert!(error.to_string().contains("bytes"), "{error}");
}

#[test]
fn settings_are_found() {
    let setup = br#"{"pidDir":"pids","context":{"taskid":3},
        "conf":{"topology.max.spout.pending":null,"topology.message.timeout.secs":30}}"#;
    let setup: Setup = serde_json::from_slice(setup).unwrap();
    assert_eq!(setup.number("topology.message.timeout.secs"), Some(30));
    assert_eq!(setup.number("topology.max.spout.pending"), None);
    assert_eq!(setup.number("topology.acker.executors"), None);
}

#[test]
fn no_byte_of_a_message_is_lost() {
    assert_eq!(as_json(None), Value::Null);
    assert_eq!(as_json(Some(b"")), json!(""));
    assert_eq!(as_json(Some("größer\n".as_bytes())), json!("größer\n"));
    assert_eq!(as_json(Some(b"\xff\x00")), json!({ "base64": "/wA=" }));
}
