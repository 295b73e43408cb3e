use std::io;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use crate::dial::{Dial, Pipe, TcpDial};
use crate::session::Credentials;
use crate::wire::{ClientFrame, ConnectRequest, MAX_FRAME, Request, ServerFrame};

/// How long one server may take. There is time for a few of them.
const ATTEMPT: Duration = Duration::from_millis(200);
const PAUSE: Duration = Duration::from_millis(50);

/// Attaches to a session and closes it, at the first server that lets it. Goes on until one did; the caller sees to it that it
/// ends.
pub(super) async fn close(session: Credentials) {
    let dial = TcpDial {
        max_frame: MAX_FRAME,
    };
    loop {
        for server in &session.servers {
            if let Ok(Ok(())) = timeout(ATTEMPT, close_at(&dial, server, &session)).await {
                return;
            }
        }
        sleep(PAUSE).await;
    }
}

async fn close_at(dial: &dyn Dial, server: &str, session: &Credentials) -> io::Result<()> {
    let mut pipe = dial.dial(server).await?;
    let millis = session.timeout.as_millis();
    pipe.send(ClientFrame::Connect(ConnectRequest {
        last_zxid: 0,
        timeout_ms: i32::try_from(millis).unwrap_or(i32::MAX),
        session_id: session.id,
        password: session.password.clone(),
        read_only: false,
    }))?;
    match next(&mut *pipe).await? {
        // There is no such session any more, which is all that is wanted.
        ServerFrame::Connect(response) if response.session_id == 0 => return Ok(()),
        ServerFrame::Connect(response) if response.session_id == session.id => {}
        _ => return Err(io::ErrorKind::InvalidData.into()),
    }
    let (xid, request) = (1, Request::CloseSession);
    pipe.send(ClientFrame::Request { xid, request })?;
    match next(&mut *pipe).await? {
        ServerFrame::Reply { result: Ok(_), .. } => Ok(()),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

async fn next(pipe: &mut dyn Pipe) -> io::Result<ServerFrame> {
    loop {
        if let Some(frame) = pipe.receive().await? {
            return Ok(frame);
        }
    }
}
