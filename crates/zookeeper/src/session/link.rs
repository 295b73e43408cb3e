use std::sync::Arc;

use zookeeper_client::{Client, SessionState, StateWatcher};

use super::Shared;

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

/// The way to the servers. Dropping the last reference to the client is what closes the session, so only the link owns one and
/// operations borrow it for as long as they are under way.
pub(super) enum Link {
    Up(Arc<Client>),
    /// Without a client where the crate beneath has given the session up and the supervisor tries to attach to it again.
    Down(Option<Arc<Client>>),
    Over(End),
}

impl Shared {
    /// Takes over a client that is attached to the session, and gives the watcher of its states. Where the session was closed
    /// meanwhile the client is let go at once, which closes the session at the servers.
    pub(super) fn attach(&self, client: Client) -> StateWatcher {
        let states = client.state_watcher();
        // What changes after the watcher was made is told by it; what changed before is seen here.
        let connected = client.state() == SessionState::SyncConnected;
        let client = Arc::new(client);
        let changed = self.link.send_if_modified(|link| {
            let open = !matches!(link, Link::Over(_));
            if open {
                *link = Link::Down(Some(client));
            }
            open
        });
        if changed && connected {
            self.connected(true);
        }
        states
    }

    /// Forgets a client that is of no use any more.
    pub(super) fn detach(&self) {
        self.link.send_if_modified(|link| {
            let open = !matches!(link, Link::Over(_));
            if open {
                *link = Link::Down(None);
            }
            open
        });
        self.publish(State::Disconnected);
    }

    pub(super) fn connected(&self, connected: bool) {
        let changed = self.link.send_if_modified(|link| {
            let next = match link {
                Link::Down(Some(client)) if connected => Link::Up(client.clone()),
                Link::Up(client) if !connected => Link::Down(Some(client.clone())),
                _ => return false,
            };
            *link = next;
            true
        });
        if changed {
            self.publish(if connected {
                State::Connected
            } else {
                State::Disconnected
            });
        }
    }

    /// Ends the session for its users. The first end counts, unless a later one tells what became of a session that was closed.
    pub(super) fn end(&self, end: End) {
        self.link.send_if_modified(|link| {
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
        matches!(*self.link.borrow(), Link::Over(_))
    }

    pub(super) fn is_unconfirmed(&self) -> bool {
        matches!(*self.link.borrow(), Link::Over(End::Unconfirmed))
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
        let mut link = self.link.subscribe();
        loop {
            if let Link::Over(end) = *link.borrow_and_update() {
                return end;
            }
            if link.changed().await.is_err() {
                return End::Closed;
            }
        }
    }

    /// The client of a connected session, as soon as it is connected.
    pub(super) async fn client(&self) -> Result<Arc<Client>, End> {
        let mut link = self.link.subscribe();
        loop {
            match &*link.borrow_and_update() {
                Link::Up(client) => return Ok(client.clone()),
                Link::Over(end) => return Err(*end),
                Link::Down(_) => {}
            }
            if link.changed().await.is_err() {
                return Err(End::Closed);
            }
        }
    }
}
