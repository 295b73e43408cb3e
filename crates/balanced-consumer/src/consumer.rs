use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use divvy_client::{Client, ClientConfig};
use divvy_simple_consumer::{
    Consumer, ConsumerConfig, Coordination, Engine, Error, KafkaOffsets, OffsetStorage,
    OffsetStore, Result,
};
use divvy_zookeeper::documents::{Pattern, Registration};
use divvy_zookeeper::{Session, ZooKeeper, paths};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tracing::Instrument;

use crate::assignor::{Assignor, Range};
use crate::dialect::{CLIENT, Dialect, ForeignMembers};
use crate::driver::{
    Driver, Following, Member, Registered, Subscribed, blocking_pykafka_member, java_member_alone,
};
use crate::fence::{FenceReport, GroupOffsets, KEPT_REPORTS};
use crate::listener::{RebalanceListener, Silent};
use crate::machine::MembershipConfig;
use crate::topic_filter::{TopicFilter, Topics};

/// By how much the driver may be late with leaving before it is given up.
const LEAVING_LATE: Duration = Duration::from_millis(200);

/// A consumer that shares the partitions of its topics with the other members of its group, through ZooKeeper.
///
/// Members may be divvy's, or Kafka's own high-level consumers: both keep to the same contract. Everything but joining and
/// leaving is a [`Consumer`]'s, to which this dereferences.
#[derive(Debug)]
pub struct BalancedConsumer(Consumer<ZooKeeperGroup>);

impl Deref for BalancedConsumer {
    type Target = Consumer<ZooKeeperGroup>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl DerefMut for BalancedConsumer {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

/// Which group a [`BalancedConsumer`] joins, and how. Make one with [`BalancedConsumerConfig::new`] and change single fields.
#[derive(Clone)]
pub struct BalancedConsumerConfig {
    /// The group. Kafka: `group.id`; PyKafka: `consumer_group`.
    pub group: String,
    /// The topics.
    pub topics: Topics,
    /// The ZooKeeper in which the group meets, its session timeout and its ACL. Kafka: `zookeeper.connect`,
    /// `zookeeper.session.timeout.ms`; PyKafka: `zookeeper_hosts`, `zookeeper_connection_timeout_ms`. The consumer has a session of
    /// its own.
    pub zookeeper: divvy_zookeeper::Config,
    /// As how many consumers of the group the member counts. They are received together, or apart with
    /// [`separate_streams`](ConsumerConfig::separate_streams). Kafka: the numbers of streams given to `createMessageStreams`.
    /// Default: 1.
    pub streams: u32,
    /// What happens when ZooKeeper does not answer. Default: [`OnZkLoss::Lease`].
    pub on_zk_loss: OnZkLoss,
    /// Which nodes in ZooKeeper the members of the group write. Default: [`Dialect::Java`]. For the other one begin with
    /// [`BalancedConsumerConfig::for_pykafka`].
    pub dialect: Dialect,
    /// What happens when a PyKafka member comes into a group of dialect Java. Default: [`ForeignMembers::StandDown`].
    pub foreign_members: ForeignMembers,
    /// The rule that shares partitions out; the same in every member. Kafka: `partition.assignment.strategy`; PyKafka:
    /// `membership_protocol`. Default: [`Range`], as Kafka's.
    pub assignor: Arc<dyn Assignor>,
    /// Whether to make all members look at the group again when partitions of another member have been without an owner for longer
    /// than it takes ([`Event::Orphan`](divvy_simple_consumer::Event::Orphan)). Kafka's own consumer and PyKafka's give a partition
    /// up for lost that was not released within some seconds, and try again when the group changes; the nudge is a node below `ids`
    /// that subscribes nothing and goes at once. At most one a minute, by one of divvy's members. Default: no.
    pub nudge: bool,
    /// Is told of partitions that come and go. Default: nobody.
    pub listener: Arc<dyn RebalanceListener>,
    /// How long one call of the listener may take; then the rebalance goes on without it. Default: 10 s.
    pub listener_timeout: Duration,
    /// How long leaving in order may take beyond [`ConsumerConfig::drain_timeout`]; what is not released then goes with the
    /// session. Default: 5 s.
    pub close_timeout: Duration,
    /// The rest. Its `group` is replaced by the one above.
    pub consumer: ConsumerConfig,
}

/// What a member does while it cannot reach ZooKeeper.
///
/// Messages are never lost by any of these; the question is whether two members may work on the same ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnZkLoss {
    /// Goes on for as long as nobody else can have taken its partitions over: for two thirds of the session timeout since it last
    /// heard of the ensemble's leader. Then it hands nothing out and commits nothing, and goes on where it stood when ZooKeeper
    /// answers and the session has lived on.
    #[default]
    Lease,
    /// As `Lease`, and pauses as soon as the connection is lost. For those who do not trust clocks.
    Pause,
    /// Goes on until it hears that the session is over, as Java's consumer and PyKafka do. Others may meanwhile work on the same
    /// messages; offsets in ZooKeeper are safe all the same.
    Continue,
}

impl fmt::Debug for BalancedConsumerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BalancedConsumerConfig")
            .field("group", &self.group)
            .field("topics", &self.topics)
            .field("zookeeper", &self.zookeeper)
            .field("streams", &self.streams)
            .field("dialect", &self.dialect)
            .field("foreign_members", &self.foreign_members)
            .field("assignor", &self.assignor)
            .field("consumer", &self.consumer)
            .finish_non_exhaustive()
    }
}

