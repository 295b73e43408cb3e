//! Two brokers: one serves a single batch as 0.8.2 would, the other takes what it is sent and says nothing.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use divvy::ErrorCode;
use divvy::protocol::ApiKey;
use divvy::protocol::api::{
    FetchPartition, FetchPartitionResponse, FetchRequest, FetchResponse, FetchTopicResponse,
    MetadataBroker, MetadataPartition, MetadataRequest, MetadataResponse, MetadataTopic,
    RequestHeader, decode_request, encode_response, split_request,
};
use divvy::protocol::records::scan;

pub(crate) const TOPIC: &str = "t";
/// The partition of the broker that answers.
pub(crate) const SERVED: i32 = 0;
/// The partition of the one that does not.
pub(crate) const SWALLOWED: i32 = 1;

/// Accepts connections, each on a thread of its own, for as long as the process lives.
fn accept(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = listener.local_addr()?.port();
    let serve = Arc::new(serve);
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let serve = Arc::clone(&serve);
            thread::spawn(move || serve(stream));
        }
    });
    Ok(port)
}

/// Takes requests and answers none.
pub(crate) struct BlackHole {
    port: u16,
    requests: Arc<AtomicUsize>,
}

impl BlackHole {
    pub(crate) fn open() -> Result<Self> {
        let requests = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&requests);
        let port = accept(move |mut stream| {
            while read_frame(&mut stream).is_ok() {
                counted.fetch_add(1, Ordering::Relaxed);
            }
        })?;
        Ok(Self { port, requests })
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }
}

/// A broker of 0.8.2 whose log is one batch.
pub(crate) struct ScriptedBroker {
    port: u16,
}

#[derive(Clone)]
struct Script {
    batch: Bytes,
    end: i64,
    /// Broker 0 is this one, broker 1 the other.
    ports: [u16; 2],
}

impl ScriptedBroker {
    pub(crate) fn start(batch: Bytes, other_port: u16) -> Result<Self> {
        let end = scan(&batch).next_offset.context("the batch is not whole")?;
        let port = accept(move |mut stream| {
            let own_port = stream.local_addr().map_or(0, |address| address.port());
            let script = Script {
                batch: batch.clone(),
                end,
                ports: [own_port, other_port],
            };
            // It ends with the connection.
            let _ = script.serve(&mut stream);
        })?;
        Ok(Self { port })
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }
}

impl Script {
    fn serve(&self, stream: &mut TcpStream) -> Result<()> {
        loop {
            let (header, body) = split_request(read_frame(stream)?)?;
            let frame = match ApiKey::from_code(header.api_key) {
                Some(ApiKey::Metadata) => {
                    encode_response::<MetadataRequest>(&self.metadata(), 0, header.correlation_id)?
                }
                Some(ApiKey::Fetch) => self.fetch(&header, body)?,
                other => bail!("{other:?} was not expected"),
            };
            stream.write_all(&frame)?;
        }
    }

    fn metadata(&self) -> MetadataResponse {
        let brokers = (0..).zip(self.ports).map(|(node_id, port)| MetadataBroker {
            node_id,
            host: Ipv4Addr::LOCALHOST.to_string(),
            port: port.into(),
            rack: None,
        });
        let partitions = [SERVED, SWALLOWED].map(|partition| MetadataPartition {
            partition,
            leader: partition,
            replicas: vec![partition],
            isr: vec![partition],
            ..MetadataPartition::default()
        });
        MetadataResponse {
            brokers: brokers.collect(),
            topics: vec![MetadataTopic {
                name: TOPIC.to_owned(),
                partitions: partitions.to_vec(),
                ..MetadataTopic::default()
            }],
            ..MetadataResponse::default()
        }
    }

    /// Gives as much of the batch as was asked for, cut off anywhere, or nothing after a while.
    fn fetch(&self, header: &RequestHeader, body: Bytes) -> Result<Bytes> {
        let request: FetchRequest = decode_request(body, header.api_version)?;
        let asked = request.topics.iter().flat_map(|topic| &topic.partitions);
        let partitions: Vec<_> = asked.map(|asked| self.read(asked)).collect();
        if partitions.iter().all(|part| part.records.is_empty()) {
            rest(Duration::from_millis(
                request.max_wait_ms.unsigned_abs().into(),
            ));
        }
        let response = FetchResponse {
            topics: vec![FetchTopicResponse {
                name: TOPIC.to_owned(),
                partitions,
            }],
            ..FetchResponse::default()
        };
        let (version, id) = (header.api_version, header.correlation_id);
        Ok(encode_response::<FetchRequest>(&response, version, id)?)
    }

    fn read(&self, asked: &FetchPartition) -> FetchPartitionResponse {
        let size = usize::try_from(asked.max_bytes).unwrap_or(0);
        let records = if asked.fetch_offset < self.end {
            self.batch.slice(..size.min(self.batch.len()))
        } else {
            Bytes::new()
        };
        FetchPartitionResponse {
            partition: asked.partition,
            error: ErrorCode::NONE,
            high_watermark: self.end,
            last_stable_offset: -1,
            log_start_offset: -1,
            aborted: Vec::new(),
            preferred_read_replica: -1,
            records,
        }
    }
}

/// What a broker does that has nothing to say yet.
fn rest(time: Duration) {
    let (_open, never) = mpsc::channel::<()>();
    let _ = never.recv_timeout(time);
}

fn read_frame(stream: &mut TcpStream) -> io::Result<Bytes> {
    let mut size = [0; 4];
    stream.read_exact(&mut size)?;
    let size = usize::try_from(i32::from_be_bytes(size)).map_err(io::Error::other)?;
    let mut frame = vec![0; size];
    stream.read_exact(&mut frame)?;
    Ok(frame.into())
}
