use tokio::sync::{mpsc, oneshot};

use super::Shared;
use crate::wire::{ErrorCode, Request, Response};

/// What a session is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// A server answers.
    Connected,
    /// No server answers at the moment; the session may live, and is being reconnected.
    Disconnected,
    /// The servers have expired the session: ephemeral nodes and watches are gone. Final.
    Expired,
    /// The session was closed from this side, or the servers refused its credentials. Final.
    Closed,
}

impl State {
    /// Whether no other state can follow.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Expired | Self::Closed)
    }
}

/// Why a session is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Expired,
    /// Closed, and perhaps not confirmed yet.
    Closed,
    /// Closed while no server could be asked to confirm it.
    Unconfirmed,
}

/// The way to the servers. What is given to a connection's outbox and not answered before the connection is lost is dropped.
pub(super) enum Link {
    Up(mpsc::Sender<Command>),
    Down,
    Over(End),
}

/// A request, and who waits for its answer.
pub(super) struct Command {
    pub(super) request: Request,
    pub(super) answer: oneshot::Sender<Answer>,
}

pub(super) type Answer = Result<Response, ErrorCode>;

impl Shared {
    /// Takes requests over a new connection from now on.
    pub(super) fn up(&self, outbox: mpsc::Sender<Command>) {
        if self.relink(Link::Up(outbox)) {
            self.lease.set_connected(true);
            self.publish(State::Connected);
        }
    }

    /// Has requests wait for the next connection.
    pub(super) fn down(&self) {
        if self.relink(Link::Down) {
            self.lease.set_connected(false);
            self.publish(State::Disconnected);
        }
    }

    fn relink(&self, to: Link) -> bool {
        self.link.change(|link| {
            let open = !matches!(link, Link::Over(_));
            if open {
                *link = to;
            }
            open
        })
    }

    /// Ends the session for its users. The first end counts, unless a later one tells what became of a session that was closed.
    pub(super) fn end(&self, end: End) {
        self.lease.revoke();
        self.link.change(|link| {
            let news = match link {
                Link::Over(before) => *before == End::Closed && end == End::Unconfirmed,
                _ => true,
            };
            if news {
                *link = Link::Over(end);
            }
            news
        });
    }

    pub(super) fn is_over(&self) -> bool {
        self.how_over().is_some()
    }

    pub(super) fn is_unconfirmed(&self) -> bool {
        self.how_over() == Some(End::Unconfirmed)
    }

    pub(super) fn how_over(&self) -> Option<End> {
        self.link.look(|link| match link {
            Link::Over(end) => Some(*end),
            _ => None,
        })
    }

    /// Says to everybody that the session is over, with all that belonged to it.
    pub(super) fn finish(&self) {
        self.watches.lose_all();
        self.publish(match self.how_over() {
            Some(End::Expired) => State::Expired,
            _ => State::Closed,
        });
    }

    pub(super) fn publish(&self, state: State) {
        self.states.send_if_modified(|now| {
            let changed = *now != state && !now.is_final();
            if changed {
                *now = state;
            }
            changed
        });
    }

    /// Why the session is over; pends while it is not.
    pub(super) async fn over(&self) -> End {
        self.link
            .wait(|link| match link {
                Link::Over(end) => Some(*end),
                _ => None,
            })
            .await
    }

    /// Where to put requests, as soon as the session is connected.
    pub(super) async fn outbox(&self) -> Result<mpsc::Sender<Command>, End> {
        self.link
            .wait(|link| match link {
                Link::Up(outbox) => Some(Ok(outbox.clone())),
                Link::Over(end) => Some(Err(*end)),
                Link::Down => None,
            })
            .await
    }
}
