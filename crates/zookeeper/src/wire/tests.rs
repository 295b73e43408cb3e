use bytes::{BufMut, Bytes, BytesMut};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;

fn text() -> impl Strategy<Value = String> {
    "(/[a-zé0-9]{0,8}){0,3}"
}

fn data() -> impl Strategy<Value = Option<Bytes>> {
    option::of(vec(any::<u8>(), 0..40).prop_map(Bytes::from))
}

fn secret() -> impl Strategy<Value = Secret> {
    vec(any::<u8>(), 0..20).prop_map(Secret::new)
}

fn stat() -> impl Strategy<Value = Stat> {
    let ints = (
        any::<i32>(),
        any::<i32>(),
        any::<i32>(),
        any::<i32>(),
        any::<i32>(),
    );
    (any::<[i64; 6]>(), ints).prop_map(|(longs, ints)| Stat {
        czxid: longs[0],
        mzxid: longs[1],
        pzxid: longs[2],
        ctime: longs[3],
        mtime: longs[4],
        ephemeral_owner: longs[5],
        version: ints.0,
        cversion: ints.1,
        aversion: ints.2,
        data_length: ints.3,
        num_children: ints.4,
    })
}

fn acl() -> impl Strategy<Value = Acl> {
    (any::<i32>(), text(), text()).prop_map(|(permissions, scheme, id)| Acl {
        permissions,
        scheme,
        id,
    })
}

fn mode() -> impl Strategy<Value = CreateMode> {
    prop_oneof![
        Just(CreateMode::Persistent),
        Just(CreateMode::Ephemeral),
        Just(CreateMode::PersistentSequential),
        Just(CreateMode::EphemeralSequential),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        (text(), data(), vec(acl(), 0..3), mode()).prop_map(|(path, data, acl, mode)| {
            Op::Create(Create {
                path,
                data,
                acl,
                mode,
            })
        }),
        (text(), any::<i32>()).prop_map(|(path, version)| Op::Delete(Delete { path, version })),
        (text(), data(), any::<i32>()).prop_map(|(path, data, version)| Op::SetData(SetData {
            path,
            data,
            version
        })),
        (text(), any::<i32>()).prop_map(|(path, version)| Op::Check(Check { path, version })),
    ]
}

fn request() -> impl Strategy<Value = Request> {
    let paths = || vec(text(), 0..4);
    prop_oneof![
        op().prop_filter_map("a check alone is no request", |op| match op {
            Op::Create(create) => Some(Request::Create(create)),
            Op::Delete(delete) => Some(Request::Delete(delete)),
            Op::SetData(set) => Some(Request::SetData(set)),
            Op::Check(_) => None,
        }),
        (text(), any::<bool>()).prop_map(|(path, watch)| Request::Exists { path, watch }),
        (text(), any::<bool>()).prop_map(|(path, watch)| Request::GetData { path, watch }),
        (text(), any::<bool>()).prop_map(|(path, watch)| Request::GetChildren { path, watch }),
        (text(), any::<bool>()).prop_map(|(path, watch)| Request::GetChildren2 { path, watch }),
        text().prop_map(|path| Request::GetAcl { path }),
        (text(), vec(acl(), 0..3), any::<i32>())
            .prop_map(|(path, acl, version)| Request::SetAcl(SetAcl { path, acl, version })),
        text().prop_map(|path| Request::Sync { path }),
        Just(Request::Ping),
        Just(Request::CloseSession),
        vec(op(), 0..5).prop_map(Request::Multi),
        (text(), secret()).prop_map(|(scheme, data)| Request::Auth(Auth { scheme, data })),
        (any::<i64>(), paths(), paths(), paths()).prop_map(|(last_zxid, data, exist, child)| {
            Request::SetWatches(SetWatches {
                last_zxid,
                data,
                exist,
                child,
            })
        }),
        vec(any::<u8>(), 0..9).prop_map(|body| Request::Other {
            code: OpCode::Other(15),
            body: body.into(),
        }),
    ]
}

