use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use clap::{Args, ValueEnum};
use divvy::{
    AckMode, Assignor, BalancedConsumer, BalancedConsumerConfig, CrashRelease, Dialect,
    ForeignMembers, OnZkLoss, OwnerDirectories, PyKafkaRange, PyKafkaRoundRobin, Range, RoundRobin,
    StallPolicy, Topics,
};
use tracing::warn;

use crate::errors::usage;
use crate::events::{EventFormat, Reporter};
use crate::metrics::MetricsOptions;
use crate::options::{ClusterOptions, ReadOptions, Reset, Storage, duration};
use crate::pump::{self, PrintOptions};

/// How long SIGTERM waits for a reader that is slow to take the lines that are on their way.
const DRAIN: Duration = Duration::from_secs(1);

/// Join a group and print its share of the messages of one or more topics.
///
/// Members of a group meet in ZooKeeper and share the partitions; they may be divvy's or Kafka's own high-level consumers. A
/// message counts as finished when its line has been written, and only then its offset is committed: a member that dies loses
/// nothing. SIGTERM and SIGINT end it in order.
#[derive(Args)]
pub(crate) struct Consume {
    #[command(flatten)]
    cluster: ClusterOptions,

    /// The group to join.
    #[arg(short, long, env = "DIVVY_GROUP")]
    group: String,

    #[command(flatten)]
    topics: TopicOptions,

    /// Where to begin without a stored offset.
    #[arg(
        long,
        value_name = "WHERE",
        default_value = "earliest",
        env = "DIVVY_FROM"
    )]
    from: Reset,

    /// How long ZooKeeper may be without a sign of this member before others take its partitions over.
    #[arg(long, value_name = "TIME", default_value = "6s", value_parser = duration, env = "DIVVY_SESSION_TIMEOUT")]
    session_timeout: Duration,

    /// How partitions are shared out; the same for every member of the group.
    #[arg(
        long,
        value_name = "RULE",
        default_value = "range",
        env = "DIVVY_ASSIGNOR"
    )]
    assignor: Rule,

    /// Whose contract the members of the group keep to.
    #[arg(
        long,
        value_name = "DIALECT",
        default_value = "java",
        env = "DIVVY_DIALECT"
    )]
    dialect: Contract,

    /// What to do when a PyKafka member comes into a group in Java's dialect, where nobody can own anything beside it.
    #[arg(long, value_name = "POLICY", default_value = "stand-down")]
    foreign_members: Foreign,

    /// What to do while ZooKeeper does not answer.
    #[arg(long, value_name = "POLICY", default_value = "lease")]
    on_zk_loss: ZkLoss,

    /// Make the others look at the group again when partitions of theirs have been without a reader for long.
    #[arg(long)]
    nudge: bool,

    /// As how many consumers this member counts.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64), env = "DIVVY_STREAMS")]
    streams: u32,

    /// Start no helper process that frees this member's partitions at once if it dies; they stay taken until its ZooKeeper
    /// session has timed out.
    #[arg(long)]
    no_crash_release: bool,

    /// Report when no line could be written for this long although there are some.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    max_processing_interval: Option<Duration>,

    /// What else to do then.
    #[arg(
        long,
        value_name = "POLICY",
        default_value = "report",
        requires = "max_processing_interval"
    )]
    on_stall: Stall,

    /// How group events are shown on stderr.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    events: EventFormat,

    #[command(flatten)]
    metrics: MetricsOptions,

    #[command(flatten)]
    read: ReadOptions,

    #[command(flatten)]
    print: PrintOptions,
}

/// Which topics are read.
#[derive(Args)]
#[group(required = true, multiple = false)]
struct TopicOptions {
    /// The topic to read; may be given several times.
    #[arg(short, long = "topic", value_name = "TOPIC")]
    topics: Vec<String>,

    /// Read every topic that matches this regular expression as a whole, also those created later.
    #[arg(long, value_name = "REGEX")]
    whitelist: Option<String>,

    /// Read every topic that does not match this regular expression.
    #[arg(long, value_name = "REGEX")]
    blacklist: Option<String>,
}

impl TopicOptions {
    fn topics(&self) -> Topics {
        match (&self.whitelist, &self.blacklist) {
            (Some(list), _) => Topics::WhiteList(list.clone()),
            (None, Some(list)) => Topics::BlackList(list.clone()),
            (None, None) => Topics::Named(self.topics.clone()),
        }
    }
}

