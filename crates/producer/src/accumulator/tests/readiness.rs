//! When which batch is sent.

use super::*;

#[test]
fn a_batch_waits_for_more_records_until_it_lingered() {
    let mut rig = Rig::new(|_| {});
    let _one = rig.send(0, "one");
    rig.pass(LINGER / 2);
    let _two = rig.send(0, "two");
    let plan = rig.drain();
    assert!(plan.requests.is_empty());
    assert_eq!(
        plan.wake_at,
        Some(rig.now + LINGER / 2),
        "counted from its first record"
    );
    rig.pass(LINGER / 2);
    assert_eq!(values(&rig.drain_one()[0]), ["one", "two"]);
}

#[test]
fn a_full_batch_goes_at_once_and_records_beyond_begin_another() {
    let mut rig = Rig::new(|config| config.batch_size = size_of_batch(&["one", "two"]));
    let append = |rig: &mut Rig, value| {
        let (now, slot) = (rig.now, rig.accumulator.slot(&tp(0)));
        let record = record(value);
        let fields = Fields::new(&record, 1000);
        let queued = rig.accumulator.append(slot, &fields, || now);
        queued.unwrap().is_news
    };
    assert!(
        append(&mut rig, "one"),
        "a new batch is news: it has a time"
    );
    assert!(append(&mut rig, "two"), "a full one is news");
    assert!(append(&mut rig, "3"));
    assert!(
        !append(&mut rig, "4"),
        "another record in an open batch is none"
    );
    let batches = rig.drain_one();
    assert_eq!(values(&batches[0]), ["one", "two"]);
    rig.settle(batches, &stored_at(0));
    assert!(rig.drain().requests.is_empty(), "what is left lingers");
}

#[test]
fn a_record_larger_than_a_batch_has_one_to_itself() {
    let mut rig = Rig::eager(|config| config.batch_size = 200);
    let large = "x".repeat(1000);
    let _deliveries = [rig.send(0, "a"), rig.send(0, &large), rig.send(0, "b")];
    let mut sent = Vec::new();
    for _ in 0..3 {
        let batches = rig.drain_one();
        sent.push(values(&batches[0]));
        rig.settle(batches, &stored_at(0));
    }
    assert_eq!(sent, [["a"], [large.as_str()], ["b"]]);
}

#[test]
fn nothing_lingers_while_somebody_waits_for_room_or_flushes() {
    let mut rig = Rig::new(|_| {});
    let _one = rig.send(0, "one");
    assert!(rig.drain().requests.is_empty());
    rig.pressure = true;
    let batches = rig.drain_one();
    rig.settle(batches, &stored_at(0));

    rig.pressure = false;
    let _two = rig.send(0, "two");
    let pending = rig.accumulator.flush();
    assert_eq!(pending.len(), 1);
    let listed = (pending[0].outcome.partition(), pending[0].numbers.len());
    assert_eq!(listed, (&tp(0), 1));
    let _three = rig.send(0, "three");
    assert_eq!(
        values(&rig.drain_one()[0]),
        ["two"],
        "what came after the flush is not part of it"
    );
}

#[test]
fn a_partition_has_one_batch_on_its_way_and_others_do_not_wait_for_it() {
    let mut rig = Rig::eager(|_| {});
    let _a = rig.send(0, "a");
    let first = rig.drain_one();
    let _more = [rig.send(0, "b"), rig.send(1, "c")];
    let second = rig.drain_one();
    assert_eq!(second.len(), 1);
    assert_eq!(values(&second[0]), ["c"]);
    assert!(rig.drain().requests.is_empty());
    rig.settle(first, &stored_at(0));
    assert_eq!(values(&rig.drain_one()[0]), ["b"]);
}

#[test]
fn requests_are_bounded_in_bytes_and_number_and_partitions_take_turns() {
    let room_for_two = 2 * size_of_batch(&["x"]);
    let mut rig = Rig::eager(|config| {
        config.batch_size = 1;
        config.max_request_size = room_for_two;
        config.max_in_flight = 1;
    });
    let _deliveries: Vec<Delivery> = (0..15).map(|n| rig.send(n % 5, "x")).collect();
    let mut served = Vec::new();
    for _ in 0..7 {
        let batches = rig.drain_one();
        assert!(batches.len() <= 2, "{batches:?}");
        assert!(rig.drain().requests.is_empty(), "one request at a time");
        served.extend(batches.iter().map(|batch| batch.tp.partition));
        rig.settle(batches, &stored_at(0));
    }
    assert_eq!(served[..10], [0, 1, 2, 3, 4, 0, 1, 2, 3, 4]);
}

