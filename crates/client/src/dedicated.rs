use std::time::Duration;

use divvy_protocol::ApiKey;
use divvy_protocol::api::Request;

use crate::broker::Broker;
use crate::connection::Connection;
use crate::error::Result;

/// A connection to a broker beside its control connection.
///
/// A broker answers the requests of one connection in order, one at a time. Whoever sends requests that are slow to answer (a
/// Produce that waits for all replicas) sends them over a connection of his own, so that metadata need not wait behind them.
///
/// It is never made again: when it has [ended](DedicatedConnection::is_closed), ask the broker for another one. Cheap to clone;
/// it is closed when the last clone is dropped.
#[derive(Clone, Debug)]
pub struct DedicatedConnection {
    connection: Connection,
}

impl Broker {
    /// Opens a connection and negotiates its versions.
    ///
    /// # Errors
    ///
    /// Why the broker could not be reached; the caller decides how soon to try again.
    pub async fn dedicated_connection(&self) -> Result<DedicatedConnection> {
        let connection = self.connect().await?;
        Ok(DedicatedConnection { connection })
    }
}

impl DedicatedConnection {
    /// Whether it has ended, so that a new one is needed.
    pub fn is_closed(&self) -> bool {
        self.connection.is_closed()
    }

    /// The version in which to send a request: it holds for as long as the connection does.
    pub fn version(&self, api: ApiKey) -> Result<i16> {
        self.connection.version(api)
    }

    /// Sends a request in the negotiated version and waits for its answer: `None`, once it is written, for a request that has
    /// none.
    ///
    /// # Errors
    ///
    /// The connection has ended where [`Error::is_disconnect`](crate::Error::is_disconnect) says so. The broker may have carried
    /// out the request all the same.
    pub async fn call<R: Request>(
        &self,
        request: &R,
        within: Duration,
    ) -> Result<Option<R::Response>> {
        let version = self.version(R::API)?;
        if request.expects_response() {
            let answer = self.connection.call_version(request, version, within);
            return answer.await.map(Some);
        }
        self.connection.exchange(request, version, within).await?;
        Ok(None)
    }
}
