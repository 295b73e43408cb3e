//! Doing what the machine says.

use std::sync::Arc;
use std::time::Duration;

use divvy_protocol::TopicPartition;
use divvy_simple_consumer::{
    AlwaysOpen, Assignment, Engine, Event as ConsumerEvent, OffsetReset, Start,
};
use futures_util::FutureExt;
use futures_util::future::join_all;
use tokio::time::timeout;

use super::registry::Registry;
use super::{Answer, Driver, assignment};
use crate::assignor::ConsumerThreadId;
use crate::machine::{Action, Incarnation, SessionEvent, Token};

/// Actions of one round that are done together, so that a listener hears of them at once.
#[derive(Default)]
struct Round {
    starts: Vec<(TopicPartition, Token, ConsumerThreadId)>,
    stops: Vec<TopicPartition>,
    lost: Vec<TopicPartition>,
}

impl Driver {
    /// Does everything that the machine says.
    pub(super) async fn act(&mut self) {
        loop {
            let mut round = Round::default();
            let mut any = false;
            while let Some(action) = self.machine.poll_action() {
                any = true;
                tracing::trace!(?action, "group action");
                self.begin(action, &mut round);
            }
            if !any {
                return;
            }
            self.lose(round.lost).await;
            self.start(round.starts).await;
            self.stop(round.stops);
        }
    }

    fn begin(&mut self, action: Action, round: &mut Round) {
        match action {
            Action::OpenSession { incarnation } => self.open_session(incarnation),
            Action::Register => self.with_registry(
                |registry| async move { registry.register().await },
                |error| SessionEvent::RegisterFailed { error },
            ),
            Action::ReadView => self.with_registry(
                |registry| async move { registry.view().await.map(SessionEvent::ViewRead) },
                |error| SessionEvent::ViewFailed { error },
            ),
            Action::Claim { tp, thread } => {
                let failed = tp.clone();
                self.with_registry(
                    |registry| async move { registry.claim(&tp, &thread).await },
                    |error| SessionEvent::ClaimFailed { tp: failed, error },
                );
            }
            Action::Position { tp, token } => self.position(tp, token),
            Action::Start { tp, token, thread } => round.starts.push((tp, token, thread)),
            Action::Stop { tp } => round.stops.push(tp),
            Action::Commit { tp } => self.commit(tp),
            Action::Release { tp, token } => {
                self.engine.remove(&tp);
                self.held.remove(&tp);
                let failed = tp.clone();
                self.with_registry(
                    |registry| async move { registry.release(&tp, token).await },
                    |error| SessionEvent::ReleaseFailed { tp: failed, error },
                );
            }
            Action::CheckOwner { tp, token } => {
                let failed = tp.clone();
                self.with_registry(
                    |registry| async move { registry.check_owner(&tp, token).await },
                    move |error| SessionEvent::OwnerCheckFailed {
                        tp: failed,
                        token,
                        error,
                    },
                );
            }
            Action::Lost { tp } => round.lost.push(tp),
            Action::Unregister => self.with_registry(
                |registry| async move { registry.unregister().await },
                |_| SessionEvent::Unregistered,
            ),
            Action::CloseSession => self.close_session(),
            Action::Emit(event) => self.report(event),
        }
    }

    /// Spawns an operation of the present session; an error becomes the event that `failed` makes of it.
    fn with_registry<F>(
        &mut self,
        operation: impl FnOnce(Arc<Registry>) -> F,
        failed: impl FnOnce(String) -> SessionEvent + Send + 'static,
    ) where
        F: Future<Output = divvy_zookeeper::Result<SessionEvent>> + Send + 'static,
    {
        let incarnation = self.machine.incarnation();
        // Without a session the machine has been told of its end, and expects no answer.
        let Some(registry) = self.registry.clone() else {
            return;
        };
        let operation = operation(registry);
        self.spawn(incarnation, async move {
            let event = operation.await;
            vec![event.unwrap_or_else(|error| failed(error.to_string()))]
        });
    }

    fn spawn(
        &mut self,
        incarnation: Incarnation,
        events: impl Future<Output = Vec<SessionEvent>> + Send + 'static,
    ) {
        let answer = events.map(move |events| Answer {
            incarnation,
            events,
            session: None,
            start: None,
        });
        self.tasks.push(answer.boxed());
    }

    fn open_session(&mut self, incarnation: Incarnation) {
        self.registry = None;
        self.changes = None;
        let zookeeper = self.member.zookeeper.clone();
        let open = async move {
            let (session, event) = match zookeeper.session().await {
                Ok(session) => (Some(session), SessionEvent::SessionOpened),
                Err(error) => {
                    let error = error.to_string();
                    (None, SessionEvent::SessionFailed { error })
                }
            };
            Answer {
                incarnation,
                events: vec![event],
                session,
                start: None,
            }
        };
        self.tasks.push(open.boxed());
    }

    fn close_session(&mut self) {
        let registry = self.registry.take();
        self.changes = None;
        self.spawn(self.machine.incarnation(), async move {
            if let Some(registry) = registry
                && let Err(error) = registry.session.close().await
            {
                tracing::warn!(%error, "the session could not be closed and ends by itself");
            }
            vec![SessionEvent::SessionClosed]
        });
    }

