use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};

use crate::clock::{BootClock, Clock};
use crate::config::{Config, ConnectString};
use crate::crash_release::Helper;
use crate::dial::{Dial, TcpDial};
use crate::ensemble::Ensemble;
use crate::error::{Error, Result};
use crate::executor::Executor;
use crate::open::open;
use crate::servers::{Servers, draw};
use crate::session::Session;
use crate::thread::Thread;

/// A long-lived handle for a ZooKeeper ensemble.
///
/// Cheap to clone; all clones share one session at a time, and the thread `divvy-zookeeper` on which it runs.
#[derive(Clone)]
pub struct ZooKeeper {
    inner: Arc<Inner>,
}

/// What a [`ZooKeeper`] handle reaches the world through, for those who have a world of their own.
#[derive(Clone, Debug)]
pub struct Parts {
    /// Connects to the servers.
    pub dial: Arc<dyn Dial>,
    /// What the lease is counted by. Everything else goes by tokio's clock.
    pub clock: Arc<dyn Clock>,
    /// Where the sessions run, in place of a thread of their own; with timers.
    pub runtime: Executor,
    /// What decides all that is by chance: the order of the servers, and the length of pauses.
    pub seed: u64,
}

struct Inner {
    config: Arc<Config>,
    connect: ConnectString,
    dial: Arc<dyn Dial>,
    clock: Arc<dyn Clock>,
    thread: Arc<Thread>,
    current: Mutex<Current>,
    chance: Mutex<u64>,
    helper: Option<Arc<Helper>>,
}

type Attempt = Shared<BoxFuture<'static, Result<Session>>>;

#[derive(Default)]
enum Current {
    #[default]
    None,
    /// Opening a session, or the session that was opened. It runs on the session's thread whether it is polled or not.
    Attempt(Attempt),
}

impl ZooKeeper {
    /// Checks the configuration and starts the thread. Nothing is connected.
    ///
    /// # Errors
    /// [`Error::Config`], and [`Error::Thread`] where the system gives no thread.
    pub fn new(config: Config) -> Result<Self> {
        config.validate()?;
        let thread = Thread::start(config.request_timeout)
            .map_err(|error| Error::Thread(Arc::new(error)))?;
        let parts = Parts {
            dial: Arc::new(TcpDial {
                max_frame: config.max_frame,
            }),
            clock: Arc::new(BootClock),
            runtime: thread.executor().clone(),
            // Differs from one process to the next.
            seed: RandomState::new().hash_one(std::process::id()),
        };
        let helper = Helper::start(&config.crash_release).map(Arc::new);
        Self::assemble(config, parts, thread, helper)
    }

    /// Like [`ZooKeeper::new`], with parts of the caller's. There is no thread and no chance then but in these, and no
    /// [crash release](Config::crash_release).
    ///
    /// # Errors
    /// [`Error::Config`].
    pub fn with_parts(config: Config, parts: Parts) -> Result<Self> {
        config.validate()?;
        let thread = Thread::on(parts.runtime.clone());
        Self::assemble(config, parts, thread, None)
    }

    fn assemble(
        config: Config,
        parts: Parts,
        thread: Arc<Thread>,
        helper: Option<Arc<Helper>>,
    ) -> Result<Self> {
        let connect = ConnectString::parse(&config.connect)?;
        Ok(Self {
            inner: Arc::new(Inner {
                config: Arc::new(config),
                connect,
                dial: parts.dial,
                clock: parts.clock,
                thread,
                current: Mutex::default(),
                chance: Mutex::new(parts.seed),
                helper,
            }),
        })
    }

    /// Another handle of the same ensemble on the same thread, with sessions of its own.
    pub fn apart(&self) -> Self {
        let inner = &self.inner;
        let mut chance = inner.chance.lock().unwrap_or_else(PoisonError::into_inner);
        Self {
            inner: Arc::new(Inner {
                config: inner.config.clone(),
                connect: inner.connect.clone(),
                dial: inner.dial.clone(),
                clock: inner.clock.clone(),
                thread: inner.thread.clone(),
                current: Mutex::default(),
                chance: Mutex::new(draw(&mut chance)),
                helper: inner.helper.clone(),
            }),
        }
    }

    /// The configuration that this handle was made with.
    pub fn config(&self) -> &Config {
        &self.inner.config
    }

    /// The runtime of the ZooKeeper thread, for tasks that must run whatever the application's runtime is doing. It has one
    /// thread: a task that blocks it costs the session. Tasks are dropped once the last handle and session are.
    pub fn runtime(&self) -> Executor {
        self.inner.thread.executor().clone()
    }

    /// The live session; a new one if there is none yet or the last one is over. Concurrent callers share one attempt, which
    /// goes on if they give up.
    ///
    /// # Errors
    /// [`Error::CannotConnect`] after [`Config::connect_timeout`], [`Error::NoChroot`], [`Error::AuthFailed`].
    pub async fn session(&self) -> Result<Session> {
        loop {
            let session = self.attempt().await?;
            // It may have ended before anybody asked what became of the attempt.
            if !session.is_over() {
                return Ok(session);
            }
        }
    }

    /// Closes the live session, if there is one, as [`Session::close`] does.
    ///
    /// # Errors
    /// Those of [`Session::close`].
    pub async fn close(&self) -> Result<()> {
        let last = std::mem::take(&mut *self.lock());
        match last {
            Current::Attempt(attempt) => match attempt.await {
                Ok(session) => session.close().await,
                Err(_) => Ok(()),
            },
            Current::None => Ok(()),
        }
    }

    fn attempt(&self) -> Attempt {
        let mut current = self.lock();
        if let Current::Attempt(attempt) = &*current {
            let usable = match attempt.peek() {
                None => true,
                Some(Ok(session)) => !session.is_over(),
                Some(Err(_)) => false,
            };
            if usable {
                return attempt.clone();
            }
        }
        let attempt = self.open();
        *current = Current::Attempt(attempt.clone());
        attempt
    }

    fn open(&self) -> Attempt {
        let thread = &self.inner.thread;
        let opening = open(self.ensemble(), thread.clone());
        let opening = thread.executor().spawn(Box::pin(opening));
        let servers = self.inner.config.connect.clone();
        opening
            .map(move |opened| match opened {
                Ok(result) => result,
                Err(died) => Err(Error::Unexpected {
                    operation: "connect to",
                    path: servers,
                    why: died.to_string(),
                }),
            })
            .boxed()
            .shared()
    }

    /// The ensemble as a new session sees it.
    fn ensemble(&self) -> Ensemble {
        let inner = &self.inner;
        let mut chance = inner.chance.lock().unwrap_or_else(PoisonError::into_inner);
        Ensemble {
            config: inner.config.clone(),
            connect: inner.connect.clone(),
            dial: inner.dial.clone(),
            clock: inner.clock.clone(),
            helper: inner.helper.clone(),
            servers: Servers::new(inner.connect.servers.clone(), draw(&mut chance)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Current> {
        // Nothing that could panic is done under the lock.
        self.inner
            .current
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for ZooKeeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ZooKeeper")
            .field("config", &self.inner.config)
            .finish_non_exhaustive()
    }
}
