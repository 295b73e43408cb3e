//! Members: the product's own code, put together on the world's parts, and an application that receives.

use std::sync::Arc;
use std::time::Duration;

use divvy_balanced_consumer::{BalancedConsumerConfig, Range, RoundRobin, ZooKeeperGroup};
use divvy_embedded_cluster::zookeeper::Millis;
use divvy_simple_consumer::{
    Consumer, ConsumerConfig, Engine, Error, Event, MemoryOffsets, OffsetStore,
};
use divvy_zookeeper::{Executor, Parts, ZooKeeper, paths};
use rand::Rng as _;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::sync::broadcast::Receiver;
use tokio::time::sleep;

use crate::broker::SimBackend;
use crate::host::{MachineClock, Process, SharedProcess};
use crate::network::Link;
use crate::pipe::SimDial;
use crate::world::{Item, State, World};

/// The group that all members are in.
pub(crate) const GROUP: &str = "g";
/// What follows a failed start.
const RESTART: Duration = Duration::from_secs(1);

/// A place for a member: a machine with its clock and its link. One process after another runs there.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) link: Link,
    clock_offset: u64,
    clock_rate: u64,
    /// How many processes there were.
    pub(crate) lives: u64,
    pub(crate) running: Option<Running>,
    pub(crate) frozen_until: Millis,
    pub(crate) work: Millis,
    pub(crate) slow_until: Millis,
    /// After which time it joins again once it has left.
    pub(crate) away: Millis,
}

/// A process that runs.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) process: SharedProcess,
    pub(crate) leave: Arc<Notify>,
    pub(crate) leaving: bool,
    pub(crate) consumer_id: String,
    events: Receiver<Event>,
    backend: u64,
}

impl State {
    /// Makes room for one more member.
    pub(crate) fn add_slot(&mut self) -> usize {
        let latency = self.rng.random_range(1..=5);
        self.slots.push(Slot {
            link: Link::new(latency),
            clock_offset: self.rng.random_range(1..1 << 50),
            clock_rate: self.rng.random_range(950..=1050),
            lives: 0,
            running: None,
            frozen_until: 0,
            work: 0,
            slow_until: 0,
            away: 0,
        });
        self.slots.len() - 1
    }

    /// Ends a member's process where it stands.
    pub(crate) fn crash(&mut self, slot: usize) {
        let now = self.now();
        let Some(running) = self.slots[slot].running.take() else {
            return;
        };
        self.slots[slot].frozen_until = 0;
        running.process.kill();
        self.brokers.forget(running.backend);
        for wire in self.network.of_member(slot) {
            self.leave(wire);
        }
        self.checks.came_or_went(now);
    }

    /// Has every member leave in order.
    pub(crate) fn leave_all(&mut self) {
        self.checks.expect_the_end();
        for running in self
            .slots
            .iter_mut()
            .filter_map(|slot| slot.running.as_mut())
        {
            running.leaving = true;
            running.leave.notify_one();
        }
    }

    /// A member's application has ended by itself.
    fn ended(&mut self, slot: usize, life: u64) {
        if self.slots[slot].lives == life {
            self.hear_events();
            self.note(|| format!("member {slot} has left"));
            self.crash(slot);
            if !self.checks.is_ending() {
                let away = if self.healed {
                    0
                } else {
                    self.slots[slot].away
                };
                self.plan(self.now() + away, Item::Start(slot));
            }
        }
    }

    /// The session in which a member is registered.
    pub(crate) fn session_of(&self, running: &Running) -> Option<i64> {
        let node = self
            .ensemble
            .node(&paths::group_id(GROUP, &running.consumer_id))?;
        Some(node.stat.ephemeral_owner)
    }

    /// Takes what the members report.
    pub(crate) fn hear_events(&mut self) {
        for slot in 0..self.slots.len() {
            while let Some(running) = &mut self.slots[slot].running
                && let Ok(event) = running.events.try_recv()
            {
                let now = self.now();
                self.note(|| format!("member {slot} {}", crate::checks::describe(&event)));
                self.checks.event(now, slot, &event, &self.brokers);
            }
        }
    }
}

