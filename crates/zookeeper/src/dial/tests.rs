use std::time::Duration;

use bytes::BufMut;
use tokio::net::TcpListener;
use tokio::time::timeout;

use super::*;
use crate::wire::{
    ConnectRequest, ConnectResponse, MAX_FRAME, Request, Response, ServerCodec, XID_PING,
};

const SOON: Duration = Duration::from_secs(10);

/// A pipe, and the server's end of it.
async fn connected() -> (Box<dyn Pipe>, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let dial = TcpDial {
        max_frame: MAX_FRAME,
    };
    let (pipe, accepted) = tokio::join!(dial.dial(&address), listener.accept());
    (pipe.unwrap(), accepted.unwrap().0)
}

fn encoded(frames: &[ServerFrame]) -> BytesMut {
    let mut bytes = BytesMut::new();
    for frame in frames {
        ServerCodec::new().encode(frame, &mut bytes).unwrap();
    }
    bytes
}

fn pong() -> ServerFrame {
    ServerFrame::Reply {
        xid: XID_PING,
        zxid: 7,
        result: Ok(Response::Empty),
    }
}

/// The next whole frame, and how often something less came before it.
async fn frame(pipe: &mut dyn Pipe) -> (io::Result<ServerFrame>, usize) {
    let mut parts = 0;
    loop {
        match timeout(SOON, pipe.receive()).await.unwrap() {
            Ok(Some(frame)) => return (Ok(frame), parts),
            Ok(None) => parts += 1,
            Err(error) => return (Err(error), parts),
        }
    }
}

#[tokio::test]
async fn frames_come_through_byte_by_byte() {
    let (mut pipe, mut server) = connected().await;
    let frames = [ServerFrame::Connect(ConnectResponse::default()), pong()];
    let bytes = encoded(&frames);
    let serving = tokio::spawn(async move {
        server.set_nodelay(true).unwrap();
        for byte in bytes {
            server.write_all(&[byte]).await.unwrap();
            tokio::task::yield_now().await;
        }
        server
    });
    let (mut seen, mut parts) = (Vec::new(), 0);
    for _ in &frames {
        let (received, before) = frame(&mut *pipe).await;
        seen.push(received.unwrap());
        parts += before;
    }
    assert_eq!(seen, frames);
    assert!(parts > 0, "a part of a frame is a sign of life");
    drop(serving.await.unwrap());
    let (error, _) = frame(&mut *pipe).await;
    assert_eq!(error.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
}

#[tokio::test]
async fn a_dropped_wait_loses_nothing() {
    let (mut pipe, mut server) = connected().await;
    pipe.send(ClientFrame::Connect(ConnectRequest::default()))
        .unwrap();
    let request = Request::Ping;
    let xid = XID_PING;
    pipe.send(ClientFrame::Request { xid, request }).unwrap();
    let bytes = encoded(&[ServerFrame::Connect(ConnectResponse::default()), pong()]);
    for byte in bytes {
        server.write_all(&[byte]).await.unwrap();
        // Dropped after one poll, in which it may have read something.
        let _ = timeout(Duration::ZERO, pipe.receive()).await;
    }
    // Whether they came during one of those is the system's to say; what was sent has all gone out.
    drop(pipe);
    let (mut codec, mut input, mut got) = (ServerCodec::new(), BytesMut::new(), 0);
    while server.read_buf(&mut input).await.is_ok_and(|read| read > 0) {
        while codec.decode(&mut input).unwrap().is_some() {
            got += 1;
        }
    }
    assert_eq!(got, 2);
}

#[tokio::test]
async fn a_length_beyond_the_limit_ends_it_before_anything_is_kept() {
    let (mut pipe, mut server) = connected().await;
    let mut bytes = BytesMut::new();
    bytes.put_i32(i32::MAX);
    server.write_all(&bytes).await.unwrap();
    let (error, _) = frame(&mut *pipe).await;
    assert_eq!(error.unwrap_err().kind(), io::ErrorKind::InvalidData);
}

#[tokio::test]
async fn a_frame_that_the_system_takes_in_parts_is_sent_whole() {
    let (mut pipe, mut server) = connected().await;
    pipe.send(ClientFrame::Connect(ConnectRequest::default()))
        .unwrap();
    let sent = ClientFrame::Request {
        xid: 1,
        request: Request::Sync {
            path: "/".repeat(MAX_FRAME / 2),
        },
    };
    // Far more than is on its way at a time.
    for _ in 0..8 {
        pipe.send(sent.clone()).unwrap();
    }
    let reading = tokio::spawn(async move {
        let (mut codec, mut input, mut got) = (ServerCodec::new(), BytesMut::new(), Vec::new());
        while got.len() < 9 {
            assert!(server.read_buf(&mut input).await.unwrap() > 0);
            while let Some(frame) = codec.decode(&mut input).unwrap() {
                got.push(frame);
            }
        }
        got
    });
    let (closed, _) = frame(&mut *pipe).await;
    assert!(closed.is_err());
    let got = timeout(SOON, reading).await.unwrap().unwrap();
    assert!(got[1..].iter().all(|frame| *frame == sent));
}
