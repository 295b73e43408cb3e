//! What a producer does when brokers refuse, hang up, move and fall silent.

use divvy_producer::{Compression, Error};
use divvy_protocol::ErrorCode;
use rustix::time::{ClockId, clock_gettime};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::cluster::Fault;
use super::*;

#[tokio::test]
async fn retriable_faults_are_outlived_in_order() {
    for fault in [
        Fault::Refuse(ErrorCode::NOT_LEADER_OR_FOLLOWER),
        Fault::Refuse(ErrorCode::REQUEST_TIMED_OUT),
        Fault::Refuse(ErrorCode::NOT_ENOUGH_REPLICAS),
        Fault::Close,
    ] {
        let cluster = Cluster::start(1, 1).await;
        let producer = producer(&cluster, |config| config.batch_size = 200).await;
        cluster.fail([fault; 3]);
        let mut deliveries = Vec::new();
        for n in 0..20 {
            deliveries.push(producer.send(record(0, n.to_string())).await.unwrap());
        }
        for (n, delivery) in (0..).zip(deliveries) {
            let metadata = soon(delivery).await.unwrap();
            assert_eq!(metadata.offset, Some(n), "{fault:?}");
        }
        let expected: Vec<String> = (0..20).map(|n: i32| n.to_string()).collect();
        assert_eq!(cluster.log(0), expected, "{fault:?}");
    }
}

/// The one way in which a record is stored twice: the answer got lost. Its order stays, and the last of its offsets is told.
#[tokio::test]
async fn a_batch_whose_answer_is_lost_is_stored_again_before_what_follows() {
    for fault in [Fault::StoreAndClose, Fault::AnswerNothing] {
        let cluster = Cluster::start(1, 1).await;
        let producer = producer(&cluster, |_| {}).await;
        cluster.fail([fault]);
        let first = producer.send(record(0, "first")).await.unwrap();
        until(|| cluster.state().requests == 1).await;
        let second = producer.send(record(0, "second")).await.unwrap();
        assert_eq!(soon(first).await.unwrap().offset, Some(1), "{fault:?}");
        let second = soon(second).await.unwrap().offset.unwrap();
        let log = cluster.log(0);
        assert_eq!(log[..2], ["first", "first"]);
        assert_eq!(log[usize::try_from(second).unwrap()], "second");
    }
}

#[tokio::test]
async fn a_fatal_answer_fails_its_records_and_no_others() {
    let cluster = Cluster::start(1, 2).await;
    let producer = producer(&cluster, |_| {}).await;
    cluster.fail([Fault::Refuse(ErrorCode::MESSAGE_TOO_LARGE)]);
    let refused = producer.send(record(0, "refused")).await.unwrap();
    let error = soon(refused).await.unwrap_err();
    assert!(error.to_string().contains("MESSAGE_TOO_LARGE"), "{error}");
    assert!(error.to_string().contains("t-0"), "{error}");
    for partition in [0, 1] {
        let stored = producer.send(record(partition, "stored")).await.unwrap();
        soon(stored).await.unwrap();
    }
    assert_eq!(cluster.log(0), ["stored"]);
}

#[tokio::test]
async fn a_leader_that_moved_is_found() {
    let cluster = Cluster::start(2, 1).await;
    let producer = producer(&cluster, |_| {}).await;
    let before = producer.send(record(0, "before")).await.unwrap();
    soon(before).await.unwrap();
    cluster.state().leaders.insert(0, 2);
    let after = producer.send(record(0, "after")).await.unwrap();
    assert_eq!(soon(after).await.unwrap().offset, Some(1));

    // Nobody leads for a while.
    cluster.state().leaders.insert(0, -1);
    let waiting = producer.send(record(0, "waiting")).await.unwrap();
    let mut waiting = Box::pin(waiting);
    assert!(
        timeout(Duration::from_millis(100), &mut waiting)
            .await
            .is_err()
    );
    cluster.state().leaders.insert(0, 1);
    assert_eq!(soon(waiting).await.unwrap().offset, Some(2));
}

#[tokio::test]
async fn a_partition_that_was_just_added_is_found() {
    let cluster = Cluster::start(1, 1).await;
    let producer = producer(&cluster, |_| {}).await;
    assert_eq!(producer.partitions_for("t").await.unwrap(), [0]);
    cluster.state().leaders.insert(1, 1);
    let delivery = producer.send(record(1, "new")).await.unwrap();
    soon(delivery).await.unwrap();
    assert_eq!(cluster.log(1), ["new"]);
}

