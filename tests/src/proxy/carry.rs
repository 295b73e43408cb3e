//! One connection of a proxy.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{Notify, watch};

use super::Control;
use super::mode::{Direction, Flow};
use crate::wait::pass;

/// Carries one connection until either side ends it or it is cut.
pub(super) async fn connection(
    client: TcpStream,
    target: SocketAddr,
    commands: watch::Receiver<Control>,
) {
    let cuts = commands.borrow().cuts;
    let mut cut = commands.clone();
    tokio::select! {
        () = carry(client, target, commands) => {}
        // Also when the proxy itself ends.
        _ = cut.wait_for(|control| control.cuts != cuts) => {}
    }
}

async fn carry(client: TcpStream, target: SocketAddr, commands: watch::Receiver<Control>) {
    let Ok(server) = TcpStream::connect(target).await else {
        return;
    };
    // Small requests must not wait for one another, as they would not without the proxy.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let lost = LostAnswer::default();
    let there = Direction::ToServer;
    let there = pump(there, from_client, to_server, commands.clone(), &lost);
    let back = pump(Direction::ToClient, from_server, to_client, commands, &lost);
    tokio::select! {
        _ = async { tokio::join!(there, back) } => {}
        () = lost.came.notified() => {}
    }
}

/// The answer of [`ProxyMode::LoseAnswerTo`](super::ProxyMode::LoseAnswerTo).
#[derive(Default)]
struct LostAnswer {
    /// The request has passed.
    awaited: AtomicBool,
    /// The answer was there, and the connection is to end.
    came: Notify,
}

async fn pump(
    direction: Direction,
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut commands: watch::Receiver<Control>,
    lost: &LostAnswer,
) {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let Ok(read) = from.read(&mut buffer).await else {
            return;
        };
        // What was read just before the proxy froze waits as well.
        let Ok(mode) = commands
            .wait_for(|control| control.mode.flow(direction) != Flow::Frozen)
            .await
            .map(|control| control.mode)
        else {
            return;
        };
        if let Some(delay) = mode.delay(direction) {
            pass(delay).await;
        }
        match direction {
            Direction::ToServer if mode.loses_answer_to(&buffer[..read]) => {
                lost.awaited.store(true, Ordering::Relaxed);
            }
            Direction::ToClient if lost.awaited.load(Ordering::Relaxed) => {
                lost.came.notify_one();
                return;
            }
            _ => {}
        }
        let swallowed = mode.flow(direction) == Flow::Swallowed;
        if read == 0 {
            // The other direction may go on: dropping this half says that nothing more is to come. A black
            // hole keeps even that for itself, until it is cut.
            if swallowed {
                std::future::pending::<()>().await;
            }
            return;
        }
        if !swallowed && to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}
