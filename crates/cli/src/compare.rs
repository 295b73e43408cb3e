//! `divvy tail --compare-backends`: the same messages through the native backend and through librdkafka.

use std::fmt;
use std::io::{self, Write as _};
use std::time::Duration;

use anyhow::{Result, bail};
use divvy::{
    Client, Error, FetchError, Message, SeekTo, SimpleConsumer, SimpleConsumerConfig,
    TopicPartition,
};
/// How long no message may come before it is looked whether the end is reached.
const IDLE: Duration = Duration::from_millis(100);

/// How often that may be in vain: a backend that gives nothing for so long is stuck.
const LOOKS: usize = 300;

/// How much of a key or a value is shown.
const SHOWN: usize = 40;

/// A part of a partition.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) tp: TopicPartition,
    pub(crate) from: i64,
    /// The offset behind it.
    pub(crate) to: i64,
}

/// Reads parts of partitions through both backends, one after the other, and says of each on stdout that they are equal. The
/// first difference is an error.
pub(crate) async fn run(
    client: &Client,
    config: &SimpleConsumerConfig,
    parts: &[Part],
) -> Result<()> {
    for part in parts {
        let mut native = Reader::start(client, config, part, false).await?;
        let mut rdkafka = Reader::start(client, config, part, true).await?;
        let compared = compare(&mut native, &mut rdkafka, part).await;
        native.consumer.close().await?;
        rdkafka.consumer.close().await?;
        let Part { tp, from, to } = part;
        let Same { messages, damaged } = compared?;
        let damage = match damaged {
            0 => String::new(),
            damaged => format!(", {damaged} that cannot be read"),
        };
        writeln!(
            io::stdout(),
            "{tp}: {messages} messages from offset {from} to {to} are the same{damage}"
        )?;
    }
    Ok(())
}

/// What was found to be the same.
#[derive(Debug, Default)]
struct Same {
    messages: u64,
    damaged: u64,
}

async fn compare(native: &mut Reader, rdkafka: &mut Reader, part: &Part) -> Result<Same> {
    let mut same = Same::default();
    loop {
        let before = native.position();
        let (ours, theirs) = (native.next(part.to).await?, rdkafka.next(part.to).await?);
        if let Some(difference) = difference(&ours, &theirs) {
            bail!("the backends differ at {}, {difference}", part.tp);
        }
        match (ours, theirs) {
            (Step::Message(_), _) => same.messages += 1,
            (Step::Damage { offset, skip_to }, Step::Damage { skip_to: other, .. }) => {
                same.damaged += 1;
                let behind = skip_to.max(other).max(before + 1).max(offset + 1);
                native.seek(behind).await?;
                rdkafka.seek(behind).await?;
            }
            _ => return Ok(same),
        }
    }
}

/// One consumer of one partition.
struct Reader {
    consumer: SimpleConsumer,
    tp: TopicPartition,
    name: &'static str,
}

/// What a backend gave.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Message(Seen),
    /// Something that cannot be read.
    Damage {
        offset: i64,
        /// Where to go on.
        skip_to: i64,
    },
    /// The partition stands still for another reason.
    Failed(String),
    End,
}

/// What is compared of a message.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    offset: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    timestamp: Option<i64>,
}

impl Seen {
    fn of(message: &Message<'_>) -> Self {
        Self {
            offset: message.offset(),
            key: message.key().map(<[u8]>::to_vec),
            value: message.value().map(<[u8]>::to_vec),
            timestamp: message.timestamp(),
        }
    }
}

impl Reader {
    async fn start(
        client: &Client,
        config: &SimpleConsumerConfig,
        part: &Part,
        use_rdkafka: bool,
    ) -> Result<Self> {
        let tp = part.tp.clone();
        let mut config = SimpleConsumerConfig {
            topics: vec![tp.topic.to_string()],
            partitions: Some(vec![tp.partition]),
            start_offsets: [(tp.clone(), part.from)].into(),
            ..config.clone()
        };
        config.consumer.use_rdkafka = use_rdkafka;
        if !use_rdkafka {
            config.consumer.rdkafka_properties.clear();
        }
        let mut consumer = SimpleConsumer::new(client, config)?;
        consumer.start().await?;
        let name = if use_rdkafka { "librdkafka" } else { "native" };
        Ok(Self { consumer, tp, name })
    }

    fn position(&self) -> i64 {
        self.consumer.position(&self.tp).unwrap_or(0)
    }

    async fn seek(&mut self, offset: i64) -> Result<()> {
        Ok(self.consumer.seek(&self.tp, SeekTo::Offset(offset)).await?)
    }

    /// The next message below `to`, or what comes instead.
    async fn next(&mut self, to: i64) -> Result<Step> {
        for _ in 0..LOOKS {
            let given = match self.consumer.recv_timeout(IDLE).await {
                Ok(given) => given.map(|message| Seen::of(&message)),
                Err(Error::Fetch(FetchError::Corrupt {
                    offset, skip_to, ..
                })) => return Ok(Step::Damage { offset, skip_to }),
                Err(error) if error.halted_partition().is_some() => {
                    return Ok(Step::Failed(error.to_string()));
                }
                Err(error) => return Err(error.into()),
            };
            match given {
                Some(seen) if seen.offset < to => return Ok(Step::Message(seen)),
                None if self.position() < to => {}
                _ => return Ok(Step::End),
            }
        }
        bail!(
            "{}: {} gives nothing at offset {}, and the log goes on to {to}",
            self.tp,
            self.name,
            self.position()
        )
    }
}

/// What differs, if anything does.
fn difference(native: &Step, rdkafka: &Step) -> Option<String> {
    let field = match (native, rdkafka) {
        (Step::Message(ours), Step::Message(theirs)) => {
            let at = ours.offset;
            if ours.offset != theirs.offset {
                "offset".to_owned()
            } else if ours.key != theirs.key {
                format!("key of offset {at}")
            } else if ours.value != theirs.value {
                format!("value of offset {at}")
            } else if ours.timestamp != theirs.timestamp {
                format!("timestamp of offset {at}")
            } else {
                return None;
            }
        }
        (Step::Damage { offset: ours, .. }, Step::Damage { offset: theirs, .. })
            if ours == theirs =>
        {
            return None;
        }
        (Step::Failed(ours), Step::Failed(theirs)) if ours == theirs => return None,
        (Step::End, Step::End) => return None,
        _ => "what comes next".to_owned(),
    };
    Some(format!(
        "{field}: native has {native}, librdkafka {rdkafka}"
    ))
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Message(seen) => {
                write!(f, "offset {}", seen.offset)?;
                match seen.timestamp {
                    None => write!(f, ", no timestamp")?,
                    Some(timestamp) => write!(f, ", timestamp {timestamp}")?,
                }
                write!(
                    f,
                    ", key {}, value {}",
                    Shown(seen.key.as_deref()),
                    Shown(seen.value.as_deref())
                )
            }
            Self::Damage { offset, .. } => write!(f, "damage at offset {offset}"),
            Self::Failed(why) => f.write_str(why),
            Self::End => f.write_str("the end"),
        }
    }
}

/// Some bytes, the first of them as text.
struct Shown<'a>(Option<&'a [u8]>);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(bytes) = self.0 else {
            return f.write_str("null");
        };
        let first = bytes.get(..SHOWN).unwrap_or(bytes);
        write!(f, "\"{}", first.escape_ascii())?;
        match bytes.len() {
            ..=SHOWN => f.write_str("\""),
            len => write!(f, "\"… ({len} bytes)"),
        }
    }
}

#[cfg(test)]
mod tests;
