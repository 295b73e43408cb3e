use divvy_protocol::api::{
    FindCoordinatorRequest, FindCoordinatorResponse, ProduceRequest, RequestHeader, decode_request,
    encode_response, split_request,
};
use divvy_protocol::{BrokerVersion, ErrorCode};
use tokio::io::DuplexStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::*;

const LIMIT: usize = 1 << 20;
const SECOND: Duration = Duration::from_secs(1);

/// The other end of a connection, which answers as a test tells it to.
pub(crate) struct Peer {
    frames: FrameReader<ReadHalf<DuplexStream>>,
    output: WriteHalf<DuplexStream>,
}

impl Peer {
    /// The next request; `None` when the other side has hung up.
    pub(crate) async fn request(&mut self) -> Option<(RequestHeader, Bytes)> {
        let frame = self.frames.next().await.ok()?;
        Some(split_request(frame).unwrap())
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.output.write_all(bytes).await.unwrap();
    }

    pub(crate) async fn answer<R: Request>(
        &mut self,
        header: &RequestHeader,
        response: &R::Response,
    ) {
        let version = header.api_version;
        let frame = encode_response::<R>(response, version, header.correlation_id).unwrap();
        self.send(&frame).await;
    }

    /// The group of the next request, with its header.
    async fn asked(&mut self) -> (RequestHeader, String) {
        let (header, body) = self.request().await.unwrap();
        let request: FindCoordinatorRequest = decode_request(body, header.api_version).unwrap();
        (header, request.group)
    }

    /// Answers with a broker whose host is named after the group that was asked for.
    async fn answer_group(&mut self, header: &RequestHeader, group: &str) {
        let response = FindCoordinatorResponse {
            error: ErrorCode::NONE,
            node_id: 1,
            host: group.to_owned(),
            port: 9092,
        };
        self.answer::<FindCoordinatorRequest>(header, &response)
            .await;
    }
}

/// A driven connection and its peer, with `buffer` bytes of room on the way.
pub(crate) fn pair(buffer: usize) -> (Connection, Peer) {
    let (near, far) = tokio::io::duplex(buffer);
    let (connection, driver) = Connection::new(
        Box::new(near),
        "kafka1:9092".to_owned(),
        "divvy".to_owned(),
        ApiVersionTable::for_broker(BrokerVersion::V0_8_2),
        LIMIT,
    );
    tokio::spawn(driver);
    let (input, output) = tokio::io::split(far);
    let frames = FrameReader::new(input, LIMIT);
    (connection, Peer { frames, output })
}

/// Asks for the coordinator of a group, and gives the host that was answered.
fn ask(connection: &Connection, group: &str, within: Duration) -> JoinHandle<Result<String>> {
    let (connection, group) = (connection.clone(), group.to_owned());
    tokio::spawn(async move {
        let request = FindCoordinatorRequest { group };
        let response = connection.call_version(&request, 0, within).await?;
        Ok(response.host)
    })
}

/// Waits until a connection has ended for everybody who holds it.
async fn ended(connection: &Connection) {
    timeout(60 * SECOND, connection.requests.closed())
        .await
        .expect("the connection should have ended");
    assert!(connection.is_closed());
}

fn without_acks() -> ProduceRequest {
    ProduceRequest {
        transactional_id: None,
        acks: 0,
        timeout_ms: 1000,
        topics: Vec::new(),
    }
}

#[tokio::test(start_paused = true)]
async fn pipelines_requests_and_gives_each_its_own_answer() {
    let (connection, mut peer) = pair(1 << 16);
    let mut calls = Vec::new();
    for n in 0..20 {
        calls.push(ask(&connection, &format!("g{n}"), SECOND));
    }
    // All are on their way before the first is answered.
    let mut asked = Vec::new();
    for _ in 0..20 {
        asked.push(peer.asked().await);
    }
    for (header, group) in &asked {
        assert_eq!(header.client_id.as_deref(), Some("divvy"));
        peer.answer_group(header, group).await;
    }
    for (n, call) in calls.into_iter().enumerate() {
        assert_eq!(call.await.unwrap().unwrap(), format!("g{n}"));
    }
    assert!(!connection.is_closed());
}

#[tokio::test(start_paused = true)]
async fn an_answer_to_another_request_ends_the_connection_for_all() {
    let (connection, mut peer) = pair(1 << 16);
    let calls = [
        ask(&connection, "a", SECOND),
        ask(&connection, "b", SECOND),
        ask(&connection, "c", SECOND),
    ];
    let first = peer.asked().await;
    let second = peer.asked().await;
    let _third = peer.asked().await;
    peer.answer_group(&first.0, &first.1).await;
    let other = RequestHeader {
        correlation_id: second.0.correlation_id + 1,
        ..second.0
    };
    peer.answer_group(&other, "c").await;

    let [a, b, c] = calls;
    assert_eq!(a.await.unwrap().unwrap(), "a");
    for call in [b, c] {
        let error = call.await.unwrap().unwrap_err();
        assert!(
            matches!(&error, Error::Peer { broker, why }
                if broker == "kafka1:9092" && why.contains("was due")),
            "{error}"
        );
    }
    ended(&connection).await;
    assert!(peer.request().await.is_none(), "the stream is closed");
}

