//! What a proxy can be told to do.

use std::time::Duration;

#[cfg(test)]
mod tests;

/// What a [`Proxy`](super::Proxy) does with connections and bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyMode {
    /// Carries everything both ways.
    Forward,
    /// Refuses new connections, as a port that nobody listens on. Existing ones go on; [`cut`](super::Proxy::cut) ends them.
    Refuse,
    /// Accepts connections and carries nothing, so that every byte waits. Afterwards everything goes on, late.
    Freeze,
    /// Carries everything, and each piece of what goes to the client so much later, one after the other: a server that is slow.
    Slow(Duration),
    /// As [`Freeze`](ProxyMode::Freeze), for what goes this way only.
    FreezeOneWay(Direction),
    /// Accepts connections, swallows everything, and never sends anything.
    BlackHole,
    /// As [`BlackHole`](ProxyMode::BlackHole), for what goes this way only. Swallowing what goes to the client loses answers:
    /// what it asks for is done, and it never learns so.
    BlackHoleOneWay(Direction),
    /// Carries everything until a client of ZooKeeper asks for this: that is carried still, so that it is done, and the connection
    /// is cut in place of the answer.
    LoseAnswerTo(ZooKeeperRequest),
}

/// What changes something in ZooKeeper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ZooKeeperRequest {
    /// The creation of a node.
    Create,
    /// The deletion of a node.
    Delete,
    /// The writing of a node.
    SetData,
    /// A transaction.
    Multi,
}

impl ZooKeeperRequest {
    fn opcode(self) -> i32 {
        match self {
            ZooKeeperRequest::Create => 1,
            ZooKeeperRequest::Delete => 2,
            ZooKeeperRequest::SetData => 5,
            ZooKeeperRequest::Multi => 14,
        }
    }

    /// Whether such a request is among these, each of which is whole: a length, a number, an opcode, and the rest.
    fn is_in(self, mut requests: &[u8]) -> bool {
        while let Some((length, rest)) = requests.split_first_chunk::<4>() {
            if rest.get(4..8) == Some(&self.opcode().to_be_bytes()) {
                return true;
            }
            let length = usize::try_from(i32::from_be_bytes(*length));
            requests = length
                .ok()
                .and_then(|length| rest.get(length..))
                .unwrap_or_default();
        }
        false
    }
}

/// Where bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the client, which has connected to the proxy.
    ToServer,
    /// From the address that the proxy leads to.
    ToClient,
}

/// What happens to the bytes of one direction.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    Carried,
    Frozen,
    Swallowed,
}

impl ProxyMode {
    pub(super) fn flow(self, direction: Direction) -> Flow {
        match self {
            ProxyMode::Forward | ProxyMode::Refuse | ProxyMode::Slow(_) => Flow::Carried,
            ProxyMode::Freeze => Flow::Frozen,
            ProxyMode::BlackHole => Flow::Swallowed,
            ProxyMode::FreezeOneWay(way) if way == direction => Flow::Frozen,
            ProxyMode::BlackHoleOneWay(way) if way == direction => Flow::Swallowed,
            ProxyMode::FreezeOneWay(_)
            | ProxyMode::BlackHoleOneWay(_)
            | ProxyMode::LoseAnswerTo(_) => Flow::Carried,
        }
    }

    /// Whether the answer to one of these requests is to be lost.
    pub(super) fn loses_answer_to(self, requests: &[u8]) -> bool {
        matches!(self, ProxyMode::LoseAnswerTo(request) if request.is_in(requests))
    }

    /// How much later what goes this way is carried.
    pub(super) fn delay(self, direction: Direction) -> Option<Duration> {
        match (self, direction) {
            (ProxyMode::Slow(delay), Direction::ToClient) => Some(delay),
            _ => None,
        }
    }

    pub(super) fn swallows(self) -> bool {
        matches!(self, ProxyMode::BlackHole | ProxyMode::BlackHoleOneWay(_))
    }
}
