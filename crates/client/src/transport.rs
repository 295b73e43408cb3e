use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use crate::address::HostPort;
use crate::config::Security;

/// What a connection runs over. TLS and SASL become layers that give back another one.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Connects to `address`, whose name is resolved anew each time, because a broker that was moved keeps its name.
pub(crate) async fn connect(
    address: &HostPort,
    security: Security,
    within: Duration,
) -> io::Result<Box<dyn Stream>> {
    let attempt = async {
        let mut last = None;
        for resolved in lookup_host((address.host.as_str(), address.port)).await? {
            match TcpStream::connect(resolved).await {
                Ok(stream) => {
                    // Requests are written whole, so waiting for more bytes only costs latency.
                    stream.set_nodelay(true)?;
                    return Ok(stream);
                }
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| io::Error::other("the name resolves to no address")))
    };
    let stream = timeout(within, attempt).await.map_err(|_| {
        io::Error::new(
            io::ErrorKind::TimedOut,
            format!("no answer within {within:?}"),
        )
    })??;
    match security {
        Security::Plaintext => Ok(Box::new(stream)),
    }
}

/// Why a stream of frames ended.
#[derive(Debug)]
pub(crate) enum FrameError {
    Io(io::Error),
    Closed,
    Malformed(String),
}

/// Cuts a byte stream into frames. Waiting for the next frame can be cancelled without losing any byte.
pub(crate) struct FrameReader<R> {
    input: R,
    buffer: BytesMut,
    limit: usize,
}

/// Up to here the buffer for a frame is reserved at once: the system backs it only as bytes arrive, so that a claimed length
/// costs nothing. A longer frame grows with what was really received.
const RESERVED_AT_ONCE: usize = 16 << 20;

impl<R: AsyncRead + Unpin> FrameReader<R> {
    pub(crate) fn new(input: R, limit: usize) -> Self {
        Self {
            input,
            buffer: BytesMut::new(),
            limit,
        }
    }

    /// The next frame, without its size field.
    pub(crate) async fn next(&mut self) -> Result<Bytes, FrameError> {
        loop {
            let missing = match self.frame_length()? {
                Some(length) if self.buffer.len() >= 4 + length => {
                    let mut frame = self.buffer.split_to(4 + length);
                    let _size = frame.split_to(4);
                    return Ok(frame.freeze());
                }
                Some(length) => {
                    (4 + length - self.buffer.len()).min(RESERVED_AT_ONCE.max(self.buffer.len()))
                }
                None => 4096,
            };
            if self.buffer.capacity() - self.buffer.len() < missing {
                self.buffer.reserve(missing);
            }
            match self.input.read_buf(&mut self.buffer).await {
                Ok(0) => return Err(FrameError::Closed),
                Ok(_) => {}
                Err(error) => return Err(FrameError::Io(error)),
            }
        }
    }

    fn frame_length(&self) -> Result<Option<usize>, FrameError> {
        let Some(size) = self.buffer.first_chunk::<4>() else {
            return Ok(None);
        };
        match usize::try_from(i32::from_be_bytes(*size)) {
            Ok(length) if (4..=self.limit).contains(&length) => Ok(Some(length)),
            _ => Err(FrameError::Malformed(impossible_length(*size, self.limit))),
        }
    }
}

/// Names the likeliest other protocol, because this is what a wrong port looks like.
fn impossible_length(size: [u8; 4], limit: usize) -> String {
    let hint = match &size {
        [0x15 | 0x16, 3, _, _] => "; it speaks TLS".to_owned(),
        size if size.iter().all(u8::is_ascii_graphic) => format!(
            "; its answer begins with `{}`, is this another service's port?",
            String::from_utf8_lossy(size)
        ),
        _ => String::new(),
    };
    format!(
        "it sent a frame of {} bytes, and the limit is {limit}{hint}",
        i32::from_be_bytes(size)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read_all(chunks: &[&[u8]]) -> (Vec<Bytes>, FrameError) {
        let (mut near, far) = tokio::io::duplex(64);
        let bytes: Vec<Vec<u8>> = chunks.iter().map(|chunk| chunk.to_vec()).collect();
        tokio::spawn(async move {
            for chunk in bytes {
                tokio::io::AsyncWriteExt::write_all(&mut near, &chunk)
                    .await
                    .unwrap();
                tokio::task::yield_now().await;
            }
        });
        let mut reader = FrameReader::new(far, 1 << 20);
        let mut frames = Vec::new();
        loop {
            match reader.next().await {
                Ok(frame) => frames.push(frame),
                Err(error) => return (frames, error),
            }
        }
    }

    #[tokio::test]
    async fn cuts_frames_wherever_the_bytes_are_split() {
        let stream = [0, 0, 0, 5, 1, 2, 3, 4, 5, 0, 0, 0, 4, 6, 7, 8, 9];
        for at in 0..=stream.len() {
            let (left, right) = stream.split_at(at);
            let (frames, end) = read_all(&[left, right]).await;
            assert_eq!(frames, [&[1_u8, 2, 3, 4, 5][..], &[6, 7, 8, 9]], "{at}");
            assert!(matches!(end, FrameError::Closed));
        }
    }

    #[tokio::test]
    async fn names_another_protocol_by_its_first_bytes() {
        for (bytes, hint) in [
            (&b"HTTP/1.1 400"[..], "`HTTP`"),
            (&[0x15, 3, 3, 0, 2][..], "TLS"),
            (&[0xff, 0xff, 0xff, 0xff][..], "-1 bytes"),
            (&[0, 0, 0, 1][..], "1 bytes"),
        ] {
            let (_, end) = read_all(&[bytes]).await;
            assert!(
                matches!(&end, FrameError::Malformed(why) if why.contains(hint)),
                "{end:?}"
            );
        }
    }
}