#[tokio::test(start_paused = true)]
async fn a_request_without_an_answer_times_out_and_ends_the_connection() {
    let (connection, mut peer) = pair(1 << 16);
    let began = Instant::now();
    let call = ask(&connection, "a", 3 * SECOND);
    let later = ask(&connection, "b", 10 * SECOND);
    let error = call.await.unwrap().unwrap_err();
    assert!(
        matches!(&error, Error::Timeout { broker, request: "FindCoordinator", after }
            if broker == "kafka1:9092" && *after == 3 * SECOND),
        "{error}"
    );
    assert_eq!(began.elapsed().as_secs(), 3);
    assert!(connection.is_closed(), "nobody may use it any more");
    assert!(later.await.unwrap().unwrap_err().is_disconnect());
    assert_eq!(
        began.elapsed().as_secs(),
        3,
        "who waits behind it fails now"
    );
    assert!(peer.request().await.is_some() && peer.request().await.is_some());
    assert!(peer.request().await.is_none(), "the stream is closed");
}

#[tokio::test(start_paused = true)]
async fn a_deadline_holds_behind_a_request_that_may_take_longer() {
    let (connection, mut peer) = pair(1 << 16);
    let began = Instant::now();
    let slow = ask(&connection, "slow", 100 * SECOND);
    peer.asked().await;
    let quick = ask(&connection, "quick", SECOND);
    let error = quick.await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Timeout { after, .. } if after == SECOND));
    assert!(slow.await.unwrap().unwrap_err().is_disconnect());
    assert_eq!(began.elapsed().as_secs(), 1);
    ended(&connection).await;
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_read_costs_no_more_than_the_deadline() {
    // Room for less than one request, and more callers than the queue takes.
    let (connection, _peer) = pair(8);
    let began = Instant::now();
    let calls: Vec<_> = (0..2 * QUEUED_REQUESTS)
        .map(|n| ask(&connection, &format!("group {n}"), 2 * SECOND))
        .collect();
    for call in calls {
        assert!(call.await.unwrap().unwrap_err().is_disconnect());
    }
    assert_eq!(began.elapsed().as_secs(), 2);
    ended(&connection).await;
}

