use std::fmt;

use async_trait::async_trait;

use super::message::SpoutMessage;

/// Where messages go that have failed too often: a topic, a file, a table.
///
/// Each call runs in the background, and messages go on meanwhile; how many run at once is bounded by
/// [`SpoutConfig::max_in_flight`](super::SpoutConfig::max_in_flight), because until it has returned the message counts as in flight.
#[async_trait]
pub trait DeadLetters: Send + Sync {
    /// Takes a message. Only when this has returned `Ok` it counts as finished, so a message may be taken twice: by a member that
    /// dies right after, and by its successor.
    ///
    /// # Errors
    ///
    /// Any: it is reported as an event, and the message is given again after a pause, for as long as its partition is this
    /// consumer's.
    async fn bury(
        &self,
        letter: &DeadLetter,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>>;
}

/// A message that has failed too often.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DeadLetter {
    /// The message. Its [`attempt`](SpoutMessage::attempt) is the last one.
    pub message: SpoutMessage,
}

impl fmt::Display for DeadLetter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SpoutMessage {
            tp,
            offset,
            attempt,
            ..
        } = &self.message;
        write!(f, "offset {offset} of {tp} (failed {attempt} times)")
    }
}
