//! A spout for Storm: a topology starts it as a `ShellSpout`, and its parallel instances are members of one group.
//!
//! ```java
//! public class OrdersSpout extends ShellSpout implements IRichSpout {
//!     public OrdersSpout() { super("storm_spout", "zk1:2181,zk2:2181", "billing", "orders"); }
//!     public void declareOutputFields(OutputFieldsDeclarer to) {
//!         to.declare(new Fields("topic", "partition", "offset", "key", "value"));
//!     }
//!     public Map<String, Object> getComponentConfiguration() { return null; }
//! }
//! builder.setSpout("orders", new OrdersSpout(), 10);
//! ```
//!
//! - A message is committed when Storm has acknowledged its tuple and those of all messages before it. What Storm fails is emitted
//!   again after a pause that grows from 100 ms to a minute.
//! - When an instance ends or is killed, the others take over what is not committed. Tuples may come twice then, and none is lost.
//! - Keys and values are text; bytes that are no UTF-8 become `{"base64": "…"}`, a map in Java, and nothing becomes `null`.
//! - It keeps to `topology.max.spout.pending` and `topology.message.timeout.secs`. Kafka's and ZooKeeper's troubles are in the
//!   worker's log, errors also in Storm's UI.
//!
//! Storm 0.9.3 or newer. While a topology is deactivated the spout keeps its partitions and emits nothing; before 1.1.0 Storm does
//! not say so to spouts.

mod multilang;

use std::collections::BTreeSet;
use std::pin::pin;
use std::time::Duration;

use divvy::spout::MessageId;
use divvy::{
    AckMode, Assignment, BalancedConsumer, BalancedConsumerConfig, Client, ClientConfig,
    CrashRelease, Error, Event, Spout, SpoutConfig, ZooKeeper, ZooKeeperConfig, crash_release,
};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::broadcast;

use self::multilang::{Command, Level, Setup, Storm};

/// How long one `next` waits for a message. Storm waits for the answer, and has acknowledgements to tell meanwhile.
const IDLE: Duration = Duration::from_millis(5);
/// How many tuples one `next` is answered with at most.
const TUPLES: usize = 100;
/// After how many of Storm's own timeouts a tuple that Storm says nothing of has failed.
const TIMEOUTS: u32 = 5;

fn main() -> anyhow::Result<()> {
    // Frees the partitions of a spout that is killed at once, and not after a session timeout.
    crash_release::run_if_asked();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .worker_threads(2)
        .build()?;
    runtime.block_on(run())
}

async fn run() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [zookeeper, group, topics @ ..] = &args[..] else {
        anyhow::bail!("usage: storm_spout ZOOKEEPER GROUP TOPIC…, started by Storm");
    };
    let (mut storm, setup) = Storm::shake_hands()?;
    let consumer = join(zookeeper, group, topics).await?;
    let spout = consumer.spout(spout_config(&setup))?;
    storm.ready()?;

    let ended = Task {
        events: consumer.events(),
        spout,
        storm,
        pending: BTreeSet::new(),
    }
    .run()
    .await;
    // Commits what is acknowledged, and leaves the group, so that the others go on at once.
    consumer.close().await?;
    ended
}

async fn join(zookeeper: &str, group: &str, topics: &[String]) -> anyhow::Result<BalancedConsumer> {
    let mut zookeeper = ZooKeeperConfig::new(zookeeper);
    let client =
        Client::connect(ClientConfig::zookeeper(ZooKeeper::new(zookeeper.clone())?)).await?;
    zookeeper.crash_release = CrashRelease::this_program()?;
    let mut config = BalancedConsumerConfig::new(zookeeper, group, topics);
    // What a spout hands out is finished by its acknowledgement alone.
    config.consumer.ack_mode = AckMode::Explicit;
    config.consumer.auto_commit_interval = Some(Duration::from_secs(1));
    let mut consumer = BalancedConsumer::new(&client, config)?;
    consumer.start().await?;
    Ok(consumer)
}

