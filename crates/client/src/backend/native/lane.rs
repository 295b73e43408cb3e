//! One fetch connection to one broker.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use divvy_protocol::ApiKey;
use divvy_protocol::api::FetchResponse;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep, sleep_until};

use super::Shared;
use super::plan::{Next, Planned};
use crate::backoff::Backoff;
use crate::connection::Connection;
use crate::error::{Error, Result};

/// How many requests for messages that are there are on their way at a time. A broker answers those of one connection one after
/// the other, so that the next is with it before the last has come.
const PIPELINED: usize = 4;

type Answer = Pin<Box<dyn Future<Output = (Planned, Result<FetchResponse>)> + Send>>;

/// Fetches from a broker whatever it leads and the other lanes to it do not fetch already.
pub(super) async fn run(shared: Arc<Shared>, broker: i32) {
    let config = shared.client.config();
    let mut lane = Lane {
        broker,
        backoff: Backoff::new(config.backoff, config.backoff_max),
        connection: None,
        in_flight: FuturesUnordered::new(),
        watching: false,
        shared: Arc::clone(&shared),
    };
    let mut metadata = shared.client.subscribe();
    loop {
        // Watched from before the look, so that nothing is missed in between.
        let demand = shared.prefetch.demand().notified();
        tokio::pin!(demand);
        demand.as_mut().enable();
        let known = metadata.borrow_and_update().clone();
        let mut look_again = None;
        while lane.may_ask() {
            let next = {
                let busy = !lane.in_flight.is_empty();
                shared.plan().next(broker, &known, Instant::now(), busy)
            };
            match next {
                Next::Fetch(planned) => lane.send(planned).await,
                Next::Wait(at) => {
                    look_again = Some(at);
                    break;
                }
            }
        }
        let looks = look_again.is_some();
        let retry = async {
            match look_again.flatten() {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            Some((planned, result)) = lane.in_flight.next() => lane.answered(planned, result).await,
            () = demand, if looks => {}
            () = retry => {}
            Ok(()) = metadata.changed(), if looks => {}
        }
    }
}

struct Lane {
    shared: Arc<Shared>,
    broker: i32,
    connection: Option<Connection>,
    in_flight: FuturesUnordered<Answer>,
    /// What is in flight is answered when there is something, which nothing else should have to wait behind.
    watching: bool,
    backoff: Backoff,
}

impl Lane {
    fn may_ask(&self) -> bool {
        self.in_flight.is_empty() || (!self.watching && self.in_flight.len() < PIPELINED)
    }

    async fn send(&mut self, planned: Planned) {
        let open = match &self.connection {
            Some(open) if !open.is_closed() || !self.in_flight.is_empty() => Ok(open.clone()),
            _ => connect(&self.shared, self.broker).await,
        };
        let open = match open {
            Ok(open) => open,
            Err(error) => return self.failed(planned, error).await,
        };
        self.connection = Some(open.clone());
        self.watching = planned.watches;
        let config = self.shared.client.config();
        let timeout = self.shared.config.fetch_wait_max + config.request_timeout;
        self.in_flight.push(Box::pin(async move {
            let result = open.call(&planned.request, timeout).await;
            (planned, result)
        }));
    }

    async fn answered(&mut self, planned: Planned, result: Result<FetchResponse>) {
        let response = match result {
            Ok(response) => response,
            Err(error) => return self.failed(planned, error).await,
        };
        self.backoff.succeed();
        let throttle = Duration::from_millis(response.throttle_ms.max(0).unsigned_abs().into());
        let now = Instant::now();
        let stale = self.shared.plan().answered(planned, response, now);
        // Others may have waited for a partition that this request held.
        self.shared.prefetch.demand().notify_waiters();
        if self.watching {
            // What somebody has waited for is handed out before the broker is asked again, which takes longer.
            yield_now().await;
        }
        if stale {
            refresh(&self.shared).await;
        }
        if self
            .connection
            .as_ref()
            .is_some_and(leaves_throttling_to_us)
        {
            sleep(throttle).await;
        }
    }

    /// Gives the connection up, and waits for what else is in flight: it fails too, or was answered before.
    async fn failed(&mut self, planned: Planned, error: Error) {
        self.connection = None;
        let lasted = planned.since.elapsed();
        self.shared.plan().failed(planned, Instant::now());
        while let Some((planned, result)) = self.in_flight.next().await {
            let (mut plan, now) = (self.shared.plan(), Instant::now());
            match result {
                Ok(response) => drop(plan.answered(planned, response, now)),
                Err(_) => plan.failed(planned, now),
            }
        }
        self.shared.prefetch.demand().notify_waiters();
        let pause = self.backoff.fail_after(lasted);
        tracing::debug!(broker = self.broker, %error, ?pause, "fetching failed, trying again");
        refresh(&self.shared).await;
        sleep(pause).await;
    }
}

async fn connect(shared: &Shared, broker: i32) -> Result<Connection> {
    shared.client.broker(broker)?.connect().await
}

/// Brokers that know Fetch 8 answer at once and expect the client to pause; older ones hold their answer back themselves.
fn leaves_throttling_to_us(connection: &Connection) -> bool {
    connection
        .version(ApiKey::Fetch)
        .is_ok_and(|version| version >= 8)
}

async fn refresh(shared: &Shared) {
    if let Err(error) = shared.client.refresh().await {
        tracing::warn!(%error, "the cluster's metadata cannot be refreshed");
    }
}