fn error() -> impl Strategy<Value = ErrorCode> {
    prop_oneof![
        -120..0,
        any::<i32>().prop_filter("an error", |code| *code != 0)
    ]
    .prop_map(ErrorCode::from)
}

fn result() -> impl Strategy<Value = OpResult> {
    prop_oneof![
        text().prop_map(|path| OpResult::Create { path }),
        Just(OpResult::Delete),
        stat().prop_map(OpResult::SetData),
        Just(OpResult::Check),
        option::of(error()).prop_map(OpResult::Error),
    ]
}

/// A request's number and a request, with an answer to it.
fn exchange() -> impl Strategy<Value = (i32, Request, Response)> {
    let path = || text();
    let read = |request: fn(String) -> Request| text().prop_map(request);
    prop_oneof![
        (request(), path()).prop_filter_map("a create", |(request, path)| match request {
            Request::Create(_) => Some((request, Response::Create { path })),
            _ => None,
        }),
        (read(|path| Request::Exists { path, watch: true }), stat())
            .prop_map(|(request, stat)| (request, Response::Exists(stat))),
        (
            read(|path| Request::GetData { path, watch: false }),
            data(),
            stat()
        )
            .prop_map(|(request, data, stat)| (request, Response::GetData { data, stat })),
        (
            read(|path| Request::GetChildren { path, watch: false }),
            vec(text(), 0..5)
        )
            .prop_map(|(request, names)| (request, Response::GetChildren { names })),
        (
            read(|path| Request::GetChildren2 { path, watch: true }),
            vec(text(), 0..5),
            stat()
        )
            .prop_map(|(request, names, stat)| (request, Response::GetChildren2 { names, stat })),
        (
            read(|path| Request::GetAcl { path }),
            vec(acl(), 0..3),
            stat()
        )
            .prop_map(|(request, acl, stat)| (request, Response::GetAcl { acl, stat })),
        (text(), stat()).prop_map(|(path, stat)| {
            let (acl, version) = (Vec::new(), 0);
            let request = Request::SetAcl(SetAcl { path, acl, version });
            (request, Response::SetAcl(stat))
        }),
        (read(|path| Request::Sync { path }), path())
            .prop_map(|(request, path)| (request, Response::Sync { path })),
        (vec(op(), 0..3), vec(result(), 0..5))
            .prop_map(|(ops, results)| (Request::Multi(ops), Response::Multi(results))),
        Just((Request::CloseSession, Response::Empty)),
    ]
    .prop_flat_map(|(request, response)| (0..i32::MAX, Just(request), Just(response)))
}

fn connect() -> impl Strategy<Value = (ConnectRequest, ConnectResponse)> {
    (any::<(i64, i32, i64, bool)>(), secret()).prop_map(
        |((last_zxid, timeout_ms, session_id, read_only), password)| {
            (
                ConnectRequest {
                    last_zxid,
                    timeout_ms,
                    session_id,
                    password: password.clone(),
                    read_only,
                },
                ConnectResponse {
                    timeout_ms,
                    session_id,
                    password,
                    read_only,
                },
            )
        },
    )
}

