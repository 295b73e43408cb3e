//! What ZooKeeper's clients and servers send to each other, as 3.4.6 has it: typed messages, and the bytes that they are on the
//! network.
//!
//! Both directions are here. A client encodes [`ClientFrame`]s and decodes [`ServerFrame`]s with a [`ClientCodec`]; a server does
//! the opposite with a [`ServerCodec`]. Neither does I/O or reads a clock.
//!
//! A connection begins with a [`ConnectRequest`], which is answered with a [`ConnectResponse`]. Then requests are answered in
//! their order, each under its number (`xid`), with events of watches between them. The numbers below zero ([`XID_PING`] and its
//! like) stand beside that order.
//!
//! Whatever the bytes are, decoding them does not panic, and takes no more memory than a small multiple of what was received:
//! a frame is never longer than the codec's limit ([`MAX_FRAME`] unless told), and every length and count is compared with the
//! bytes that are left before room is made for it.

mod acl;
mod code;
mod codec;
mod connect;
mod error;
mod event;
mod reader;
mod request;
mod response;
mod writer;

#[cfg(test)]
mod tests;

pub use crate::secret::Secret;
pub use crate::stat::Stat;
pub use acl::{Acl, SetAcl, permission};
pub use code::{ErrorCode, OpCode};
pub use codec::{ClientCodec, ClientFrame, MAX_FRAME, ServerCodec, ServerFrame};
pub use connect::{ConnectRequest, ConnectResponse};
pub use error::{DecodeError, EncodeError};
pub use event::{EventKind, WatcherEvent};
pub use request::{
    ANY_VERSION, Auth, Check, Create, CreateMode, Delete, Op, Request, SetData, SetWatches,
};
pub use response::{OpResult, Response};

pub(crate) use codec::take_frame;
pub(crate) use reader::Reader;
pub(crate) use writer::{Writer, frame};

/// The number of an event, which answers no request.
pub const XID_EVENT: i32 = -1;
/// The number of every ping and its answer.
pub const XID_PING: i32 = -2;
/// The number of a request to add an identity, and of its answer.
pub const XID_AUTH: i32 = -4;
/// The number of a request to set watches again, and of its answer.
pub const XID_SET_WATCHES: i32 = -8;
