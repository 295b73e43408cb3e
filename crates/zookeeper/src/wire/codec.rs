use std::collections::VecDeque;

use bytes::{Buf, Bytes, BytesMut};

use super::code::{ErrorCode, OpCode};
use super::connect::{ConnectRequest, ConnectResponse};
use super::error::{DecodeError, EncodeError};
use super::event::WatcherEvent;
use super::reader::{Reader, Result};
use super::request::Request;
use super::response::Response;
use super::writer::frame;
use super::{XID_AUTH, XID_EVENT, XID_PING, XID_SET_WATCHES};

/// The longest frame unless told otherwise: 4 MiB, as Java's client has it. Servers take 1 MiB.
pub const MAX_FRAME: usize = 4 << 20;

/// What a client sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientFrame {
    /// The first frame of a connection.
    Connect(ConnectRequest),
    /// Every later one.
    Request {
        /// Its number, under which it is answered.
        xid: i32,
        /// What is asked for.
        request: Request,
    },
}

/// What a server sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerFrame {
    /// The first frame of a connection.
    Connect(ConnectResponse),
    /// The answer to a request.
    Reply {
        /// The request's number.
        xid: i32,
        /// The newest transaction that the server knows of. Some servers say 0 or -1 where it has no meaning.
        zxid: i64,
        /// What became of it.
        result: std::result::Result<Response, ErrorCode>,
    },
    /// A watch has fired.
    Event(WatcherEvent),
}

/// A client's side of one connection.
///
/// It remembers what was asked for, because an answer does not say what it answers but for its number.
#[derive(Debug)]
pub struct ClientCodec {
    limit: usize,
    connected: bool,
    asked: VecDeque<(i32, OpCode)>,
}

/// A server's side of one connection.
#[derive(Debug)]
pub struct ServerCodec {
    limit: usize,
    connected: bool,
}

impl ClientCodec {
    /// For a new connection, with frames of at most [`MAX_FRAME`].
    pub fn new() -> Self {
        Self::with_limit(MAX_FRAME)
    }

    /// For a new connection, with frames of at most `limit` bytes.
    pub fn with_limit(limit: usize) -> Self {
        Self {
            limit,
            connected: false,
            asked: VecDeque::new(),
        }
    }

    /// Appends a frame to what is to be sent.
    ///
    /// # Errors
    /// [`EncodeError`] where the frame is longer than the limit; nothing was appended.
    pub fn encode(
        &mut self,
        message: &ClientFrame,
        buffer: &mut BytesMut,
    ) -> std::result::Result<(), EncodeError> {
        frame(buffer, self.limit, |writer| match message {
            ClientFrame::Connect(connect) => connect.encode(writer),
            ClientFrame::Request { xid, request } => {
                writer.i32(*xid);
                writer.i32(request.code().into());
                request.encode(writer);
            }
        })?;
        if let ClientFrame::Request { xid, request } = message
            && *xid >= 0
        {
            self.asked.push_back((*xid, request.code()));
        }
        Ok(())
    }

    /// Takes the next frame out of what was received; none while it is not complete.
    ///
    /// # Errors
    /// Any [`DecodeError`]; the connection is of no use any more.
    pub fn decode(&mut self, buffer: &mut BytesMut) -> Result<Option<ServerFrame>> {
        let Some(body) = take_frame(buffer, self.limit)? else {
            return Ok(None);
        };
        let mut reader = Reader::new(body);
        if !self.connected {
            self.connected = true;
            let response = ConnectResponse::decode(&mut reader)?;
            return Ok(Some(ServerFrame::Connect(response)));
        }
        let xid = reader.i32("an answer's number")?;
        let zxid = reader.i64("an answer's zxid")?;
        let error = reader.i32("an answer's error")?;
        let code = match xid {
            XID_EVENT => return Ok(Some(ServerFrame::Event(WatcherEvent::decode(&mut reader)?))),
            XID_PING => OpCode::Ping,
            XID_AUTH => OpCode::Auth,
            XID_SET_WATCHES => OpCode::SetWatches,
            xid => self.answered(xid)?,
        };
        let result = match error {
            0 => Ok(Response::decode(code, &mut reader)?),
            error => Err(error.into()),
        };
        Ok(Some(ServerFrame::Reply { xid, zxid, result }))
    }

    fn answered(&mut self, xid: i32) -> Result<OpCode> {
        match self.asked.pop_front() {
            Some((expected, code)) if expected == xid => Ok(code),
            other => Err(DecodeError::UnexpectedXid {
                xid,
                expected: other.map(|(expected, _)| expected),
            }),
        }
    }
}

impl Default for ClientCodec {
    fn default() -> Self {
        Self::new()
    }
}

impl ServerCodec {
    /// For a new connection, with frames of at most [`MAX_FRAME`].
    pub fn new() -> Self {
        Self::with_limit(MAX_FRAME)
    }

    /// For a new connection, with frames of at most `limit` bytes.
    pub fn with_limit(limit: usize) -> Self {
        Self {
            limit,
            connected: false,
        }
    }

    /// Appends a frame to what is to be sent.
    ///
    /// # Errors
    /// [`EncodeError`] where the frame is longer than the limit; nothing was appended.
    pub fn encode(
        &self,
        message: &ServerFrame,
        buffer: &mut BytesMut,
    ) -> std::result::Result<(), EncodeError> {
        frame(buffer, self.limit, |writer| match message {
            ServerFrame::Connect(connect) => connect.encode(writer),
            ServerFrame::Reply { xid, zxid, result } => {
                writer.i32(*xid);
                writer.i64(*zxid);
                match result {
                    Ok(response) => {
                        writer.i32(0);
                        response.encode(writer);
                    }
                    Err(error) => writer.i32((*error).into()),
                }
            }
            ServerFrame::Event(event) => {
                writer.i32(XID_EVENT);
                writer.i64(-1);
                writer.i32(0);
                event.encode(writer);
            }
        })
    }

    /// Takes the next frame out of what was received; none while it is not complete.
    ///
    /// # Errors
    /// Any [`DecodeError`]; the connection is of no use any more. A request whose body cannot be read is no error but a
    /// [`Request::Other`].
    pub fn decode(&mut self, buffer: &mut BytesMut) -> Result<Option<ClientFrame>> {
        let Some(body) = take_frame(buffer, self.limit)? else {
            return Ok(None);
        };
        let mut reader = Reader::new(body);
        if !self.connected {
            self.connected = true;
            let request = ConnectRequest::decode(&mut reader)?;
            return Ok(Some(ClientFrame::Connect(request)));
        }
        let xid = reader.i32("a request's number")?;
        let code = OpCode::from(reader.i32("a request's code")?);
        let request = Request::decode(code, reader.into_rest());
        Ok(Some(ClientFrame::Request { xid, request }))
    }
}

impl Default for ServerCodec {
    fn default() -> Self {
        Self::new()
    }
}

/// Takes one frame's body, once all of it is there.
pub(crate) fn take_frame(buffer: &mut BytesMut, limit: usize) -> Result<Option<Bytes>> {
    let Some(head) = buffer.first_chunk() else {
        return Ok(None);
    };
    let claimed = i32::from_be_bytes(*head);
    let length = usize::try_from(claimed)
        .ok()
        .filter(|length| *length <= limit)
        .ok_or(DecodeError::FrameLength {
            length: claimed,
            limit,
        })?;
    if buffer.len() - size_of::<i32>() < length {
        return Ok(None);
    }
    buffer.advance(size_of::<i32>());
    Ok(Some(buffer.split_to(length).freeze()))
}
