use std::collections::VecDeque;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use divvy_protocol::api::{self, Request};
use divvy_protocol::{ApiKey, ApiVersionTable};
use tokio::io::{AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::{Notify, SetOnce, mpsc, oneshot};
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::error::{Error, Result};
use crate::metrics::{self, OpenConnection};
use crate::sync::lock;
use crate::transport::{FrameError, FrameReader, Stream};

/// How many requests may wait to be written. Callers beyond it wait in [`Connection::call`], within their deadline.
const QUEUED_REQUESTS: usize = 64;

/// A connection to one broker: a handle beside a task that writes requests and reads answers.
///
/// Requests are pipelined; a broker answers them in order, one at a time. A request that is not answered by its deadline ends
/// the connection, because every later answer would wait behind it.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    shared: Arc<Shared>,
    requests: mpsc::Sender<Outgoing>,
}

#[derive(Debug)]
struct Shared {
    broker: String,
    client_id: String,
    versions: Mutex<ApiVersionTable>,
    correlation: AtomicI32,
    /// What was written and is not answered yet, oldest first.
    pending: Mutex<VecDeque<Pending>>,
    pending_grew: Notify,
    /// Why a caller wants the connection to end.
    given_up: SetOnce<Error>,
}

#[derive(Debug)]
struct Outgoing {
    frame: Bytes,
    expects_response: bool,
    pending: Pending,
}

#[derive(Debug)]
struct Pending {
    correlation_id: i32,
    request: &'static str,
    timeout: Duration,
    deadline: Instant,
    reply: oneshot::Sender<Result<Bytes>>,
}

impl Connection {
    /// Takes a connected stream into use. The returned future drives it and must be spawned; it ends when every handle is
    /// dropped, or with the stream.
    pub(crate) fn new(
        stream: Box<dyn Stream>,
        broker: String,
        client_id: String,
        versions: ApiVersionTable,
        max_response_bytes: usize,
    ) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let (requests, queue) = mpsc::channel(QUEUED_REQUESTS);
        let shared = Arc::new(Shared {
            broker,
            client_id,
            versions: Mutex::new(versions),
            correlation: AtomicI32::new(0),
            pending: Mutex::default(),
            pending_grew: Notify::new(),
            given_up: SetOnce::new(),
        });
        let driver = drive(Arc::clone(&shared), stream, queue, max_response_bytes);
        (Self { shared, requests }, driver)
    }

    /// The broker's address, for messages.
    pub(crate) fn broker(&self) -> &str {
        &self.shared.broker
    }

    /// Whether the connection has ended, so that a new one is needed.
    pub(crate) fn is_closed(&self) -> bool {
        self.requests.is_closed() || self.shared.given_up.initialized()
    }

    pub(crate) fn set_versions(&self, versions: ApiVersionTable) {
        *lock(&self.shared.versions) = versions;
    }

    pub(crate) fn versions(&self) -> ApiVersionTable {
        lock(&self.shared.versions).clone()
    }

    /// The version in which a request will be sent.
    pub(crate) fn version(&self, key: ApiKey) -> Result<i16> {
        let version = lock(&self.shared.versions).choose(key);
        version.ok_or_else(|| Error::Unsupported {
            broker: self.shared.broker.clone(),
            request: key.name(),
        })
    }

    /// Sends a request in the negotiated version and waits for its answer.
    pub(crate) async fn call<R: Request>(
        &self,
        request: &R,
        timeout: Duration,
    ) -> Result<R::Response> {
        let version = self.version(R::API)?;
        self.call_version(request, version, timeout).await
    }

    /// Sends a request in a version of the caller's choice and waits for its answer.
    pub(crate) async fn call_version<R: Request>(
        &self,
        request: &R,
        version: i16,
        timeout: Duration,
    ) -> Result<R::Response> {
        let body = self.exchange(request, version, timeout).await?;
        api::decode_response::<R>(body, version).map_err(|error| {
            // Whoever answers in another layout is not what was negotiated with, and the next connection finds out anew.
            self.give_up(
                self.shared
                    .peer(format!("{} answer: {error}", R::API.name())),
            )
        })
    }

    /// Ends the connection for everybody.
    fn give_up(&self, error: Error) -> Error {
        // The first reason counts.
        let _ = self.shared.given_up.set(error.clone());
        error
    }

    /// Sends a request and gives back the answer's body as it came. A request that has no answer gives an empty body once it is
    /// written.
    pub(crate) async fn exchange<R: Request>(
        &self,
        request: &R,
        version: i16,
        timeout: Duration,
    ) -> Result<Bytes> {
        let began = Instant::now();
        let answered = self.send(request, version, timeout).await;
        let took = began.elapsed();
        metrics::requested(&self.shared.broker, R::API.name(), took, answered.is_err());
        answered
    }

    async fn send<R: Request>(
        &self,
        request: &R,
        version: i16,
        timeout: Duration,
    ) -> Result<Bytes> {
        let correlation_id = self.shared.correlation.fetch_add(1, Ordering::Relaxed);
        let frame = api::encode_request(request, version, correlation_id, &self.shared.client_id)
            .map_err(|error| Error::Encode {
            request: R::API.name(),
            why: error.to_string(),
        })?;
        let (reply, answer) = oneshot::channel();
        let deadline = Instant::now() + timeout;
        let outgoing = Outgoing {
            frame,
            expects_response: request.expects_response(),
            pending: Pending {
                correlation_id,
                request: R::API.name(),
                timeout,
                deadline,
                reply,
            },
        };
        let answered = async {
            match self.requests.send(outgoing).await {
                Ok(()) => answer
                    .await
                    .unwrap_or_else(|_| Err(self.shared.disconnected(None))),
                Err(_) => Err(self.shared.disconnected(None)),
            }
        };
        // The driver knows the deadlines of what was written; what waits unwritten behind others keeps its own as well.
        timeout_at(deadline, answered).await.unwrap_or_else(|_| {
            Err(self.give_up(Error::Timeout {
                broker: self.shared.broker.clone(),
                request: R::API.name(),
                after: timeout,
            }))
        })
    }
}

