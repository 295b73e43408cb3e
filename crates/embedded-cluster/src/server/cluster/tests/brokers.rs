//! Where brokers are found, and for how long they listen.

use super::*;

/// A cluster of one broker, with id 1, as another than the usual one.
async fn other(
    change: impl FnOnce(EmbeddedClusterBuilder) -> EmbeddedClusterBuilder,
) -> EmbeddedCluster {
    let cluster = change(EmbeddedCluster::builder()).start().await;
    let cluster = cluster.expect("free ports");
    cluster.create_topic(TOPIC, 1, 1).await.expect("a topic");
    cluster
}

async fn brokers(client: &mut Client) -> Vec<(i32, i32)> {
    let answer = client.ask(&asking(&[]), 0).await.expect("an answer");
    let brokers = answer.brokers.into_iter();
    brokers
        .map(|broker| (broker.node_id, broker.port))
        .collect()
}

#[tokio::test]
async fn clients_are_told_the_advertised_port() {
    let cluster = other(|builder| builder.advertised_port(1, 4)).await;
    let mut client = Client::connect(&cluster, 1).await;
    assert_eq!(brokers(&mut client).await, [(1, 4)]);
}

/// KAFKA-1387.
#[tokio::test]
async fn a_registration_that_was_deleted_stays_so_until_the_next_session() {
    let cluster = start(Release::V0_8_2).await;
    let mut itself = Client::connect(&cluster, 1).await;
    let mut another = Client::connect(&cluster, 2).await;
    let session = cluster.shared.session().unwrap();
    session.delete(&paths::broker_id(1)).unwrap();
    let mut looks = tokio::time::interval(Duration::from_millis(10));
    // Longer than a broker takes to register when it has a new session.
    for _ in 0..60 {
        looks.tick().await;
        assert!(!cluster.is_registered(1));
    }
    let ids = |brokers: Vec<(i32, i32)>| brokers.into_iter().map(|(id, _)| id).collect::<Vec<_>>();
    assert_eq!(ids(brokers(&mut itself).await), [1, 2, 3]);
    assert_eq!(ids(brokers(&mut another).await), [2, 3]);
    cluster.expire_broker(1).unwrap();
    soon(async {
        while !cluster.is_registered(1) {
            looks.tick().await;
        }
    })
    .await;
}

#[tokio::test]
async fn idle_connections_are_closed() {
    let idle = Duration::from_millis(200);
    let cluster = other(|builder| builder.connections_max_idle(idle)).await;
    let mut talking = Client::connect(&cluster, 1).await;
    let mut silent = Client::connect(&cluster, 1).await;
    let mut waiting = Client::connect(&cluster, 1).await;
    waiting.send(&fetch(60_000, 0), 0).await;
    let busy = async {
        let mut looks = tokio::time::interval(idle / 4);
        loop {
            looks.tick().await;
            brokers(&mut talking).await;
        }
    };
    let closed = async {
        assert_eq!(silent.next().await, None);
        assert_eq!(waiting.next().await, None);
    };
    tokio::select! {
        _ = busy => {}
        () = closed => {}
    }
}