#[tokio::test]
async fn a_silent_broker_holds_up_its_own_partitions_alone_and_errors_come_in_time() {
    let cluster = Cluster::start(2, 2).await;
    let producer = producer(&cluster, |config| {
        config.delivery_timeout = Duration::from_millis(300);
    })
    .await;
    cluster.fail([Fault::Silence]);
    let began = Instant::now();
    let stuck = producer.send(record(0, "stuck")).await.unwrap();
    let mut stuck = Box::pin(stuck);
    // The request must have taken the fault before another is sent.
    until(|| cluster.state().requests == 1).await;
    let other = producer.send(record(1, "other")).await.unwrap();
    tokio::select! {
        biased;
        stuck = &mut stuck => panic!("{stuck:?}"),
        other = soon(other) => assert_eq!(other.unwrap().offset, Some(0)),
    }
    let error = soon(stuck).await.unwrap_err();
    assert!(matches!(error, Error::Expired { .. }), "{error}");
    assert!(began.elapsed() >= Duration::from_millis(300));
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_request_that_is_not_answered_is_sent_again_over_a_new_connection() {
    let cluster = Cluster::start(1, 1).await;
    let producer = producer(&cluster, |config| {
        config.request_timeout = Duration::from_millis(200);
    })
    .await;
    cluster.fail([Fault::Silence]);
    let delivery = producer.send(record(0, "a")).await.unwrap();
    assert_eq!(soon(delivery).await.unwrap().offset, Some(0));
    assert_eq!(cluster.state().requests, 2);
}

#[tokio::test]
async fn closing_ends_by_its_deadline_and_says_what_was_not_delivered() {
    let cluster = Cluster::start(2, 2).await;
    let producer = producer(&cluster, |_| {}).await;
    let stored = producer.send(record(1, "stored")).await.unwrap();
    soon(stored).await.unwrap();
    cluster.hold(true);
    let mut stuck = Vec::new();
    for value in ["a", "b", "c"] {
        stuck.push(producer.send(record(0, value)).await.unwrap());
    }
    let began = Instant::now();
    let error = soon(producer.close(Duration::from_millis(100)))
        .await
        .unwrap_err();
    assert!(began.elapsed() < Duration::from_secs(5));
    let Error::Undelivered { partitions, first } = error else {
        panic!("{error}");
    };
    let [(tp, 3)] = partitions.as_slice() else {
        panic!("{partitions:?}");
    };
    assert_eq!(tp.to_string(), "t-0");
    assert!(matches!(*first, Error::Closed));
    for delivery in stuck {
        assert!(matches!(soon(delivery).await, Err(Error::Closed)));
    }
    let refused = producer.send(record(1, "late")).await;
    assert!(matches!(refused, Err(Error::Closed)));
}

#[tokio::test]
async fn closing_and_dropping_free_whoever_waits() {
    let cluster = Cluster::start(1, 1).await;
    let producer = producer(&cluster, |config| {
        config.max_request_size = 1500;
        config.batch_size = 1500;
        config.buffer_memory = 1500;
    })
    .await;
    cluster.hold(true);
    let first = producer.send(record(0, "x".repeat(800))).await.unwrap();
    let clone = producer.clone();
    let closing = producer.close(Duration::from_millis(300));
    let waiting = clone.send(record(0, "y".repeat(800)));
    tokio::pin!(closing);
    let waited = tokio::select! {
        biased;
        waited = waiting => waited,
        closed = &mut closing => panic!("it closed before whoever waited was told: {closed:?}"),
    };
    assert!(matches!(waited, Err(Error::Closed)));
    assert!(soon(closing).await.is_err());
    assert!(matches!(soon(first).await, Err(Error::Closed)));

    let dropped = super::producer(&cluster, |_| {}).await;
    let delivery = dropped.send(record(0, "z")).await.unwrap();
    drop(dropped);
    assert!(matches!(soon(delivery).await, Err(Error::Closed)));
}

/// A current-thread runtime's other tasks are not held up while batches are compressed, the buffer is full and the broker does not
/// answer: between two ticks of 10 ms its thread never works for 20.
#[tokio::test(flavor = "current_thread")]
async fn the_runtime_is_never_held_up() {
    let cluster = Cluster::start(1, 4).await;
    let producer = producer(&cluster, |config| {
        config.compression = Compression::Gzip;
        config.batch_size = 900 << 10;
        config.buffer_memory = 8 << 20;
    })
    .await;
    cluster.hold(true);
    // Text that takes its time to compress.
    let numbers = (0..20_000_u32).map(|n| n.wrapping_mul(2_654_435_761).to_string());
    let value: String = numbers.collect();
    let fill = async {
        loop {
            let record = ProducerRecord::new("t", value.clone());
            producer.send(record).await.unwrap();
        }
    };
    let mut longest = Duration::ZERO;
    let tick = async {
        let mut ticks = interval(Duration::from_millis(10));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        for _ in 0..50 {
            // Not by the clock on the wall, which goes on while a busy machine serves others.
            let before = worked();
            ticks.tick().await;
            longest = longest.max(worked() - before);
        }
    };
    tokio::select! {
        () = fill => {}
        () = tick => {}
    }
    assert!(cluster.state().requests > 0, "nothing was compressed");
    assert!(
        longest < Duration::from_millis(20),
        "it was held up for {longest:?}"
    );
}

/// How long this thread has worked so far.
fn worked() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.try_into().expect("a thread's time is positive")
}
