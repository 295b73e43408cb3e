use super::error::DecodeError;
use super::reader::{Reader, Result};
use super::writer::Writer;

/// Something that a server tells without being asked: a watch has fired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatcherEvent {
    /// What happened to the node.
    pub kind: EventKind,
    /// What the server says of the connection; 3 (connected) with everything that happens to a node.
    pub state: i32,
    /// The node, from the root of the tree on (and not of a chroot).
    pub path: String,
}

/// What happened to a watched node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventKind {
    /// Nothing: the event speaks of the connection.
    None,
    /// It was created.
    Created,
    /// It was deleted.
    Deleted,
    /// Its data was set.
    DataChanged,
    /// A child was created or deleted.
    ChildrenChanged,
}

impl WatcherEvent {
    /// The state of every event of a node.
    pub const CONNECTED: i32 = 3;

    pub(super) fn encode(&self, writer: &mut Writer<'_>) {
        writer.i32(match self.kind {
            EventKind::None => -1,
            EventKind::Created => 1,
            EventKind::Deleted => 2,
            EventKind::DataChanged => 3,
            EventKind::ChildrenChanged => 4,
        });
        writer.i32(self.state);
        writer.string(&self.path);
    }

    pub(super) fn decode(reader: &mut Reader) -> Result<Self> {
        let what = "kind of event";
        let kind = match reader.i32(what)? {
            -1 => EventKind::None,
            1 => EventKind::Created,
            2 => EventKind::Deleted,
            3 => EventKind::DataChanged,
            4 => EventKind::ChildrenChanged,
            value => return Err(DecodeError::Unknown { what, value }),
        };
        Ok(Self {
            kind,
            state: reader.i32("an event's state")?,
            path: reader.string_or_empty("an event's path")?,
        })
    }
}
