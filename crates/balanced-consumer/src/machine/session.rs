//! Sessions, the registration, and leaving.

use super::Membership;
use super::action::{Action, GroupEvent, Operation};
use super::event::{Incarnation, SessionEvent};
use super::timer::Timer;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Session {
    /// None, and none is being opened.
    Down,
    Opening,
    Open,
    Closing,
    /// For good.
    Closed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Registration {
    Absent,
    Requested,
    Done,
    Withdrawing,
}

impl Membership {
    pub(super) fn handle_session_event(&mut self, event: SessionEvent) {
        match event {
            SessionEvent::SessionOpened => self.session_opened(),
            SessionEvent::SessionFailed { error } => self.session_failed(error),
            SessionEvent::SessionExpired => self.session_expired(),
            SessionEvent::SessionClosed => self.session_closed(),
            SessionEvent::LeaseEnded => self.lease_ended(),
            SessionEvent::LeaseRenewed => self.lease_renewed(),
            SessionEvent::Registered => self.registered(),
            SessionEvent::RegisterFailed { error } => self.register_failed(error),
            SessionEvent::Unregistered => self.unregistered(),
            SessionEvent::Changed => self.changed(),
            SessionEvent::ViewRead(view) => self.view_read(view),
            SessionEvent::ViewFailed { error } => self.view_failed(error),
            SessionEvent::OwnersRead(owners) => self.owners_read(&owners),
            SessionEvent::OwnersFailed => self.owners_failed(),
            event => self.handle_partition_event(event),
        }
    }

    pub(super) fn open_session(&mut self) {
        if self.session == Session::Down && !self.closing {
            let Incarnation(last) = self.incarnation;
            let incarnation = Incarnation(last + 1);
            self.incarnation = incarnation;
            self.session = Session::Opening;
            self.actions.push_back(Action::OpenSession { incarnation });
        }
    }

    fn session_opened(&mut self) {
        if self.session == Session::Opening {
            self.session = Session::Open;
            self.leased = true;
            self.register();
        }
    }

    fn session_failed(&mut self, error: String) {
        if self.session == Session::Opening {
            self.session = Session::Down;
            self.open_session_later(error);
        }
    }

    /// Whatever was held may be someone else's already. A session that got as far as registering is replaced at once; one that did
    /// not might end in the same way again, so its successor waits a little.
    fn session_expired(&mut self) {
        match self.session {
            Session::Opening => self.session_failed("the session was refused".to_owned()),
            Session::Closing => self.session_closed(),
            Session::Down | Session::Closed => {}
            Session::Open => {
                let was_registered = matches!(
                    self.registration,
                    Registration::Done | Registration::Withdrawing
                );
                self.lose_all();
                self.reset_session();
                self.session = Session::Down;
                if was_registered {
                    self.open_session();
                } else if !self.closing {
                    let error = "the session expired before the member was registered";
                    self.open_session_later(error.to_owned());
                }
            }
        }
    }

    fn open_session_later(&mut self, error: String) {
        let pause = self.session_backoff.fail(&mut self.rng);
        self.timers.set(Timer::Session, self.now + pause);
        self.report(Operation::OpenSession, None, error, Some(pause));
    }

    /// Forgets everything that the session was waiting for.
    fn reset_session(&mut self) {
        self.partitions.clear();
        self.target.clear();
        self.registration = Registration::Absent;
        self.timers.clear(Timer::Register);
        self.timers.clear(Timer::Look);
        self.timers.clear(Timer::Audit);
        self.timers.clear(Timer::Resumed);
        self.resumed.clear();
        self.leased = false;
        self.reading = false;
        self.look_again = false;
        self.blocked = None;
        self.idle = false;
        self.peers.reading = false;
        self.forget_peers();
    }

    fn lose_all(&mut self) {
        let mut lost = Vec::new();
        for (tp, partition) in &mut self.partitions {
            if partition.lose(tp, &mut self.actions) {
                lost.push(tp.clone());
            }
        }
        if !lost.is_empty() {
            self.emit(GroupEvent::Lost { partitions: lost });
        }
    }
}

/// The registration.
impl Membership {
    pub(super) fn register(&mut self) {
        let absent = self.registration == Registration::Absent;
        let wanted = !self.closing && !self.standing_down;
        if self.session == Session::Open && absent && wanted {
            self.timers.clear(Timer::Register);
            self.registration = Registration::Requested;
            self.actions.push_back(Action::Register);
        }
    }

    fn registered(&mut self) {
        if self.registration == Registration::Requested {
            self.registration = Registration::Done;
            self.session_backoff.succeed();
            self.register_backoff.succeed();
            self.audit_later();
            self.look();
        }
    }

    fn register_failed(&mut self, error: String) {
        if self.registration == Registration::Requested {
            self.registration = Registration::Absent;
            let pause = self.register_backoff.fail(&mut self.rng);
            self.timers.set(Timer::Register, self.now + pause);
            self.report(Operation::Register, None, error, Some(pause));
        }
    }

    fn unregistered(&mut self) {
        if self.registration == Registration::Withdrawing {
            self.registration = Registration::Absent;
            self.register();
        }
    }
}

/// Leaving for a while.
impl Membership {
    pub(super) fn stand_down(&mut self) {
        if !self.closing {
            self.standing_down = true;
            self.target.clear();
            self.forget_peers();
            self.timers.clear(Timer::Look);
        }
    }

    pub(super) fn stand_up(&mut self) {
        if std::mem::take(&mut self.standing_down) {
            self.register();
            self.look();
        }
    }

    /// Withdraws the registration when nothing is held any more: until then the others wait for the owner nodes.
    pub(super) fn finish_stand_down(&mut self) {
        if self.standing_down
            && !self.closing
            && self.session == Session::Open
            && self.registration == Registration::Done
            && self.partitions.is_empty()
        {
            self.registration = Registration::Withdrawing;
            self.actions.push_back(Action::Unregister);
        }
    }
}

/// Leaving.
impl Membership {
    /// See [`Event::Close`](super::Event::Close).
    pub(super) fn close(&mut self) {
        if self.closing {
            return;
        }
        self.closing = true;
        self.target.clear();
        self.timers.clear(Timer::Session);
        self.timers.clear(Timer::Register);
        self.timers.clear(Timer::Look);
        let deadline = self.now + self.config.close_deadline;
        self.timers.set(Timer::Close, deadline);
    }

    /// Takes the next step out when nothing is held any more.
    pub(super) fn finish_close(&mut self) {
        if !self.closing {
            return;
        }
        match (self.session, self.registration) {
            (Session::Closing | Session::Closed, _) => {}
            (Session::Opening | Session::Down, _) => self.close_session(),
            (Session::Open, _) if !self.partitions.is_empty() => {}
            (Session::Open, Registration::Requested | Registration::Withdrawing) => {}
            (Session::Open, Registration::Done) => {
                self.registration = Registration::Withdrawing;
                self.actions.push_back(Action::Unregister);
            }
            (Session::Open, Registration::Absent) => self.close_session(),
        }
    }

    /// The orderly close has taken too long: the end of the session releases what is left.
    pub(super) fn close_now(&mut self) {
        if self.session == Session::Closing {
            self.session_closed();
        } else {
            self.lose_all();
            self.close_session();
        }
    }

    fn close_session(&mut self) {
        self.reset_session();
        self.session = Session::Closing;
        self.timers
            .set(Timer::Close, self.now + self.config.close_grace);
        self.actions.push_back(Action::CloseSession);
    }

    fn session_closed(&mut self) {
        if self.session == Session::Closing {
            self.session = Session::Closed;
            self.timers.clear(Timer::Close);
        }
    }
}