proptest! {
    #[test]
    fn what_a_client_sends_is_what_a_server_gets(
        (first, _) in connect(),
        requests in vec((any::<i32>(), request()), 0..6),
        cut in 1..50_usize,
    ) {
        let frames: Vec<ClientFrame> = [ClientFrame::Connect(first)]
            .into_iter()
            .chain(requests.into_iter().map(|(xid, request)| ClientFrame::Request { xid, request }))
            .collect();
        let (mut client, mut server) = (ClientCodec::new(), ServerCodec::new());
        let mut sent = BytesMut::new();
        for frame in &frames {
            client.encode(frame, &mut sent).unwrap();
        }
        let (mut received, mut decoded) = (BytesMut::new(), Vec::new());
        for piece in sent.chunks(cut) {
            received.put_slice(piece);
            while let Some(frame) = server.decode(&mut received).unwrap() {
                decoded.push(frame);
            }
        }
        prop_assert_eq!(decoded, frames);
    }

    #[test]
    fn what_a_server_sends_is_what_a_client_gets(
        (asked, answered) in connect(),
        exchanges in vec((exchange(), option::of(error())), 0..6),
        (kind, path) in (0..5_usize, text()),
        cut in 1..50_usize,
    ) {
        let kinds = [
            EventKind::None,
            EventKind::Created,
            EventKind::Deleted,
            EventKind::DataChanged,
            EventKind::ChildrenChanged,
        ];
        let (mut client, server) = (ClientCodec::new(), ServerCodec::new());
        client.encode(&ClientFrame::Connect(asked), &mut BytesMut::new()).unwrap();
        let mut frames = vec![ServerFrame::Connect(answered)];
        for ((xid, request, response), error) in exchanges {
            client.encode(&ClientFrame::Request { xid, request }, &mut BytesMut::new()).unwrap();
            let result = match error {
                Some(error) => Err(error),
                None => Ok(response),
            };
            frames.push(ServerFrame::Reply { xid, zxid: 7, result });
        }
        frames.push(ServerFrame::Event(WatcherEvent { kind: kinds[kind], state: 3, path }));
        for xid in [XID_PING, XID_AUTH, XID_SET_WATCHES] {
            frames.push(ServerFrame::Reply { xid, zxid: -1, result: Ok(Response::Empty) });
        }
        let mut sent = BytesMut::new();
        for frame in &frames {
            server.encode(frame, &mut sent).unwrap();
        }
        let (mut received, mut decoded) = (BytesMut::new(), Vec::new());
        for piece in sent.chunks(cut) {
            received.put_slice(piece);
            while let Some(frame) = client.decode(&mut received).unwrap() {
                decoded.push(frame);
            }
        }
        prop_assert_eq!(decoded, frames);
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in vec(any::<u8>(), 0..300), code in 1..15_i32) {
        for connected in [false, true] {
            let (mut client, mut server) = (client(OpCode::from(code), connected), server(connected));
            let body = framed(&bytes);
            let _ = client.decode(&mut body.clone());
            let _ = server.decode(&mut body.clone());
            let _ = client.decode(&mut BytesMut::from(&bytes[..]));
            let _ = server.decode(&mut BytesMut::from(&bytes[..]));
        }
    }

    /// Damage to a real answer reaches further than random bytes do.
    #[test]
    fn a_damaged_answer_is_read_without_a_panic(
        (xid, request, response) in exchange(),
        at in any::<prop::sample::Index>(),
        value in any::<[u8; 4]>(),
    ) {
        let mut sent = BytesMut::new();
        let answer = ServerFrame::Reply { xid, zxid: 1, result: Ok(response) };
        ServerCodec::new().encode(&answer, &mut sent).unwrap();
        let at = at.index(sent.len());
        for (byte, value) in sent[at..].iter_mut().zip(value) {
            *byte = value;
        }
        let mut client = client(request.code(), true);
        client.asked(xid, &request);
        let _ = client.decode(&mut sent);
    }
}

impl ClientCodec {
    fn asked(&mut self, xid: i32, request: &Request) {
        let frame = ClientFrame::Request {
            xid,
            request: request.clone(),
        };
        self.encode(&frame, &mut BytesMut::new()).unwrap();
    }
}

/// A client that waits for the answer to request 1.
fn client(code: OpCode, connected: bool) -> ClientCodec {
    let mut client = ClientCodec::new();
    if connected {
        let mut answer = BytesMut::new();
        let frame = ServerFrame::Connect(ConnectResponse::default());
        ServerCodec::new().encode(&frame, &mut answer).unwrap();
        client.decode(&mut answer).unwrap();
        let body = Bytes::new();
        client.asked(1, &Request::Other { code, body });
    }
    client
}