impl Shared {
    fn disconnected(&self, why: Option<String>) -> Error {
        Error::Disconnected {
            broker: self.broker.clone(),
            why,
        }
    }

    fn peer(&self, why: String) -> Error {
        Error::Peer {
            broker: self.broker.clone(),
            why,
        }
    }

    /// The next request to run out of time, which need not be the oldest.
    fn first_deadline(&self) -> Option<Instant> {
        lock(&self.pending)
            .iter()
            .map(|pending| pending.deadline)
            .min()
    }

    /// Takes a request out that has run out of time.
    fn take_late(&self) -> Option<Pending> {
        let now = Instant::now();
        let mut pending = lock(&self.pending);
        let late = pending.iter().position(|pending| pending.deadline <= now)?;
        pending.remove(late)
    }

    /// Hands an answer to whoever asked.
    fn answer(&self, frame: Bytes) -> Result<()> {
        let (correlation_id, body) =
            api::split_response(frame).map_err(|error| self.peer(error.to_string()))?;
        let Some(pending) = lock(&self.pending).pop_front() else {
            return Err(self.peer("it sent an answer that nobody asked for".to_owned()));
        };
        if pending.correlation_id != correlation_id {
            let error = self.peer(format!(
                "it answered request {correlation_id} when {} was due",
                pending.correlation_id
            ));
            let _ = pending.reply.send(Err(error.clone()));
            return Err(error);
        }
        // A caller that no longer waits has given up its answer.
        let _ = pending.reply.send(Ok(body));
        Ok(())
    }

    /// Fails whatever still waits.
    fn fail_all(&self, error: &Error) {
        for pending in lock(&self.pending).drain(..) {
            let _ = pending.reply.send(Err(error.clone()));
        }
    }
}

async fn drive(
    shared: Arc<Shared>,
    stream: Box<dyn Stream>,
    mut queue: mpsc::Receiver<Outgoing>,
    max_response_bytes: usize,
) {
    let _open = OpenConnection::to(&shared.broker);
    let (input, output) = tokio::io::split(stream);
    let error = tokio::select! {
        result = write_requests(&shared, output, &mut queue) => result.err(),
        error = read_answers(&shared, input, max_response_bytes) => Some(error),
        error = shared.given_up.wait() => Some(error.clone()),
    };
    // From here on callers see a closed connection; what they had queued fails like what was written.
    queue.close();
    let error = error.unwrap_or_else(|| shared.disconnected(None));
    tracing::debug!(broker = %shared.broker, %error, "connection ended");
    shared.fail_all(&error);
    while let Ok(outgoing) = queue.try_recv() {
        let _ = outgoing.pending.reply.send(Err(error.clone()));
    }
}

async fn write_requests(
    shared: &Shared,
    mut output: WriteHalf<Box<dyn Stream>>,
    queue: &mut mpsc::Receiver<Outgoing>,
) -> Result<()> {
    while let Some(Outgoing {
        frame,
        expects_response,
        pending,
    }) = queue.recv().await
    {
        if expects_response {
            // Known before the first byte is out, because the answer may come at once.
            lock(&shared.pending).push_back(pending);
            shared.pending_grew.notify_one();
            write(shared, &mut output, &frame).await?;
        } else {
            let deadline = pending.deadline;
            let written = timeout_at(deadline, write(shared, &mut output, &frame)).await;
            let result = written.unwrap_or_else(|_| Err(timed_out(shared, &pending)));
            let _ = pending.reply.send(result.clone().map(|()| Bytes::new()));
            result?;
        }
    }
    Ok(())
}

async fn write(
    shared: &Shared,
    output: &mut (impl AsyncWrite + Unpin),
    frame: &[u8],
) -> Result<()> {
    output
        .write_all(frame)
        .await
        .map_err(|error| shared.disconnected(Some(error.to_string())))
}

/// Reads answers until the stream ends or a request runs out of time.
async fn read_answers(
    shared: &Shared,
    input: ReadHalf<Box<dyn Stream>>,
    max_response_bytes: usize,
) -> Error {
    let mut frames = FrameReader::new(input, max_response_bytes);
    loop {
        let deadline = shared.first_deadline();
        let expired = async {
            match deadline {
                Some(deadline) => sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            frame = frames.next() => match frame {
                Ok(frame) => {
                    if let Err(error) = shared.answer(frame) {
                        return error;
                    }
                }
                Err(FrameError::Closed) => return shared.disconnected(None),
                Err(FrameError::Io(error)) => return shared.disconnected(Some(error.to_string())),
                Err(FrameError::Malformed(why)) => return shared.peer(why),
            },
            // The newest request may be the first to run out of time.
            () = shared.pending_grew.notified() => {}
            () = expired => {
                let Some(late) = shared.take_late() else { continue };
                let error = timed_out(shared, &late);
                let _ = late.reply.send(Err(error.clone()));
                return error;
            }
        }
    }
}

fn timed_out(shared: &Shared, pending: &Pending) -> Error {
    Error::Timeout {
        broker: shared.broker.clone(),
        request: pending.request,
        after: pending.timeout,
    }
}

#[cfg(test)]
pub(crate) mod tests;
