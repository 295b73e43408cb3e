//! What watches report, and what they cost.

use std::time::Duration;

use anyhow::Result;
use divvy_tests::{KafkaVersion, Proxy, tests_on, unique};
use divvy_zookeeper::{Change, ChangeKind, Config, State};

use crate::{change, session, shared, soon, state, zookeeper};

tests_on!(
    [embedded = Embedded0_8_2, kafka_0_8_2_2 = V0_8_2_2],
    as_task,
    watches_report_each_kind_of_change_once,
    abandoned_reads_cost_no_connection,
    many_watches_of_all_kinds_outlive_their_connection,
    a_slow_receiver_is_told_to_look_at_everything
);

async fn watches_report_each_kind_of_change_once(version: KafkaVersion) -> Result<()> {
    let (session, writer) = (session(version).await, session(version).await);
    let mut changes = session.subscribe();
    let root = format!("/{}", unique("watches"));
    let node = format!("{root}/node");

    assert_eq!(session.children_watched(&root).await.unwrap(), None);
    writer.create_persistent(&root, b"").await.unwrap();
    assert_eq!(change(&mut changes, &root).await, ChangeKind::Created);

    assert_eq!(
        session
            .children_watched(&root)
            .await
            .unwrap()
            .unwrap()
            .names
            .len(),
        0
    );
    assert_eq!(session.get_watched(&node).await.unwrap(), None);
    writer.create_persistent(&node, b"1").await.unwrap();
    assert_eq!(change(&mut changes, &node).await, ChangeKind::Created);
    // Both watches fired; in which order is the server's to say.
    let mut changes = session.subscribe();

    for _ in 0..3 {
        assert!(session.get_watched(&node).await.unwrap().is_some());
        assert!(session.exists_watched(&node).await.unwrap().is_some());
    }
    writer.set(&node, b"2", None).await.unwrap();
    assert_eq!(change(&mut changes, &node).await, ChangeKind::Data);
    assert_eq!(
        session.get_watched(&node).await.unwrap().unwrap().data,
        b"2"
    );
    writer.delete(&node, None).await.unwrap();
    // Straight after the one before: the repeated reads above armed no second watch.
    assert_eq!(change(&mut changes, &node).await, ChangeKind::Deleted);

    assert!(session.children_watched(&root).await.unwrap().is_some());
    writer
        .create_persistent(&format!("{root}/child"), b"")
        .await
        .unwrap();
    assert_eq!(change(&mut changes, &root).await, ChangeKind::Children);
    session.close().await.unwrap();
    writer.close().await.unwrap();
    Ok(())
}

async fn abandoned_reads_cost_no_connection(version: KafkaVersion) -> Result<()> {
    let session = session(version).await;
    let mut states = session.states();
    states.mark_unchanged();
    let root = format!("/{}", unique("abandoned"));
    for n in 0..200 {
        let node = format!("{root}/{n}");
        let read = session.get_watched(&node);
        // Given up after it was sent: the first poll sends it.
        let _ = tokio::time::timeout(Duration::ZERO, read).await;
    }
    for n in 0..200 {
        assert_eq!(
            session.get_watched(&format!("{root}/{n}")).await.unwrap(),
            None
        );
    }
    drop(session.subscribe());
    session.sync("/").await.unwrap();
    assert!(!states.has_changed().unwrap(), "{:?}", *states.borrow());
    session.close().await.unwrap();
    Ok(())
}

/// More watches than one request may be about, set again on a new connection: by the server's rules, for servers close the
/// connection over a mistake.
async fn many_watches_of_all_kinds_outlive_their_connection(version: KafkaVersion) -> Result<()> {
    let proxy = Proxy::start(shared(version).zookeepers()[0].address()).unwrap();
    let ours = zookeeper(Config::new(proxy.address().to_string()));
    let (ours, theirs) = (ours.session().await.unwrap(), session(version).await);
    let root = format!("/{}", unique("many"));
    let node = |n: usize| format!("{root}/{}-{n}", "x".repeat(2000));
    for n in 0..100 {
        theirs.create_persistent(&node(n), b"").await.unwrap();
        ours.children_watched(&node(n)).await.unwrap().unwrap();
        ours.get_watched(&node(n)).await.unwrap().unwrap();
        let missing = ours.exists_watched(&node(100 + n)).await.unwrap();
        assert_eq!(missing, None);
    }
    let mut changes = ours.subscribe();
    proxy.cut();
    state(&ours, State::Disconnected).await;
    for n in [0, 50, 99] {
        theirs.set(&node(n), b"1", None).await.unwrap();
        assert_eq!(change(&mut changes, &node(n)).await, ChangeKind::Data);
        let child = format!("{}/child", node(n));
        theirs.create_persistent(&child, b"").await.unwrap();
        assert_eq!(change(&mut changes, &node(n)).await, ChangeKind::Children);
        theirs.create_persistent(&node(100 + n), b"").await.unwrap();
        let kind = change(&mut changes, &node(100 + n)).await;
        assert_eq!(kind, ChangeKind::Created);
    }
    ours.sync("/").await.unwrap();
    let mut states = ours.states();
    assert_eq!(*states.borrow_and_update(), State::Connected);
    ours.close().await.unwrap();
    theirs.close().await.unwrap();
    Ok(())
}

async fn a_slow_receiver_is_told_to_look_at_everything(version: KafkaVersion) -> Result<()> {
    let (session, writer) = (session(version).await, session(version).await);
    let root = format!("/{}", unique("slow"));
    let mut slow = session.subscribe();
    let mut fast = session.subscribe();
    writer.create_persistent(&root, b"").await.unwrap();
    for n in 0..1100 {
        session.get_watched(&root).await.unwrap();
        writer
            .set(&root, n.to_string().as_bytes(), None)
            .await
            .unwrap();
        assert_eq!(change(&mut fast, &root).await, ChangeKind::Data);
    }
    let first = soon("a change", slow.recv()).await.unwrap();
    assert_eq!(first, Change::Everything);
    assert!(first.concerns(&root));
    session.close().await.unwrap();
    writer.close().await.unwrap();
    soon("the end of the changes", async {
        while slow.recv().await.is_some() {}
    })
    .await;
    Ok(())
}
