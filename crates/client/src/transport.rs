use std::io;
use std::time::Duration;

use bytes::{Buf as _, BufMut, Bytes, BytesMut};
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
///
/// A frame of some size is read straight into a buffer of its own, which is exactly as large: whoever keeps a piece of it keeps
/// nothing else, and nothing is copied or cleared before.
pub(crate) struct FrameReader<R> {
    input: R,
    /// What was read ahead: the beginning of the next frame, or small frames.
    ahead: BytesMut,
    /// The next frame, as far as it was read, where it is too large for that.
    large: Option<LargeFrame>,
    limit: usize,
}

struct LargeFrame {
    bytes: Vec<u8>,
    length: usize,
}

/// How much is read before it is known how long the next frame is.
const READ_AHEAD: usize = 4 << 10;

/// Up to here the buffer for a frame is reserved at once: the system backs it only as bytes arrive, so that a claimed length
/// costs nothing. A longer frame grows with what was really received.
const RESERVED_AT_ONCE: usize = 16 << 20;

impl<R: AsyncRead + Unpin> FrameReader<R> {
    pub(crate) fn new(input: R, limit: usize) -> Self {
        Self {
            input,
            ahead: BytesMut::with_capacity(READ_AHEAD),
            large: None,
            limit,
        }
    }

    /// The next frame, without its size field.
    pub(crate) async fn next(&mut self) -> Result<Bytes, FrameError> {
        loop {
            if let Some(large) = &mut self.large {
                large.read(&mut self.input).await?;
                return Ok(self
                    .large
                    .take()
                    .map(|large| large.bytes.into())
                    .unwrap_or_default());
            }
            match self.frame_length()? {
                Some(length) if self.ahead.len() >= 4 + length => {
                    // A copy, so that it does not keep what else was read.
                    let frame = Bytes::copy_from_slice(&self.ahead[4..4 + length]);
                    self.ahead.advance(4 + length);
                    return Ok(frame);
                }
                Some(length) if 4 + length > READ_AHEAD => {
                    let bytes = Vec::from(&self.ahead[4..]);
                    self.ahead.clear();
                    self.large = Some(LargeFrame { bytes, length });
                }
                _ => {
                    self.ahead.reserve(READ_AHEAD - self.ahead.len());
                    read_some(&mut self.input, &mut self.ahead).await?;
                }
            }
        }
    }

    fn frame_length(&self) -> Result<Option<usize>, FrameError> {
        let Some(size) = self.ahead.first_chunk::<4>() else {
            return Ok(None);
        };
        match usize::try_from(i32::from_be_bytes(*size)) {
            Ok(length) if (4..=self.limit).contains(&length) => Ok(Some(length)),
            _ => Err(FrameError::Malformed(impossible_length(*size, self.limit))),
        }
    }
}

impl LargeFrame {
    /// Reads the frame to its end, and no byte more.
    async fn read(&mut self, input: &mut (impl AsyncRead + Unpin)) -> Result<(), FrameError> {
        while self.bytes.len() < self.length {
            if self.bytes.len() == self.bytes.capacity() {
                let wanted = self.length.min(RESERVED_AT_ONCE.max(2 * self.bytes.len()));
                let missing = wanted - self.bytes.len();
                let reserved = self.bytes.try_reserve_exact(missing);
                reserved.map_err(|error| FrameError::Io(error.into()))?;
            }
            let room = self.bytes.capacity().min(self.length) - self.bytes.len();
            read_some(input, &mut (&mut self.bytes).limit(room)).await?;
        }
        Ok(())
    }
}

async fn read_some(
    input: &mut (impl AsyncRead + Unpin),
    into: &mut impl BufMut,
) -> Result<(), FrameError> {
    match input.read_buf(into).await {
        Ok(0) => Err(FrameError::Closed),
        Ok(_) => Ok(()),
        Err(error) => Err(FrameError::Io(error)),
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
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    async fn read_all(chunks: &[&[u8]]) -> (Vec<Bytes>, FrameError) {
        let (mut near, far) = tokio::io::duplex(64);
        let bytes: Vec<Vec<u8>> = chunks.iter().map(|chunk| chunk.to_vec()).collect();
        tokio::spawn(async move {
            for chunk in bytes {
                near.write_all(&chunk).await.unwrap();
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
    async fn frames_of_all_sizes_come_whole_and_keep_nothing_else() {
        let sizes = [
            4,
            READ_AHEAD - 4,
            5,
            READ_AHEAD - 3,
            READ_AHEAD,
            4,
            70_000,
            6,
        ];
        let frame = |(n, size): (usize, &usize)| vec![u8::try_from(n).unwrap(); *size];
        let frames: Vec<Vec<u8>> = sizes.iter().enumerate().map(frame).collect();
        let mut stream = Vec::new();
        for frame in &frames {
            stream.extend_from_slice(&u32::try_from(frame.len()).unwrap().to_be_bytes());
            stream.extend_from_slice(frame);
        }
        let (read, end) = read_all(&[&stream]).await;
        assert_eq!(read, frames);
        assert!(matches!(end, FrameError::Closed));
        for frame in read {
            let (length, unique) = (frame.len(), frame.try_into_mut().unwrap());
            assert_eq!(unique.capacity(), length);
        }
    }

    #[tokio::test]
    async fn waiting_for_a_frame_can_be_given_up_at_any_byte() {
        let body = vec![7; 3 * READ_AHEAD];
        let size = u32::try_from(body.len()).unwrap().to_be_bytes();
        let stream = [&size[..], &body].concat();
        let (mut near, far) = tokio::io::duplex(stream.len());
        let mut reader = FrameReader::new(far, 1 << 20);
        for bytes in stream.chunks(1000) {
            let waited = tokio::time::timeout(std::time::Duration::ZERO, reader.next()).await;
            assert!(waited.is_err(), "{waited:?}");
            near.write_all(bytes).await.unwrap();
        }
        assert_eq!(reader.next().await.unwrap(), body);
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
