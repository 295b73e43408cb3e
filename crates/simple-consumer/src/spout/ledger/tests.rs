//! The ledger against a model that keeps everything in one plain map and has no queues, lanes or counters.

use std::collections::{BTreeMap, BTreeSet};

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::super::config::RetryPolicy;
use super::super::dead_letters::{DeadLetter, DeadLetters};
use super::*;
use crate::progress::Progress;

const SEEDS: u64 = 400;
const STEPS: usize = 400;
const SIZE: usize = 10;
const TIMEOUT: Duration = Duration::from_secs(20);

/// A message that was taken.
#[derive(Debug, Default)]
struct Taken {
    attempts: u32,
    flying: Option<Duration>,
    /// It has failed, and comes again not before.
    due: Duration,
    /// It comes again at this time at the latest, if it may.
    overdue: Duration,
    parting: bool,
    halted: bool,
}

/// One partition and what is known of it under its present hold.
struct Place {
    tp: TopicPartition,
    /// The whole log: what is missing was compacted away.
    log: BTreeSet<i64>,
    hold: Hold,
    standing: Standing,
    /// Where the log is read on.
    position: i64,
    /// The unfinished messages.
    taken: BTreeMap<i64, Taken>,
    progress: Progress,
}

struct World {
    seed: u64,
    random: SmallRng,
    config: Arc<SpoutConfig>,
    ledger: Ledger<i64>,
    places: Vec<Place>,
    now: Duration,
    epochs: u64,
    /// Everything that was handed out, of any hold.
    ids: Vec<MessageId>,
    stale: u64,
    delivered: usize,
    refetched: usize,
    compacted: usize,
}

struct Nowhere;

#[async_trait::async_trait]
impl DeadLetters for Nowhere {
    async fn bury(
        &self,
        _letter: &DeadLetter,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        Ok(())
    }
}

fn config(random: &mut SmallRng) -> SpoutConfig {
    SpoutConfig {
        max_in_flight: random.random_range(1..12),
        max_in_flight_per_partition: random.random_range(1..8),
        max_uncommitted_span: random.random_range(1..40),
        in_flight_timeout: random.random_bool(0.5).then_some(TIMEOUT),
        max_retained_bytes: random.random_range(0..6) * SIZE,
        retry: RetryPolicy {
            limit: random.random_bool(0.5).then(|| random.random_range(0..3)),
            after: match random.random_range(0..3) {
                0 => After::Drop,
                1 => After::DeadLetter(Arc::new(Nowhere)),
                _ => After::Halt,
            },
            max: Duration::from_secs(5),
            ..RetryPolicy::default()
        },
        ordering: match random.random_range(0..3) {
            0 => Ordering::Unordered,
            1 => Ordering::PerPartition,
            _ => Ordering::PerKey {
                lanes: random.random_range(1..5),
            },
        },
        ..SpoutConfig::default()
    }
}

/// The key of a message: of every fifth, none.
fn key(offset: i64) -> Option<[u8; 1]> {
    (offset % 5 != 0).then_some([(offset % 3) as u8])
}

