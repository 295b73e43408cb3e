//! What can befall members, servers and brokers.

use std::fmt;

use divvy_embedded_cluster::zookeeper::Millis;

/// What a member is doing with a partition while a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// It creates the owner node.
    Claim,
    /// It stores an offset.
    Commit,
    /// It deletes the owner node.
    Release,
}

impl Stage {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Claim, Self::Commit, Self::Release];
}

/// One fault, and when it strikes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Not before this time.
    pub at: Millis,
    /// While the member (any member, where the fault concerns none) is at this: after the server has done what it was asked for,
    /// and before the answer is on its way. At once where it does not come to that for a while.
    pub inside: Option<Stage>,
    /// What happens.
    pub what: What,
}

/// In which direction a link fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ways {
    /// In both.
    Both,
    /// What the member sends does not arrive.
    Up,
    /// What the servers send does not arrive.
    Down,
}

/// What happens. Members and servers are told by their numbers; where such a member is not up, another one is struck.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum What {
    /// The process dies, and another one is started after a time.
    Crash { member: usize, down: Millis },
    /// The member leaves in order, and joins again after a time.
    Leave { member: usize, away: Millis },
    /// One more member joins.
    Join,
    /// The process is stopped for a time, as by SIGSTOP or a pause of its machine. Its clock goes on.
    Freeze { member: usize, span: Millis },
    /// The machine stands still for a time, and its link fails shortly after, and for longer.
    Stall {
        member: usize,
        span: Millis,
        cut: Millis,
    },
    /// The link to the servers fails for a time. What was on it arrives late, or, if it is lossy, never.
    Cut {
        member: usize,
        ways: Ways,
        span: Millis,
        lossy: bool,
    },
    /// The link is slow for a time.
    Delay {
        member: usize,
        by: Millis,
        span: Millis,
    },
    /// The connection breaks, with every answer that is on its way.
    Disconnect { member: usize },
    /// The link fails until no lease can run any more; then the servers end the session, and the link works again.
    Expire { member: usize },
    /// A server dies and is started again.
    StopServer { server: usize, down: Millis },
    /// A server is cut off from the others, but not from its clients.
    CutServer { server: usize, span: Millis },
    /// A server is behind.
    LagServer {
        server: usize,
        by: Millis,
        span: Millis,
    },
    /// The wall clock of the servers steps forward.
    ServerClock { by: Millis },
    /// Somebody else deletes the owner nodes of a member, as Kafka's own consumer may: of that which has this partition, and which
    /// stands still for a time just then. Another member leaves.
    Steal { partition: usize, span: Millis },
    /// A topic gets more partitions.
    Grow { topic: usize, by: i32 },
    /// The application takes this long for each message.
    SlowWork {
        member: usize,
        each: Millis,
        span: Millis,
    },
    /// Brokers do not tell where logs begin and end.
    LookUpErrors { span: Millis },
    /// The older half of a log is deleted, read or not.
    Truncate { topic: usize, partition: i32 },
}

impl What {
    /// The names of all kinds.
    pub const KINDS: [&str; 19] = [
        "crash",
        "leave",
        "join",
        "freeze",
        "stall",
        "cut",
        "cut-up",
        "cut-down",
        "delay",
        "disconnect",
        "expire",
        "stop-server",
        "cut-server",
        "lag-server",
        "server-clock",
        "steal",
        "grow",
        "slow-work",
        "look-up-errors",
    ];

    /// Which kind it is, as scripts name it. A truncation strikes no member, and is not counted among those that do.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Crash { .. } => "crash",
            Self::Leave { .. } => "leave",
            Self::Join => "join",
            Self::Freeze { .. } => "freeze",
            Self::Stall { .. } => "stall",
            Self::Cut {
                ways: Ways::Both, ..
            } => "cut",
            Self::Cut { ways: Ways::Up, .. } => "cut-up",
            Self::Cut {
                ways: Ways::Down, ..
            } => "cut-down",
            Self::Delay { .. } => "delay",
            Self::Disconnect { .. } => "disconnect",
            Self::Expire { .. } => "expire",
            Self::StopServer { .. } => "stop-server",
            Self::CutServer { .. } => "cut-server",
            Self::LagServer { .. } => "lag-server",
            Self::ServerClock { .. } => "server-clock",
            Self::Steal { .. } => "steal",
            Self::Grow { .. } => "grow",
            Self::SlowWork { .. } => "slow-work",
            Self::LookUpErrors { .. } => "look-up-errors",
            Self::Truncate { .. } => "truncate",
        }
    }

    /// For how long it lasts.
    pub fn lasts(&self) -> Millis {
        match *self {
            Self::Crash { down: span, .. }
            | Self::Leave { away: span, .. }
            | Self::Freeze { span, .. }
            | Self::Steal { span, .. }
            | Self::Cut { span, .. }
            | Self::StopServer { down: span, .. }
            | Self::CutServer { span, .. }
            | Self::LagServer { span, .. }
            | Self::LookUpErrors { span } => span,
            Self::Stall { span, cut, .. } => span.max(cut),
            // What was sent until its end arrives later.
            Self::Delay { by, span, .. } => by + span,
            Self::SlowWork { each, span, .. } => each + span,
            _ => 0,
        }
    }

    /// The member that it strikes.
    pub fn member(&self) -> Option<usize> {
        match self {
            Self::Crash { member, .. }
            | Self::Leave { member, .. }
            | Self::Freeze { member, .. }
            | Self::Stall { member, .. }
            | Self::Cut { member, .. }
            | Self::Delay { member, .. }
            | Self::Disconnect { member }
            | Self::Expire { member }
            | Self::SlowWork { member, .. } => Some(*member),
            _ => None,
        }
    }
}

/// As a script has it.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at {}ms", self.at)?;
        match self.inside {
            Some(Stage::Claim) => f.write_str(" inside claim")?,
            Some(Stage::Commit) => f.write_str(" inside commit")?,
            Some(Stage::Release) => f.write_str(" inside release")?,
            None => {}
        }
        write!(f, " {}", self.what.kind())?;
        match &self.what {
            What::Crash { member, down } => write!(f, " {member} {down}ms"),
            What::Leave { member, away } => write!(f, " {member} {away}ms"),
            What::Freeze { member, span } => write!(f, " {member} {span}ms"),
            What::Stall { member, span, cut } => write!(f, " {member} {span}ms {cut}ms"),
            What::Cut {
                member,
                span,
                lossy,
                ..
            } => {
                let lossy = if *lossy { " lossy" } else { "" };
                write!(f, " {member} {span}ms{lossy}")
            }
            What::Delay { member, by, span } => write!(f, " {member} {by}ms {span}ms"),
            What::Disconnect { member } | What::Expire { member } => write!(f, " {member}"),
            What::SlowWork { member, each, span } => write!(f, " {member} {each}ms {span}ms"),
            What::StopServer { server, down } => write!(f, " {server} {down}ms"),
            What::CutServer { server, span } => write!(f, " {server} {span}ms"),
            What::LagServer { server, by, span } => write!(f, " {server} {by}ms {span}ms"),
            What::ServerClock { by } => write!(f, " {by}ms"),
            What::Steal { partition, span } => write!(f, " {partition} {span}ms"),
            What::Grow { topic, by } => write!(f, " {topic} {by}"),
            What::LookUpErrors { span } => write!(f, " {span}ms"),
            What::Truncate { topic, partition } => write!(f, " {topic} {partition}"),
            What::Join => Ok(()),
        }
    }
}
