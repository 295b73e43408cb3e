use std::sync::Arc;

use bytes::{Buf as _, Bytes, BytesMut};
use divvy_protocol::api;
use tracing::debug;

use super::requests::{Answer, Broker};
use super::state::Shared;
use crate::server::network::Line;

/// The longest request. Kafka: `socket.request.max.bytes`.
const MAX_REQUEST: usize = 100 << 20;

/// Serves one client, a request at a time, until either side ends it.
pub(super) async fn serve(shared: Arc<Shared>, id: i32, line: Line) {
    let peer = line.peer();
    let (mut incoming, mut outgoing) = line.split();
    let mut buffer = BytesMut::new();
    let broker = Broker { shared, id };
    let mut is_known = false;
    loop {
        let request = match take_frame(&mut buffer) {
            Some(Ok(request)) => request,
            Some(Err(length)) => return debug!("{peer} sends a request of {length} bytes"),
            None => match incoming.read(&mut buffer).await {
                Ok(true) => continue,
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
        let sent = match broker.answer(request).await {
            Answer::Reply(reply) => outgoing.send(&reply).await,
            Answer::Nothing => Ok(()),
            Answer::Close => return debug!("{peer} sends what broker {id} does not know"),
            Answer::Never => return std::future::pending().await,
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