    /// Finds out where a claimed partition starts, and stores that where nothing is stored: whoever takes the partition over
    /// must not begin at the log's end of that time.
    fn position(&mut self, tp: TopicPartition, token: Token) {
        let engine = Arc::clone(&self.engine);
        let incarnation = self.machine.incarnation();
        // A partition that was added to a topic in use is read from its first message: what was written to it before anybody saw
        // it must not be lost.
        let original = self.original.get(&tp.topic);
        let policy = match engine.config().auto_offset_reset {
            OffsetReset::Latest if original.is_some_and(|ids| !ids.contains(&tp.partition)) => {
                OffsetReset::Earliest
            }
            policy => policy,
        };
        let task = async move {
            let found = position(&engine, &tp, token, policy).await;
            let (event, start) = match found {
                Ok(start) => (
                    SessionEvent::Positioned { tp: tp.clone() },
                    Some((tp, start)),
                ),
                Err(error) => (SessionEvent::PositionFailed { tp, error }, None),
            };
            Answer {
                incarnation,
                events: vec![event],
                session: None,
                start,
            }
        };
        self.tasks.push(task.boxed());
    }

    fn commit(&mut self, tp: TopicPartition) {
        let engine = Arc::clone(&self.engine);
        self.spawn(self.machine.incarnation(), async move {
            let automatic = engine.config().auto_commit_interval.is_some();
            let only = [tp.clone()];
            let result = if automatic {
                engine.commit_finished(Some(&only)).await
            } else {
                Ok(())
            };
            vec![match result {
                Ok(()) => SessionEvent::Committed { tp },
                Err(error) => SessionEvent::CommitFailed {
                    tp,
                    error: error.to_string(),
                },
            }]
        });
    }

    /// Hands partitions to the engine.
    async fn start(&mut self, starts: Vec<(TopicPartition, Token, ConsumerThreadId)>) {
        if starts.is_empty() {
            return;
        }
        let assignments: Vec<Assignment> = starts
            .into_iter()
            .map(|(tp, token, thread)| assignment(tp, token, &thread))
            .collect();
        let listener = Arc::clone(&self.member.listener);
        let told = listener.on_partitions_assigned(&assignments);
        let within = self.member.listener_timeout;
        listen(&self.engine.clone(), "on_partitions_assigned", within, told).await;
        for assignment in assignments {
            let tp = assignment.tp.clone();
            if let Some(start) = self.starting.remove(&tp) {
                self.held.insert(tp, assignment.clone());
                self.engine.assign(assignment, start, Arc::new(AlwaysOpen));
            }
        }
    }

    /// Takes partitions back: nothing more is handed out, and what is in hand is waited for.
    fn stop(&mut self, tps: Vec<TopicPartition>) {
        if tps.is_empty() {
            return;
        }
        let engine = Arc::clone(&self.engine);
        let listener = Arc::clone(&self.member.listener);
        let within = self.member.listener_timeout;
        let assignments: Vec<Assignment> = tps
            .iter()
            .filter_map(|tp| self.held.get(tp).cloned())
            .collect();
        self.spawn(self.machine.incarnation(), async move {
            let drained = join_all(tps.iter().map(|tp| engine.stop(tp))).await;
            for (tp, drained) in tps.iter().zip(drained) {
                if !drained {
                    let message = format!(
                        "{tp} is given up although the application has not finished what it has in hand; its messages come again elsewhere"
                    );
                    engine.emit(ConsumerEvent::Error { message });
                }
            }
            let told = listener.on_partitions_revoked(&assignments);
            listen(&engine, "on_partitions_revoked", within, told).await;
            tps.into_iter()
                .map(|tp| SessionEvent::Stopped { tp })
                .collect()
        });
    }

    async fn lose(&mut self, tps: Vec<TopicPartition>) {
        let mut lost = Vec::new();
        for tp in tps {
            self.engine.remove(&tp);
            lost.extend(self.held.remove(&tp));
        }
        if !lost.is_empty() {
            let listener = Arc::clone(&self.member.listener);
            self.engine.emit(ConsumerEvent::Lost {
                partitions: lost.clone(),
                reason: "the session expired, or the owner nodes are gone".to_owned(),
            });
            let told = listener.on_partitions_lost(&lost);
            let within = self.member.listener_timeout;
            listen(&self.engine.clone(), "on_partitions_lost", within, told).await;
        }
    }
}

/// Awaits one call of the listener, within its time.
async fn listen(engine: &Engine, method: &str, within: Duration, call: impl Future<Output = ()>) {
    if timeout(within, call).await.is_err() {
        let message = format!(
            "the rebalance listener's {method} did not end within {within:?} and was given up"
        );
        engine.emit(ConsumerEvent::Error { message });
    }
}

async fn position(
    engine: &Engine,
    tp: &TopicPartition,
    token: Token,
    policy: OffsetReset,
) -> Result<Start, String> {
    // Makes sure that the partition's topic is known, which may be younger than what is known of the cluster.
    let known = engine.backend().partitions(&tp.topic).await;
    known.map_err(|error| error.to_string())?;
    let mut starts = engine.starts(std::slice::from_ref(tp), policy).await;
    let start = starts
        .remove(tp)
        .ok_or_else(|| "its start was not looked up".to_owned())?
        .map_err(|error| error.to_string())?;
    let mut committed = start.committed;
    if let (None, Some(store)) = (committed, engine.store()) {
        let assignment = Assignment {
            tp: tp.clone(),
            token: token.0,
            stream: 0,
        };
        let stored = store
            .commit(&[(assignment, start.offset)])
            .await
            .and_then(|mut stored| stored.remove(tp).unwrap_or(Ok(())));
        stored.map_err(|error| format!("its start offset cannot be stored: {error}"))?;
        committed = Some(start.offset);
    }
    Ok(Start {
        offset: start.offset,
        committed,
    })
}
