use bytes::Bytes;

use super::reader::{Reader, Result};
use super::writer::Writer;
use crate::secret::Secret;

/// How a client begins a connection: with a new session, or with one that it has already.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnectRequest {
    /// The newest transaction that the client has seen of. A server that is behind it refuses the connection, so that nobody
    /// reads what is older than what they have read before.
    pub last_zxid: i64,
    /// The session timeout that the client wants, in milliseconds.
    pub timeout_ms: i32,
    /// The session to go on with; 0 for a new one.
    pub session_id: i64,
    /// That session's password; 16 zero bytes for a new one.
    pub password: Secret,
    /// Whether a server that is cut off from its ensemble will do.
    pub read_only: bool,
}

/// How a server begins a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnectResponse {
    /// The session timeout that the server chose, in milliseconds; 0 where the session has expired.
    pub timeout_ms: i32,
    /// The session; 0 where the one that was asked for has expired or is closed.
    pub session_id: i64,
    /// The session's password.
    pub password: Secret,
    /// Whether this server is cut off from its ensemble and only gives what it knew before.
    pub read_only: bool,
}

/// The only version of the protocol.
const PROTOCOL: i32 = 0;

impl ConnectRequest {
    pub(super) fn encode(&self, writer: &mut Writer<'_>) {
        writer.i32(PROTOCOL);
        writer.i64(self.last_zxid);
        writer.i32(self.timeout_ms);
        writer.i64(self.session_id);
        writer.buffer(Some(self.password.reveal()));
        writer.bool(self.read_only);
    }

    pub(super) fn decode(reader: &mut Reader) -> Result<Self> {
        reader.i32("the protocol version")?;
        Ok(Self {
            last_zxid: reader.i64("the last zxid")?,
            timeout_ms: reader.i32("the session timeout")?,
            session_id: reader.i64("the session id")?,
            password: password(reader)?,
            read_only: read_only(reader)?,
        })
    }
}

impl ConnectResponse {
    pub(super) fn encode(&self, writer: &mut Writer<'_>) {
        writer.i32(PROTOCOL);
        writer.i32(self.timeout_ms);
        writer.i64(self.session_id);
        writer.buffer(Some(self.password.reveal()));
        writer.bool(self.read_only);
    }

    pub(super) fn decode(reader: &mut Reader) -> Result<Self> {
        reader.i32("the protocol version")?;
        Ok(Self {
            timeout_ms: reader.i32("the session timeout")?,
            session_id: reader.i64("the session id")?,
            password: password(reader)?,
            read_only: read_only(reader)?,
        })
    }
}

fn password(reader: &mut Reader) -> Result<Secret> {
    let bytes: Option<Bytes> = reader.buffer("the session password")?;
    Ok(Secret::new(bytes.unwrap_or_default()))
}

/// Peers from before 3.4 leave it out.
fn read_only(reader: &mut Reader) -> Result<bool> {
    match reader.is_empty() {
        true => Ok(false),
        false => reader.bool("the read-only flag"),
    }
}
