//! Doing what the machine says.

use std::sync::Arc;

use divvy_protocol::TopicPartition;
use futures_util::FutureExt;
use tracing::{Instrument, Span, info_span};

use super::registry::Registry;
use super::{Answer, Driver};
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
    pub(super) fn act(&mut self) {
        loop {
            let mut round = Round::default();
            let mut any = false;
            while let Some(action) = self.machine.poll_action() {
                any = true;
                tracing::trace!(?action, "group action");
                if !matches!(action, Action::Lost { .. }) {
                    // Before what follows from it, such as the release of what is left.
                    self.lose(std::mem::take(&mut round.lost));
                }
                self.begin(action, &mut round);
            }
            if !any {
                return;
            }
            self.lose(round.lost);
            self.start(round.starts);
            self.stop(round.stops);
        }
    }

    fn begin(&mut self, action: Action, round: &mut Round) {
        let span = span_of(&action);
        let _entered = span.enter();
        match action {
            Action::OpenSession { incarnation } => self.open_session(incarnation),
            Action::Register => self.with_registry(
                |registry| async move { registry.own().register().await },
                |error| SessionEvent::RegisterFailed { error },
            ),
            Action::ReadView => self.with_registry(
                |registry| async move { registry.view().await.map(SessionEvent::ViewRead) },
                |error| SessionEvent::ViewFailed { error },
            ),
            Action::ReadOwners => self.with_registry(
                |registry| async move { registry.owners().await.map(SessionEvent::OwnersRead) },
                |_| SessionEvent::OwnersFailed,
            ),
            Action::Nudge => self.nudge(),
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
            Action::Release { tp, token } => self.release(tp, token),
            Action::CheckOwner { tp, token } => self.check_owner(tp, token),
            Action::Suspend { tp } => self.engine.suspend(&[tp]),
            Action::Resume { tp } => self.resume(tp),
            Action::Lost { tp } => round.lost.push(tp),
            Action::Unregister => self.with_registry(
                |registry| async move { registry.own().unregister().await },
                |_| SessionEvent::Unregistered,
            ),
            Action::CloseSession => self.close_session(),
            Action::Emit(event) => self.report(event),
        }
    }

    /// Spawns an operation of the present session; an error becomes the event that `failed` makes of it.
    pub(super) fn with_registry<F>(
        &mut self,
        operation: impl FnOnce(Arc<dyn Registry>) -> F,
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
            match operation.await {
                Ok(event) => {
                    tell(&event);
                    vec![event]
                }
                // The end of the session is the answer to all that was outstanding.
                Err(error) if error.is_session_over() => Vec::new(),
                Err(error) => vec![failed(error.to_string())],
            }
        });
    }

    pub(super) fn spawn(
        &mut self,
        incarnation: Incarnation,
        events: impl Future<Output = Vec<SessionEvent>> + Send + 'static,
    ) {
        let answer = events.map(move |events| Answer::new(incarnation, events));
        self.tasks.push(answer.in_current_span().boxed());
    }

    fn nudge(&mut self) {
        let Some(registry) = self.registry.clone() else {
            return;
        };
        let document = self.member.nudge.clone();
        self.spawn(self.machine.incarnation(), async move {
            match registry.own().nudge(&document).await {
                Ok(()) => tracing::info!("made the members look at the group again"),
                Err(error) => {
                    tracing::warn!(%error, "cannot make the members look at the group again");
                }
            }
            Vec::new()
        });
    }

    fn open_session(&mut self, incarnation: Incarnation) {
        self.end_session();
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
                session,
                ..Answer::new(incarnation, vec![event])
            }
        };
        self.tasks.push(open.boxed());
    }

    fn close_session(&mut self) {
        let registry = self.end_session();
        self.spawn(self.machine.incarnation(), async move {
            if let Some(registry) = registry
                && let Err(error) = registry.own().session.close().await
            {
                tracing::warn!(%error, "the session could not be closed and ends by itself");
            }
            vec![SessionEvent::SessionClosed]
        });
    }
}

/// Within what single partitions are worked on, for the log.
fn span_of(action: &Action) -> Span {
    macro_rules! span {
        ($name:literal, $tp:expr) => {
            info_span!($name, topic = %$tp.topic, partition = $tp.partition)
        };
    }
    match action {
        Action::Claim { tp, .. } => span!("claim", tp),
        Action::Position { tp, .. } => span!("position", tp),
        Action::Commit { tp } => span!("commit", tp),
        Action::Release { tp, .. } => span!("release", tp),
        Action::CheckOwner { tp, .. } => span!("check_owner", tp),
        _ => Span::none(),
    }
}

/// Says in the log what came of what was done with a partition.
fn tell(event: &SessionEvent) {
    match event {
        SessionEvent::Claimed { token, .. } => tracing::debug!(token = token.0, "claimed"),
        SessionEvent::ClaimRefused { owner, .. } => tracing::debug!(owner, "refused"),
        SessionEvent::Released { .. } => tracing::debug!("released"),
        _ => {}
    }
}
