//! Everything that is outside of the members: the servers, the brokers, the network, time, and those who look on.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};

use divvy_embedded_cluster::zookeeper::{Config, ConnectionId, Ensemble, Millis, Output};
use divvy_zookeeper::wire::{ClientFrame, ServerFrame};
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::broker::Brokers;
use crate::checks::Checks;
use crate::fault::Stage;
use crate::host::lock;
use crate::member::Slot;
use crate::network::{Down, Network, Up, Way, Wire, due, stage};
use crate::options::Options;
use crate::strikes::Armed;
use crate::timeline::Timeline;

/// How often the members' reports are heard, unless somebody reads along.
const HEAR_EVERY: Millis = 200;

/// The world, shared by everything that takes part in a run.
#[derive(Clone)]
pub(crate) struct World(Arc<Inner>);

struct Inner {
    state: Mutex<State>,
    /// Something was put on the agenda before what was its first item.
    poke: Notify,
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").finish_non_exhaustive()
    }
}

/// What will happen.
#[derive(Debug)]
pub(crate) enum Item {
    /// Something arrives at the server's end of a connection.
    Up(Wire),
    /// Something arrives at the member's end of a connection.
    Down(Wire),
    /// Both ends of a connection notice that it is broken.
    Broken(Wire),
    /// A fault of the options strikes, or waits for its moment from now on.
    Fault(usize),
    /// A fault that waited for its moment waits no longer.
    Impatience(usize),
    /// A member is started.
    Start(usize),
    Thaw(usize),
    /// A link works again.
    Mend(usize),
    /// A link fails in both directions, for a time.
    Cut(usize, Millis),
    StartServer(usize),
    HealServer(usize),
    LagServer(usize, Millis),
    Append,
    /// A topic gets so many more partitions, as soon as the servers can be told.
    Grow(usize, i32),
    /// The servers end a session, whose member cannot hold a lease any more.
    Expire(i64),
}

pub(crate) struct State {
    pub(crate) origin: Instant,
    /// The time, in milliseconds since the origin, when somebody last came here.
    time: Millis,
    pub(crate) options: Options,
    pub(crate) rng: SmallRng,
    pub(crate) agenda: BTreeMap<(Millis, u64), Item>,
    last_item: u64,
    /// When the run goes on by itself.
    sleeping_until: Millis,
    pub(crate) ensemble: Ensemble,
    pub(crate) network: Network,
    pub(crate) brokers: Brokers,
    pub(crate) slots: Vec<Slot>,
    /// Members to be started, which is not done under the lock.
    pub(crate) starting: Vec<usize>,
    pub(crate) armed: Vec<Armed>,
    pub(crate) topics: Vec<i32>,
    pub(crate) checks: Checks,
    pub(crate) timeline: Timeline,
    /// No fault strikes any more.
    pub(crate) healed: bool,
    pub(crate) appending: bool,
}

impl World {
    pub(crate) fn new(options: Options, verbose: bool) -> Self {
        let ensemble = Ensemble::new(Config {
            servers: options.servers,
            tick: options.tick,
            sync_limit: options.sync_limit,
            secret: options.seed,
            journal: true,
            ..Config::default()
        });
        let state = State {
            origin: Instant::now(),
            time: 0,
            rng: SmallRng::seed_from_u64(options.seed ^ 0x5eed),
            agenda: BTreeMap::new(),
            last_item: 0,
            sleeping_until: 0,
            ensemble,
            network: Network::default(),
            brokers: Brokers::default(),
            slots: Vec::new(),
            starting: Vec::new(),
            armed: Vec::new(),
            topics: Vec::new(),
            checks: Checks::new(&options),
            timeline: Timeline::new(verbose),
            healed: false,
            appending: true,
            options,
        };
        Self(Arc::new(Inner {
            state: Mutex::new(state),
            poke: Notify::new(),
        }))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        let mut state = lock(&self.0.state);
        state.time = u64::try_from(state.origin.elapsed().as_millis()).unwrap_or(u64::MAX);
        state
    }

