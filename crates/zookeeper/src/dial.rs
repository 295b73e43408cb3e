//! How servers are reached.

use std::fmt::Debug;
use std::io;

use async_trait::async_trait;
use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use crate::wire::{ClientCodec, ClientFrame, ServerFrame};

#[cfg(test)]
mod tests;

/// Connects to servers. The usual one does so by TCP; another one can be given to
/// [`ZooKeeper::with_parts`](crate::ZooKeeper::with_parts), so that a client and a model of a server run in one process.
#[async_trait]
pub trait Dial: Debug + Send + Sync {
    /// Connects to a server of the connect string, `host:port`, and resolves its name anew. Nothing is sent yet. The caller sees
    /// to it that it takes no longer than it may.
    ///
    /// # Errors
    /// Why nobody is reached there.
    async fn dial(&self, server: &str) -> io::Result<Box<dyn Pipe>>;
}

/// One connection to a server. Dropping it closes it.
#[async_trait]
pub trait Pipe: Debug + Send {
    /// Takes a frame to be sent, in the order of the calls. It is written while [`Pipe::receive`] runs.
    ///
    /// # Errors
    /// The connection is of no use any more, or the frame is too long to be sent.
    fn send(&mut self, frame: ClientFrame) -> io::Result<()>;

    /// Writes what is to be sent and waits for the next frame. `None` says that something was received, but not all of a frame
    /// yet, so that a slow connection is told from a dead one.
    ///
    /// Dropping the future loses nothing, in neither direction.
    ///
    /// # Errors
    /// The connection is of no use any more.
    async fn receive(&mut self) -> io::Result<Option<ServerFrame>>;
}

/// Connects by TCP.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TcpDial {
    /// The longest frame, in bytes.
    pub(crate) max_frame: usize,
}

#[derive(Debug)]
struct TcpPipe {
    reader: OwnedReadHalf,
    writer: OwnedWriteHalf,
    codec: ClientCodec,
    /// Grows with what is received, never with what a frame claims.
    input: BytesMut,
    output: BytesMut,
}

#[async_trait]
impl Dial for TcpDial {
    async fn dial(&self, server: &str) -> io::Result<Box<dyn Pipe>> {
        let stream = TcpStream::connect(server).await?;
        stream.set_nodelay(true)?;
        let (reader, writer) = stream.into_split();
        Ok(Box::new(TcpPipe {
            reader,
            writer,
            codec: ClientCodec::with_limit(self.max_frame),
            input: BytesMut::new(),
            output: BytesMut::new(),
        }))
    }
}

#[async_trait]
impl Pipe for TcpPipe {
    fn send(&mut self, frame: ClientFrame) -> io::Result<()> {
        let encoded = self.codec.encode(&frame, &mut self.output);
        encoded.map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))
    }

    async fn receive(&mut self) -> io::Result<Option<ServerFrame>> {
        loop {
            if let Some(frame) = self.decode()? {
                return Ok(Some(frame));
            }
            tokio::select! {
                biased;
                written = self.writer.write(&self.output), if !self.output.is_empty() => match written? {
                    0 => return Err(io::ErrorKind::WriteZero.into()),
                    written => self.output.advance(written),
                },
                read = self.reader.read_buf(&mut self.input) => return match read? {
                    0 => Err(io::ErrorKind::UnexpectedEof.into()),
                    _ => self.decode(),
                },
            }
        }
    }
}

impl TcpPipe {
    fn decode(&mut self) -> io::Result<Option<ServerFrame>> {
        let decoded = self.codec.decode(&mut self.input);
        decoded.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }
}