impl From<BalancedConsumer> for Consumer<ZooKeeperGroup> {
    fn from(consumer: BalancedConsumer) -> Self {
        consumer.0
    }
}

impl BalancedConsumerConfig {
    /// Joins a group that meets in this ZooKeeper, for these topics.
    pub fn new<S: Into<String>>(
        zookeeper: divvy_zookeeper::Config,
        group: impl Into<String>,
        topics: impl IntoIterator<Item = S>,
    ) -> Self {
        let topics = topics.into_iter().map(Into::into).collect();
        Self::with_topics(zookeeper, group, Topics::Named(topics))
    }

    /// Joins a group that meets in this ZooKeeper, for topics by name or by list.
    pub fn with_topics(
        zookeeper: divvy_zookeeper::Config,
        group: impl Into<String>,
        topics: Topics,
    ) -> Self {
        Self {
            group: group.into(),
            topics,
            zookeeper,
            streams: 1,
            on_zk_loss: OnZkLoss::default(),
            dialect: Dialect::default(),
            foreign_members: ForeignMembers::default(),
            assignor: Arc::new(Range),
            nudge: false,
            listener: Arc::new(Silent),
            listener_timeout: Duration::from_secs(10),
            close_timeout: Duration::from_secs(5),
            consumer: ConsumerConfig::default(),
        }
    }

    /// Checks every field and says which one is wrong. [`BalancedConsumer::new`] does so too.
    pub fn validate(&self) -> Result<()> {
        paths::validate_group(&self.group)
            .map_err(|error| Error::config("group", error.to_string()))?;
        match &self.topics {
            Topics::Named(names) => {
                if names.is_empty() {
                    return Err(Error::config("topics", "names none"));
                }
                for name in names {
                    paths::validate_topic(name)
                        .map_err(|error| Error::config("topics", error.to_string()))?;
                }
            }
            Topics::WhiteList(_) | Topics::BlackList(_) => {
                self.filter()?;
            }
        }
        self.validate_dialect()?;
        if !(1..=1024).contains(&self.streams) {
            return Err(Error::config("streams", "must be 1 to 1024"));
        }
        if self.listener_timeout.is_zero() {
            return Err(Error::config(
                "listener_timeout",
                "must be longer than zero",
            ));
        }
        self.consumer.validate()
    }
}