#[tokio::test(start_paused = true)]
async fn a_deadline_holds_for_what_could_not_be_written_yet() {
    let (connection, _peer) = pair(8);
    let began = Instant::now();
    let stuck = ask(&connection, "stuck", 100 * SECOND);
    tokio::task::yield_now().await;
    let waiting = ask(&connection, "waiting", SECOND);
    let error = waiting.await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Timeout { after, .. } if after == SECOND));
    assert!(stuck.await.unwrap().unwrap_err().is_disconnect());
    assert_eq!(began.elapsed().as_secs(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_answer_must_end_where_its_layout_ends() {
    for extra in [&[0_u8][..], &[0; 100]] {
        let (connection, mut peer) = pair(1 << 16);
        let request = FindCoordinatorRequest::default();
        let answers = async {
            let (header, _) = peer.asked().await;
            let mut frame = vec![0; 4];
            frame.extend(header.correlation_id.to_be_bytes());
            frame.extend(*b"\0\0\0\0\0\x01\0\x01a\0\0\x23\x84");
            frame.extend(extra);
            let length = i32::try_from(frame.len() - 4).unwrap();
            frame[..4].copy_from_slice(&length.to_be_bytes());
            peer.send(&frame).await;
        };
        let (answer, ()) = tokio::join!(connection.call_version(&request, 0, SECOND), answers);
        // What speaks another version than was negotiated is not asked again on this connection, from now on.
        assert!(connection.is_closed());
        let error = answer.unwrap_err();
        assert!(
            matches!(&error, Error::Peer { why, .. } if why.contains("FindCoordinator")),
            "{error}"
        );
        assert!(peer.request().await.is_none(), "the stream is closed");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_cut_short_is_the_peers_fault() {
    let (connection, mut peer) = pair(1 << 16);
    let call = ask(&connection, "a", SECOND);
    let (header, _) = peer.asked().await;
    let mut frame = 6_i32.to_be_bytes().to_vec();
    frame.extend(header.correlation_id.to_be_bytes());
    frame.extend([0, 0]);
    peer.send(&frame).await;
    let error = call.await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Peer { .. }), "{error}");
    ended(&connection).await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_nobody_asked_for_ends_the_connection() {
    let (connection, mut peer) = pair(1 << 16);
    peer.send(&[0, 0, 0, 4, 0, 0, 0, 0]).await;
    ended(&connection).await;
    let error = ask(&connection, "a", SECOND).await.unwrap().unwrap_err();
    assert!(error.is_disconnect(), "{error}");
}

#[tokio::test(start_paused = true)]
async fn impossible_lengths_and_other_protocols_are_named() {
    for (bytes, hint) in [
        (&[0xff, 0xff, 0xff, 0xfe][..], "-2 bytes"),
        (&[0x7f, 0xff, 0xff, 0xff][..], "2147483647 bytes"),
        (&[0, 0, 0, 3][..], "3 bytes"),
        (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], "`HTTP`"),
        (&b"SSH-2.0-OpenSSH_9.6\r\n"[..], "`SSH-`"),
        (&[0x15, 3, 1, 0, 2, 2, 70][..], "TLS"),
    ] {
        let (connection, mut peer) = pair(1 << 16);
        let call = ask(&connection, "a", SECOND);
        peer.asked().await;
        peer.send(bytes).await;
        let error = call.await.unwrap().unwrap_err();
        assert!(
            matches!(&error, Error::Peer { why, .. } if why.contains(hint)),
            "{error}"
        );
        ended(&connection).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_hangs_up_fails_what_waits() {
    let (connection, mut peer) = pair(1 << 16);
    let calls = [ask(&connection, "a", SECOND), ask(&connection, "b", SECOND)];
    let (header, group) = peer.asked().await;
    peer.answer_group(&header, &group).await;
    peer.asked().await;
    drop(peer);
    let [a, b] = calls;
    assert_eq!(a.await.unwrap().unwrap(), "a", "what was answered counts");
    let error = b.await.unwrap().unwrap_err();
    assert!(
        matches!(&error, Error::Disconnected { broker, .. } if broker == "kafka1:9092"),
        "{error}"
    );
    ended(&connection).await;
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_gives_up_does_not_take_anothers_answer() {
    let (connection, mut peer) = pair(1 << 16);
    let gone = ask(&connection, "gone", SECOND);
    let (gone_header, _) = peer.asked().await;
    gone.abort();
    assert!(gone.await.unwrap_err().is_cancelled());
    let call = ask(&connection, "stays", SECOND);
    let (header, _) = peer.asked().await;
    peer.answer_group(&gone_header, "gone").await;
    peer.answer_group(&header, "stays").await;
    assert_eq!(call.await.unwrap().unwrap(), "stays");
}

#[tokio::test(start_paused = true)]
async fn a_deadline_outlives_the_caller_that_set_it() {
    let (connection, mut peer) = pair(1 << 16);
    let began = Instant::now();
    let slow = ask(&connection, "slow", 100 * SECOND);
    peer.asked().await;
    let gone = ask(&connection, "gone", SECOND);
    peer.asked().await;
    gone.abort();
    // Whatever came behind it would wait for an answer that never comes.
    ended(&connection).await;
    assert_eq!(began.elapsed().as_secs(), 1);
    assert!(slow.await.unwrap().unwrap_err().is_disconnect());
}

#[tokio::test(start_paused = true)]
async fn a_request_without_answer_is_done_once_it_is_written() {
    let (connection, mut peer) = pair(1 << 16);
    let body = connection.exchange(&without_acks(), 0, SECOND).await;
    assert!(body.unwrap().is_empty());
    assert_eq!(peer.request().await.unwrap().0.api_key, 0);
    // The next answer belongs to the next request.
    let call = ask(&connection, "a", SECOND);
    let (header, group) = peer.asked().await;
    peer.answer_group(&header, &group).await;
    assert_eq!(call.await.unwrap().unwrap(), "a");
}

#[tokio::test(start_paused = true)]
async fn a_request_without_answer_that_cannot_be_written_times_out() {
    let (connection, _peer) = pair(8);
    let error = connection
        .exchange(&without_acks(), 0, SECOND)
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            Error::Timeout {
                request: "Produce",
                ..
            }
        ),
        "{error}"
    );
    ended(&connection).await;
}

#[tokio::test(start_paused = true)]
async fn hangs_up_when_nobody_holds_it_any_more() {
    let (connection, mut peer) = pair(1 << 16);
    drop(connection);
    assert!(peer.request().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_version_that_the_broker_lacks_is_not_sent() {
    let (connection, mut peer) = pair(1 << 16);
    let request = divvy_protocol::api::ListGroupsRequest::default();
    let error = connection.call(&request, SECOND).await.unwrap_err();
    assert!(
        matches!(
            error,
            Error::Unsupported {
                request: "ListGroups",
                ..
            }
        ),
        "{error}"
    );
    drop(connection);
    assert!(peer.request().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_encoded_never_reaches_the_wire() {
    let (connection, mut peer) = pair(1 << 16);
    let request = FindCoordinatorRequest {
        group: "g".repeat(40_000),
    };
    let error = connection
        .call_version(&request, 0, SECOND)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Encode { .. }), "{error}");
    let call = ask(&connection, "a", SECOND);
    let (header, group) = peer.asked().await;
    assert_eq!(group, "a");
    peer.answer_group(&header, &group).await;
    assert_eq!(call.await.unwrap().unwrap(), "a");
}
