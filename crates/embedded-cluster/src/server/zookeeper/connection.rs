use std::sync::Arc;

use bytes::BytesMut;
use divvy_zookeeper::wire::{ClientFrame, ServerCodec};
use tracing::debug;

use super::hub::Hub;
use super::outbox::Outbox;
use super::words;
use crate::server::network::{Incoming, Line, Outgoing};
use crate::zookeeper::ConnectionId;

/// The longest frame that a server takes. ZooKeeper: `jute.maxbuffer`.
const MAX_REQUEST: usize = 0xf_ffff;

/// Serves one client until either side ends it.
pub(super) async fn serve(hub: Arc<Hub>, line: Line) {
    let peer = line.peer();
    let (mut incoming, mut outgoing) = line.split();
    let mut buffer = BytesMut::new();
    let Some(head) = head(&mut incoming, &mut buffer).await else {
        return;
    };
    if let Some(answer) = words::answer(&hub, &head) {
        if let Err(error) = outgoing.send(answer.as_bytes()).await {
            debug!("{peer} did not wait for its answer: {error}");
        }
        return;
    }
    let Some(client) = Client::new(hub) else {
        return;
    };
    tokio::select! {
        () = client.listen(incoming, buffer) => {}
        () = speak(&client.outbox, outgoing) => {}
    }
}

/// The first four bytes, which are a word or the length of a frame. They stay in the buffer.
async fn head(incoming: &mut Incoming, buffer: &mut BytesMut) -> Option<[u8; 4]> {
    loop {
        if let Some(head) = buffer.first_chunk() {
            return Some(*head);
        }
        if !incoming.read(buffer).await.unwrap_or(false) {
            return None;
        }
    }
}

/// Sends what there is to be sent.
async fn speak(outbox: &Outbox, mut outgoing: Outgoing) {
    while let Some(bytes) = outbox.take().await {
        if let Err(error) = outgoing.send(&bytes).await {
            return debug!("a client does not listen any more: {error}");
        }
    }
}

/// A client as the model knows it. The model forgets it when this is dropped.
struct Client {
    hub: Arc<Hub>,
    id: ConnectionId,
    outbox: Arc<Outbox>,
}

impl Client {
    fn new(hub: Arc<Hub>) -> Option<Self> {
        let (id, outbox) = hub.connect()?;
        Some(Self { hub, id, outbox })
    }

    /// Passes on what arrives, up to its end or to what is no frame.
    async fn listen(&self, mut incoming: Incoming, mut buffer: BytesMut) {
        let mut codec = ServerCodec::with_limit(MAX_REQUEST);
        loop {
            match codec.decode(&mut buffer) {
                Ok(Some(frame)) => {
                    self.outbox.room().await;
                    if !self.take(&incoming, frame) {
                        return;
                    }
                }
                Ok(None) => match incoming.read(&mut buffer).await {
                    Ok(true) => {}
                    Ok(false) => return,
                    Err(error) => return debug!("a client is gone: {error}"),
                },
                Err(error) => return debug!("a client sends what is no request: {error}"),
            }
        }
    }
}

impl Client {
    /// Passes a frame on, unless it is lost; `false` where the connection is to end. The first one tells the session that is to go
    /// on, or begins one.
    fn take(&self, incoming: &Incoming, frame: ClientFrame) -> bool {
        let is_first = matches!(frame, ClientFrame::Connect(_));
        if let ClientFrame::Connect(request) = &frame
            && request.session_id != 0
            && !incoming.introduce(&name(request.session_id))
        {
            return false;
        }
        if !incoming.loses_requests() {
            self.hub.receive(self.id, frame);
        }
        let session = is_first.then(|| self.hub.session_of(self.id)).flatten();
        session.is_none_or(|session| incoming.introduce(&name(session)))
    }
}

/// What the client of a session is called where faults are about a single one.
pub(super) fn name(session: i64) -> String {
    format!("{session:#x}")
}

impl Drop for Client {
    fn drop(&mut self) {
        self.hub.disconnect(self.id);
    }
}
