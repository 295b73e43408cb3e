//! How sessions begin, what they survive, and how they end.

use std::time::{Duration, Instant};

use anyhow::Result;
use divvy_tests::{Cluster, KafkaVersion, Proxy, ProxyMode, tests_on, unique};
use divvy_zookeeper::{ChangeKind, Config, Error, Set, State};

use crate::{SESSION, SOON, change, config, created, session, shared, soon, state, zookeeper};

// But for the ensemble: the embedded cluster has one ZooKeeper server.
tests_on!(
    [embedded = Embedded0_8_2],
    as_task,
    a_session_that_has_begun_is_connected,
    closing_frees_ephemeral_nodes_at_once,
    dropping_everything_closes_the_session,
    a_handle_has_one_session_at_a_time,
    start_up_errors_say_what_to_do,
    a_cut_connection_keeps_session_nodes_and_watches,
    a_create_whose_answer_is_lost_is_found_to_be_ours,
    an_expired_session_is_seen_and_replaced,
    the_lease_ends_before_the_session_and_comes_back_with_it,
    a_session_outlives_a_long_outage_of_all_servers
);
tests_on!(
    [kafka_0_8_2_2 = V0_8_2_2],
    as_task,
    a_session_that_has_begun_is_connected,
    closing_frees_ephemeral_nodes_at_once,
    dropping_everything_closes_the_session,
    a_handle_has_one_session_at_a_time,
    start_up_errors_say_what_to_do,
    a_cut_connection_keeps_session_nodes_and_watches,
    a_create_whose_answer_is_lost_is_found_to_be_ours,
    an_expired_session_is_seen_and_replaced,
    the_lease_ends_before_the_session_and_comes_back_with_it,
    a_session_outlives_a_long_outage_of_all_servers,
    an_ensemble_loses_its_leader_and_the_session_stays
);

async fn a_session_that_has_begun_is_connected(version: KafkaVersion) -> Result<()> {
    // Often enough to be looked at before its thread has taken the connection over.
    for _ in 0..50 {
        let session = session(version).await;
        assert_eq!(session.state(), State::Connected);
        assert!(session.lease().is_connected());
        session.close().await.unwrap();
    }
    Ok(())
}

async fn closing_frees_ephemeral_nodes_at_once(version: KafkaVersion) -> Result<()> {
    let (ours, theirs) = (session(version).await, session(version).await);
    let node = format!("/{}", unique("ephemeral"));
    created(ours.create_ephemeral(&node, b"").await.unwrap());
    let mut changes = theirs.subscribe();
    assert!(theirs.get_watched(&node).await.unwrap().is_some());

    let started = Instant::now();
    ours.close().await.unwrap();
    assert_eq!(
        theirs.get(&node).await.unwrap(),
        None,
        "close() returned before the node was gone"
    );
    assert!(
        started.elapsed() < Duration::from_secs(1),
        "{:?}",
        started.elapsed()
    );
    assert_eq!(change(&mut changes, &node).await, ChangeKind::Deleted);

    assert_eq!(
        (ours.state(), ours.is_over(), ours.is_expired()),
        (State::Closed, true, false)
    );
    let error = ours.get(&node).await.unwrap_err();
    assert!(
        matches!(error, Error::SessionClosed { .. }) && error.is_session_over(),
        "{error}"
    );
    ours.close().await.unwrap();
    theirs.close().await.unwrap();
    Ok(())
}

async fn dropping_everything_closes_the_session(version: KafkaVersion) -> Result<()> {
    let theirs = session(version).await;
    let node = format!("/{}", unique("dropped"));
    let mut changes = theirs.subscribe();
    let zookeeper = zookeeper(Config::new(shared(version).zookeeper_connect()));
    {
        let ours = zookeeper.session().await.unwrap();
        created(ours.create_ephemeral(&node, b"").await.unwrap());
        // With an armed watch, which must not keep the session.
        ours.children_watched("/").await.unwrap();
    }
    assert!(
        theirs.get_watched(&node).await.unwrap().is_some(),
        "the handle keeps the session"
    );
    let started = Instant::now();
    drop(zookeeper);
    assert_eq!(change(&mut changes, &node).await, ChangeKind::Deleted);
    assert!(
        started.elapsed() < Duration::from_secs(2),
        "{:?}",
        started.elapsed()
    );
    theirs.close().await.unwrap();
    Ok(())
}

async fn a_handle_has_one_session_at_a_time(version: KafkaVersion) -> Result<()> {
    let zookeeper = zookeeper(Config::new(shared(version).zookeeper_connect()));
    let other = zookeeper.clone();
    let (one, two) = tokio::join!(zookeeper.session(), other.session());
    let (one, two) = (one.unwrap(), two.unwrap());
    assert_eq!(one.id(), two.id());
    assert_eq!(zookeeper.session().await.unwrap().id(), one.id());
    one.close().await.unwrap();
    let next = other.session().await.unwrap();
    assert_ne!(next.id(), one.id());
    assert!(two.is_over());
    other.close().await.unwrap();
    assert_eq!(next.state(), State::Closed);
    Ok(())
}