impl BalancedConsumerConfig {
    /// The list of topics as something to evaluate; `None` where they are named.
    fn filter(&self) -> Result<Option<TopicFilter>> {
        let filter = match &self.topics {
            Topics::Named(_) => return Ok(None),
            Topics::WhiteList(expression) => TopicFilter::white_list(expression),
            Topics::BlackList(expression) => TopicFilter::black_list(expression),
        };
        filter.map(Some).map_err(|why| Error::config("topics", why))
    }
}

impl BalancedConsumer {
    /// Joins a group with every setting at its default, in one call: a [`Client`] of the brokers that are registered in this
    /// ZooKeeper, [`BalancedConsumerConfig::new`], [`BalancedConsumer::new`] and [`Consumer::start`]. Make these yourself to change
    /// anything.
    ///
    /// `zookeeper` is the connect string, servers and chroot, such as `zk1:2181,zk2:2181,zk3:2181/kafka`; a server without a port
    /// listens at 2181. Kafka: `zookeeper.connect`.
    ///
    /// # Errors
    /// A name that cannot be used at once, and whatever is wrong about the cluster within some 10 s: nobody who speaks as ZooKeeper
    /// does, a chroot that does not exist, no broker, no such topic. Each says what to look at.
    pub async fn join<S: Into<String>>(
        zookeeper: impl Into<String>,
        group: impl Into<String>,
        topics: impl IntoIterator<Item = S>,
    ) -> Result<Self> {
        let zookeeper = divvy_zookeeper::Config::new(zookeeper);
        let config = BalancedConsumerConfig::new(zookeeper.clone(), group, topics);
        // Before anything is waited for.
        config.validate()?;
        let zookeeper = ZooKeeper::new(zookeeper).map_err(divvy_client::Error::from)?;
        let client = Client::connect(ClientConfig::zookeeper(zookeeper)).await?;
        let mut consumer = Self::new(&client, config)?;
        consumer.start().await?;
        Ok(consumer)
    }

    /// Makes a member on a client's cluster, without any I/O; [`Consumer::start`] joins the group.
    pub fn new(client: &Client, config: BalancedConsumerConfig) -> Result<Self> {
        config.validate()?;
        let zookeeper =
            ZooKeeper::new(config.zookeeper.clone()).map_err(divvy_client::Error::from)?;
        let hostname = hostname();
        let consumer_id = match config.dialect {
            Dialect::Java => paths::consumer_id(&config.group, &hostname, now_ms(), rand::random()),
            Dialect::PyKafka(_) => paths::pykafka_consumer_id(&hostname, rand::random()),
        };
        let mut settings = config.consumer.clone();
        settings.group = Some(config.group.clone());
        let backend = divvy_simple_consumer::backend(client, &settings)?;
        let kafka = || -> Arc<dyn OffsetStore> {
            let retries = settings.offsets_max_retries;
            let client = client.clone();
            Arc::new(KafkaOffsets::new(
                client,
                &config.group,
                &consumer_id,
                retries,
            ))
        };
        let (coordination, store) =
            ZooKeeperGroup::with_parts(config.clone(), zookeeper, kafka, rand::random());
        let runtime = client.runtime().clone();
        let engine = Engine::new(settings, consumer_id, backend, Some(store), runtime);
        Ok(Self(Consumer::with(engine, coordination)))
    }

    /// Leaves the group: see [`Consumer::close`].
    pub async fn close(self) -> Result<()> {
        self.0.close().await
    }
}

/// The [`Coordination`] of a [`BalancedConsumer`]: a member of a group that meets in ZooKeeper. Its work runs on the thread of
/// the ZooKeeper session, so that an application that burns CPU does not cost the membership.
#[derive(Debug)]
pub struct ZooKeeperGroup {
    config: BalancedConsumerConfig,
    zookeeper: ZooKeeper,
    offsets: Arc<GroupOffsets>,
    /// Taken when it is started.
    reports: Option<mpsc::Receiver<FenceReport>>,
    seed: u64,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    /// Completed to leave in order; dropped to let go of everything.
    close: oneshot::Sender<()>,
    driver: JoinHandle<()>,
    settled: watch::Receiver<bool>,
}

