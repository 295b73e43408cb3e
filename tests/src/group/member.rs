//! Members that come and go.

use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;

use super::{FORMAT, Group, Owners, PATIENCE};
use crate::{Divvy, JavaConsumer, Process, Proxy, PyKafkaConsumer, wait_some};

/// How long a member that was asked to end may take.
const ENDED_WITHIN: Duration = Duration::from_secs(2);

/// A member of a group under test.
#[derive(Debug)]
pub struct Member {
    /// Its process.
    pub program: Program,
    /// The name of its node.
    pub id: String,
    /// Its way to ZooKeeper, if it has one of its own.
    pub proxy: Option<Arc<Proxy>>,
    /// Whether it should be registered: it was not ended, killed or stopped.
    pub lives: bool,
    /// How many of its lines are in the output.
    pub(super) read: usize,
}

/// The proxies of all members of a group, also of those that are only just coming. A clone is the same collection, for a thread
/// that strikes while others use the group.
#[derive(Clone, Debug, Default)]
pub struct Proxies(Arc<Mutex<Vec<Arc<Proxy>>>>);

impl Proxies {
    /// Each of them, in the order in which the members came.
    pub fn all(&self) -> Vec<Arc<Proxy>> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Proxy>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a member is.
#[derive(Debug)]
pub enum Program {
    /// `divvy consume`
    Divvy(Divvy),
    /// `kafka.tools.ConsoleConsumer --zookeeper`
    Java(Process),
    /// PyKafka's `BalancedConsumer`
    PyKafka(Process),
}

impl Deref for Program {
    type Target = Process;

    fn deref(&self) -> &Process {
        match self {
            Program::Divvy(divvy) => divvy,
            Program::Java(process) | Program::PyKafka(process) => process,
        }
    }
}

impl Group<'_> {
    /// Starts a `divvy consume`, waits until it is registered, and demands that from then on it takes a second at most until
    /// every partition has its owner (with a member of Kafka's own, its patience), and that no partition has moved that could
    /// stay. Gives the member's number.
    ///
    /// # Errors
    ///
    /// When any of that does not come to pass.
    pub fn join(&mut self) -> Result<usize> {
        let before = self.owners()?;
        let member = self.enter()?;
        self.settle_from(&before, self.settled_within())?;
        Ok(member)
    }

    /// As [`join`](Group::join), with one of Kafka's own high-level consumers.
    ///
    /// # Errors
    ///
    /// When any of that does not come to pass.
    pub fn join_java(&mut self) -> Result<usize> {
        let before = self.owners()?;
        let member = self.enter_java()?;
        self.settle_from(&before, self.settled_within())?;
        Ok(member)
    }

    /// Starts a `divvy consume` and waits until it is registered. Gives its number.
    ///
    /// # Errors
    ///
    /// When it does not register.
    pub fn enter(&mut self) -> Result<usize> {
        self.enter_with(|group, zookeeper| Ok(Program::Divvy(group.spawn(zookeeper)?)))
    }

    /// Starts that many `divvy consume` at once, and waits until each has said that it has partitions, or none. Gives when the
    /// last one was started.
    ///
    /// # Errors
    ///
    /// When one says nothing.
    pub fn enter_many(&mut self, count: usize) -> Result<Instant> {
        let mut started = Vec::new();
        for _ in 0..count {
            let (proxy, zookeeper) = self.way_to_zookeeper()?;
            started.push((proxy, self.spawn(&zookeeper)?));
        }
        let all_started = Instant::now();
        for (proxy, divvy) in started {
            let member = |divvy: &Divvy| {
                let mut events = divvy.events().into_iter();
                events.find_map(|event| Some(event.fields["member"].as_str()?.to_owned()))
            };
            let id = wait_some(PATIENCE, "the first event of a member", || member(&divvy));
            let id = id.with_context(|| divvy.stderr().tail(20))?;
            self.members.push(Member {
                program: Program::Divvy(divvy),
                id,
                proxy,
                lives: true,
                read: 0,
            });
        }
        Ok(all_started)
    }

    /// Starts a `divvy consume` of this group that reaches ZooKeeper in this way, and does not wait for it to join. It is not among
    /// the [members](Group::members).
    ///
    /// # Errors
    ///
    /// When it cannot be started.
    pub fn spawn(&self, zookeeper: &str) -> Result<Divvy> {
        let mut arguments = vec!["consume", "--zookeeper", zookeeper, "--group", &self.name];
        for topic in self.topics.keys() {
            arguments.extend(["--topic", topic]);
        }
        arguments.extend(["--events", "json", "--format", FORMAT]);
        arguments.extend(self.arguments.iter().map(String::as_str));
        Divvy::command(arguments).spawn()
    }

    /// Starts one of Kafka's own high-level consumers and waits until it is registered. Gives its number.
    ///
    /// It begins at the end of what nobody has read, so it is not to be the first member.
    ///
    /// # Errors
    ///
    /// When it does not register.
    pub fn enter_java(&mut self) -> Result<usize> {
        self.enter_with(|group, zookeeper| {
            let timeout = group.session_timeout.as_millis().to_string();
            let properties = [
                ("zookeeper.session.timeout.ms", timeout.as_str()),
                ("auto.commit.interval.ms", "1000"),
                ("partition.assignment.strategy", group.rule.name()),
            ];
            let consumer = JavaConsumer {
                topics: group.topics.keys().cloned().collect(),
                zookeeper: Some(zookeeper.to_owned()),
                // The tool refuses it for a group that has offsets.
                from_beginning: false,
                properties: properties
                    .map(|(key, value)| (key.to_owned(), value.to_owned()))
                    .into(),
                ..JavaConsumer::new(&group.name, "")
            };
            Ok(Program::Java(consumer.spawn(group.cluster)?))
        })
    }