async fn start_up_errors_say_what_to_do(version: KafkaVersion) -> Result<()> {
    let cluster = shared(version);
    let connect = |connect: String| {
        let config = Config {
            connect_timeout: Duration::from_secs(1),
            ..Config::new(connect)
        };
        async move { zookeeper(config).session().await.unwrap_err() }
    };
    let nobody = connect("127.0.0.1:1".to_owned()).await;
    assert!(matches!(nobody, Error::CannotConnect { .. }) && nobody.is_retriable());
    assert!(nobody.to_string().contains("refused"), "{nobody}");

    let kafka = connect(cluster.bootstrap()).await;
    assert!(
        kafka.to_string().contains("not answer as ZooKeeper"),
        "{kafka}"
    );

    let unnamed = connect("no-such-host.invalid:2181".to_owned()).await;
    assert!(matches!(unnamed, Error::CannotConnect { .. }), "{unnamed}");

    let chroot = connect(cluster.zookeeper_connect() + "/no/such/chroot").await;
    assert!(matches!(chroot, Error::NoChroot { .. }) && !chroot.is_retriable());
    assert!(chroot.to_string().contains("/no/such/chroot"), "{chroot}");
    Ok(())
}

async fn a_cut_connection_keeps_session_nodes_and_watches(version: KafkaVersion) -> Result<()> {
    let proxy = Proxy::start(shared(version).zookeepers()[0].address()).unwrap();
    let (session, writer) = (
        zookeeper(Config::new(proxy.address().to_string()))
            .session()
            .await
            .unwrap(),
        session(version).await,
    );
    let node = format!("/{}", unique("cut"));
    let mut changes = session.subscribe();
    let stat = created(session.create_ephemeral(&node, b"0").await.unwrap());
    session.get_watched(&node).await.unwrap();

    proxy.set_mode(ProxyMode::Refuse);
    proxy.cut();
    state(&session, State::Disconnected).await;
    // Meanwhile unseen; the answer to the read waits for the connection, the watch is told afterwards.
    writer.set(&node, b"1", None).await.unwrap();
    let read = tokio::spawn({
        let (session, node) = (session.clone(), node.clone());
        async move { session.get(&node).await }
    });
    proxy.set_mode(ProxyMode::Forward);
    state(&session, State::Connected).await;
    assert_eq!(read.await.unwrap().unwrap().unwrap().data, b"1");
    assert_eq!(change(&mut changes, &node).await, ChangeKind::Data);
    let after = session.exists(&node).await.unwrap().unwrap();
    assert_eq!(
        (after.czxid, after.ephemeral_owner),
        (stat.czxid, session.id())
    );
    session.close().await.unwrap();
    writer.close().await.unwrap();
    Ok(())
}

async fn a_create_whose_answer_is_lost_is_found_to_be_ours(version: KafkaVersion) -> Result<()> {
    let proxy = Proxy::start(shared(version).zookeepers()[0].address()).unwrap();
    let session = zookeeper(Config::new(proxy.address().to_string()))
        .session()
        .await
        .unwrap();
    let node = format!("/{}", unique("lost"));
    for round in 0..20 {
        let node = format!("{node}-{round}");
        let creating = tokio::spawn({
            let (session, node) = (session.clone(), node.clone());
            async move { session.create_ephemeral(&node, b"me").await }
        });
        tokio::task::yield_now().await;
        proxy.cut();
        let stat = created(creating.await.unwrap().unwrap());
        assert_eq!(stat.ephemeral_owner, session.id());
    }
    session.close().await.unwrap();
    Ok(())
}

async fn an_expired_session_is_seen_and_replaced(version: KafkaVersion) -> Result<()> {
    let proxy = Proxy::start(shared(version).zookeepers()[0].address()).unwrap();
    let zookeeper = zookeeper(config(proxy.address().to_string()));
    let (ours, theirs) = (zookeeper.session().await.unwrap(), session(version).await);
    assert_eq!(ours.timeout(), SESSION);
    let node = format!("/{}", unique("expired"));
    created(ours.create_ephemeral(&node, b"ours").await.unwrap());
    ours.get_watched(&node).await.unwrap();
    let (mut own_changes, mut changes) = (ours.subscribe(), theirs.subscribe());
    theirs.get_watched(&node).await.unwrap();

    proxy.set_mode(ProxyMode::BlackHole);
    assert_eq!(change(&mut changes, &node).await, ChangeKind::Deleted);
    assert!(!ours.is_expired(), "nobody has told it so far");
    let mut cut_off = Box::pin(ours.get(&node));
    assert!(futures_util::poll!(&mut cut_off).is_pending());

    proxy.set_mode(ProxyMode::Forward);
    soon("the expiry", ours.expired()).await;
    let error = cut_off.await.unwrap_err();
    assert!(matches!(error, Error::SessionExpired { .. }), "{error}");
    assert_eq!(change(&mut own_changes, &node).await, ChangeKind::WatchLost);
    assert_eq!(
        soon("the end of the changes", own_changes.recv()).await,
        None
    );
    ours.close().await.unwrap();
    assert_eq!(ours.state(), State::Expired);

    let next = zookeeper.session().await.unwrap();
    assert_ne!(next.id(), ours.id());
    created(next.create_ephemeral(&node, b"ours").await.unwrap());
    next.close().await.unwrap();
    theirs.close().await.unwrap();
    Ok(())
}