#[async_trait]
impl Coordination for ZooKeeperGroup {
    async fn start(&mut self, engine: &Arc<Engine>) -> Result<()> {
        let session = self
            .zookeeper
            .session()
            .await
            .map_err(divvy_client::Error::from)?;
        if let Topics::Named(names) = &self.config.topics {
            for topic in names {
                let found = session.topic(topic).await;
                if found.map_err(divvy_client::Error::from)?.is_none() {
                    let topic = topic.clone();
                    return Err(divvy_client::Error::UnknownTopic { topic }.into());
                }
            }
        }
        let registration = self.registered()?;
        if let Some(why) = self.unfit(&session, &registration).await? {
            return Err(self.error(why));
        }
        let consumer_id: Arc<str> = engine.consumer_id().into();
        let Some(reports) = self.reports.take() else {
            // It was closed, and cannot be started a second time.
            return Err(Error::Closed);
        };
        // Where ZooKeeper does not answer, its part of the time is over before the session can be closed.
        let grace = (self.config.close_timeout / 3).min(Duration::from_secs(1));
        let member = Member {
            group: self.config.group.clone(),
            zookeeper: self.zookeeper.clone(),
            registration,
            nudge: self.written(&registration_of(Pattern::Static, Vec::new()))?,
            following: self.following(),
            refuse_foreign: self.config.foreign_members == ForeignMembers::Refuse,
            machine: MembershipConfig {
                // Behind what each partition may take: draining, the listener, and the commit.
                close_deadline: engine.config().drain_timeout + self.config.close_timeout - grace,
                close_grace: grace,
                patience: self.config.dialect.patience(),
                nudge: self.config.nudge,
                ..MembershipConfig::new(consumer_id, Arc::clone(&self.config.assignor))
            },
            offsets: Arc::clone(&self.offsets),
            reports,
            on_zk_loss: self.config.on_zk_loss,
            listener: Arc::clone(&self.config.listener),
            listener_timeout: self.config.listener_timeout,
            seed: self.seed,
        };
        let (close, asked) = oneshot::channel();
        let (settles, settled) = watch::channel(false);
        let driver = Driver::new(member, Arc::clone(engine), settles);
        let span = tracing::info_span!(
            "group",
            group = self.config.group,
            member = engine.consumer_id()
        );
        let driver = driver.run(asked).instrument(span);
        let driver = self.zookeeper.runtime().spawn(driver);
        self.running = Some(Running {
            close,
            driver,
            settled,
        });
        Ok(())
    }

    fn is_settled(&self) -> bool {
        let running = self.running.as_ref();
        running.is_some_and(|running| *running.settled.borrow())
    }

    async fn close(&mut self, engine: &Arc<Engine>) -> Result<()> {
        let Some(Running { close, driver, .. }) = self.running.take() else {
            return Ok(());
        };
        // The driver ends early only with its runtime.
        let _ = close.send(());
        let settings = engine.config();
        let within = settings.drain_timeout + self.config.close_timeout + LEAVING_LATE;
        match timeout(within, driver).await {
            Ok(_) => Ok(()),
            Err(_) => Err(self.error(format!(
                "could not be left in order within {within:?}; its nodes go when the session has timed out"
            ))),
        }
    }
}

