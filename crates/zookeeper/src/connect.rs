use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tracing::{info, warn};
use zookeeper_client::{Client, Connector, Error as ClientError};

use crate::config::{Auth, Config, ConnectString};
use crate::error::{Error, Result};
use crate::session::{Reattach, Session};
use crate::thread::Thread;

/// How long each server may take to be asked why no session came about.
const DIAGNOSIS: Duration = Duration::from_secs(1);

/// Opens a session. Runs on the session's thread, because the session's task is spawned where it connects.
pub(crate) async fn open(config: Arc<Config>, thread: Arc<Thread>) -> Result<Session> {
    let connect = ConnectString::parse(&config.connect)?;
    let deadline = Instant::now() + config.connect_timeout;
    let connector = connector(&config);
    let target = connect.to_string();
    let client = loop {
        match timeout_at(deadline, connector.clone().connect(&target)).await {
            Ok(Ok(client)) => break client,
            Ok(Err(ClientError::AuthFailed)) => {
                return Err(Error::AuthFailed {
                    servers: connect.servers(),
                });
            }
            Ok(Err(ClientError::BadArguments(why))) => {
                return Err(Error::config("connect", *why));
            }
            // The attempt took the session timeout, which may be shorter than what is left.
            Ok(Err(ClientError::Timeout)) => {}
            Ok(Err(_)) | Err(_) => return Err(cannot_connect(&config, &connect).await),
        }
    };
    check_chroot(&config, &connect, &client, deadline).await?;
    let (wanted, chosen) = (config.session_timeout, client.session_timeout());
    info!(session = %client.session_id(), timeout = ?chosen, "opened a ZooKeeper session at {target}");
    if wanted != chosen {
        warn!(
            "ZooKeeper at {target} chose a session timeout of {chosen:?} where {wanted:?} was asked for"
        );
    }
    let reattach = Reattach {
        connector,
        connect: target,
    };
    Ok(Session::start(
        client,
        reattach,
        config.request_timeout,
        config.acl,
        thread,
    ))
}

fn connector(config: &Config) -> Connector {
    // As an old server the crate sends nothing to servers that 3.4 does not know.
    let mut connector = Client::connector()
        .with_server_version(3, 4, 6)
        .with_session_timeout(config.session_timeout);
    for Auth::Digest { username, password } in &config.auth {
        connector = connector.with_auth("digest", format!("{username}:{password}").as_bytes());
    }
    connector
}

/// ZooKeeper answers reads below a chroot that does not exist as if there were no brokers, topics and members.
async fn check_chroot(
    config: &Config,
    connect: &ConnectString,
    client: &Client,
    deadline: Instant,
) -> Result<()> {
    let Some(chroot) = &connect.chroot else {
        return Ok(());
    };
    match timeout_at(deadline, client.check_stat("/")).await {
        Ok(Ok(Some(_))) => Ok(()),
        Ok(Ok(None)) => Err(Error::NoChroot {
            servers: connect.servers(),
            chroot: chroot.clone(),
        }),
        Ok(Err(ClientError::NoAuth)) => Err(Error::NoAuth {
            operation: "look at",
            path: chroot.clone(),
        }),
        Ok(Err(_)) | Err(_) => Err(cannot_connect(config, connect).await),
    }
}

async fn cannot_connect(config: &Config, connect: &ConnectString) -> Error {
    let whys = join_all(connect.servers.iter().map(|server| diagnose(server))).await;
    Error::CannotConnect {
        servers: connect.servers(),
        after: config.connect_timeout,
        why: whys.join("; "),
    }
}

/// What a server does when it is connected to, which the crate beneath keeps to itself.
async fn diagnose(server: &str) -> String {
    match timeout(DIAGNOSIS, TcpStream::connect(server)).await {
        Ok(Ok(_)) => format!(
            "{server}: accepts connections, but not as ZooKeeper or it serves none at the moment"
        ),
        Ok(Err(error)) => format!("{server}: {error}"),
        Err(_) => format!("{server}: no answer"),
    }
}
