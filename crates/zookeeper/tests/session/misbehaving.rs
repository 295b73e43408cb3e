use std::time::Duration;

use divvy_zookeeper::wire::{ErrorCode, OpResult, Request, Response, ServerFrame, Stat};
use divvy_zookeeper::{Error, SetData, State};
use tokio::time::Instant;

use crate::fake::{T, client, granted};
use crate::{config, opened, state};

#[tokio::test(start_paused = true)]
async fn an_answer_out_of_turn_costs_the_connection_and_no_more() {
    let (session, mut servers, mut peer) = opened(config()).await;
    let (reading, writing) = (session.clone(), session.clone());
    let reading = tokio::spawn(async move { reading.exists("/a").await });
    let (xid, _) = peer.request().await;
    let writing = tokio::spawn(async move { writing.set("/a", b"", None).await });
    let (next, _) = peer.request().await;
    assert_ne!(xid, next);
    peer.answer(next, Ok(Response::SetData(Stat::default())));
    assert!(peer.next().await.is_none(), "the connection is kept");
    let error = writing.await.unwrap().unwrap_err();
    assert!(matches!(error, Error::ConnectionLoss { .. }), "{error}");

    let (mut peer, _) = servers.attach().await;
    let (xid, request) = peer.request().await;
    assert!(matches!(request, Request::Exists { .. }), "{request:?}");
    let stat = Stat {
        czxid: 7,
        ..Stat::default()
    };
    peer.answer(xid, Ok(Response::Exists(stat)));
    assert_eq!(reading.await.unwrap().unwrap(), Some(stat));
}

#[tokio::test(start_paused = true)]
async fn what_nobody_asked_for_costs_the_connection() {
    let empty = Ok(Response::Empty);
    for unasked in [
        ServerFrame::Connect(granted()),
        ServerFrame::Reply {
            xid: 1,
            zxid: 1,
            result: empty.clone(),
        },
        ServerFrame::Reply {
            xid: -77,
            zxid: 1,
            result: empty,
        },
    ] {
        let (session, mut servers, peer) = opened(config()).await;
        peer.send(unasked);
        state(&session, State::Disconnected).await;
        servers.attach().await;
    }
}

#[tokio::test(start_paused = true)]
async fn another_answer_than_was_asked_for_is_an_error() {
    let (session, _servers, mut peer) = opened(config()).await;
    let asking = tokio::spawn(async move {
        let write = SetData {
            path: "/a".to_owned(),
            data: Vec::new(),
            version: None,
        };
        let many = session.set_many(&[write]).await;
        [
            session.get("/a").await.map(|_| ()).unwrap_err(),
            many.map(|_| ()).unwrap_err(),
            session.exists("/a").await.map(|_| ()).unwrap_err(),
        ]
    });
    for answer in [
        Ok(Response::Multi(vec![OpResult::Error(None)])),
        Ok(Response::Exists(Stat::default())),
        Err(ErrorCode::Other(-999)),
    ] {
        let (xid, _) = peer.request().await;
        peer.answer(xid, answer);
    }
    for error in asking.await.unwrap() {
        assert!(matches!(error, Error::Unexpected { .. }), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_has_moved_is_attached_again() {
    for code in [ErrorCode::SessionMoved, ErrorCode::SessionExpired] {
        let (session, mut servers, mut peer) = opened(config()).await;
        let reading = tokio::spawn(async move { session.exists("/a").await });
        let (xid, _) = peer.request().await;
        peer.answer(xid, Err(code));
        assert!(peer.next().await.is_none(), "the connection is kept");
        let (mut peer, _) = servers.attach().await;
        let (xid, _) = peer.request().await;
        peer.answer(xid, Err(ErrorCode::NoNode));
        assert_eq!(reading.await.unwrap().unwrap(), None);
    }
}

/// A server that takes every connection and closes it again must not make a client spin.
#[tokio::test(start_paused = true)]
async fn attempts_become_rare() {
    let (session, mut servers, peer) = opened(config()).await;
    drop(peer);
    let (started, mut attempts) = (Instant::now(), 0);
    while started.elapsed() < 10 * T {
        let (peer, _) = servers.attach().await;
        drop(peer);
        attempts += 1;
    }
    let most = 10 * T.as_millis() / Duration::from_millis(200).as_millis();
    assert!(attempts < most, "{attempts} attempts");
    assert!(!session.is_over());
}

#[tokio::test(start_paused = true)]
async fn a_whole_run_repeats() {
    async fn run() -> Vec<String> {
        let mut config = config();
        config.connect = "zk1:1,zk2:2,zk3:3".to_owned();
        let (zookeeper, mut servers) = client(config);
        let started = Instant::now();
        let opening = tokio::spawn(async move { zookeeper.session().await });
        let mut log = Vec::new();
        for _ in 0..20 {
            let (mut peer, asked) = servers.attach().await;
            log.push(format!("{:?} {} {asked:?}", started.elapsed(), peer.server));
            let next = peer.next().await;
            log.push(format!("{:?} {next:?}", started.elapsed()));
        }
        drop(opening);
        log
    }
    assert_eq!(run().await, run().await);
}