/// What the topology's own settings mean for the spout.
fn spout_config(setup: &Setup) -> SpoutConfig {
    let mut config = SpoutConfig::new();
    if let Some(pending) = setup.number("topology.max.spout.pending") {
        config.max_in_flight = usize::try_from(pending).unwrap_or(usize::MAX).max(1);
    }
    if let Some(timeout) = setup.number("topology.message.timeout.secs") {
        let timeout = Duration::from_secs(timeout.clamp(1, 24 * 3600));
        config.in_flight_timeout = Some(timeout * TIMEOUTS);
    }
    config
}

/// One of Storm's tasks, which is one member of the group.
struct Task {
    storm: Storm,
    spout: Spout,
    events: broadcast::Receiver<Event>,
    /// What was emitted, and Storm has neither acknowledged nor failed.
    pending: BTreeSet<MessageId>,
}

impl Task {
    /// Does as Storm says until it goes away, or asks to end.
    async fn run(mut self) -> anyhow::Result<()> {
        let mut terminated = signal(SignalKind::terminate())?;
        let mut asked_to_end = pin!(terminated.recv());
        let ended = loop {
            let command = tokio::select! {
                command = self.storm.command() => command,
                _ = &mut asked_to_end => break Ok(()),
            };
            match command {
                Ok(Some(command)) => {
                    if let Err(error) = self.answer(command).await {
                        break Err(error);
                    }
                }
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        // Nobody is there to acknowledge these any more, so that leaving the group need not wait for it.
        for id in &self.pending {
            self.spout.fail(id);
        }
        ended
    }

    async fn answer(&mut self, command: Command) -> anyhow::Result<()> {
        match command {
            Command::Next => self.next().await?,
            // What is acknowledged too late has been given to another member, and is ignored here.
            Command::Ack(id) => {
                if let Ok(id) = id.parse() {
                    self.pending.remove(&id);
                    self.spout.ack(&id);
                }
            }
            Command::Fail(id) => {
                if let Ok(id) = id.parse() {
                    self.pending.remove(&id);
                    self.spout.fail(&id);
                }
            }
            Command::Activate => {
                self.spout.activate();
                self.storm.log(Level::Info, "going on")?;
            }
            Command::Deactivate => {
                self.spout.deactivate();
                self.storm.log(Level::Info, "paused")?;
            }
            Command::Other => {}
        }
        self.report_events()?;
        self.storm.sync()
    }

    async fn next(&mut self) -> anyhow::Result<()> {
        match self.spout.next_many(TUPLES, IDLE).await {
            Ok(messages) => {
                for message in &messages {
                    self.storm.emit(message)?;
                }
                let ids = messages.into_iter().map(|message| message.id);
                self.pending.extend(ids);
                Ok(())
            }
            Err(error @ (Error::Closed | Error::NotStarted)) => Err(error.into()),
            // A partition stands still, or a look-up failed: the others go on with the next call.
            Err(error) => self.storm.log(Level::Error, &error.to_string()),
        }
    }

    /// Tells Storm's log what has happened to the group and its partitions.
    fn report_events(&mut self) -> anyhow::Result<()> {
        while let Ok(event) = self.events.try_recv() {
            let level = match &event {
                Event::Committed { .. } => Level::Debug,
                Event::Assigned { .. } | Event::Revoked { .. } | Event::Resumed { .. } => {
                    Level::Info
                }
                _ => Level::Warn,
            };
            self.storm.log(level, &describe(&event))?;
        }
        Ok(())
    }
}

fn describe(event: &Event) -> String {
    let list = |partitions: &[Assignment]| {
        let partitions = partitions.iter().map(ToString::to_string);
        partitions.collect::<Vec<_>>().join(", ")
    };
    match event {
        Event::Assigned { partitions } => format!("assigned: {}", list(partitions)),
        Event::Revoked { partitions } => format!("revoked: {}", list(partitions)),
        Event::Suspended { partitions } => format!("suspended: {}", list(partitions)),
        Event::Resumed { partitions } => format!("resumed: {}", list(partitions)),
        Event::Lost { partitions, reason } => format!("lost: {}: {reason}", list(partitions)),
        Event::Error { message } => message.clone(),
        // The others happen seldom, and have names that speak.
        event => format!("{event:?}"),
    }
}
