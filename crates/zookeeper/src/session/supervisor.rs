use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};
use tracing::{info, warn};
use zookeeper_client::{
    Client, Connector, Error as ClientError, SessionInfo, SessionState, StateWatcher,
};

use super::Shared;
use super::link::{End, State};
use crate::thread::Busy;

/// How long the supervisor waits between attempts, which themselves pause between servers.
const REATTACH_PAUSE: Duration = Duration::from_millis(100);

/// How to attach to a session again.
pub(crate) struct Reattach {
    pub(crate) connector: Connector,
    pub(crate) connect: String,
}

/// Carries the client's state over to the session for as long as it lives.
///
/// The crate beneath gives a session up by its own clock, 7/5 of the session timeout after it last heard from a server, although
/// servers that were down or unreachable may keep the session for longer. Only their word ends it here.
pub(super) async fn supervise(
    shared: Arc<Shared>,
    mut states: StateWatcher,
    info: SessionInfo,
    reattach: Reattach,
    _busy: Busy,
) {
    loop {
        match follow(&shared, &mut states).await {
            SessionState::Expired => {}
            SessionState::AuthFailed => {
                warn!(session = %info.id(), "ZooKeeper refuses the session's credentials");
                break;
            }
            _ => break,
        }
        shared.detach();
        match attach(&shared, &reattach, &info).await {
            Ok(client) => states = shared.attach(client),
            Err(End::Expired) => {
                warn!(session = %info.id(), "ZooKeeper session has expired");
                shared.end(End::Expired);
                return shared.publish(State::Expired);
            }
            Err(end) => {
                shared.end(end);
                break;
            }
        }
    }
    shared.end(End::Closed);
    shared.publish(State::Closed);
}

/// Follows a client to its end, and says which.
async fn follow(shared: &Shared, states: &mut StateWatcher) -> SessionState {
    loop {
        match states.changed().await {
            SessionState::SyncConnected => shared.connected(true),
            SessionState::Disconnected | SessionState::ConnectedReadOnly => shared.connected(false),
            end => return end,
        }
    }
}

/// Tries to attach to the session again, until a server says that it is gone. A session that is being closed gets one attempt,
/// because its nodes are to go now.
async fn attach(shared: &Shared, reattach: &Reattach, info: &SessionInfo) -> Result<Client, End> {
    loop {
        let connector = reattach.connector.clone().with_session(info.clone());
        match connector.connect(&reattach.connect).await {
            Ok(client) => {
                info!(session = %info.id(), "attached to the ZooKeeper session again");
                // The server may be behind the one that the session was connected to; where this fails, so do the reads.
                let _ = timeout(client.session_timeout(), client.sync("/")).await;
                return Ok(client);
            }
            Err(ClientError::SessionExpired) => return Err(End::Expired),
            Err(ClientError::AuthFailed) => return Err(End::Closed),
            Err(error) => {
                info!(session = %info.id(), %error, "cannot attach to the ZooKeeper session yet");
            }
        }
        if shared.is_over() {
            return Err(End::Unconfirmed);
        }
        sleep(REATTACH_PAUSE).await;
    }
}
