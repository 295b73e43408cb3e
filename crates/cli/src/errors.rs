use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

use divvy::ClientError;
use divvy::zookeeper::Error as ZooKeeperError;

/// What the caller typed cannot be meant so; exits with 2.
#[derive(Debug)]
pub(crate) struct Usage(pub(crate) String);

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// Makes a usage error.
pub(crate) fn usage(why: impl Into<String>) -> anyhow::Error {
    Usage(why.into()).into()
}

/// Prints one clear message and gives the exit code.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    let mut text = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        // Many errors repeat the words of the one below them.
        if text.contains(&cause) {
            continue;
        }
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&cause);
    }
    // With a closed stderr there is nobody left to tell.
    let _ = writeln!(io::stderr(), "divvy: {text}");
    if is_usage(error) {
        ExitCode::from(2)
    } else {
        ExitCode::FAILURE
    }
}

fn is_usage(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let zookeeper = cause.downcast_ref::<ZooKeeperError>();
        let client = cause.downcast_ref::<ClientError>();
        let consumer = cause.downcast_ref::<divvy::Error>();
        let client = client.or(match consumer {
            Some(divvy::Error::Client(error)) => Some(error),
            _ => None,
        });
        cause.is::<Usage>()
            || zookeeper.is_some_and(is_config)
            || client.is_some_and(|error| match error {
                ClientError::ZooKeeper(error) => is_config(error),
                error => matches!(error, ClientError::Config { .. }),
            })
    })
}

fn is_config(error: &ZooKeeperError) -> bool {
    matches!(error, ZooKeeperError::Config { .. })
}
