use std::time::Duration;

use divvy_zookeeper::wire::{ClientFrame, ErrorCode, Request, Response, XID_PING};
use divvy_zookeeper::{Config, Set, State};
use tokio::time::{Instant, timeout};

use crate::fake::{Peer, T};
use crate::{config, opened, pass, state};

/// Answers pings alone, as a follower does that is cut off from its leader, until the client goes or the time is over.
async fn cut_off(peer: &mut Peer, time: Duration) -> bool {
    let serving = async {
        while let Some(frame) = peer.next().await {
            if let ClientFrame::Request { xid: XID_PING, .. } = frame {
                peer.answer(XID_PING, Ok(Response::Empty));
            }
        }
    };
    timeout(time, serving).await.is_ok()
}

fn nearly(time: Duration, expected: Duration) -> bool {
    time.abs_diff(expected) <= Duration::from_millis(5)
}

#[tokio::test(start_paused = true)]
async fn the_leader_is_asked_every_sixth_of_the_timeout() {
    let (session, _servers, mut peer) = opened(config()).await;
    let started = Instant::now();
    for n in 1..=20 {
        let Some(ClientFrame::Request { xid, request }) = peer.next().await else {
            panic!("gone");
        };
        let path = "/".to_owned();
        assert_eq!(
            request,
            Request::Sync { path },
            "an answered probe makes pings needless"
        );
        assert!(
            nearly(started.elapsed(), n * T / 6),
            "{:?}",
            started.elapsed()
        );
        peer.answer(xid, Ok(Response::Empty));
        assert!(session.lease().is_current());
    }
    tokio::task::yield_now().await;
    assert!(nearly(session.lease().remaining(), T * 2 / 3));
}

#[tokio::test(start_paused = true)]
async fn a_write_takes_the_place_of_a_probe() {
    let (session, _servers, mut peer) = opened(config()).await;
    let started = Instant::now();
    for _ in 0..10 {
        pass(T / 10).await;
        let writing = tokio::spawn({
            let session = session.clone();
            async move { session.set("/a", b"", Some(1)).await }
        });
        match peer.next().await {
            Some(ClientFrame::Request {
                xid,
                request: Request::SetData(_),
            }) => peer.answer(xid, Err(ErrorCode::BadVersion)),
            other => panic!("{other:?}"),
        }
        assert_eq!(writing.await.unwrap().unwrap(), Set::BadVersion);
        assert!(nearly(session.lease().remaining(), T * 2 / 3));
    }
    assert!(started.elapsed() >= T);
}

#[tokio::test(start_paused = true)]
async fn pings_keep_the_connection_and_not_the_lease() {
    let (session, mut servers, mut peer) = opened(config()).await;
    assert!(
        !cut_off(&mut peer, 2 * T).await,
        "there is no other server to go to"
    );
    assert_eq!(session.state(), State::Connected);
    assert!(!session.lease().is_current());
    assert!(session.lease().is_connected());
    servers.nobody_connects_for(T / 3).await;
}

#[tokio::test(start_paused = true)]
async fn reads_do_not_renew_the_lease() {
    let (session, _servers, mut peer) = opened(config()).await;
    // Less than a probe takes to fall due, so that reads are all that is answered.
    for _ in 0..3 {
        pass(T / 24).await;
        let before = session.lease().end();
        let reading = tokio::spawn({
            let session = session.clone();
            async move { session.exists("/a").await }
        });
        let (xid, _) = peer.request().await;
        peer.answer(xid, Err(ErrorCode::NoNode));
        assert_eq!(reading.await.unwrap().unwrap(), None);
        assert_eq!(session.lease().end(), before);
    }
}

#[tokio::test(start_paused = true)]
async fn the_lease_ends_two_thirds_after_the_last_answered_question_was_sent() {
    let (session, _servers, mut peer) = opened(config()).await;
    let started = Instant::now();
    let Some(ClientFrame::Request { xid, .. }) = peer.next().await else {
        panic!("gone");
    };
    // The answer comes late, which earns nothing.
    pass(T / 6).await;
    peer.answer(xid, Ok(Response::Empty));
    let ended = tokio::spawn({
        let lease = session.lease().clone();
        async move { lease.ended().await }
    });
    cut_off(&mut peer, T).await;
    assert!(ended.is_finished());
    let end = T / 6 + T * 2 / 3;
    assert!(
        nearly(started.elapsed(), T / 6 + T / 6 + T),
        "{:?}",
        started.elapsed()
    );
    let since = started.elapsed() - end;
    assert!(session.lease().remaining().is_zero() && since > Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_lease_lapses_with_a_long_outage_and_comes_back_with_the_session() {
    let (session, mut servers, mut peer) = opened(config()).await;
    cut_off(&mut peer, T).await;
    let lease = session.lease();
    assert_eq!((lease.is_current(), lease.lapses()), (false, 0));
    drop(peer);
    state(&session, State::Disconnected).await;
    assert!(!lease.is_connected());
    let (peer, _) = servers.attach().await;
    let serving = tokio::spawn(peer.idle());
    // Asked at once, and not after a sixth of the timeout.
    timeout(Duration::from_millis(10), lease.renewed())
        .await
        .unwrap();
    assert_eq!((lease.is_connected(), lease.lapses()), (true, 1));
    session.close().await.unwrap();
    assert!(!lease.is_current() && !lease.is_connected());
    serving.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_short_outage_costs_nothing() {
    let (session, mut servers, peer) = opened(config()).await;
    pass(T / 12).await;
    drop(peer);
    pass(T / 6).await;
    let (peer, _) = servers.attach().await;
    tokio::spawn(peer.idle());
    state(&session, State::Connected).await;
    pass(T).await;
    assert_eq!(
        (session.lease().is_current(), session.lease().lapses()),
        (true, 0)
    );
}

#[tokio::test(start_paused = true)]
async fn a_server_without_a_leader_is_left_while_the_lease_runs() {
    let (session, mut servers, mut peer) = opened(Config::new("zk1:1,zk2:2")).await;
    assert!(cut_off(&mut peer, 2 * T).await, "stays with it");
    assert!(session.lease().is_current());
    let (next, _) = servers.attach().await;
    assert_ne!(next.server, peer.server);
    tokio::spawn(next.idle());
    pass(T).await;
    assert_eq!(
        (session.lease().is_current(), session.lease().lapses()),
        (true, 0)
    );
}

#[tokio::test(start_paused = true)]
async fn a_silent_server_is_given_up_after_two_thirds() {
    let (session, mut servers, peer) = opened(config()).await;
    let started = Instant::now();
    state(&session, State::Disconnected).await;
    assert!(
        nearly(started.elapsed(), T * 2 / 3),
        "{:?}",
        started.elapsed()
    );
    assert!(!session.lease().is_current());
    servers.attach().await;
    drop(peer);
}
