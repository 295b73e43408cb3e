//! What a seed stands for.

use std::fmt;

use divvy_embedded_cluster::zookeeper::Millis;
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};

use crate::fault::{Fault, Stage, Ways, What};

/// Everything that is decided before a run begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Decides the rest: delays, pauses, what is produced when.
    pub seed: u64,
    /// How many members there are from the start.
    pub members: usize,
    /// How many partitions each topic has from the start.
    pub topics: Vec<i32>,
    /// ZooKeeper servers.
    pub servers: usize,
    /// ZooKeeper's tick.
    pub tick: Millis,
    /// How many ticks a server serves its clients while it is cut off from the others.
    pub sync_limit: u64,
    /// Whether each member knows of one server only.
    pub one_server_each: bool,
    /// The session timeout.
    pub session_timeout: Millis,
    /// Whether partitions are dealt round-robin.
    pub round_robin: bool,
    /// How often members commit.
    pub commit_interval: Millis,
    /// The average time between two appends.
    pub append_gap: Millis,
    /// How long faults may strike. Everything is healed then.
    pub window: Millis,
    /// The faults, by time.
    pub faults: Vec<Fault>,
}

/// As a script that does the same.
impl fmt::Display for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let topics: Vec<String> = self.topics.iter().map(ToString::to_string).collect();
        writeln!(f, "seed {}", self.seed)?;
        writeln!(f, "members {}", self.members)?;
        writeln!(f, "topics {}", topics.join(" "))?;
        writeln!(f, "servers {}", self.servers)?;
        writeln!(f, "tick {}ms", self.tick)?;
        writeln!(f, "sync-limit {}", self.sync_limit)?;
        if self.one_server_each {
            writeln!(f, "one-server-each")?;
        }
        writeln!(f, "session {}ms", self.session_timeout)?;
        if self.round_robin {
            writeln!(f, "round-robin")?;
        }
        writeln!(f, "commit-every {}ms", self.commit_interval)?;
        writeln!(f, "append-every {}ms", self.append_gap)?;
        write!(f, "for {}ms", self.window)?;
        for fault in &self.faults {
            write!(f, "\n{fault}")?;
        }
        Ok(())
    }
}

impl Options {
    /// Expands a seed.
    pub fn from_seed(seed: u64) -> Self {
        let mut rng = SmallRng::seed_from_u64(seed);
        let tick = [500, 1_000, 1_500, 2_000][rng.random_range(0..4)];
        let longest = (20 * tick).min(30_000);
        // What is promised holds for ticks that are short beside the timeout, and for followers that are not far behind.
        let shortest = (3 * tick).max(6_000);
        let crowd = seed % 50 == 49;
        // Small groups meet more of what matters in the same time.
        let members = match crowd {
            true => 50,
            false => rng.random_range(2..=12).min(rng.random_range(2..=12)),
        };
        let most = [4, 8, 16, 64][rng.random_range(0..4)];
        let partitions = rng.random_range(1..=most);
        let topics = match rng.random_range(0..3) {
            0 if partitions > 1 => vec![partitions / 2, partitions - partitions / 2],
            _ => vec![partitions],
        };
        let window = match crowd {
            true => rng.random_range(40_000..60_000),
            false => rng.random_range(40_000..100_000),
        };
        let mut options = Self {
            seed,
            members,
            topics,
            servers: if rng.random_ratio(1, 3) { 3 } else { 1 },
            tick,
            sync_limit: [5, 10, 20][rng.random_range(0..3)],
            one_server_each: rng.random_ratio(1, 3),
            session_timeout: rng.random_range(shortest..=longest),
            round_robin: rng.random_bool(0.3),
            commit_interval: match rng.random_ratio(1, 4) {
                true => rng.random_range(8_000..20_000),
                false => rng.random_range(1_000..8_000),
            },
            append_gap: rng.random_range(400..1_200),
            window,
            faults: Vec::new(),
        };
        let count = rng.random_range(10..=40);
        let mut faults: Vec<Fault> = (0..count).map(|_| options.random_fault(&mut rng)).collect();
        faults.sort_by_key(|fault| fault.at);
        options.faults = faults;
        options
    }

    /// How long the group may take to settle once nothing happens to it any more: a session timeout, a tick, and a second.
    pub fn settles_within(&self) -> Millis {
        self.session_timeout + self.tick + 1_000
    }

    fn random_fault(&self, rng: &mut SmallRng) -> Fault {
        Fault {
            at: rng.random_range(2_000..self.window),
            inside: match rng.random_range(0..6) {
                0 => Some(Stage::Claim),
                1 => Some(Stage::Commit),
                2 => Some(Stage::Release),
                _ => None,
            },
            what: self.random_what(rng),
        }
    }

    /// A time around a session timeout: well below it, a little below or above, or well above.
    fn span(&self, rng: &mut SmallRng) -> Millis {
        let timeout = self.session_timeout;
        match rng.random_range(0..4) {
            0 => rng.random_range(50..timeout / 3),
            1 => rng.random_range(timeout / 3..timeout),
            2 => rng.random_range(timeout..timeout + 2 * self.tick),
            _ => rng.random_range(timeout..timeout * 5 / 2),
        }
    }

    fn random_what(&self, rng: &mut SmallRng) -> What {
        let member = rng.random_range(0..self.members);
        let server = rng.random_range(0..self.servers);
        let topic = rng.random_range(0..self.topics.len());
        let span = self.span(rng);
        match rng.random_range(0..100) {
            0..10 => What::Crash {
                member,
                down: rng.random_range(50..2 * self.session_timeout),
            },
            10..19 => What::Leave {
                member,
                away: rng.random_range(50..self.session_timeout),
            },
            19..23 => What::Join,
            23..33 => What::Freeze { member, span },
            33..41 => What::Stall {
                member,
                span: rng.random_range(50..self.session_timeout),
                cut: self.span(rng),
            },
            41..53 => What::Cut {
                member,
                ways: [Ways::Both, Ways::Up, Ways::Down][rng.random_range(0..3)],
                span,
                lossy: rng.random_bool(0.5),
            },
            53..60 => What::Delay {
                member,
                by: rng.random_range(10..self.session_timeout / 2),
                span,
            },
            60..64 => What::Disconnect { member },
            64..66 => What::Steal {
                partition: rng.random_range(0..64),
                span: rng.random_range(1..self.session_timeout * 3 / 5),
            },
            66..71 => What::Expire { member },
            71..77 => What::StopServer { server, down: span },
            77..81 if self.servers > 1 => What::CutServer { server, span },
            81..83 if self.servers > 1 => What::LagServer {
                server,
                by: rng.random_range(10..self.session_timeout / 40),
                span,
            },
            83..85 => What::ServerClock {
                by: rng.random_range(1..self.session_timeout / 24),
            },
            85..88 => What::Grow {
                topic,
                by: rng.random_range(1..=3),
            },
            88..93 => What::SlowWork {
                member,
                each: rng.random_range(50..2_000),
                span,
            },
            93..95 => What::LookUpErrors { span },
            95..97 => What::Truncate {
                topic,
                partition: rng.random_range(0..self.topics[topic].max(1)),
            },
            _ => What::Steal {
                partition: rng.random_range(0..64),
                span: rng.random_range(1..self.session_timeout * 3 / 5),
            },
        }
    }
}
