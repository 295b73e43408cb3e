//! A few brokers on loopback ports, which lead the partitions of one topic and do what they are told to.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use divvy_protocol::api::{
    MetadataBroker, MetadataPartition, MetadataRequest, MetadataResponse, MetadataTopic,
    ProducePartition, ProducePartitionResponse, ProduceRequest, ProduceResponse,
    ProduceTopicResponse, decode_request, encode_response, split_request,
};
use divvy_protocol::records::{DecodeOptions, decode};
use divvy_protocol::{ApiKey, ErrorCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// What a broker does with a Produce request instead of storing it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Stores nothing and says this for every partition.
    Refuse(ErrorCode),
    /// Stores nothing and closes the connection.
    Close,
    /// Stores it and closes the connection.
    StoreAndClose,
    /// Stores it and leaves every partition out of its answer.
    AnswerNothing,
    /// Stores nothing and never answers.
    Silence,
}

/// What the brokers share.
#[derive(Debug, Default)]
pub(crate) struct State {
    addresses: BTreeMap<i32, SocketAddr>,
    /// The leader of each partition.
    pub(crate) leaders: BTreeMap<i32, i32>,
    /// For the next Produce requests, one each.
    pub(crate) faults: VecDeque<Fault>,
    /// The values of each partition.
    pub(crate) logs: BTreeMap<i32, Vec<String>>,
    /// How many Produce requests came.
    pub(crate) requests: usize,
    /// The acks of the last of them.
    pub(crate) acks: i16,
}

pub(crate) struct Cluster {
    state: Arc<Mutex<State>>,
    /// Whether Produce requests are carried out, or wait.
    serving: watch::Sender<bool>,
    _brokers: JoinSet<()>,
}

impl Cluster {
    /// Starts so many brokers, with ids from 1 on, for a topic `t` of so many partitions, which they lead in turns.
    pub(crate) async fn start(brokers: i32, partitions: i32) -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let serving = watch::Sender::new(true);
        let mut tasks = JoinSet::new();
        for id in 1..=brokers {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            lock(&state)
                .addresses
                .insert(id, listener.local_addr().unwrap());
            let broker = Broker {
                id,
                state: Arc::clone(&state),
                serving: serving.subscribe(),
            };
            tasks.spawn(broker.accept(listener));
        }
        lock(&state).leaders = (0..partitions).map(|n| (n, n % brokers + 1)).collect();
        Self {
            state,
            serving,
            _brokers: tasks,
        }
    }

    pub(crate) fn bootstrap(&self) -> String {
        let addresses = lock(&self.state).addresses.clone();
        let addresses: Vec<String> = addresses.values().map(ToString::to_string).collect();
        addresses.join(",")
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    pub(crate) fn fail(&self, faults: impl IntoIterator<Item = Fault>) {
        self.state().faults.extend(faults);
    }

    /// Lets Produce requests wait from now on, or no longer.
    pub(crate) fn hold(&self, is_held: bool) {
        self.serving.send_replace(!is_held);
    }

    pub(crate) fn log(&self, partition: i32) -> Vec<String> {
        self.state()
            .logs
            .get(&partition)
            .cloned()
            .unwrap_or_default()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Clone)]
struct Broker {
    id: i32,
    state: Arc<Mutex<State>>,
    serving: watch::Receiver<bool>,
}

