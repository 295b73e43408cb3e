use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};
use zookeeper_client::{Client, Error as ClientError};

use super::Session;
use super::link::End;
use crate::error::{Error, Result};
use crate::paths;

/// How long a lost read waits before it is repeated. It bounds the repetitions between the moment at which a connection is lost
/// and the moment at which the supervisor has noticed.
const REPEAT_PAUSE: Duration = Duration::from_millis(10);

/// One operation of a user: what an error says about it, and until when it may take, over all the requests that it needs.
#[derive(Clone, Copy)]
pub(super) struct Operation<'a> {
    pub(super) name: &'static str,
    pub(super) path: &'a str,
    deadline: Instant,
}

/// Whether a request that was lost with its connection is sent again.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum OnLoss {
    Repeat,
    Fail,
}

/// What a server says about the node in place of a result; operations turn it into an outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    NoNode,
    NodeExists,
    BadVersion,
    NotEmpty,
    NoChildrenForEphemerals,
}

enum Failure {
    Refused(Refusal),
    Lost,
    Error(Error),
}

impl<'a> Operation<'a> {
    /// The same operation's request for another node.
    pub(super) fn at<'b>(&self, path: &'b str) -> Operation<'b> {
        Operation {
            name: self.name,
            path,
            deadline: self.deadline,
        }
    }

    pub(super) fn unexpected(&self, why: impl Into<String>) -> Error {
        Error::Unexpected {
            operation: self.name,
            path: self.path.to_owned(),
            why: why.into(),
        }
    }

    pub(super) fn refused(&self, refusal: Refusal) -> Error {
        self.unexpected(format!("{refusal:?}"))
    }

    /// The error for what a server said, where that is no refusal.
    pub(super) fn error(&self, error: ClientError) -> Error {
        match self.classify(error) {
            Failure::Refused(refusal) => self.refused(refusal),
            Failure::Lost => self.lost(),
            Failure::Error(error) => error,
        }
    }

    fn lost(&self) -> Error {
        Error::ConnectionLoss {
            operation: self.name,
            path: self.path.to_owned(),
        }
    }

    fn classify(&self, error: ClientError) -> Failure {
        let path = || self.path.to_owned();
        match error {
            ClientError::NoNode => Failure::Refused(Refusal::NoNode),
            ClientError::NodeExists => Failure::Refused(Refusal::NodeExists),
            ClientError::BadVersion => Failure::Refused(Refusal::BadVersion),
            ClientError::NotEmpty => Failure::Refused(Refusal::NotEmpty),
            ClientError::NoChildrenForEphemerals => {
                Failure::Refused(Refusal::NoChildrenForEphemerals)
            }
            // The crate beneath also says `SessionExpired` by its own clock, and `ClientClosed` of a client that the supervisor
            // is replacing: whether the session is over is the supervisor's to say.
            ClientError::ConnectionLoss
            | ClientError::SessionExpired
            | ClientError::SessionMoved
            | ClientError::ClientClosed => Failure::Lost,
            ClientError::NoAuth => Failure::Error(Error::NoAuth {
                operation: self.name,
                path: path(),
            }),
            ClientError::InvalidAcl => Failure::Error(Error::InvalidAcl { path: path() }),
            ClientError::BadArguments(why) => Failure::Error(Error::InvalidPath {
                path: path(),
                why: (*why).to_owned(),
            }),
            other => Failure::Error(self.unexpected(other.to_string())),
        }
    }
}

impl Session {
    /// Starts an operation's deadline and checks its path.
    pub(super) fn operation<'a>(&self, name: &'static str, path: &'a str) -> Result<Operation<'a>> {
        paths::validate(path).map_err(|why| Error::InvalidPath {
            path: path.to_owned(),
            why: why.to_owned(),
        })?;
        Ok(Operation {
            name,
            path,
            deadline: Instant::now() + self.inner.request_timeout,
        })
    }

    /// Sends a request as soon as there is a connection. Every request of every operation goes through here.
    pub(super) async fn call<T, F, R>(
        &self,
        operation: &Operation<'_>,
        on_loss: OnLoss,
        request: F,
    ) -> Result<Result<T, Refusal>>
    where
        F: Fn(Arc<Client>) -> R,
        R: Future<Output = Result<T, ClientError>>,
    {
        let shared = &self.inner.shared;
        let attempts = async {
            loop {
                let client = shared.client().await.map_err(|end| self.ended(end))?;
                let answer = tokio::select! {
                    biased;
                    answer = request(client) => answer,
                    end = shared.over() => return Err(self.ended(end)),
                };
                let failure = match answer {
                    Ok(value) => return Ok(Ok(value)),
                    Err(error) => operation.classify(error),
                };
                match failure {
                    Failure::Refused(refusal) => return Ok(Err(refusal)),
                    Failure::Error(error) => return Err(error),
                    Failure::Lost if on_loss == OnLoss::Fail => return Err(operation.lost()),
                    Failure::Lost => sleep(REPEAT_PAUSE).await,
                }
            }
        };
        match timeout_at(operation.deadline, attempts).await {
            Ok(answer) => answer,
            Err(_) => Err(Error::Timeout {
                operation: operation.name,
                path: operation.path.to_owned(),
                after: self.inner.request_timeout,
            }),
        }
    }

    fn ended(&self, end: End) -> Error {
        let session = self.id();
        match end {
            End::Expired => Error::SessionExpired { session },
            End::Closed | End::Unconfirmed => Error::SessionClosed { session },
        }
    }
}
