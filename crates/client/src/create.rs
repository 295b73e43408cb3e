use std::time::Duration;

use divvy_protocol::api::{MetadataRequest, MetadataResponse};
use divvy_protocol::{ApiKey, ErrorCode};
use tokio::time::{Instant, sleep};

use crate::backoff::Backoff;
use crate::client::Client;
use crate::error::{Error, Result};

/// How often brokers may say that a topic does not exist before that is believed: some say so while they create it.
const DENIALS: u32 = 3;

impl Client {
    /// Like [`Client::use_topics`] for one topic, but asks a broker for it by name, so that it is created where it does not exist
    /// and brokers create topics that they are asked for (`auto.create.topics.enable`). Waits until all its partitions have a
    /// leader, or for as long as `within`.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownTopic`] where brokers do not create it, [`Error::Broker`] where they refuse the name or have not created it
    /// in time, or why nobody could be asked.
    pub async fn create_topic_by_asking(&self, topic: &str, within: Duration) -> Result<()> {
        let deadline = Instant::now() + within;
        let mut backoff = Backoff::new(self.config().backoff, self.config().backoff_max);
        let mut denials = 0;
        loop {
            let (broker, response) = self.ask_by_name(topic).await?;
            let code = outcome(&response, topic);
            match code {
                ErrorCode::NONE => return self.use_topics([topic]).await,
                ErrorCode::UNKNOWN_TOPIC_OR_PARTITION => denials += 1,
                _ => {}
            }
            if denials >= DENIALS {
                return Err(Error::UnknownTopic {
                    topic: topic.to_owned(),
                });
            }
            let passes = code.is_retriable() || code == ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
            if !passes || Instant::now() >= deadline {
                return Err(Error::Broker {
                    broker,
                    request: ApiKey::Metadata.name(),
                    subject: topic.to_owned(),
                    code,
                });
            }
            sleep(backoff.fail()).await;
        }
    }

    /// Asks one of the brokers, which may create the topic.
    async fn ask_by_name(&self, topic: &str) -> Result<(String, MetadataResponse)> {
        let request = MetadataRequest {
            topics: Some(vec![topic.to_owned()]),
            allow_auto_topic_creation: true,
        };
        let mut last = None;
        // Where there is no topic yet, brokers of 0.8.2 do not name any broker, not even themselves.
        let seeds = self.seeds().await.unwrap_or_default();
        for broker in self.brokers().into_iter().chain(seeds) {
            match broker.call(&request).await {
                Ok(response) => return Ok((broker.address().to_string(), response)),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| Error::NoBroker {
            tried: "nobody, because no broker is known".to_owned(),
        }))
    }
}

/// What keeps a topic from being used, by a broker's answer.
fn outcome(response: &MetadataResponse, topic: &str) -> ErrorCode {
    let Some(topic) = response.topics.iter().find(|known| known.name == topic) else {
        return ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
    };
    let leads = |leader: i32| leader >= 0;
    let is_led = topic.partitions.iter().all(|one| leads(one.leader));
    match topic.error {
        ErrorCode::NONE if topic.partitions.is_empty() || !is_led => {
            ErrorCode::LEADER_NOT_AVAILABLE
        }
        code => code,
    }
}
