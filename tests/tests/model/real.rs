//! A connection to a real server, frame by frame.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, Result};
use bytes::BytesMut;
use divvy_zookeeper::wire::{ClientCodec, ClientFrame, ServerFrame};

/// How long a server may take to answer.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Real {
    stream: TcpStream,
    codec: ClientCodec,
    received: BytesMut,
}

impl Real {
    pub(crate) fn connect(server: SocketAddr) -> Result<Real> {
        let stream = TcpStream::connect(server).context("cannot connect")?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Real {
            stream,
            codec: ClientCodec::new(),
            received: BytesMut::new(),
        })
    }

    /// Sends a frame. That the server has closed the connection is found out by reading.
    pub(crate) fn send(&mut self, frame: &ClientFrame) -> Result<()> {
        let mut bytes = BytesMut::new();
        self.codec.encode(frame, &mut bytes)?;
        match self.stream.write_all(&bytes) {
            Err(error) if !is_closed(&error) => Err(error).context("cannot send"),
            _ => Ok(()),
        }
    }

    /// The next frame; `None` when the server has closed the connection.
    pub(crate) fn receive(&mut self) -> Result<Option<ServerFrame>> {
        loop {
            if let Some(frame) = self.codec.decode(&mut self.received)? {
                return Ok(Some(frame));
            }
            let mut buffer = [0; 4096];
            match self.stream.read(&mut buffer) {
                Ok(0) => return Ok(None),
                Ok(length) => self.received.extend_from_slice(&buffer[..length]),
                Err(error) if is_closed(&error) => return Ok(None),
                Err(error) => return Err(error).context("no answer"),
            }
        }
    }
}

fn is_closed(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted
    )
}