/// Starts a member's process.
pub(crate) fn start(world: &World, slot: usize) {
    let backend = SimBackend::new(world);
    let mut state = world.lock();
    if state.slots[slot].running.is_some() {
        state.brokers.forget(backend.id);
        return;
    }
    let (origin, now) = (state.origin, state.now());
    let (random, seed, zookeeper_seed) = state.rng.random::<(u32, u64, u64)>();
    let place = &mut state.slots[slot];
    place.lives += 1;
    let life = place.lives;
    let clock = MachineClock {
        origin,
        offset_ns: place.clock_offset,
        rate: place.clock_rate,
    };
    let process: SharedProcess = Arc::new(Process::default());
    let host = format!("host{slot}");
    let consumer_id = paths::consumer_id(GROUP, &host, 1_433_000_000_000 + now, random);
    let options = &state.options;
    let executor = Executor::hosted(Handle::current(), process.clone());
    let settings = ConsumerConfig {
        group: Some(GROUP.to_owned()),
        auto_commit_interval: Some(Duration::from_millis(options.commit_interval)),
        ..ConsumerConfig::default()
    };
    let known = match options.one_server_each {
        true => slot % options.servers..slot % options.servers + 1,
        false => 0..options.servers,
    };
    let servers: Vec<String> = known.map(|server| format!("zk{server}:2181")).collect();
    let config = divvy_zookeeper::Config {
        session_timeout: Duration::from_millis(options.session_timeout),
        ..divvy_zookeeper::Config::new(servers.join(","))
    };
    let topics: Vec<String> = (0..options.topics.len()).map(topic_name).collect();
    let mut group = BalancedConsumerConfig::new(config.clone(), GROUP, topics);
    group.assignor = if options.round_robin {
        Arc::new(RoundRobin)
    } else {
        Arc::new(Range)
    };
    group.consumer = settings.clone();
    drop(state);

    let parts = Parts {
        dial: Arc::new(SimDial {
            world: world.clone(),
            member: slot,
        }),
        clock: Arc::new(clock),
        runtime: executor.clone(),
        seed: zookeeper_seed,
    };
    let Ok(zookeeper) = ZooKeeper::with_parts(config, parts) else {
        return;
    };
    // Offsets are in ZooKeeper, so that this one is never made.
    let kafka = || -> Arc<dyn OffsetStore> { Arc::new(MemoryOffsets::default()) };
    let (group, store) = ZooKeeperGroup::with_parts(group, zookeeper, kafka, seed);
    let backend_id = backend.id;
    let engine = Engine::new(
        settings,
        consumer_id.clone(),
        Arc::new(backend),
        Some(store),
        executor.clone(),
    );
    let consumer = Consumer::with(engine, group);
    let leave = Arc::new(Notify::new());
    let running = Running {
        process,
        leave: Arc::clone(&leave),
        leaving: false,
        consumer_id: consumer_id.clone(),
        events: consumer.events(),
        backend: backend_id,
    };
    let mut state = world.lock();
    state.note(|| format!("member {slot} starts as {consumer_id}"));
    state.checks.came_or_went(now);
    state.slots[slot].running = Some(running);
    drop(state);
    let application = Application {
        world: world.clone(),
        slot,
        life,
        leave,
    };
    executor.spawn(application.run(consumer));
}

/// The names of topics, by their number.
pub(crate) fn topic_name(topic: usize) -> String {
    format!("t{topic}")
}

/// The application of one member.
struct Application {
    world: World,
    slot: usize,
    life: u64,
    leave: Arc<Notify>,
}

impl Application {
    async fn run(self, mut consumer: Consumer<ZooKeeperGroup>) {
        while let Err(error) = consumer.start().await {
            let slot = self.slot;
            self.world
                .lock()
                .note(|| format!("member {slot} cannot start: {error}"));
            sleep(RESTART).await;
        }
        loop {
            let received = tokio::select! {
                biased;
                () = self.leave.notified() => break,
                received = consumer.recv() => received,
            };
            match received {
                Ok(message) => {
                    let (tp, offset) = (message.partition(), message.offset());
                    let token = message.token();
                    let work = self.world.lock().delivered(self.slot, tp, offset, token);
                    if work > 0 {
                        sleep(Duration::from_millis(work)).await;
                    }
                    self.world.lock().processed(tp, offset);
                }
                Err(Error::Closed) => break,
                Err(error) => {
                    let slot = self.slot;
                    self.world
                        .lock()
                        .note(|| format!("member {slot} receives an error: {error}"));
                }
            }
        }
        if let Err(error) = consumer.close().await {
            let slot = self.slot;
            self.world
                .lock()
                .note(|| format!("member {slot} left with {error}"));
        }
        self.world.lock().ended(self.slot, self.life);
    }
}
