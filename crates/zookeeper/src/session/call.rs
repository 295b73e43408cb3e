use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use super::Session;
use super::link::{Answer, Command, End};
use super::operations::MAX_DATA;
use crate::error::{Error, Result};
use crate::paths;
use crate::wire::{ErrorCode, Request, Response};

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

impl Refusal {
    pub(super) fn of(code: ErrorCode) -> Option<Self> {
        Some(match code {
            ErrorCode::NoNode => Self::NoNode,
            ErrorCode::NodeExists => Self::NodeExists,
            ErrorCode::BadVersion => Self::BadVersion,
            ErrorCode::NotEmpty => Self::NotEmpty,
            ErrorCode::NoChildrenForEphemerals => Self::NoChildrenForEphemerals,
            _ => return None,
        })
    }
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

    /// The error for an answer to another request than was asked.
    pub(super) fn mistaken(&self) -> Error {
        self.unexpected("the answer to another kind of request")
    }

    pub(super) fn refused(&self, refusal: Refusal) -> Error {
        self.unexpected(format!("{refusal:?}"))
    }

    /// The error for what a server said, where that is no refusal.
    pub(super) fn error(&self, code: ErrorCode) -> Error {
        let path = self.path.to_owned();
        match code {
            ErrorCode::NoAuth => Error::NoAuth {
                operation: self.name,
                path,
            },
            ErrorCode::InvalidAcl => Error::InvalidAcl { path },
            ErrorCode::BadArguments => Error::InvalidPath {
                path,
                why: "is refused by the server".to_owned(),
            },
            other => self.unexpected(other.to_string()),
        }
    }

    fn lost(&self) -> Error {
        Error::ConnectionLoss {
            operation: self.name,
            path: self.path.to_owned(),
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
        if path.len() > MAX_DATA {
            return Err(Error::TooLarge {
                path: path.chars().take(64).chain("…".chars()).collect(),
                why: format!("a path of {} bytes", path.len()),
            });
        }
        Ok(Operation {
            name,
            path,
            deadline: Instant::now() + self.config().request_timeout,
        })
    }

    /// Sends a request as soon as there is a connection. Every request of every operation goes through here.
    pub(super) async fn call(
        &self,
        operation: &Operation<'_>,
        on_loss: OnLoss,
        request: Request,
    ) -> Result<Result<Response, Refusal>> {
        let attempts = async {
            loop {
                match self.attempt(request.clone()).await? {
                    Some(Ok(response)) => return Ok(Ok(response)),
                    Some(Err(code)) => match Refusal::of(code) {
                        Some(refusal) => return Ok(Err(refusal)),
                        None => return Err(operation.error(code)),
                    },
                    None if on_loss == OnLoss::Fail => return Err(operation.lost()),
                    None => {}
                }
            }
        };
        match timeout_at(operation.deadline, attempts).await {
            Ok(answer) => answer,
            Err(_) => Err(Error::Timeout {
                operation: operation.name,
                path: operation.path.to_owned(),
                after: self.config().request_timeout,
            }),
        }
    }

    /// The answer; none where the connection was lost before it came.
    async fn attempt(&self, request: Request) -> Result<Option<Answer>> {
        let shared = &self.inner.shared;
        let outbox = shared.outbox().await.map_err(|end| self.ended(end))?;
        let asked = async {
            let (answer, answered) = oneshot::channel();
            let command = Command { request, answer };
            outbox.send(command).await.ok()?;
            answered.await.ok()
        };
        tokio::select! {
            biased;
            answer = asked => match (answer, shared.how_over()) {
                (None, Some(end)) => Err(self.ended(end)),
                (answer, _) => Ok(answer),
            },
            end = shared.over() => Err(self.ended(end)),
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