#[test]
fn several_requests_go_at_a_time_where_they_may() {
    let mut rig = Rig::eager(|config| {
        config.max_request_size = size_of_batch(&["x"]);
        config.batch_size = config.max_request_size;
        config.max_in_flight = 2;
    });
    let _deliveries: Vec<Delivery> = (0..3).map(|n| rig.send(n, "x")).collect();
    let plan = rig.drain();
    assert_eq!(plan.requests.len(), 2);
    for work in plan.requests {
        rig.settle(work.batches, &stored_at(0));
    }
    assert_eq!(rig.drain_one().len(), 1);
}

#[test]
fn each_broker_gets_what_it_leads_and_the_rest_waits_for_a_leader() {
    let mut rig = Rig::eager(|_| {});
    let _deliveries: Vec<Delivery> = (0..3).map(|n| rig.send(n, "x")).collect();
    let leader = |tp: &TopicPartition| (tp.partition < 2).then_some(tp.partition + 10);
    assert!(rig.accumulator.misses_a_leader(leader));
    let plan = rig.accumulator.drain(leader, false, rig.now);
    assert!(plan.misses_a_leader);
    let brokers: Vec<i32> = plan.requests.iter().map(|work| work.broker).collect();
    assert_eq!(brokers, [10, 11]);
    assert_eq!(rig.drain_one()[0].tp, tp(2));
}

#[test]
fn a_broker_that_throttles_is_left_alone_for_that_time() {
    let mut rig = Rig::eager(|_| {});
    let _a = rig.send(0, "a");
    let batches = rig.drain_one();
    for batch in batches {
        rig.accumulator.settle(batch, stored_at(0), rig.now);
    }
    let until = rig.now + Duration::from_secs(1);
    rig.accumulator.request_ended(1, 0, Some(until));
    let _b = rig.send(0, "b");
    let plan = rig.drain();
    assert!(plan.requests.is_empty());
    assert_eq!(plan.wake_at, Some(until));
    rig.pass(Duration::from_secs(1));
    assert_eq!(values(&rig.drain_one()[0]), ["b"]);
}

#[test]
fn records_with_headers_keep_to_themselves() {
    let mut rig = Rig::eager(|_| {});
    let dressed = |value| {
        let mut record = record(value);
        record.headers = vec![("hat".to_owned(), None)];
        record
    };
    let _deliveries = [
        rig.send(0, "a"),
        rig.send_record(0, &dressed("b")),
        rig.send_record(0, &dressed("c")),
        rig.send(0, "d"),
    ];
    let mut sent = Vec::new();
    for _ in 0..3 {
        let batches = rig.drain_one();
        sent.push(values(&batches[0]));
        rig.settle(batches, &stored_at(0));
    }
    assert_eq!(sent, [vec!["a"], vec!["b", "c"], vec!["d"]]);
}

#[test]
fn a_batch_takes_so_many_records_and_no_more() {
    let mut rig = Rig::new(|config| config.batch_messages = 2);
    let _deliveries = [rig.send(0, "a"), rig.send(0, "b"), rig.send(0, "c")];
    let batches = rig.drain_one();
    assert_eq!(
        values(&batches[0]),
        ["a", "b"],
        "full, so it does not linger"
    );
    rig.settle(batches, &stored_at(0));
    assert!(rig.drain().requests.is_empty(), "what is left lingers");
}

#[test]
fn partitions_are_dealt_out_among_the_connections() {
    let mut rig = Rig::eager(|config| {
        config.connections_per_broker = 2;
        config.max_in_flight = 3;
    });
    let _deliveries: Vec<_> = (0..5).map(|partition| rig.send(partition, "a")).collect();
    let partitions = |work: &Work| -> Vec<i32> {
        let batches = work.batches.iter();
        batches.map(|batch| batch.tp.partition).collect()
    };
    let mut requests = rig.drain().requests;
    let dealt: Vec<_> = requests
        .iter()
        .map(|work| (work.connection, partitions(work)))
        .collect();
    assert_eq!(dealt, [(0, vec![0, 2, 4]), (1, vec![1, 3])]);

    // The next goes to the connection that has less to do.
    let done = requests.remove(1);
    for batch in done.batches {
        rig.accumulator.settle(batch, stored_at(0), rig.now);
    }
    rig.accumulator.request_ended(1, 1, None);
    let _delivery = rig.send(3, "b");
    let next = rig.drain().requests;
    assert_eq!((next.len(), next[0].connection), (1, 1));
    let _delivery = rig.send(1, "b");
    assert_eq!(rig.drain().requests.len(), 1);
    let _delivery = rig.send(7, "b");
    assert!(rig.drain().requests.is_empty(), "three are on their way");
}
