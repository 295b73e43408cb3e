use std::num::NonZeroUsize;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::{Args, value_parser};
use divvy::{
    AckMode, BalancedConsumer, BalancedConsumerConfig, Client, Consumer, ConsumerConfig,
    Coordination, FetchConfig, SimpleConsumer, SimpleConsumerConfig,
};
use tokio::time::{Instant, interval};

use super::api::{Api, read};
use super::measure::{Began, Measured, Tally};
use crate::errors::usage;
use crate::options::{BackendOptions, ClusterOptions, duration};

/// As for any member of a group that does not say otherwise.
const SESSION_TIMEOUT: Duration = Duration::from_secs(6);
/// How often it is looked at whether messages still come.
const WATCH: Duration = Duration::from_millis(100);

/// Read messages from the beginning of a topic, and commit nothing.
///
/// The clock runs from the first request, the one for metadata, to the last message. Exit code 1 if the messages stop coming before there were as many as asked for.
#[derive(Args)]
pub(crate) struct Consume {
    #[command(flatten)]
    cluster: ClusterOptions,

    /// The topic to read.
    #[arg(short, long)]
    topic: String,

    /// How many messages to read.
    #[arg(short, long, value_name = "N", value_parser = value_parser!(u64).range(1..))]
    messages: u64,

    #[command(flatten)]
    api: ApiOptions,

    /// Read as the only member of this group, which meets in --zookeeper, instead of without one. Must be a group that exists for
    /// nothing else: its nodes stay behind, and where others have committed it does not begin at the beginning.
    #[arg(short, long, requires = "zookeeper")]
    group: Option<String>,

    /// Do not verify checksums.
    #[arg(long)]
    no_check_crcs: bool,

    /// How many bytes of a partition are asked for at a time; grows where a message is larger.
    #[arg(long, value_name = "BYTES")]
    fetch_message_max_bytes: Option<usize>,

    /// How many bytes of messages may be queued in all.
    #[arg(long, value_name = "BYTES", default_value_t = FetchConfig::default().max_queued_bytes)]
    max_queued_bytes: usize,

    /// How long no message may come before it is an error.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    patience: Duration,

    #[command(flatten)]
    backend: BackendOptions,

    /// Print one JSON object.
    #[arg(short, long)]
    json: bool,
}

/// How messages are received; in batches if nothing else is said.
#[derive(Args)]
#[group(multiple = false)]
struct ApiOptions {
    /// Receive one message at a time.
    #[arg(long)]
    recv: bool,

    /// Receive a stream of owned messages, each acknowledged.
    #[arg(long)]
    stream: bool,

    /// Receive up to N messages at a time.
    #[arg(long, value_name = "N")]
    get_many: Option<NonZeroUsize>,
}

pub(crate) async fn run(args: Consume) -> Result<()> {
    let measured = match &args.group {
        None => {
            let mut config = SimpleConsumerConfig::new([args.topic.as_str()]);
            config.consumer = args.consumer()?;
            config.validate()?;
            args.measure(|client| Ok(SimpleConsumer::new(client, config)?))
                .await?
        }
        Some(group) => {
            let Some(zookeeper) = args.cluster.zookeeper(SESSION_TIMEOUT) else {
                return Err(usage(
                    "--group: say where the group meets: --zookeeper HOST:PORT",
                ));
            };
            let mut config = BalancedConsumerConfig::new(zookeeper, group, [args.topic.as_str()]);
            config.consumer = args.consumer()?;
            config.validate()?;
            args.measure(|client| Ok(BalancedConsumer::new(client, config)?.into()))
                .await?
        }
    };
    measured.print(args.json)
}

impl Consume {
    fn api(&self) -> Api {
        match &self.api {
            ApiOptions { recv: true, .. } => Api::Recv,
            ApiOptions { stream: true, .. } => Api::Stream,
            ApiOptions { get_many, .. } => get_many.map_or(Api::Batch, Api::GetMany),
        }
    }

    fn consumer(&self) -> Result<ConsumerConfig> {
        let mut fetch = FetchConfig {
            max_queued_bytes: self.max_queued_bytes,
            ..FetchConfig::default()
        };
        if let Some(bytes) = self.fetch_message_max_bytes {
            fetch.fetch_message_max_bytes = bytes;
            fetch.fetch_message_max_bytes_cap = fetch.fetch_message_max_bytes_cap.max(bytes);
        }
        self.backend.apply(ConsumerConfig {
            auto_commit_interval: None,
            ack_mode: match self.api() {
                Api::Stream => AckMode::Explicit,
                _ => AckMode::GivenBack,
            },
            check_crcs: !self.no_check_crcs,
            fetch,
            ..ConsumerConfig::default()
        })
    }

    /// Reads through the consumer that `make` makes.
    async fn measure<C: Coordination>(
        &self,
        make: impl FnOnce(&Client) -> Result<Consumer<C>>,
    ) -> Result<Measured> {
        let tally = Tally::default();
        let began = Began::now();
        let client = self.cluster.connect(SESSION_TIMEOUT).await?;
        let mut consumer = make(&client)?;
        consumer.start().await?;
        tokio::select! {
            biased;
            read = read(&mut consumer, self.api(), self.messages, &tally) => read?,
            () = silence(&tally, self.patience) => bail!(
                "topic `{}` gave {} of {} messages, and then none for {}",
                self.topic,
                tally.messages(),
                self.messages,
                humantime::format_duration(self.patience),
            ),
        }
        let measured = began.measured(&tally, !self.no_check_crcs);
        consumer.close().await?;
        Ok(measured)
    }
}

/// Ends when no message has come for so long.
async fn silence(tally: &Tally, patience: Duration) {
    let mut watch = interval(WATCH);
    let (mut seen, mut since) = (tally.messages(), Instant::now());
    while since.elapsed() < patience {
        watch.tick().await;
        if tally.messages() != seen {
            (seen, since) = (tally.messages(), Instant::now());
        }
    }
}
