use std::sync::Arc;

use bytes::{Buf as _, Bytes, BytesMut};
use divvy_protocol::api;
use tokio::time::timeout;
use tracing::debug;

use super::requests::{Answer, Broker};
use super::state::Shared;
use crate::server::network::Line;

/// The longest request. Kafka: `socket.request.max.bytes`.
const MAX_REQUEST: usize = 100 << 20;

/// Serves one client, a request at a time, until either side ends it, or nothing has happened for too long.
pub(super) async fn serve(shared: Arc<Shared>, id: i32, line: Line) {
    let (peer, most_idle) = (line.peer(), shared.settings.most_idle);
    let (mut incoming, mut outgoing) = line.split();
    let mut buffer = BytesMut::new();
    let broker = Broker { shared, id };
    let mut is_known = false;
    loop {
        let request = match take_frame(&mut buffer) {
            Some(Ok(request)) => request,
            Some(Err(length)) => return debug!("{peer} sends a request of {length} bytes"),
            None => match timeout(most_idle, incoming.read(&mut buffer)).await {
                Ok(Ok(true)) => continue,
                Err(_) => return debug!("nothing came from {peer} for {most_idle:?}"),
                _ => return,
            },
        };
        if !is_known && let Ok((header, _)) = api::split_request(request.clone()) {
            is_known = true;
            if !incoming.introduce(header.client_id.as_deref().unwrap_or_default()) {
                return;
            }
        }
        if incoming.loses_requests() {
            continue;
        }
        // A client that waits for messages is idle, too.
        let sent = match timeout(most_idle, broker.answer(request)).await {
            Ok(Answer::Reply(reply)) => outgoing.send(&reply).await,
            Ok(Answer::Nothing) => Ok(()),
            Ok(Answer::Close) => return debug!("{peer} sends what broker {id} does not know"),
            Ok(Answer::Never) => return tokio::time::sleep(most_idle).await,
            Err(_) => return debug!("there was nothing for {peer} for {most_idle:?}"),
        };
        if let Err(error) = sent {
            return debug!("{peer} does not listen any more: {error}");
        }
    }
}

/// Takes one request out, once all of it is there; or how long it claims to be, where that is too much.
fn take_frame(buffer: &mut BytesMut) -> Option<Result<Bytes, i32>> {
    let claimed = i32::from_be_bytes(*buffer.first_chunk()?);
    let length = usize::try_from(claimed)
        .ok()
        .filter(|length| *length <= MAX_REQUEST);
    let Some(length) = length else {
        return Some(Err(claimed));
    };
    if buffer.len() < length + size_of::<i32>() {
        return None;
    }
    buffer.advance(size_of::<i32>());
    Some(Ok(buffer.split_to(length).freeze()))
}