    /// Starts one of PyKafka's balanced consumers of the first topic and waits until it is registered. Gives its number.
    ///
    /// # Errors
    ///
    /// When it does not register.
    pub fn enter_pykafka(&mut self) -> Result<usize> {
        self.enter_with(|group, zookeeper| {
            let consumer = PyKafkaConsumer {
                group: group.name.clone(),
                topic: group.topic().to_owned(),
                zookeeper: Some(zookeeper.to_owned()),
                session_timeout: group.session_timeout,
            };
            Ok(Program::PyKafka(consumer.spawn(group.cluster)?))
        })
    }

    fn enter_with(&mut self, start: impl FnOnce(&Self, &str) -> Result<Program>) -> Result<usize> {
        let known = self.view.ids(&self.name)?;
        let (proxy, zookeeper) = self.way_to_zookeeper()?;
        let program = start(self, &zookeeper)?;
        let registered = wait_some(PATIENCE, "the registration of a new member", || {
            let ids = self.view.ids(&self.name).ok()?;
            ids.into_keys().find(|id| !known.contains_key(id))
        });
        let id = registered.with_context(|| program.stderr().tail(20))?;
        self.members.push(Member {
            program,
            id,
            proxy,
            lives: true,
            read: 0,
        });
        Ok(self.members.len() - 1)
    }

    /// How the next member reaches ZooKeeper.
    fn way_to_zookeeper(&self) -> Result<(Option<Arc<Proxy>>, String)> {
        let Some(proxies) = &self.proxies else {
            return Ok((None, self.cluster.zookeeper_connect()));
        };
        let servers = self.cluster.zookeepers();
        let mut proxies = proxies.lock();
        let server = &servers[proxies.len() % servers.len()];
        let proxy = Arc::new(Proxy::start(server.address())?);
        proxies.push(Arc::clone(&proxy));
        let connect = format!("{}{}", proxy.address(), self.cluster.chroot());
        Ok((Some(proxy), connect))
    }

    /// The proxy before a member of a group [behind proxies](Group::behind_proxies).
    ///
    /// # Errors
    ///
    /// When it has none.
    pub fn proxy(&self, member: usize) -> Result<&Proxy> {
        let proxy = self.member(member)?.proxy.as_deref();
        proxy.with_context(|| format!("member {member} is behind no proxy"))
    }

    /// The proxies of a group [behind proxies](Group::behind_proxies); none of another.
    pub fn proxies(&self) -> Proxies {
        self.proxies.clone().unwrap_or_default()
    }

    /// Asks a member to end, and demands that it does so in order (a divvy within two seconds), that its nodes are gone then,
    /// and that the others share its partitions in time, none of which moved that could stay.
    ///
    /// # Errors
    ///
    /// When any of that does not come to pass.
    pub fn leave(&mut self, member: usize) -> Result<()> {
        let before = self.owners()?;
        let Member { program, id, .. } = self.member(member)?;
        program.term()?;
        let ended = match program {
            Program::Divvy(divvy) => divvy.wait_success(ENDED_WITHIN),
            // A JVM says by its exit code that it was a signal.
            Program::Java(process) => process.wait(PATIENCE).map(drop),
            Program::PyKafka(process) => process.wait_success(PATIENCE),
        };
        ended.with_context(|| format!("member {member} after SIGTERM"))?;
        let ids = self.view.ids(&self.name)?;
        ensure!(!ids.contains_key(id), "{id} has ended and is registered");
        let owned = self.owned_by(member, &self.owners()?);
        ensure!(owned.is_empty(), "{id} has ended and owns {owned:?}");
        self.members[member].lives = false;
        if self.members.iter().any(|member| member.lives) {
            self.settle_from(&before, self.settled_within())?;
        }
        self.collect()
    }

    /// Kills a member, and gives when.
    ///
    /// # Errors
    ///
    /// When what it has printed is not understood.
    pub fn kill(&mut self, member: usize) -> Result<Instant> {
        let Member { program, lives, .. } = &mut self.members[member];
        *lives = false;
        let killed = Instant::now();
        program.kill();
        // What is still in the pipe was written, so it counts.
        program.stdout().release();
        program.wait(PATIENCE)?;
        self.collect()?;
        Ok(killed)
    }

    /// Kills a member, and demands that the others share its partitions in time after its session has ended.
    ///
    /// # Errors
    ///
    /// When they do not.
    pub fn kill_and_settle(&mut self, member: usize) -> Result<Owners> {
        let before = self.owners()?;
        self.kill(member)?;
        // ZooKeeper notices at the next tick.
        let noticed = self.session_timeout + Duration::from_millis(500);
        self.settle_from(&before, noticed + self.settled_within())
    }

    /// Stops a member in its tracks.
    ///
    /// # Errors
    ///
    /// When it has ended.
    pub fn stop(&mut self, member: usize) -> Result<()> {
        let Member { program, lives, .. } = &mut self.members[member];
        *lives = false;
        program.signal(Signal::STOP)
    }

    /// Lets a stopped member go on.
    ///
    /// # Errors
    ///
    /// When it has ended.
    pub fn cont(&mut self, member: usize) -> Result<()> {
        let Member { program, lives, .. } = &mut self.members[member];
        *lives = true;
        program.signal(Signal::CONT)
    }
}
