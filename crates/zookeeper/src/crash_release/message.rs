use std::time::Duration;

use bytes::BytesMut;

use crate::session::Credentials;
use crate::wire::{DecodeError, EncodeError, Reader, Secret, Writer, frame, take_frame};

/// What a process tells its helper.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Message {
    /// There is this session.
    Hold(Credentials),
    /// It is over.
    Forget(i64),
    /// All are over; there is nothing left to be done.
    Goodbye,
}

/// A pipe takes that much as a whole or not at all, and connect strings are shorter.
const LIMIT: usize = 4000;

impl Message {
    pub(super) fn encode(&self) -> Result<BytesMut, EncodeError> {
        let mut buffer = BytesMut::new();
        frame(&mut buffer, LIMIT, |writer| self.write(writer))?;
        Ok(buffer)
    }

    /// Takes the next message out of what was received; none while it is not complete.
    pub(super) fn decode(buffer: &mut BytesMut) -> Result<Option<Self>, DecodeError> {
        match take_frame(buffer, LIMIT)? {
            Some(body) => Self::read(&mut Reader::new(body)).map(Some),
            None => Ok(None),
        }
    }

    fn write(&self, writer: &mut Writer<'_>) {
        match self {
            Self::Hold(credentials) => {
                writer.i32(1);
                writer.i64(credentials.id);
                writer.buffer(Some(credentials.password.reveal()));
                let millis = credentials.timeout.as_millis();
                writer.i32(i32::try_from(millis).unwrap_or(i32::MAX));
                writer.vector(&credentials.servers, |writer, server| writer.string(server));
            }
            Self::Forget(id) => {
                writer.i32(2);
                writer.i64(*id);
            }
            Self::Goodbye => writer.i32(3),
        }
    }

    fn read(reader: &mut Reader) -> Result<Self, DecodeError> {
        let what = "kind of message";
        Ok(match reader.i32(what)? {
            1 => Self::Hold(Credentials {
                id: reader.i64("a session")?,
                password: Secret::new(reader.buffer("a password")?.unwrap_or_default()),
                timeout: {
                    let millis = reader.i32("a session timeout")?;
                    Duration::from_millis(u64::try_from(millis).unwrap_or(0))
                },
                servers: reader.vector("servers", size_of::<i32>(), |reader| {
                    reader.string("a server")
                })?,
            }),
            2 => Self::Forget(reader.i64("a session")?),
            3 => Self::Goodbye,
            value => return Err(DecodeError::Unknown { what, value }),
        })
    }
}