impl Broker {
    async fn accept(self, listener: TcpListener) {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            connections.spawn(self.clone().serve(stream));
        }
    }

    /// Answers request after request, as a broker does, until it is told to close the connection or the client does.
    async fn serve(mut self, mut stream: TcpStream) {
        while let Ok(size) = stream.read_i32().await {
            let mut frame = vec![0; usize::try_from(size).unwrap()];
            if stream.read_exact(&mut frame).await.is_err() {
                return;
            }
            let (header, body) = split_request(frame.into()).unwrap();
            let version = header.api_version;
            let answer = match ApiKey::from_code(header.api_key) {
                Some(ApiKey::Metadata) => {
                    let metadata = self.metadata();
                    Some(encode_response::<MetadataRequest>(
                        &metadata,
                        version,
                        header.correlation_id,
                    ))
                }
                Some(ApiKey::Produce) => {
                    let request = decode_request(body, version).unwrap();
                    let Ok(response) = self.produce(&request).await else {
                        return;
                    };
                    response.map(|response| {
                        encode_response::<ProduceRequest>(&response, version, header.correlation_id)
                    })
                }
                other => panic!("a producer has no use for {other:?}"),
            };
            if let Some(answer) = answer
                && stream.write_all(&answer.unwrap()).await.is_err()
            {
                return;
            }
        }
    }

    fn metadata(&self) -> MetadataResponse {
        let state = lock(&self.state);
        let brokers = state.addresses.iter().map(|(id, address)| MetadataBroker {
            node_id: *id,
            host: address.ip().to_string(),
            port: address.port().into(),
            rack: None,
        });
        let partitions = state
            .leaders
            .iter()
            .map(|(partition, leader)| MetadataPartition {
                partition: *partition,
                leader: *leader,
                ..MetadataPartition::default()
            });
        MetadataResponse {
            brokers: brokers.collect(),
            topics: vec![MetadataTopic {
                name: "t".to_owned(),
                partitions: partitions.collect(),
                ..MetadataTopic::default()
            }],
            ..MetadataResponse::default()
        }
    }

    /// The answer, if there is one; `Err` closes the connection.
    async fn produce(&mut self, request: &ProduceRequest) -> Result<Option<ProduceResponse>, ()> {
        let fault = {
            let mut state = lock(&self.state);
            state.requests += 1;
            state.acks = request.acks;
            state.faults.pop_front()
        };
        if self.serving.wait_for(|serving| *serving).await.is_err() {
            return Err(());
        }
        let mut response = match fault {
            Some(Fault::Close) => return Err(()),
            Some(Fault::Silence) => std::future::pending().await,
            Some(Fault::Refuse(code)) => respond(request, |_| Err(code)),
            None | Some(Fault::StoreAndClose | Fault::AnswerNothing) => {
                let mut state = lock(&self.state);
                respond(request, |partition| state.store(self.id, partition))
            }
        };
        match fault {
            Some(Fault::StoreAndClose) => return Err(()),
            Some(Fault::AnswerNothing) => response.topics.clear(),
            _ => {}
        }
        Ok(Some(response).filter(|_| request.acks != 0))
    }
}

impl State {
    fn store(&mut self, broker: i32, part: &ProducePartition) -> Result<i64, ErrorCode> {
        if self.leaders.get(&part.partition) != Some(&broker) {
            return Err(ErrorCode::NOT_LEADER_OR_FOLLOWER);
        }
        let records: Bytes = part.records.clone().unwrap_or_default();
        let decoded = decode(&records, &DecodeOptions::default());
        assert!(decoded.error.is_none(), "{:?}", decoded.error);
        let log = self.logs.entry(part.partition).or_default();
        let base_offset = i64::try_from(log.len()).unwrap();
        log.extend(
            decoded.records.iter().map(|record| {
                String::from_utf8(record.value.unwrap_or_default().to_vec()).unwrap()
            }),
        );
        Ok(base_offset)
    }
}

fn respond(
    request: &ProduceRequest,
    mut store: impl FnMut(&ProducePartition) -> Result<i64, ErrorCode>,
) -> ProduceResponse {
    let topics = request.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|part| {
            let stored = store(part);
            ProducePartitionResponse {
                partition: part.partition,
                error: stored.err().unwrap_or(ErrorCode::NONE),
                base_offset: stored.unwrap_or(-1),
                log_append_time: -1,
                log_start_offset: -1,
            }
        });
        ProduceTopicResponse {
            name: topic.name.clone(),
            partitions: partitions.collect(),
        }
    });
    ProduceResponse {
        topics: topics.collect(),
        throttle_ms: 0,
    }
}