impl ZooKeeperGroup {
    /// Joins a group through a handle of the caller's, and gives the store that belongs into the [`Engine`] of the same
    /// [`Consumer::with`]: the group's offsets, which nobody but the owner of a partition can store. `kafka` makes the store of
    /// offsets in Kafka, where the configuration asks for one; `seed` decides all that is by chance in the membership. The
    /// configuration is taken as it is; its own ZooKeeper is not used.
    pub fn with_parts(
        config: BalancedConsumerConfig,
        zookeeper: ZooKeeper,
        kafka: impl FnOnce() -> Arc<dyn OffsetStore>,
        seed: u64,
    ) -> (Self, Arc<dyn OffsetStore>) {
        let (fenced, reports) = mpsc::channel(KEPT_REPORTS);
        let (place, group) = (zookeeper.clone(), &config.group);
        let offsets = Arc::new(match config.consumer.offset_storage {
            OffsetStorage::ZooKeeper => GroupOffsets::in_zookeeper(place, group, None, fenced),
            OffsetStorage::Dual => GroupOffsets::in_zookeeper(place, group, Some(kafka()), fenced),
            OffsetStorage::Kafka => GroupOffsets::in_kafka(place, group, kafka(), fenced),
        });
        let store = Arc::clone(&offsets) as Arc<dyn OffsetStore>;
        let group = Self {
            config,
            zookeeper,
            offsets,
            reports: Some(reports),
            seed,
            running: None,
        };
        (group, store)
    }

    fn registered(&self) -> Result<Registered> {
        if let (Dialect::PyKafka(directories), Topics::Named(names)) =
            (self.config.dialect, &self.config.topics)
            && let [topic] = names.as_slice()
        {
            let topic = topic.clone();
            return Ok(Registered::PyKafka {
                topic,
                directories,
                beside_java: false,
            });
        }
        let document = self.document()?;
        let topics = match (&self.config.topics, self.config.filter()?) {
            (_, Some(filter)) => Subscribed::Matching(filter),
            (Topics::Named(names), None) => {
                Subscribed::Named(names.iter().map(|name| name.as_str().into()).collect())
            }
            (_, None) => Subscribed::Named(Vec::new()),
        };
        Ok(Registered::Java { document, topics })
    }

    /// As what this member takes part in PyKafka's division, if it is to.
    fn following(&self) -> Option<Following> {
        let follows = self.config.foreign_members == ForeignMembers::FollowPyKafka;
        let Topics::Named(names) = &self.config.topics else {
            return None;
        };
        let topic = names.first().filter(|_| follows)?.clone();
        let mut chance = StdRng::seed_from_u64(self.seed);
        let consumer_id = paths::pykafka_consumer_id(&hostname(), chance.random()).into();
        Some(Following { topic, consumer_id })
    }

    /// Why this member cannot join a group as it is now, if that is so.
    async fn unfit(&self, session: &Session, registration: &Registered) -> Result<Option<String>> {
        let group = &self.config.group;
        let unfit = match registration {
            Registered::Java { .. } if self.config.foreign_members != ForeignMembers::Refuse => {
                return Ok(None);
            }
            Registered::Java { .. } => blocking_pykafka_member(session, group).await,
            Registered::PyKafka { topic, .. } => java_member_alone(session, group, topic).await,
        };
        Ok(unfit.map_err(divvy_client::Error::from)?)
    }

    fn error(&self, why: String) -> Error {
        Error::Group {
            group: self.config.group.clone(),
            why,
        }
    }

    fn document(&self) -> Result<String> {
        let streams = self.config.streams;
        let (pattern, subscription) = match &self.config.topics {
            Topics::Named(names) => {
                let topics = names.iter().map(|name| (name.clone(), streams));
                (Pattern::Static, topics.collect())
            }
            Topics::WhiteList(list) => (Pattern::WhiteList, vec![(list.clone(), streams)]),
            Topics::BlackList(list) => (Pattern::BlackList, vec![(list.clone(), streams)]),
        };
        self.written(&registration_of(pattern, subscription))
    }

    fn written(&self, registration: &Registration) -> Result<String> {
        let document = registration.to_json();
        document.map_err(|error| self.error(format!("the registration cannot be written: {error}")))
    }
}

fn registration_of(pattern: Pattern, subscription: Vec<(String, u32)>) -> Registration {
    Registration {
        pattern,
        subscription,
        timestamp: i64::try_from(now_ms()).ok(),
        client: Some(CLIENT.to_owned()),
        readable_by_java: true,
    }
}

fn hostname() -> String {
    gethostname::gethostname().to_string_lossy().into_owned()
}

fn now_ms() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
