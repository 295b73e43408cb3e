//! Many records with one call.

use divvy_producer::Error;

use super::*;

#[tokio::test]
async fn each_record_of_many_learns_what_became_of_it() {
    let cluster = Cluster::start(2, 4).await;
    let producer = producer(&cluster, |config| config.batch_size = 300).await;
    let records = (0..1000).map(|n| match n {
        500 => record(4, "nowhere"),
        n => record(n % 4, n.to_string()),
    });
    let deliveries = soon(producer.send_all(records)).await;
    assert_eq!(deliveries.len(), 1000);
    let results = soon(deliveries.each()).await;
    for (n, result) in (0..).zip(results) {
        if n == 500 {
            let said = result.unwrap_err().to_string();
            assert!(said.contains("t-4 does not exist"), "{said}");
            continue;
        }
        let metadata = result.unwrap();
        assert_eq!(metadata.tp.partition, n % 4);
        let offset = usize::try_from(metadata.offset.unwrap()).unwrap();
        assert_eq!(cluster.log(n % 4)[offset], n.to_string());
    }
    for partition in 0..4 {
        let numbers = cluster.log(partition);
        let numbers = numbers.iter().map(|value| value.parse::<u32>().unwrap());
        assert!(numbers.is_sorted(), "in the order in which they were given");
    }
}

#[tokio::test]
async fn all_of_many_waits_for_the_last_and_counts_what_failed() {
    let cluster = Cluster::start(1, 2).await;
    let producer = producer(&cluster, |config| {
        config.delivery_timeout = Duration::from_millis(200);
    })
    .await;
    let records = |count| (0..count).map(|n| record(n % 2, n.to_string()));
    let stored = soon(producer.send_all(records(10))).await;
    soon(stored.all()).await.unwrap();

    cluster.hold(true);
    let late = soon(producer.send_all(records(5))).await;
    let error = soon(late.all()).await.unwrap_err();
    let Error::Undelivered { partitions, first } = error else {
        panic!("{error}");
    };
    let counts: Vec<(i32, usize)> = partitions
        .iter()
        .map(|(tp, count)| (tp.partition, *count))
        .collect();
    assert_eq!(counts, [(0, 3), (1, 2)]);
    assert!(matches!(*first, Error::Expired { .. }), "{first}");

    let refused = soon(producer.send_all([record(0, "a"), record(9, "b")])).await;
    let error = soon(refused.all()).await.unwrap_err();
    assert!(error.to_string().contains("t-9 does not exist"), "{error}");
}

#[tokio::test]
async fn many_records_wait_for_room_and_keep_their_order() {
    let cluster = Cluster::start(1, 1).await;
    let producer = producer(&cluster, |config| {
        config.max_request_size = 2 << 10;
        config.batch_size = 1 << 10;
        config.buffer_memory = 8 << 10;
    })
    .await;
    cluster.hold(true);
    let records = (0..200).map(|n| record(0, format!("{n:0100}")));
    let mut sending = Box::pin(producer.send_all(records));
    let early = timeout(Duration::from_millis(100), &mut sending).await;
    assert!(early.is_err(), "20 kB in a buffer of 8");
    let other = producer.try_send(record(0, "overtaking"));
    assert!(matches!(other, Err(Error::BufferFull { .. })));
    cluster.hold(false);
    soon(soon(sending).await.all()).await.unwrap();
    let expected: Vec<String> = (0..200).map(|n| format!("{n:0100}")).collect();
    assert_eq!(cluster.log(0), expected);
}
