//! Questions to a broker, written by hand, so that what a test knows of a cluster does not rest on divvy's own crates.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};

/// What a healthy broker on the loopback interface needs at most.
const PATIENCE: Duration = Duration::from_secs(5);
/// More than the metadata of any test's cluster takes.
const LARGEST_ANSWER: i32 = 16 << 20;
pub(crate) const CORRELATION_ID: i32 = 0x0d17;
/// Brokers of 0.9 fail at some requests without one.
const CLIENT_ID: &str = "tests";

/// Asks the broker at `address`, and gives its answer, which [`Answer`] reads.
pub(crate) fn ask(address: SocketAddr, api: i16, version: i16, body: &[u8]) -> Result<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;

    let mut request = Vec::new();
    request.extend_from_slice(&api.to_be_bytes());
    request.extend_from_slice(&version.to_be_bytes());
    request.extend_from_slice(&CORRELATION_ID.to_be_bytes());
    put_string(&mut request, CLIENT_ID)?;
    request.extend_from_slice(body);
    let size = i32::try_from(request.len())?;
    stream.write_all(&size.to_be_bytes())?;
    stream.write_all(&request)?;

    let mut size = [0; 4];
    stream.read_exact(&mut size)?;
    let size = i32::from_be_bytes(size);
    ensure!(
        (4..=LARGEST_ANSWER).contains(&size),
        "an answer of {size} bytes"
    );
    let mut answer = vec![0; usize::try_from(size)?];
    stream.read_exact(&mut answer)?;
    Ok(answer)
}

/// Writes a string as requests have it.
pub(crate) fn put_string(request: &mut Vec<u8>, text: &str) -> Result<()> {
    request.extend_from_slice(&i16::try_from(text.len())?.to_be_bytes());
    request.extend_from_slice(text.as_bytes());
    Ok(())
}

/// The part of an answer that was not read yet.
pub(crate) struct Answer<'a>(&'a [u8]);

impl<'a> Answer<'a> {
    /// What follows the correlation id.
    pub(crate) fn new(answer: &'a [u8]) -> Result<Self> {
        let mut rest = Answer(answer);
        ensure!(
            rest.i32()? == CORRELATION_ID,
            "an answer to another request"
        );
        Ok(rest)
    }

    /// Demands that everything was read.
    pub(crate) fn end(&self) -> Result<()> {
        ensure!(self.0.is_empty(), "{} bytes too many", self.0.len());
        Ok(())
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N]> {
        let Some((bytes, rest)) = self.0.split_first_chunk::<N>() else {
            bail!("an answer that is cut short")
        };
        self.0 = rest;
        Ok(*bytes)
    }

    pub(crate) fn i16(&mut self) -> Result<i16> {
        Ok(i16::from_be_bytes(self.take()?))
    }

    pub(crate) fn i32(&mut self) -> Result<i32> {
        Ok(i32::from_be_bytes(self.take()?))
    }

    pub(crate) fn i64(&mut self) -> Result<i64> {
        Ok(i64::from_be_bytes(self.take()?))
    }

    pub(crate) fn string(&mut self) -> Result<String> {
        let length = usize::try_from(self.i16()?)?;
        let (text, rest) = self
            .0
            .split_at_checked(length)
            .context("an answer that is cut short")?;
        self.0 = rest;
        Ok(String::from_utf8(text.to_vec())?)
    }

    pub(crate) fn ids(&mut self) -> Result<Vec<i32>> {
        let mut ids = Vec::new();
        for _ in 0..self.i32()? {
            ids.push(self.i32()?);
        }
        Ok(ids)
    }
}
