use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use anyhow::{Result, anyhow};
use clap::Args;
use divvy::{
    AckMode, Client, OffsetReset, OffsetSpec, SimpleConsumer, SimpleConsumerConfig, TopicPartition,
};

use crate::compare::{self, Part};
use crate::errors::usage;
use crate::events::{EventFormat, Reporter};
use crate::metrics::MetricsOptions;
use crate::options::{ClusterOptions, ReadOptions, no_rdkafka};
use crate::pump::{self, PrintOptions, Until};

/// Cluster look-ups need a session, but nothing hangs on its timeout.
const SESSION_TIMEOUT: Duration = Duration::from_secs(6);

/// Print the messages of every partition of a topic, whoever else reads them.
///
/// Prints from the beginning and goes on with what is written, unless told otherwise. With --group offsets are stored, and the
/// next run resumes there.
#[derive(Args)]
pub(crate) struct Tail {
    #[command(flatten)]
    cluster: ClusterOptions,

    /// The topic to read; may be given several times.
    #[arg(short, long = "topic", value_name = "TOPIC", required = true)]
    topics: Vec<String>,

    /// Read these partitions only.
    #[arg(short, long = "partition", value_name = "N", value_delimiter = ',', value_parser = clap::value_parser!(i32).range(0..))]
    partitions: Vec<i32>,

    /// The group under whose name offsets are stored. It is not joined: every partition is read.
    #[arg(short, long)]
    group: Option<String>,

    /// Begin with the last N messages, in all: an even share of each partition's last ones.
    #[arg(short = 'n', value_name = "N", conflicts_with = "from")]
    last: Option<u64>,

    /// Where to begin: earliest, latest, an offset, or a time like 2026-11-20T08:00:00Z, "2026-11-20 08:00:00" (UTC), @1433000000000
    /// (milliseconds since 1970) or -2h (before now). With --group it only counts where no offset is stored. [default: earliest]
    #[arg(long, value_name = "WHERE", allow_hyphen_values = true)]
    from: Option<String>,

    /// End before this offset or time, of each partition; "latest" for the end of the log as it is now.
    #[arg(long, value_name = "WHERE", allow_hyphen_values = true)]
    to: Option<String>,

    /// Read what is there through the native backend and through librdkafka, and print nothing of it, but whether both have given
    /// the same. Ends with the first difference, which it shows, and exit code 1.
    #[arg(long, conflicts_with_all = ["use_rdkafka", "group"])]
    compare_backends: bool,

    /// How events are shown on stderr.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    events: EventFormat,

    #[command(flatten)]
    metrics: MetricsOptions,

    #[command(flatten)]
    read: ReadOptions,

    #[command(flatten)]
    print: PrintOptions,
}

/// A place in a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Offset(i64),
    Look(OffsetSpec),
}

pub(crate) async fn run(args: Tail) -> Result<()> {
    args.print.parsed()?;
    let from = args
        .from
        .as_deref()
        .map(|text| place("--from", text))
        .transpose()?;
    let to = args
        .to
        .as_deref()
        .map(|text| place("--to", text))
        .transpose()?;
    let looks_up = !matches!(
        from,
        None | Some(Place::Look(OffsetSpec::Earliest | OffsetSpec::Latest))
    );
    if args.group.is_some() && looks_up {
        return Err(usage(
            "--from takes earliest or latest beside --group: the group's stored offsets say where to begin",
        ));
    }
    let mut config = SimpleConsumerConfig::new(args.topics.clone());
    config.partitions = (!args.partitions.is_empty()).then(|| args.partitions.clone());
    let reset = match from {
        Some(Place::Look(OffsetSpec::Latest)) => OffsetReset::Latest,
        _ => OffsetReset::Earliest,
    };
    config.consumer = args.read.consumer(args.group.as_deref(), reset)?;
    config.consumer.ack_mode = AckMode::Explicit;
    config.consumer.drain_timeout = Duration::from_secs(1);
    config.validate()?;
    if args.compare_backends && cfg!(not(feature = "rdkafka")) {
        return Err(no_rdkafka("--compare-backends"));
    }

    args.metrics.start().await?;
    let client = args.cluster.connect(SESSION_TIMEOUT).await?;
    client.use_topics(&args.topics).await?;
    let tps = partitions(&client, &args)?;
    config.start_offsets = starts(&client, &args, &tps, from).await?;
    if args.compare_backends {
        let to = to.unwrap_or(Place::Look(OffsetSpec::Latest));
        let parts = parts(&client, &config.start_offsets, &tps, from, to).await?;
        return compare::run(&client, &config, &parts).await;
    }
    let until = match to {
        Some(place) => Some(look_up(&client, &tps, place).await?),
        None => None,
    };
    let consumer = SimpleConsumer::new(&client, config)?;
    let reporter = Reporter {
        format: args.events,
        group: args.group.clone(),
        member: consumer.consumer_id().to_owned(),
    };
    pump::run(consumer, reporter, &args.print, until).await
}