fn lane(config: &SpoutConfig, offset: i64) -> Option<u64> {
    let key = key(offset)?;
    match config.ordering {
        Ordering::PerKey { lanes } => Some(fnv(&key) % u64::from(lanes)),
        _ => None,
    }
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = SmallRng::seed_from_u64(seed);
        let config = Arc::new(config(&mut random));
        let places = (0..3).map(|partition| {
            let tp = TopicPartition::new("t", partition);
            let log = (0..200).filter(|_| random.random_bool(0.9)).collect();
            Place {
                hold: Hold {
                    tp: tp.clone(),
                    epoch: 1,
                    token: 100,
                },
                tp,
                log,
                standing: Standing::Open,
                position: 0,
                taken: BTreeMap::new(),
                progress: Progress::new(0),
            }
        });
        Self {
            seed,
            places: places.collect(),
            ledger: Ledger::new(Arc::clone(&config)),
            random,
            config,
            now: Duration::from_secs(1),
            epochs: 1,
            ids: Vec::new(),
            stale: 0,
            delivered: 0,
            refetched: 0,
            compacted: 0,
        }
    }

    fn standing(&self) -> impl Fn(&Hold) -> Standing + use<> {
        let holds: Vec<(Hold, Standing)> = self
            .places
            .iter()
            .map(|place| (place.hold.clone(), place.standing))
            .collect();
        move |hold| {
            let found = holds.iter().find(|(held, _)| held == hold);
            found.map_or(Standing::Gone, |(_, standing)| *standing)
        }
    }

    fn place(&mut self, tp: &TopicPartition) -> &mut Place {
        self.places.iter_mut().find(|at| at.tp == *tp).unwrap()
    }

    fn act(&mut self) {
        match self.random.random_range(0..20) {
            0..5 => self.receive(),
            5..10 => self.step(),
            10..13 => self.answer(true),
            13..16 => self.answer(false),
            16 => self.now += Duration::from_millis(self.random.random_range(0..4000)),
            17 => self.expire(),
            18 => self.compact(),
            _ => self.regroup(),
        }
        self.settle();
        self.check();
    }

    /// Receives the next message of some partition, if the ledger has room for it.
    fn receive(&mut self) {
        let at = self.random.random_range(0..self.places.len());
        let place = &mut self.places[at];
        let known = self.ledger.hold(&place.tp) == Some(&place.hold);
        let Some(offset) = place.log.range(place.position..).next().copied() else {
            return;
        };
        if place.standing != Standing::Open || (known && self.ledger.room(&place.tp) != Room::Any) {
            return;
        }
        self.ledger.open(&place.tp, place.hold.clone(), known);
        if self.ledger.room(&place.tp) != Room::Any {
            return;
        }
        place.progress.detach(offset);
        place.progress.advance(offset + 1);
        place.taken.insert(offset, Taken::default());
        take(&mut self.ledger, place, place.position, offset, self.now);
        place.position = offset + 1;
    }

    fn step(&mut self) {
        let (standing, now) = (self.standing(), self.now);
        let Some(step) = self.ledger.next_step(now, standing) else {
            return self.nothing_is_due();
        };
        match step {
            Step::Deliver { message, attempt } => self.delivered_one(message, attempt),
            Step::Bury { message, attempt } => {
                let place = &mut self.places[partition(message)];
                let taken = place.taken.get_mut(&offset(message)).unwrap();
                assert_eq!(taken.attempts, attempt, "seed {}", self.seed);
                assert!(self.config.retry.is_exhausted(attempt) && taken.flying.is_none());
                taken.parting = true;
            }
            Step::Refetch { hold, offset } => self.refetch(&hold, offset),
        }
    }

    fn delivered_one(&mut self, message: i64, attempt: u32) {
        let (seed, now) = (self.seed, self.now);
        self.delivered += 1;
        let config = Arc::clone(&self.config);
        let place = &mut self.places[partition(message)];
        let offset = offset(message);
        assert_eq!(place.standing, Standing::Open, "seed {seed}");
        let earlier: Vec<i64> = place.taken.range(..offset).map(|(at, _)| *at).collect();
        let is_before = |at: &i64| match config.ordering {
            Ordering::Unordered => false,
            Ordering::PerPartition => true,
            Ordering::PerKey { .. } => {
                lane(&config, offset).is_some() && lane(&config, *at) == lane(&config, offset)
            }
        };
        assert!(!earlier.iter().any(is_before), "seed {seed}: out of order");
        let taken = place.taken.get_mut(&offset).expect("it is finished");
        assert!(
            taken.flying.is_none() && !taken.parting && !taken.halted,
            "seed {seed}: {offset} twice at once"
        );
        assert!(taken.due <= now, "seed {seed}: {offset} too early");
        taken.attempts += 1;
        taken.flying = Some(now);
        assert_eq!(taken.attempts, attempt, "seed {seed}");
        assert!(attempt == 1 || !config.retry.is_exhausted(attempt - 1));
        self.ids
            .push(MessageId::new(&place.tp, offset, place.hold.token));
    }

    /// Where nothing is to be done, nothing that could be is left lying.
    fn nothing_is_due(&self) {
        let flying = |place: &Place| {
            let taken = place.taken.values();
            taken
                .filter(|taken| taken.flying.is_some() || taken.parting)
                .count()
        };
        if self.places.iter().map(flying).sum::<usize>() >= self.config.max_in_flight {
            return;
        }
        for place in &self.places {
            let has_room = flying(place) < self.config.max_in_flight_per_partition;
            let free = place.taken.iter().find(|(offset, taken)| {
                let waits = taken.flying.is_none() && !taken.parting && !taken.halted;
                let mine = lane(&self.config, **offset);
                let mut before = place.taken.range(..**offset);
                waits
                    && taken.overdue <= self.now
                    && !before.any(|(at, _)| mine.is_some() && lane(&self.config, *at) == mine)
            });
            assert!(
                place.standing != Standing::Open || !has_room || free.is_none(),
                "seed {}: {free:?} is left lying",
                self.seed
            );
        }
    }

    /// The log is read again, at once, as far as it is known.
    fn refetch(&mut self, hold: &Hold, from: i64) {
        self.refetched += 1;
        let now = self.now;
        let seed = self.seed;
        let place = self.places.iter().position(|at| at.hold == *hold).unwrap();
        let place = &self.places[place];
        assert!(place.taken.contains_key(&from), "seed {seed}");
        let mut at = from;
        for offset in place.log.range(from..place.position) {
            if self.ledger.room(&place.tp) == Room::None {
                return;
            }
            assert!(self.ledger.is_known(&place.tp, *offset));
            take(&mut self.ledger, place, at, *offset, now);
            at = offset + 1;
        }
        self.ledger.passed(&place.tp, at, place.position);
    }

    /// Acknowledges or fails something that was handed out at any time.
    fn answer(&mut self, ack: bool) {
        if self.ids.is_empty() {
            return;
        }
        // Mostly what was handed out lately.
        let back = self.random.random_range(0..self.ids.len().min(30));
        let id = self.ids[self.ids.len() - 1 - back].clone();
        let (now, seed) = (self.now, self.seed);
        let exhausts = self.config.retry.clone();
        let standing = self.standing();
        self.ledger.sweep_one(id.place(), &standing);
        let place = self.place(id.place());
        let current = place.hold.token == id.epoch() && place.standing != Standing::Gone;
        let ending = place.standing == Standing::Ending;
        let taken = place
            .taken
            .get_mut(&id.offset())
            .filter(|taken| current && taken.attempts > 0);
        let counts = match (taken, ack) {
            (Some(taken), true) => taken.flying.is_some() || taken.parting || !ending,
            (Some(taken), false) => {
                let flew = taken.flying.take().is_some();
                if flew {
                    fall(taken, &exhausts, now);
                }
                flew
            }
            (None, _) => false,
        };
        let counted = if ack {
            self.ledger.ack(&id)
        } else {
            self.ledger.fail(&id, now)
        };
        assert_eq!(counted, counts, "seed {seed}: {id}, ack: {ack}");
        self.stale += u64::from(!counted);
    }

    fn expire(&mut self) {
        self.ledger.expire(self.now);
        let Some(age) = self.config.in_flight_timeout else {
            return;
        };
        let now = self.now;
        for place in &mut self.places {
            for taken in place.taken.values_mut() {
                if taken.flying.is_some_and(|since| since + age <= now) {
                    taken.flying = None;
                    fall(taken, &self.config.retry, now);
                }
            }
        }
    }

    /// A message goes from the log, or a dead letter is taken.
    fn compact(&mut self) {
        let at = self.random.random_range(0..self.places.len());
        let place = &mut self.places[at];
        let parting = place.taken.iter().find(|(_, taken)| taken.parting);
        if let Some((offset, _)) = parting {
            let id = MessageId::new(&place.tp, *offset, place.hold.token);
            assert!(self.ledger.buried(&id));
            return;
        }
        // Where there is one, one that was taken and is not finished.
        let from = place.position - self.random.random_range(0..20);
        let unfinished = place.taken.range(from..).next();
        let offset = unfinished.map_or(from, |(offset, _)| *offset);
        place.log.remove(&offset);
    }

    /// A partition is suspended, resumed, stopped, or taken away and given back.
    fn regroup(&mut self) {
        let at = self.random.random_range(0..self.places.len());
        self.epochs += 1;
        let epoch = self.epochs;
        let place = &mut self.places[at];
        place.standing = match (place.standing, epoch % 3) {
            (Standing::Open, 0) => Standing::Ending,
            (Standing::Open, _) => Standing::Shut,
            (Standing::Shut, _) => Standing::Open,
            (Standing::Ending | Standing::Gone, _) => {
                place.hold.epoch = epoch;
                place.hold.token += 1;
                place.position = place.progress.finished();
                place.progress = Progress::new(place.position);
                place.taken.clear();
                Standing::Open
            }
        };
        self.ledger.sweep(self.standing());
    }

    /// Takes in what follows.
    fn settle(&mut self) {
        for output in self.ledger.outputs() {
            match output {
                Output::Finished { hold, offset } => {
                    let place = self.place(&hold.tp);
                    assert_eq!(place.hold, hold);
                    assert!(place.taken.remove(&offset).is_some(), "finished twice");
                    assert!(place.progress.ack(offset));
                }
                Output::Report(Event::GivenUp {
                    tp,
                    offset,
                    fate: Fate::NotInLog,
                    ..
                }) => {
                    self.compacted += 1;
                    assert!(!self.place(&tp).log.contains(&offset), "it is in the log");
                }
                Output::Forsaken { hold } => {
                    let place = self.place(&hold.tp);
                    assert_eq!(place.standing, Standing::Ending);
                    let flies = place.taken.values().any(|taken| taken.flying.is_some());
                    assert!(!flies, "something is in flight");
                }
                Output::Report(_) => {}
            }
        }
        while let Some(halt) = self.ledger.next_halt() {
            assert!(self.config.retry.is_exhausted(halt.attempts));
        }
    }

    fn check(&self) {
        let (seed, config) = (self.seed, &self.config);
        let stats = self.ledger.stats(self.now);
        let mut flying = 0;
        for place in &self.places {
            let mine = place.taken.values();
            let mine = mine
                .filter(|taken| taken.flying.is_some() || taken.parting)
                .count();
            let parting = place.taken.values().any(|taken| taken.parting);
            assert!(mine <= config.max_in_flight_per_partition, "seed {seed}");
            let unfinished = place.taken.keys().next().copied();
            let expected = unfinished.unwrap_or(place.position);
            assert_eq!(place.progress.finished(), expected, "seed {seed}");
            if let Some(known) = stats.partitions.get(&place.tp)
                && place.standing != Standing::Gone
                && !(parting && place.standing == Standing::Ending)
            {
                assert_eq!(known.in_flight, mine, "seed {seed}");
                if place.standing != Standing::Ending {
                    assert_eq!(known.waiting, place.taken.len() - mine, "seed {seed}");
                    let span = unfinished.map_or(0, |first| place.position.abs_diff(first));
                    // Offsets that the log leaves out behind the last message count later.
                    assert!(known.span <= span, "seed {seed}");
                }
            }
            flying += mine;
        }
        assert!(flying <= config.max_in_flight, "seed {seed}");
        let unfinished: usize = self.places.iter().map(|at| at.taken.len()).sum();
        assert!(stats.retained_bytes <= unfinished * SIZE, "seed {seed}");
        assert_eq!(stats.stale, self.stale, "seed {seed}");
        assert_eq!(stats.delivered, self.delivered as u64, "seed {seed}");
        if let Some(at) = self.ledger.wake_at(self.now) {
            assert!(at > self.now, "seed {seed}");
        }
    }

    /// Whatever happened: once everybody answers, everything is finished.
    fn finish(&mut self) {
        for place in &mut self.places {
            if place.standing == Standing::Shut {
                place.standing = Standing::Open;
            }
        }
        for _ in 0..20_000 {
            self.now += Duration::from_millis(50);
            self.receive();
            self.step();
            let ids: Vec<MessageId> = self.unanswered();
            for id in ids {
                assert!(self.ledger.ack(&id), "seed {}: {id}", self.seed);
            }
            self.settle();
            self.compact_letters();
            self.settle();
            let open = self.places.iter();
            let mut open = open.filter(|place| place.standing == Standing::Open);
            if open.all(|place| place.taken.is_empty() && place.position > 150) {
                return;
            }
        }
        let left = self.places.iter().map(|place| &place.taken);
        panic!("seed {}: {:?}", self.seed, left.collect::<Vec<_>>());
    }

    fn unanswered(&self) -> Vec<MessageId> {
        let places = self.places.iter();
        places
            .flat_map(|place| {
                let is_open = place.standing == Standing::Open;
                let unanswered = place.taken.iter();
                unanswered
                    .filter(move |(_, taken)| taken.flying.is_some() || taken.halted && is_open)
                    .map(|(offset, _)| MessageId::new(&place.tp, *offset, place.hold.token))
            })
            .collect()
    }

    fn compact_letters(&mut self) {
        for place in &self.places {
            for (offset, _) in place.taken.iter().filter(|(_, taken)| taken.parting) {
                let id = MessageId::new(&place.tp, *offset, place.hold.token);
                self.ledger.buried(&id);
            }
        }
    }
}

