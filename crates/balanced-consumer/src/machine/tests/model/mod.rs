//! A group of machines on a small model of their ZooKeeper nodes, with faults, in virtual time.
//!
//! The model watches what the machines do from outside and knows nothing of their insides: who may start what, in which order things
//! leave, and what the application was told.

mod nodes;
mod witness;

use super::*;
use witness::Hand;

/// How long the server waits before it removes the nodes of a member that died.
const SESSION_TIMEOUT: Duration = Duration::from_secs(6);

/// A session: the member's number and its incarnation.
type SessionId = (usize, Incarnation);

struct Owner {
    session: SessionId,
    text: String,
    token: Token,
}

pub(super) struct Member {
    id: String,
    pub(super) machine: Membership,
    pub(super) alive: bool,
    pub(super) leaving: bool,
    /// The session that the server knows.
    session: Option<Incarnation>,
    view_watch: bool,
    owner_watches: BTreeSet<TopicPartition>,
    hands: BTreeMap<TopicPartition, (Token, Hand)>,
    /// Partitions whose node was taken away, so that the member cannot know yet that it should stop.
    robbed: BTreeSet<TopicPartition>,
    outstanding: BTreeSet<(Incarnation, TopicPartition)>,
    told: BTreeSet<TopicPartition>,
}

enum Happening {
    /// An action reaches the server, or the data path.
    Effect(usize, Incarnation, Action),
    /// An event reaches a member.
    Tell(usize, Event),
    /// The server removes a session's nodes.
    End(SessionId),
    Fault,
    /// The member that nobody understands leaves.
    Unblock,
}

pub(super) struct World {
    rng: StdRng,
    now: Time,
    queue: BTreeMap<(Time, u64), Happening>,
    queued: u64,
    zxid: i64,
    partitions: i32,
    registrations: BTreeMap<usize, Incarnation>,
    owners: BTreeMap<TopicPartition, Owner>,
    pub(super) members: Vec<Member>,
    /// Whether a member is there that nobody understands.
    blocked: bool,
    /// Whether operations fail.
    faulty: bool,
    pub(super) log: Vec<String>,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let mut world = Self {
            rng: StdRng::seed_from_u64(seed),
            now: Time::default(),
            queue: BTreeMap::new(),
            queued: 0,
            zxid: 0,
            partitions: 6,
            registrations: BTreeMap::new(),
            owners: BTreeMap::new(),
            members: Vec::new(),
            blocked: false,
            faulty: true,
            log: Vec::new(),
        };
        world.join();
        world.join();
        for _ in 0..14 {
            let at = ms(world.rng.random_range(0..30_000));
            world.after(at, Happening::Fault);
        }
        world
    }

    /// Lets faults happen for half a minute, and then everything settle.
    pub(super) fn run(&mut self) {
        self.run_until(Time::since_origin(ms(30_000)));
        self.faulty = false;
        self.run_until(Time::since_origin(ms(90_000)));
    }

    fn run_until(&mut self, end: Time) {
        loop {
            let timeouts = self.members.iter().enumerate();
            let timeout = timeouts
                .filter(|(_, member)| member.alive)
                .filter_map(|(n, member)| Some((member.machine.poll_timeout()?, n)))
                .min();
            let queued = self.queue.first_key_value().map(|(key, _)| *key);
            match (timeout, queued) {
                (Some((at, n)), queued)
                    if at <= end && queued.is_none_or(|(time, _)| at < time) =>
                {
                    self.now = at;
                    self.members[n].machine.handle_timeout(at);
                    self.act(n);
                    let next = self.members[n].machine.poll_timeout();
                    assert!(next.is_none_or(|next| next > at), "the machine spins");
                }
                (_, Some(key)) if key.0 <= end => {
                    self.now = key.0;
                    if let Some(happening) = self.queue.remove(&key) {
                        self.happen(happening);
                    }
                }
                _ => return,
            }
        }
    }

    fn after(&mut self, pause: Duration, happening: Happening) {
        self.queued += 1;
        self.queue
            .insert((self.now + pause, self.queued), happening);
    }

    fn soon(&mut self, happening: Happening) {
        let pause = ms(self.rng.random_range(0..30));
        self.after(pause, happening);
    }

    fn tell(&mut self, n: usize, incarnation: Incarnation, event: SessionEvent) {
        self.soon(Happening::Tell(n, Event::Session(incarnation, event)));
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Effect(n, incarnation, action) => self.effect(n, incarnation, action),
            Happening::Tell(n, event) if self.members[n].alive => {
                self.log.push(format!("{:?} {n} ← {event:?}", self.now));
                self.learned(n, &event);
                self.members[n].machine.handle_event(self.now, event);
                self.act(n);
            }
            Happening::Tell(..) => {}
            Happening::End(session) => self.end_session(session),
            Happening::Fault => self.fault(),
            Happening::Unblock => {
                self.blocked = false;
                self.group_changed();
            }
        }
    }
}

/// What goes wrong, or just changes.
impl World {
    fn fault(&mut self) {
        let n = self.rng.random_range(0..self.members.len());
        let last = self
            .members
            .iter()
            .filter(|m| m.alive && !m.leaving)
            .count()
            < 2;
        match self.rng.random_range(0..9) {
            0 | 1 if self.members.len() < 8 => self.join(),
            2 if !last => {
                self.members[n].leaving = true;
                self.soon(Happening::Tell(n, Event::Close));
            }
            3 if !last => self.crash(n),
            4 | 5 => self.expire(n),
            6 => self.rob(),
            7 => {
                self.partitions += 1;
                self.group_changed();
            }
            8 => {
                self.blocked = true;
                self.group_changed();
                self.after(ms(3000), Happening::Unblock);
            }
            _ => {
                self.registrations.remove(&n);
                self.group_changed();
            }
        }
    }

    fn join(&mut self) {
        let n = self.members.len();
        // Ids in another order than that of joining.
        let id = format!("m{}-{n}", n * 5 % 8);
        let config = MembershipConfig::new(id.as_str(), Arc::new(Range));
        let machine = Membership::new(config, self.rng.random());
        self.members.push(Member {
            id,
            machine,
            alive: true,
            leaving: false,
            session: None,
            view_watch: false,
            owner_watches: BTreeSet::new(),
            hands: BTreeMap::new(),
            robbed: BTreeSet::new(),
            outstanding: BTreeSet::new(),
            told: BTreeSet::new(),
        });
        self.act(n);
    }

    fn crash(&mut self, n: usize) {
        let member = &mut self.members[n];
        member.alive = false;
        if let Some(incarnation) = member.session {
            self.after(SESSION_TIMEOUT, Happening::End((n, incarnation)));
        }
    }

    /// The member hears that its session is over before the server removes the nodes: that is what the lease is for.
    fn expire(&mut self, n: usize) {
        let member = &mut self.members[n];
        member.view_watch = false;
        member.owner_watches.clear();
        if let Some(incarnation) = member.session.take() {
            self.tell(n, incarnation, SessionEvent::SessionExpired);
            self.after(ms(300), Happening::End((n, incarnation)));
        }
    }

    /// Somebody deletes an owner node that is not theirs, as Java members can.
    fn rob(&mut self) {
        let Some(tp) = self.owners.keys().nth(self.rng.random_range(0..4)).cloned() else {
            return;
        };
        let (n, _) = self.owners[&tp].session;
        self.members[n].robbed.insert(tp.clone());
        self.remove_owner(&tp);
    }
}