fn server(connected: bool) -> ServerCodec {
    let mut server = ServerCodec::new();
    if connected {
        let mut bytes = BytesMut::new();
        let frame = ClientFrame::Connect(ConnectRequest::default());
        ClientCodec::new().encode(&frame, &mut bytes).unwrap();
        server.decode(&mut bytes).unwrap();
    }
    server
}

fn framed(body: &[u8]) -> BytesMut {
    let mut bytes = BytesMut::new();
    bytes.put_i32(body.len().try_into().unwrap());
    bytes.put_slice(body);
    bytes
}

/// An answer to request 1 with that body.
fn answer(body: &[u8]) -> BytesMut {
    let mut bytes = BytesMut::new();
    bytes.put_i32(1);
    bytes.put_i64(1);
    bytes.put_i32(0);
    bytes.put_slice(body);
    framed(&bytes)
}

#[test]
fn a_frame_s_length_is_checked_before_it_is_waited_for() {
    for length in [-1, i32::MIN, i32::MAX, (MAX_FRAME + 1).try_into().unwrap()] {
        let mut bytes = BytesMut::from(&length.to_be_bytes()[..]);
        let error = client(OpCode::Ping, true).decode(&mut bytes).unwrap_err();
        let limit = MAX_FRAME;
        assert_eq!(error, DecodeError::FrameLength { length, limit });
    }
    let mut bytes = BytesMut::from(&16_i32.to_be_bytes()[..]);
    assert_eq!(client(OpCode::Ping, true).decode(&mut bytes), Ok(None));
}

#[test]
fn huge_counts_and_lengths_are_refused() {
    for (code, length, count) in [
        (OpCode::GetChildren, i32::MAX, true),
        (OpCode::GetChildren2, 2, true),
        (OpCode::GetData, i32::MAX, false),
        (OpCode::Create, 1, false),
    ] {
        let error = client(code, true)
            .decode(&mut answer(&length.to_be_bytes()))
            .unwrap_err();
        assert!(
            match error {
                DecodeError::ImpossibleCount { .. } => count,
                DecodeError::Truncated { .. } => !count,
                _ => false,
            },
            "{code:?}: {error}"
        );
    }
    for code in [OpCode::GetChildren, OpCode::GetData, OpCode::Create] {
        let error = client(code, true)
            .decode(&mut answer(&(-2_i32).to_be_bytes()))
            .unwrap_err();
        assert!(
            matches!(error, DecodeError::NegativeLength { length: -2, .. }),
            "{error}"
        );
    }
}

#[test]
fn an_answer_out_of_turn_is_refused() {
    let mut client = client(OpCode::Exists, true);
    let mut bytes = BytesMut::new();
    let reply = ServerFrame::Reply {
        xid: 2,
        zxid: 1,
        result: Ok(Response::Empty),
    };
    ServerCodec::new().encode(&reply, &mut bytes).unwrap();
    assert_eq!(
        client.decode(&mut bytes.clone()),
        Err(DecodeError::UnexpectedXid {
            xid: 2,
            expected: Some(1)
        })
    );
    assert_eq!(
        client.decode(&mut bytes),
        Err(DecodeError::UnexpectedXid {
            xid: 2,
            expected: None
        })
    );
}

#[test]
fn requests_that_cannot_be_read_are_the_server_s_to_answer() {
    for (code, body) in [
        (OpCode::Other(18), &b"anything"[..]),
        (OpCode::Create, b"\0\0"),
    ] {
        let mut frame = BytesMut::new();
        frame.put_i32(5);
        frame.put_i32(code.into());
        frame.put_slice(body);
        let request = Request::Other {
            code,
            body: Bytes::copy_from_slice(body),
        };
        assert_eq!(
            server(true).decode(&mut framed(&frame)),
            Ok(Some(ClientFrame::Request { xid: 5, request }))
        );
    }
}