/// What a failure makes of a message.
fn fall(taken: &mut Taken, retry: &RetryPolicy, now: Duration) {
    if !retry.is_exhausted(taken.attempts) {
        // At least so long: what is left to chance is a fifth.
        let whole = retry.initial * 2_u32.pow(taken.attempts - 1);
        let whole = whole.min(retry.max);
        (taken.due, taken.overdue) = (now + whole.mul_f64(0.8), now + whole);
    } else if matches!(retry.after, After::Halt) {
        taken.halted = true;
    }
}

/// Messages are numbers that say where they are from.
fn message(place: &Place, offset: i64) -> i64 {
    i64::from(place.tp.partition) * 1000 + offset
}

fn partition(message: i64) -> usize {
    usize::try_from(message / 1000).unwrap()
}

fn offset(message: i64) -> i64 {
    message % 1000
}

fn take(ledger: &mut Ledger<i64>, place: &Place, covers_from: i64, offset: i64, now: Duration) {
    let key = key(offset);
    let incoming = Incoming {
        place: &place.tp,
        offset,
        covers_from,
        key: key.as_ref().map(<[u8; 1]>::as_slice),
        message: message(place, offset),
        size: SIZE,
    };
    ledger.take(incoming, now);
}

#[test]
fn agrees_with_the_model_whatever_happens() {
    let (mut delivered, mut refetched, mut compacted, mut stale) = (0, 0, 0, 0);
    for seed in 0..SEEDS {
        let mut world = World::new(seed);
        for _ in 0..STEPS {
            world.act();
        }
        world.finish();
        delivered += world.delivered;
        refetched += world.refetched;
        compacted += world.compacted;
        stale += world.stale;
    }
    // A run in which one of these never happens shows nothing of it.
    assert!(delivered > 10_000 && stale > 1000, "{delivered} {stale}");
    assert!(refetched > 500 && compacted > 10, "{refetched} {compacted}");
}