    /// Does something in the world, on behalf of a member.
    pub(crate) fn act<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.lock();
        let done = act(&mut state);
        if state.next() < state.sleeping_until {
            self.0.poke.notify_one();
        }
        done
    }

    /// Lets the world go on until then.
    pub(crate) async fn run_until(&self, end: Millis) {
        loop {
            let (next, origin, starting) = {
                let mut state = self.lock();
                state.step();
                let next = state.next().min(end);
                state.sleeping_until = next;
                (next, state.origin, std::mem::take(&mut state.starting))
            };
            for slot in starting {
                crate::member::start(self, slot);
            }
            if self.lock().now() >= end {
                return;
            }
            tokio::select! {
                biased;
                () = self.0.poke.notified() => {}
                () = tokio::time::sleep_until(origin + std::time::Duration::from_millis(next)) => {}
            }
        }
    }

    /// Waits for what a connection brings.
    pub(crate) fn poll_wire<T>(
        &self,
        wire: Wire,
        context: &Context<'_>,
        take: impl FnOnce(&mut crate::network::Connection) -> Option<T>,
    ) -> Poll<Option<T>> {
        let mut state = lock(&self.0.state);
        let Some(connection) = state.network.connections.get_mut(&wire) else {
            return Poll::Ready(None);
        };
        match take(connection) {
            Some(taken) => Poll::Ready(Some(taken)),
            None => {
                connection.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl State {
    pub(crate) fn now(&self) -> Millis {
        self.time
    }

    pub(crate) fn plan(&mut self, at: Millis, item: Item) {
        self.last_item += 1;
        self.agenda.insert((at, self.last_item), item);
    }

    fn next(&self) -> Millis {
        let first = self.agenda.keys().next().map(|(at, _)| *at);
        let first = first.into_iter().chain(self.ensemble.poll_timeout());
        first.min().unwrap_or(Millis::MAX)
    }

    pub(crate) fn note(&mut self, line: impl FnOnce() -> String) {
        let now = self.now();
        self.timeline.note(now, line);
    }

    /// Does everything that is due.
    pub(crate) fn step(&mut self) {
        let now = self.now();
        if self.timeline.is_wanted() || self.checks.heard + HEAR_EVERY <= now {
            self.hear_events();
            self.checks.heard = now;
        }
        loop {
            if self.ensemble.poll_timeout().is_some_and(|at| at <= now) {
                self.ensemble.handle_timeout(now);
                self.carry_out();
            }
            let Some(first) = self.agenda.first_entry().filter(|item| item.key().0 <= now) else {
                break;
            };
            let item = first.remove();
            self.happen(now, item);
        }
        self.look_on(now);
    }

    fn happen(&mut self, now: Millis, item: Item) {
        match item {
            Item::Up(wire) => self.arrive_up(now, wire),
            Item::Down(wire) => self.arrive_down(now, wire),
            Item::Broken(wire) => self.broken(now, wire),
            Item::Append => self.append(now),
            item => self.befall(now, item),
        }
    }

    fn append(&mut self, now: Millis) {
        if !self.appending {
            return;
        }
        let partitions = self.brokers.logs.len();
        for _ in 0..self.rng.random_range(1..=3) {
            let chosen = self.rng.random_range(0..partitions);
            if let Some(tp) = self.brokers.logs.keys().nth(chosen).cloned() {
                self.brokers.append(&tp);
                self.checks.appended(now, &tp);
            }
        }
        let gap = self.rng.random_range(1..=2 * self.options.append_gap);
        self.plan(now + gap, Item::Append);
    }
}

/// The network.
impl State {
    /// A member sends something.
    pub(crate) fn send_up(&mut self, wire: Wire, up: Up) {
        let now = self.now();
        let Some(connection) = self.network.connections.get_mut(&wire) else {
            return;
        };
        if let Up::Frame(frame) = &up
            && let Some(stage) = stage(frame)
        {
            connection.stages.push_back(stage);
        }
        let Some(slot) = self.slots.get(connection.member) else {
            return;
        };
        let due = due(&connection.up, slot.link.arrival(now));
        connection.up.push_back((due, up));
        self.plan(due, Item::Up(wire));
    }

    /// What has come to the server's end of a connection.
    fn arrive_up(&mut self, now: Millis, wire: Wire) {
        while let Some(connection) = self.network.connections.get_mut(&wire)
            && let Some(slot) = self.slots.get(connection.member)
            && !connection.broken
        {
            let way = slot.link.up;
            if way.cut_until > now {
                return self.hold(wire, way, Item::Up(wire));
            }
            if connection.up.front().is_none_or(|(due, _)| *due > now) {
                return;
            }
            match connection.up.pop_front() {
                Some((_, Up::Connect)) => self.accept(now, wire),
                Some((_, Up::Frame(frame))) => self.serve(now, wire, frame),
                Some((_, Up::Gone)) => return self.part(now, wire),
                None => return,
            }
        }
    }

    /// A link does not work: what has come waits, or is lost with the connection.
    fn hold(&mut self, wire: Wire, way: Way, item: Item) {
        if way.lossy {
            self.break_off(wire, way.cut_until);
        } else {
            self.plan(way.cut_until, item);
        }
    }

    /// The server's end of a connection is closed.
    fn part(&mut self, now: Millis, wire: Wire) {
        let Some(connection) = self.network.connections.get_mut(&wire) else {
            return;
        };
        let id = connection.id.take();
        if connection.left {
            self.network.connections.remove(&wire);
        }
        if let Some(id) = id {
            self.network.by_id.remove(&id);
            self.ensemble.disconnect(now, id);
        }
    }

    fn accept(&mut self, now: Millis, wire: Wire) {
        let Some(connection) = self.network.connections.get_mut(&wire) else {
            return;
        };
        match self.ensemble.connect(connection.server) {
            Some(id) => {
                connection.id = Some(id);
                self.network.by_id.insert(id, wire);
                self.send_down(now, wire, Down::Accepted);
            }
            None => self.send_down(now, wire, Down::Gone),
        }
    }

    fn serve(&mut self, now: Millis, wire: Wire, frame: ClientFrame) {
        let Some(connection) = self.network.connections.get(&wire) else {
            return;
        };
        let (Some(id), member) = (connection.id, connection.member) else {
            return;
        };
        let stage = stage(&frame).map(|(_, stage)| stage);
        self.ensemble.receive(now, id, frame);
        if let Some(stage) = stage {
            self.strike_inside(now, member, stage);
        }
        self.carry_out();
    }

    /// Takes what the servers do to their connections, and what they have written.
    pub(crate) fn carry_out(&mut self) {
        while let Some(output) = self.ensemble.poll_output() {
            self.route(output);
        }
        for written in self.ensemble.take_written() {
            self.written(&written);
        }
    }

    /// Sends what the servers send to where it belongs.
    pub(crate) fn route(&mut self, output: Output) {
        let now = self.now();
        let (id, down) = match output {
            Output::Frame(id, frame) => {
                self.admitted(id, &frame);
                (id, Down::Frame(frame))
            }
            Output::Closed(id) => (id, Down::Gone),
        };
        if let Some(wire) = self.network.by_id.get(&id).copied() {
            if matches!(down, Down::Gone) {
                self.network.by_id.remove(&id);
            }
            self.send_down(now, wire, down);
        }
    }

    fn admitted(&mut self, id: ConnectionId, frame: &ServerFrame) {
        if let ServerFrame::Connect(response) = frame
            && response.session_id != 0
            && let Some(wire) = self.network.by_id.get(&id)
            && let Some(connection) = self.network.connections.get(wire)
        {
            self.checks.session(response.session_id, connection.member);
        }
    }

    fn send_down(&mut self, now: Millis, wire: Wire, down: Down) {
        let Some(connection) = self.network.connections.get_mut(&wire) else {
            return;
        };
        let Some(slot) = self.slots.get(connection.member) else {
            return;
        };
        let due = due(&connection.down, slot.link.arrival(now));
        connection.down.push_back((due, down));
        self.plan(due, Item::Down(wire));
    }

    /// What has come to the member's end of a connection.
    fn arrive_down(&mut self, now: Millis, wire: Wire) {
        while let Some(connection) = self.network.connections.get_mut(&wire)
            && let Some(slot) = self.slots.get(connection.member)
            && !connection.broken
        {
            let way = slot.link.down;
            if way.cut_until > now {
                return self.hold(wire, way, Item::Down(wire));
            }
            if connection.down.front().is_none_or(|(due, _)| *due > now) {
                return;
            }
            match connection.down.pop_front() {
                Some((_, Down::Accepted)) => connection.accepted = true,
                Some((_, Down::Frame(frame))) => connection.inbox.push_back(frame),
                Some((_, Down::Gone)) | None => connection.over = true,
            }
            connection.wake();
        }
    }

    /// The connection breaks, with all that is on it; both ends notice then.
    pub(crate) fn break_off(&mut self, wire: Wire, at: Millis) {
        if let Some(connection) = self.network.connections.get_mut(&wire)
            && !connection.broken
        {
            connection.broken = true;
            self.plan(at, Item::Broken(wire));
        }
    }

    fn broken(&mut self, now: Millis, wire: Wire) {
        if let Some(connection) = self.network.connections.get_mut(&wire) {
            connection.over = true;
            connection.wake();
            self.part(now, wire);
        }
    }

    /// A member lets go of a connection.
    pub(crate) fn leave(&mut self, wire: Wire) {
        let Some(connection) = self.network.connections.get_mut(&wire) else {
            return;
        };
        connection.left = true;
        connection.stages.clear();
        if connection.broken && connection.over {
            self.network.connections.remove(&wire);
        } else if !connection.broken {
            self.send_up(wire, Up::Gone);
        }
    }

    /// The requests that a member, or any of them, waits for.
    pub(crate) fn stages(&self, member: Option<usize>) -> Vec<Stage> {
        self.network.stages(member).collect()
    }
}