#[test]
fn a_message_above_the_limit_is_not_sent() {
    let mut client = ClientCodec::with_limit(64);
    let mut bytes = BytesMut::from(&b"before"[..]);
    let request = Request::Sync {
        path: "/".repeat(57),
    };
    let frame = ClientFrame::Request { xid: 1, request };
    let error = client.encode(&frame, &mut bytes).unwrap_err();
    assert_eq!((error.length, error.limit), (69, 64));
    assert_eq!(&bytes[..], b"before");
}

#[test]
fn bytes_are_as_zookeeper_has_them() {
    let mut bytes = BytesMut::new();
    let mut client = ClientCodec::new();
    let connect = ConnectRequest {
        last_zxid: 1,
        timeout_ms: 6000,
        session_id: 0x0102_0304_0506_0708,
        password: Secret::new([9; 16]),
        read_only: false,
    };
    client
        .encode(&ClientFrame::Connect(connect), &mut bytes)
        .unwrap();
    let expected =
        b"\0\0\0\x2d\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\x17\x70\x01\x02\x03\x04\x05\x06\x07\x08\
                     \0\0\0\x10\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\0";
    assert_eq!(&bytes[..], expected);

    bytes.clear();
    let multi = Request::Multi(vec![
        Op::Check(Check {
            path: "/a".to_owned(),
            version: 3,
        }),
        Op::Delete(Delete {
            path: "/b".to_owned(),
            version: ANY_VERSION,
        }),
    ]);
    let frame = ClientFrame::Request {
        xid: 7,
        request: multi,
    };
    client.encode(&frame, &mut bytes).unwrap();
    let expected = b"\0\0\0\x37\0\0\0\x07\0\0\0\x0e\
                     \0\0\0\x0d\0\xff\xff\xff\xff\0\0\0\x02/a\0\0\0\x03\
                     \0\0\0\x02\0\xff\xff\xff\xff\0\0\0\x02/b\xff\xff\xff\xff\
                     \xff\xff\xff\xff\x01\xff\xff\xff\xff";
    assert_eq!(&bytes[..], expected);
}

#[test]
fn a_child_whose_name_is_not_utf8_hides_no_sibling() {
    let names = client(OpCode::GetChildren, true)
        .decode(&mut answer(b"\0\0\0\x02\0\0\0\x01\xff\0\0\0\x01b"))
        .unwrap();
    let Some(ServerFrame::Reply {
        result: Ok(Response::GetChildren { names }),
        ..
    }) = names
    else {
        panic!("{names:?}");
    };
    assert_eq!(names, ["\u{fffd}", "b"]);
}

#[test]
fn secrets_are_not_printed() {
    let connect = ConnectRequest {
        password: Secret::new("canary"),
        ..ConnectRequest::default()
    };
    let auth = Request::Auth(Auth {
        scheme: "digest".to_owned(),
        data: Secret::new("user:canary"),
    });
    let printed = format!("{connect:?} {auth:?} {:?}", b"canary");
    let bytes = format!("{:?}", b"canary");
    assert_eq!(printed.matches(&bytes).count(), 1, "{printed}");
    assert!(!printed.contains("canary"), "{printed}");
}

/// As kazoo sends it.
#[test]
fn an_identity_that_is_null_is_empty() {
    let mut body = BytesMut::new();
    for (length, text) in [
        (1, "/"),
        (1, ""),
        (permission::READ, ""),
        (4, "auth"),
        (-1, ""),
    ] {
        body.put_i32(length);
        body.put_slice(text.as_bytes());
    }
    body.put_i32(ANY_VERSION);
    let set = SetAcl {
        path: "/".to_owned(),
        acl: vec![Acl::creator(permission::READ)],
        version: ANY_VERSION,
    };
    let decoded = Request::decode(OpCode::SetAcl, body.freeze());
    assert_eq!(decoded, Request::SetAcl(set));
}
