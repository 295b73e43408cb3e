//! One fetch connection to one broker.

use std::sync::Arc;
use std::time::Duration;

use divvy_protocol::ApiKey;
use divvy_protocol::api::FetchResponse;
use tokio::time::{Instant, sleep, sleep_until};

use super::Shared;
use super::plan::{Next, Planned};
use crate::backoff::Backoff;
use crate::connection::Connection;
use crate::error::Result;

/// Fetches from a broker whatever it leads and the other lanes to it do not fetch already.
pub(super) async fn run(shared: Arc<Shared>, broker: i32) {
    let config = shared.client.config();
    let mut backoff = Backoff::new(config.backoff, config.backoff_max);
    let mut connection = None;
    loop {
        let planned = next(&shared, broker).await;
        match fetch(&shared, broker, &planned, &mut connection).await {
            Ok(response) => {
                backoff.succeed();
                let throttle =
                    Duration::from_millis(response.throttle_ms.max(0).unsigned_abs().into());
                let stale = shared.plan().answered(planned, response, Instant::now());
                // Others may have waited for a partition that this request held.
                shared.prefetch.demand().notify_waiters();
                if stale {
                    refresh(&shared).await;
                }
                if connection.as_ref().is_some_and(leaves_throttling_to_us) {
                    sleep(throttle).await;
                }
            }
            Err(error) => {
                connection = None;
                shared.plan().failed(planned, Instant::now());
                shared.prefetch.demand().notify_waiters();
                let pause = backoff.fail();
                tracing::debug!(broker, %error, ?pause, "fetching failed, trying again");
                refresh(&shared).await;
                sleep(pause).await;
            }
        }
    }
}

/// Waits until there is something to fetch.
async fn next(shared: &Shared, broker: i32) -> Planned {
    let mut metadata = shared.client.subscribe();
    loop {
        let demand = shared.prefetch.demand().notified();
        tokio::pin!(demand);
        demand.as_mut().enable();
        let known = metadata.borrow_and_update().clone();
        let next = shared.plan().next(broker, &known, Instant::now());
        let retry_at = match next {
            Next::Fetch(planned) => return planned,
            Next::Wait(retry_at) => retry_at,
        };
        let retry = async {
            match retry_at {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = demand => {}
            () = retry => {}
            Ok(()) = metadata.changed() => {}
        }
    }
}

async fn fetch(
    shared: &Shared,
    broker: i32,
    planned: &Planned,
    connection: &mut Option<Connection>,
) -> Result<FetchResponse> {
    let open = match connection.take() {
        Some(open) if !open.is_closed() => open,
        _ => shared.client.broker(broker)?.connect().await?,
    };
    let timeout = shared.config.fetch_wait_max + shared.client.config().request_timeout;
    let response = open.call(&planned.request, timeout).await?;
    *connection = Some(open);
    Ok(response)
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
