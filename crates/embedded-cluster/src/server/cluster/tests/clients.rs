//! Faults that befall a single client.

use super::*;

/// Whether a client is answered when it asks for metadata; `None` where its connection ends.
async fn answered(client: &mut Client) -> Option<bool> {
    client.ask(&asking(&[]), 0).await.map(|_| true)
}

/// Whether nothing is answered, while somebody else is who asks later.
async fn stays_silent(cluster: &EmbeddedCluster, client: &mut Client) {
    client.send(&asking(&[]), 0).await;
    let mut other = Client::named("other", cluster, 1).await;
    assert_eq!(answered(&mut other).await, Some(true));
    let mut byte = [0];
    let silent = timeout(Duration::from_millis(20), client.0.peek(&mut byte)).await;
    assert!(silent.is_err(), "it is answered: {silent:?}");
}

async fn three_brokers() -> (EmbeddedCluster, Client, Client) {
    let cluster = start(Release::V0_8_2).await;
    let mut struck = Client::named("struck", &cluster, 1).await;
    let mut other = Client::named("other", &cluster, 1).await;
    for client in [&mut struck, &mut other] {
        assert_eq!(answered(client).await, Some(true));
    }
    (cluster, struck, other)
}

#[tokio::test]
async fn a_client_is_cut_off_everywhere_and_comes_back() {
    let (cluster, mut struck, mut other) = three_brokers().await;
    let mut elsewhere = Client::named("struck", &cluster, 2).await;
    assert_eq!(answered(&mut elsewhere).await, Some(true));
    cluster.cut_client("struck");
    assert_eq!(struck.next().await, None);
    assert_eq!(elsewhere.next().await, None);
    assert_eq!(answered(&mut other).await, Some(true));
    let mut again = Client::named("struck", &cluster, 1).await;
    assert_eq!(answered(&mut again).await, Some(true));
}

#[tokio::test]
async fn a_client_is_refused_and_its_old_connections_stay() {
    let (cluster, mut struck, mut other) = three_brokers().await;
    let faults = Faults {
        refuse: true,
        ..Faults::default()
    };
    cluster.set_client_faults("struck", faults);
    let mut again = Client::named("struck", &cluster, 1).await;
    assert_eq!(answered(&mut again).await, None);
    assert_eq!(answered(&mut struck).await, Some(true));
    assert_eq!(answered(&mut other).await, Some(true));
    cluster.set_client_faults("struck", Faults::default());
    let mut again = Client::named("struck", &cluster, 1).await;
    assert_eq!(answered(&mut again).await, Some(true));
}

#[tokio::test]
async fn a_client_is_slow_alone() {
    let (cluster, mut struck, _) = three_brokers().await;
    let faults = Faults {
        delay: Duration::from_secs(3600),
        ..Faults::default()
    };
    cluster.set_client_faults("struck", faults);
    stays_silent(&cluster, &mut struck).await;
}

/// A request that is lost is not carried out; one whose reply is lost is.
#[tokio::test]
async fn requests_or_replies_of_a_client_are_lost() {
    let cluster = start(Release::V0_9).await;
    let leader = cluster.leader(TOPIC, 0).unwrap();
    for (lose_requests, stored) in [(true, 0), (false, 1)] {
        let faults = Faults {
            lose_requests,
            lose_replies: !lose_requests,
            ..Faults::default()
        };
        cluster.set_client_faults("struck", faults);
        let mut struck = Client::named("struck", &cluster, leader).await;
        struck.produce(0, 0, "a").await;
        struck.send(&asking(&[]), 0).await;
        // The broker ends the connection behind what was sent on it.
        struck.0.shutdown().await.unwrap();
        assert_eq!(struck.next().await, None, "no word of it");
        assert_eq!(cluster.offsets(TOPIC, 0), Some((0, stored)));
    }
    let mut other = Client::named("other", &cluster, leader).await;
    assert_eq!(other.produce(0, 1, "b").await, Some((ErrorCode::NONE, 1)));
}

#[tokio::test]
async fn a_client_is_frozen_alone() {
    let (cluster, mut struck, _) = three_brokers().await;
    let faults = Faults {
        freeze: true,
        ..Faults::default()
    };
    cluster.set_client_faults("struck", faults);
    stays_silent(&cluster, &mut struck).await;
    cluster.set_client_faults("struck", Faults::default());
    assert!(struck.next().await.is_some(), "it is answered afterwards");
}