async fn the_lease_ends_before_the_session_and_comes_back_with_it(
    version: KafkaVersion,
) -> Result<()> {
    let proxy = Proxy::start(shared(version).zookeepers()[0].address()).unwrap();
    let zookeeper = zookeeper(config(proxy.address().to_string()));
    let session = zookeeper.session().await.unwrap();
    let lease = session.lease();
    let idle = tokio::time::timeout(2 * SESSION, lease.ended()).await;
    assert!(idle.is_err() && lease.is_connected(), "{lease:?}");

    let slack = Duration::from_millis(300);
    let cut = Instant::now();
    proxy.set_mode(ProxyMode::BlackHole);
    soon("the end of the lease", lease.ended()).await;
    let took = cut.elapsed();
    // A probe may have been answered just before.
    assert!(
        took >= SESSION / 2 - slack && took <= SESSION * 2 / 3 + slack,
        "{took:?}"
    );
    assert!(!lease.is_current() && lease.lapses() == 0);
    proxy.set_mode(ProxyMode::Forward);
    soon("the lease", lease.renewed()).await;
    assert_eq!((lease.is_current(), lease.lapses()), (true, 1));
    assert!(!session.is_over());

    session.close().await.unwrap();
    assert!(!lease.is_current() && !lease.is_connected());
    Ok(())
}

async fn a_session_outlives_a_long_outage_of_all_servers(version: KafkaVersion) -> Result<()> {
    let cluster = Cluster::builder().kafka(version).start().unwrap();
    let zookeeper = zookeeper(config(cluster.zookeeper_connect()));
    let session = zookeeper.session().await.unwrap();
    let mut changes = session.subscribe();
    let node = format!("/{}", unique("outage"));
    let stat = created(session.create_ephemeral(&node, b"").await.unwrap());
    session.get_watched(&node).await.unwrap();

    cluster.zookeepers()[0].kill();
    state(&session, State::Disconnected).await;
    assert!(matches!(
        session.set(&node, b"", None).await,
        Err(Error::Timeout { .. })
    ));
    cluster.zookeepers()[0].start().unwrap();
    state(&session, State::Connected).await;
    assert_eq!(session.exists(&node).await.unwrap(), Some(stat));
    assert_eq!(zookeeper.session().await.unwrap().id(), session.id());

    // The watch of before has outlived it too.
    session.set(&node, b"1", None).await.unwrap();
    assert_eq!(change(&mut changes, &node).await, ChangeKind::Data);
    cluster.zookeepers()[0].kill();
    state(&session, State::Disconnected).await;
    assert!(
        matches!(session.close().await, Err(Error::Timeout { .. })),
        "nobody can have confirmed it"
    );
    Ok(())
}

async fn an_ensemble_loses_its_leader_and_the_session_stays(version: KafkaVersion) -> Result<()> {
    let cluster = Cluster::builder()
        .kafka(version)
        .zookeepers(3)
        .chroot("/kafka")
        .start()
        .unwrap();
    let session = zookeeper(Config::new(cluster.zookeeper_connect()))
        .session()
        .await
        .unwrap();
    assert_eq!(
        session.brokers().await.unwrap().len(),
        1,
        "below the chroot"
    );
    let mut changes = session.subscribe();
    let stat = created(session.create_ephemeral("/node", b"0").await.unwrap());
    session.get_watched("/node").await.unwrap();

    cluster.zookeeper_leader().unwrap().kill();
    let deadline = Instant::now() + 3 * SOON;
    // The write is not repeated by itself while the ensemble elects.
    while !matches!(
        session.set("/node", b"1", Some(0)).await,
        Ok(Set::Done(_) | Set::BadVersion)
    ) {
        assert!(Instant::now() < deadline, "no new leader");
    }
    assert_eq!(change(&mut changes, "/node").await, ChangeKind::Data);
    session.sync("/").await.unwrap();
    let after = session.exists("/node").await.unwrap().unwrap();
    assert_eq!(
        (after.czxid, after.ephemeral_owner),
        (stat.czxid, session.id())
    );
    session.close().await.unwrap();
    Ok(())
}
