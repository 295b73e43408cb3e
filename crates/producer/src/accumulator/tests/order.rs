//! What fails and is sent again keeps its place.

use std::collections::{BTreeMap, BTreeSet};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;

#[test]
fn a_batch_is_sent_again_before_everything_behind_it() {
    let mut rig = Rig::eager(|_| {});
    let _first = rig.send(0, "first");
    let batches = rig.drain_one();
    let _second = rig.send(0, "second");
    rig.settle(batches, &Err(disconnected()));

    let plan = rig.drain();
    assert!(plan.requests.is_empty(), "a pause comes first");
    let pause = plan.wake_at.unwrap() - rig.now;
    assert!(
        (Duration::from_millis(50)..=Duration::from_millis(100)).contains(&pause),
        "{pause:?}"
    );
    rig.pass(pause);
    let batches = rig.drain_one();
    assert_eq!(values(&batches[0]), ["first"], "no record is added to it");
    rig.settle(batches, &stored_at(0));
    assert_eq!(values(&rig.drain_one()[0]), ["second"]);
}

#[test]
fn pauses_grow_and_a_success_forgets_them() {
    let mut rig = Rig::eager(|_| {});
    let _first = rig.send(0, "first");
    let mut pauses = Vec::new();
    for _ in 0..6 {
        let batches = rig.drain_one();
        rig.settle(batches, &Err(disconnected()));
        let pause = rig.drain().wake_at.unwrap() - rig.now;
        pauses.push(pause);
        rig.pass(pause);
    }
    assert!(
        pauses[5] >= Duration::from_millis(500) && pauses[5] <= Duration::from_secs(1),
        "{pauses:?}"
    );
    let batches = rig.drain_one();
    rig.settle(batches, &stored_at(0));
    let _second = rig.send(0, "second");
    let batches = rig.drain_one();
    rig.settle(batches, &Err(disconnected()));
    assert!(rig.drain().wake_at.unwrap() - rig.now <= Duration::from_millis(100));
}

/// A cluster that stores, refuses and loses requests at random, beside what it must never see.
struct Cluster {
    random: StdRng,
    rig: Rig,
    in_flight: Vec<Work>,
    logs: BTreeMap<i32, Vec<u32>>,
    deliveries: Vec<(i32, u32, Delivery)>,
}

impl Cluster {
    fn new(seed: u64) -> Self {
        Self {
            random: StdRng::seed_from_u64(seed),
            rig: Rig::new(|config| {
                config.batch_size = 300;
                config.max_request_size = 700;
                config.max_in_flight = 3;
            }),
            in_flight: Vec::new(),
            logs: BTreeMap::new(),
            deliveries: Vec::new(),
        }
    }

    fn step(&mut self, number: u32) {
        for _ in 0..self.random.random_range(0..4) {
            let partition = self.random.random_range(0..5);
            // No two records are the same, and their order is that of their numbers.
            let value = number * 4 + u32::try_from(self.deliveries.len() % 4).unwrap();
            if self
                .deliveries
                .last()
                .is_none_or(|(_, last, _)| *last < value)
            {
                let delivery = self.rig.send(partition, &value.to_string());
                self.deliveries.push((partition, value, delivery));
            }
        }
        self.rig
            .pass(Duration::from_millis(self.random.random_range(0..200)));
        self.send();
        if !self.in_flight.is_empty() {
            let any = self.random.random_range(0..self.in_flight.len());
            let work = self.in_flight.swap_remove(any);
            self.answer(work);
        }
    }

    fn send(&mut self) {
        let plan = self.rig.drain();
        self.in_flight.extend(plan.requests);
        assert!(self.in_flight.len() <= 3);
        let mut busy = BTreeSet::new();
        for work in &self.in_flight {
            assert!(
                work.batches
                    .iter()
                    .map(|batch| batch.wire_size)
                    .sum::<usize>()
                    <= 700
            );
            for batch in &work.batches {
                assert!(
                    busy.insert(batch.tp.clone()),
                    "{} twice on its way",
                    batch.tp
                );
            }
        }
    }

    fn answer(&mut self, work: Work) {
        for batch in work.batches {
            let is_too_large = values(&batch).iter().any(|value| value.ends_with('7'));
            let result = match self.random.random_range(0..9) {
                _ if is_too_large => Err(refused(ErrorCode::MESSAGE_TOO_LARGE)),
                0..6 => Ok(self.store(&batch)),
                // Stored, and the answer is lost.
                6 => {
                    self.store(&batch);
                    Err(disconnected())
                }
                7 => Err(disconnected()),
                8 if self.random.random() => Err(refused(ErrorCode::NOT_LEADER_OR_FOLLOWER)),
                _ => Err(refused(ErrorCode::INVALID_REQUIRED_ACKS)),
            };
            self.rig.accumulator.settle(batch, result, self.rig.now);
        }
        self.rig.accumulator.request_ended(1, 0, None);
    }

    fn store(&mut self, batch: &Batch) -> Appended {
        let log = self.logs.entry(batch.tp.partition).or_default();
        let base_offset = i64::try_from(log.len()).unwrap();
        log.extend(
            values(batch)
                .iter()
                .map(|value| value.parse::<u32>().unwrap()),
        );
        Appended {
            base_offset: Some(base_offset),
            log_append_time: None,
        }
    }

    fn finish(&mut self) {
        for _ in 0..10_000 {
            self.rig.pass(Duration::from_millis(200));
            self.send();
            match self.in_flight.pop() {
                Some(work) => self.answer(work),
                None if self.rig.accumulator.flush().is_empty() => return,
                None => {}
            }
        }
        panic!("it never ends");
    }
}

/// Whatever fails: what is acknowledged is in the log, at the offset that was told, in the order of sending; and a record is in the
/// log several times only as part of a whole batch that was sent again before anything that follows it.
#[test]
fn acknowledged_records_are_in_order_whatever_fails() {
    for seed in 0..200 {
        let mut cluster = Cluster::new(seed);
        for number in 0..100 {
            cluster.step(number);
        }
        cluster.finish();
        let mut last_offset: BTreeMap<i32, i64> = BTreeMap::new();
        let (mut stored, mut failed) = (0, 0);
        for (partition, value, delivery) in &mut cluster.deliveries {
            let Ok(metadata) = outcome(delivery).expect("every record has an outcome") else {
                failed += 1;
                continue;
            };
            stored += 1;
            let offset = metadata.offset.unwrap();
            let log = &cluster.logs[partition];
            assert_eq!(log[usize::try_from(offset).unwrap()], *value, "seed {seed}");
            let before = last_offset.insert(*partition, offset);
            assert!(
                before.is_none_or(|before| before < offset),
                "seed {seed}: {value} out of order"
            );
        }
        assert!(stored > 0 && failed > 0, "seed {seed} shows nothing");
        for log in cluster.logs.values() {
            let mut highest = 0;
            for run in log.chunk_by(|a, b| a < b) {
                // A run begins where a batch is repeated, never further back than that batch.
                assert!(*run.last().unwrap() >= highest, "seed {seed}: {log:?}");
                highest = highest.max(*run.last().unwrap());
            }
        }
        assert_eq!(cluster.rig.budget.free(), BUDGET, "seed {seed}");
    }
}