/// What is compared of each partition.
async fn parts(
    client: &Client,
    starts: &Until,
    tps: &[TopicPartition],
    from: Option<Place>,
    to: Place,
) -> Result<Vec<Part>> {
    let usual = from.unwrap_or(Place::Look(OffsetSpec::Earliest));
    let usual = look_up(client, tps, usual).await?;
    let ends = look_up(client, tps, to).await?;
    let part = |tp: &TopicPartition| {
        let from = *starts.get(tp).or(usual.get(tp))?;
        let (tp, to) = (tp.clone(), *ends.get(tp)?);
        Some(Part { tp, from, to })
    };
    Ok(tps.iter().filter_map(part).collect())
}

fn partitions(client: &Client, args: &Tail) -> Result<Vec<TopicPartition>> {
    let metadata = client.metadata();
    let mut tps = Vec::new();
    for topic in &args.topics {
        for partition in metadata.partitions(topic).unwrap_or_default() {
            if args.partitions.is_empty() || args.partitions.contains(&partition) {
                tps.push(TopicPartition::new(topic.as_str(), partition));
            }
        }
    }
    Ok(tps)
}

/// Where partitions begin, for those that do not simply resume or follow the policy.
async fn starts(
    client: &Client,
    args: &Tail,
    tps: &[TopicPartition],
    from: Option<Place>,
) -> Result<BTreeMap<TopicPartition, i64>> {
    if let Some(last) = args.last {
        return last_messages(client, tps, last).await;
    }
    match from {
        Some(place @ (Place::Offset(_) | Place::Look(OffsetSpec::Time(_)))) => {
            look_up(client, tps, place).await
        }
        _ => Ok(BTreeMap::new()),
    }
}

pub(crate) async fn look_up(
    client: &Client,
    tps: &[TopicPartition],
    place: Place,
) -> Result<Until> {
    let spec = match place {
        Place::Offset(offset) => {
            return Ok(tps.iter().map(|tp| (tp.clone(), offset)).collect());
        }
        Place::Look(spec) => spec,
    };
    let mut found = offsets(client, tps, spec).await?;
    let later: Vec<_> = tps
        .iter()
        .filter(|tp| !found.contains_key(*tp))
        .cloned()
        .collect();
    // Nothing is that young: that place is the end.
    found.extend(offsets(client, &later, OffsetSpec::Latest).await?);
    Ok(found)
}

async fn offsets(
    client: &Client,
    tps: &[TopicPartition],
    spec: OffsetSpec,
) -> Result<BTreeMap<TopicPartition, i64>> {
    let wanted = tps.iter().map(|tp| (tp.clone(), spec)).collect();
    let mut offsets = BTreeMap::new();
    for (tp, found) in client.list_offsets(&wanted).await {
        if let Some(offset) = found? {
            offsets.insert(tp, offset);
        }
    }
    Ok(offsets)
}

/// Begins so that `count` messages follow in all, as many of each partition as of every other, or all that it has.
async fn last_messages(
    client: &Client,
    tps: &[TopicPartition],
    count: u64,
) -> Result<BTreeMap<TopicPartition, i64>> {
    let first = offsets(client, tps, OffsetSpec::Earliest).await?;
    let ends = offsets(client, tps, OffsetSpec::Latest).await?;
    let mut sizes: Vec<(u64, TopicPartition)> = ends
        .iter()
        .map(|(tp, end)| {
            let first = first.get(tp).copied().unwrap_or(0);
            (u64::try_from(end - first).unwrap_or(0), tp.clone())
        })
        .collect();
    sizes.sort();
    let mut left = count;
    let mut starts = BTreeMap::new();
    let mut partitions = u64::try_from(sizes.len())?;
    for (size, tp) in sizes {
        let share = size.min(left.div_ceil(partitions.max(1)));
        left -= share.min(left);
        partitions -= 1;
        let end = ends.get(&tp).copied().unwrap_or(0);
        starts.insert(tp, end - i64::try_from(share)?);
    }
    Ok(starts)
}

pub(crate) fn place(option: &str, text: &str) -> Result<Place> {
    let look = |spec| Ok(Place::Look(spec));
    match text {
        "earliest" | "beginning" => return look(OffsetSpec::Earliest),
        "latest" | "end" => return look(OffsetSpec::Latest),
        _ => {}
    }
    if let Ok(offset) = text.parse::<i64>()
        && offset >= 0
    {
        return Ok(Place::Offset(offset));
    }
    if let Some(millis) = text.strip_prefix('@').and_then(|text| text.parse().ok()) {
        return look(OffsetSpec::Time(millis));
    }
    if let Some(ago) = text
        .strip_prefix('-')
        .and_then(|text| humantime::parse_duration(text).ok())
    {
        return look(OffsetSpec::Time(millis(SystemTime::now() - ago)?));
    }
    match humantime::parse_rfc3339_weak(text) {
        Ok(time) => look(OffsetSpec::Time(millis(time)?)),
        Err(_) => Err(usage(format!(
            "{option}: `{text}` is no place in a topic; write earliest, latest, an offset, a time like 2026-11-20T08:00:00Z, @MILLISECONDS or -2h"
        ))),
    }
}

fn millis(time: SystemTime) -> Result<i64> {
    let since = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_err(|_| anyhow!("the time lies before 1970"))?;
    Ok(i64::try_from(since.as_millis())?)
}