/// Whose contract the members of a group keep to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Contract {
    /// That of Kafka's own high-level consumer.
    Java,
    /// That of PyKafka's balanced consumer: one topic, offsets in Kafka.
    Pykafka,
}

/// What to do when a PyKafka member comes into a group in Java's dialect.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Foreign {
    /// Give everything up, say so, and go on when it has left.
    StandDown,
    /// End with an error.
    Refuse,
    /// Give everything up and take part in PyKafka's division until its members have left; needs --offsets dual or kafka.
    Follow,
}

/// What to do while ZooKeeper does not answer.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum ZkLoss {
    /// Go on for as long as nobody else can have taken over, then pause.
    Lease,
    /// Pause at once.
    Pause,
    /// Go on, although others may read the same messages.
    Continue,
}

/// What to do when no line can be written.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Stall {
    /// Report it, and nothing else.
    Report,
    /// Leave the group until lines are written again, so that other members go on.
    Release,
}

/// How partitions are shared out.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Rule {
    /// Each topic in runs of partitions.
    Range,
    /// All partitions of all topics dealt out in turn; every member must read the same topics.
    Roundrobin,
}

pub(crate) async fn run(args: Consume) -> Result<()> {
    args.print.parsed()?;
    let Some(mut zookeeper) = args.cluster.zookeeper(args.session_timeout) else {
        return Err(usage(
            "a group meets in ZooKeeper: give --zookeeper HOST:PORT; `divvy tail` reads without one",
        ));
    };
    zookeeper.crash_release = crash_release(args.no_crash_release);
    let mut config =
        BalancedConsumerConfig::with_topics(zookeeper, &args.group, args.topics.topics());
    config.streams = args.streams;
    config.nudge = args.nudge;
    config.on_zk_loss = match args.on_zk_loss {
        ZkLoss::Lease => OnZkLoss::Lease,
        ZkLoss::Pause => OnZkLoss::Pause,
        ZkLoss::Continue => OnZkLoss::Continue,
    };
    config.assignor = assignor(args.dialect, args.assignor);
    config.foreign_members = match args.foreign_members {
        Foreign::StandDown => ForeignMembers::StandDown,
        Foreign::Refuse => ForeignMembers::Refuse,
        Foreign::Follow => ForeignMembers::FollowPyKafka,
    };
    config.consumer = args.read.consumer(None, args.from.into())?;
    if args.dialect == Contract::Pykafka {
        config.dialect = Dialect::PyKafka(OwnerDirectories::default());
        config.consumer.offset_storage = args.read.offsets.unwrap_or(Storage::Kafka).into();
    }
    config.consumer.max_processing_interval = args.max_processing_interval;
    config.consumer.on_stall = match args.on_stall {
        Stall::Report => StallPolicy::Report,
        Stall::Release => StallPolicy::Release,
    };
    config.consumer.ack_mode = AckMode::Explicit;
    config.consumer.drain_timeout = DRAIN;
    config.close_timeout = Duration::from_millis(700);
    config.validate()?;
    args.metrics.start().await?;
    let client = args.cluster.connect(args.session_timeout).await?;
    let consumer = BalancedConsumer::new(&client, config)?;
    let reporter = Reporter {
        format: args.events,
        group: Some(args.group.clone()),
        member: consumer.consumer_id().to_owned(),
    };
    pump::run(consumer.into(), reporter, &args.print, None).await
}

fn assignor(dialect: Contract, rule: Rule) -> Arc<dyn Assignor> {
    match (dialect, rule) {
        (Contract::Java, Rule::Range) => Arc::new(Range),
        (Contract::Java, Rule::Roundrobin) => Arc::new(RoundRobin),
        (Contract::Pykafka, Rule::Range) => Arc::new(PyKafkaRange),
        (Contract::Pykafka, Rule::Roundrobin) => Arc::new(PyKafkaRoundRobin),
    }
}

fn crash_release(unwanted: bool) -> CrashRelease {
    if unwanted {
        return CrashRelease::Off;
    }
    CrashRelease::this_program().unwrap_or_else(|error| {
        warn!("cannot free this member's partitions at once if it dies: {error}");
        CrashRelease::Off
    })
}
