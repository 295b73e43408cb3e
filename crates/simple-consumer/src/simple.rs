use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use divvy_client::{Client, TopicPartition};
use tokio::task::JoinHandle;

use crate::assignment::Assignment;
use crate::config::{ConsumerConfig, OffsetReset};
use crate::consumer::Consumer;
use crate::coordination::Coordination;
use crate::engine::{Engine, Start};
use crate::error::{Error, Result};
use crate::event::Event;
use crate::gate::AlwaysOpen;

/// A consumer that owns every partition of its topics, or those that it is given, whoever else reads them.
pub type SimpleConsumer = Consumer<Everything>;

/// What a [`SimpleConsumer`] reads, and how. Make one with [`SimpleConsumerConfig::new`] and change single fields.
#[derive(Clone, Debug)]
pub struct SimpleConsumerConfig {
    /// The topics.
    pub topics: Vec<String>,
    /// The partitions to read, of each topic; `None` for all, also those that are added later. PyKafka: `partitions`. Default:
    /// `None`.
    pub partitions: Option<Vec<i32>>,
    /// Where single partitions start, whatever is stored for them. Default: none.
    pub start_offsets: BTreeMap<TopicPartition, i64>,
    /// How often to look for partitions that were added, in what the client knows of the cluster. Default: 1 s; how fresh that
    /// knowledge is says [`ClientConfig::metadata_max_age`](divvy_client::ClientConfig::metadata_max_age).
    pub growth_check_interval: Duration,
    /// The rest.
    pub consumer: ConsumerConfig,
}

impl SimpleConsumerConfig {
    /// Reads all partitions of these topics, without a group.
    pub fn new<S: Into<String>>(topics: impl IntoIterator<Item = S>) -> Self {
        Self {
            topics: topics.into_iter().map(Into::into).collect(),
            partitions: None,
            start_offsets: BTreeMap::new(),
            growth_check_interval: Duration::from_secs(1),
            consumer: ConsumerConfig::default(),
        }
    }

    /// Checks every field and says which one is wrong. [`SimpleConsumer::new`] does so, too.
    pub fn validate(&self) -> Result<()> {
        if self.topics.is_empty() {
            return Err(Error::config("topics", "names none"));
        }
        for topic in &self.topics {
            divvy_zookeeper::paths::validate_topic(topic)
                .map_err(|error| Error::config("topics", error.to_string()))?;
        }
        if self.partitions.as_ref().is_some_and(Vec::is_empty) {
            return Err(Error::config("partitions", "names none"));
        }
        if self.growth_check_interval.is_zero() {
            return Err(Error::config(
                "growth_check_interval",
                "must be longer than zero",
            ));
        }
        self.consumer.validate()
    }
}

impl SimpleConsumer {
    /// Makes a consumer on a client's cluster, without any I/O; [`Consumer::start`] begins.
    pub fn new(client: &Client, config: SimpleConsumerConfig) -> Result<Self> {
        config.validate()?;
        let consumer_id = format!("{}:divvy-{:08x}", hostname(), rand::random::<u32>());
        let engine = Engine::on(client, config.consumer.clone(), consumer_id)?;
        Ok(Self::with_engine(engine, config))
    }

    /// Makes a consumer on any backend and any store of offsets.
    pub fn with_engine(engine: Arc<Engine>, config: SimpleConsumerConfig) -> Self {
        Consumer::with(
            engine,
            Everything {
                config: Arc::new(config),
                growth: None,
            },
        )
    }
}

/// The [`Coordination`] of a [`SimpleConsumer`]: everything is its own.
#[derive(Debug)]
pub struct Everything {
    config: Arc<SimpleConsumerConfig>,
    growth: Option<JoinHandle<()>>,
}

#[async_trait]
impl Coordination for Everything {
    async fn start(&mut self, engine: &Arc<Engine>) -> Result<()> {
        let tps = wanted(engine, &self.config).await?;
        let policy = engine.config().auto_offset_reset;
        take(engine, &self.config, &tps, policy).await?;
        if self.config.partitions.is_none() {
            let growth = watch_growth(Arc::downgrade(engine), Arc::clone(&self.config), tps);
            self.growth = Some(engine.runtime().spawn(growth));
        }
        Ok(())
    }

    async fn close(&mut self, engine: &Arc<Engine>) -> Result<()> {
        if let Some(growth) = self.growth.take() {
            growth.abort();
        }
        engine.stop_all();
        engine.drained(engine.config().drain_timeout).await;
        if engine.store().is_some() && engine.config().auto_commit_interval.is_some() {
            engine.commit_finished(None).await?;
        }
        Ok(())
    }
}

impl Drop for Everything {
    fn drop(&mut self) {
        if let Some(growth) = &self.growth {
            growth.abort();
        }
    }
}

/// The partitions to read, as far as they exist.
async fn wanted(
    engine: &Engine,
    config: &SimpleConsumerConfig,
) -> Result<BTreeSet<TopicPartition>> {
    let mut tps = BTreeSet::new();
    for topic in &config.topics {
        let exist = engine.backend().partitions(topic).await?;
        for partition in config.partitions.as_ref().unwrap_or(&exist) {
            let tp = TopicPartition::new(topic.as_str(), *partition);
            if !exist.contains(partition) {
                return Err(divvy_client::Error::UnknownPartition { tp }.into());
            }
            tps.insert(tp);
        }
    }
    Ok(tps)
}

/// Starts partitions; all or, on an error, none.
async fn take(
    engine: &Engine,
    config: &SimpleConsumerConfig,
    tps: &BTreeSet<TopicPartition>,
    policy: OffsetReset,
) -> Result<()> {
    let (given, looked_up): (Vec<TopicPartition>, Vec<_>) = tps
        .iter()
        .cloned()
        .partition(|tp| config.start_offsets.contains_key(tp));
    let mut starts = Vec::new();
    if !looked_up.is_empty() {
        for (tp, start) in engine.starts(&looked_up, policy).await {
            starts.push((tp, start?));
        }
    }
    let given = given.into_iter().filter_map(|tp| {
        let start = Start {
            offset: *config.start_offsets.get(&tp)?,
            committed: None,
        };
        Some((tp, start))
    });
    starts.extend(given);
    let partitions: Vec<Assignment> = starts
        .iter()
        .map(|(tp, _)| Assignment::unfenced(tp.clone()))
        .collect();
    engine.emit(Event::Assigned { partitions });
    for (tp, start) in starts {
        engine.assign(Assignment::unfenced(tp), start, Arc::new(AlwaysOpen));
    }
    Ok(())
}

/// Takes partitions that are added later, from their first message: what was written to them before they were seen must not be
/// lost, whatever the policy for the others is.
async fn watch_growth(
    engine: std::sync::Weak<Engine>,
    config: Arc<SimpleConsumerConfig>,
    mut known: BTreeSet<TopicPartition>,
) {
    loop {
        tokio::time::sleep(config.growth_check_interval).await;
        let Some(engine) = engine.upgrade() else {
            return;
        };
        let grown = async {
            let mut new = wanted(&engine, &config).await?;
            new.retain(|tp| !known.contains(tp));
            if !new.is_empty() {
                take(&engine, &config, &new, OffsetReset::Earliest).await?;
            }
            Ok::<_, Error>(new)
        };
        match grown.await {
            Ok(new) => known.extend(new),
            Err(error) => {
                let message = format!("partitions that were added cannot be read yet: {error}");
                engine.emit(Event::Error { message });
            }
        }
    }
}

fn hostname() -> String {
    gethostname::gethostname().to_string_lossy().into_owned()
}
