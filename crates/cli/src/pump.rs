//! From a consumer to stdout, until there is a reason to end.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use clap::Args;
use divvy::{Batch, Consumer, Coordination, Error, TopicPartition};
use tokio::time::timeout;

use crate::events::Reporter;
use crate::format::Format;
use crate::output::{Output, Writing};
use crate::signals;

/// How messages are printed, and when to stop.
#[derive(Args, Clone, Debug)]
pub(crate) struct PrintOptions {
    /// What to print for each message: %t topic, %p partition, %o offset, %T timestamp, %k key, %K its length, %s value,
    /// %S its length, %% a percent sign; \n, \t.
    #[arg(short, long, value_name = "FORMAT", default_value = "%s\\n")]
    pub(crate) format: String,

    /// Print one JSON object a line instead.
    #[arg(short, long, conflicts_with = "format")]
    pub(crate) json: bool,

    /// End after this many messages.
    #[arg(long, value_name = "N")]
    pub(crate) max_messages: Option<u64>,

    /// End when every message was printed that is in the topic now.
    #[arg(long)]
    pub(crate) exit_at_end: bool,

    /// Show on stderr how many messages were printed (the default on a terminal when stdout goes elsewhere).
    #[arg(long)]
    pub(crate) progress: bool,
}

impl PrintOptions {
    pub(crate) fn parsed(&self) -> Result<Format> {
        if self.json {
            Ok(Format::Json)
        } else {
            Format::parse(&self.format)
        }
    }
}

/// Where each partition ends, for who reads up to there.
pub(crate) type Until = BTreeMap<TopicPartition, i64>;

/// How long no message may come before the pump looks whether the end is reached.
const IDLE: Duration = Duration::from_millis(200);

/// Starts a consumer, prints its messages, and closes it in order, whatever happened. It must acknowledge explicitly.
pub(crate) async fn run<C: Coordination>(
    mut consumer: Consumer<C>,
    events: Reporter,
    options: &PrintOptions,
    until: Option<Until>,
) -> Result<()> {
    let format = options.parsed()?;
    let reporting = tokio::spawn(events.run(consumer.events()));
    consumer.start().await?;
    let output = Output::start(format)?;
    let ended = print(&mut consumer, &output, options, until).await;
    let closed = consumer.close().await;
    // What it reported last is shown before the program ends.
    let _ = timeout(Duration::from_millis(200), reporting).await;
    ended?;
    Ok(closed?)
}

/// Prints messages until all that was asked for is printed, or the user asked to end, or nobody reads stdout any more.
async fn print<C: Coordination>(
    consumer: &mut Consumer<C>,
    output: &Output,
    options: &PrintOptions,
    until: Option<Until>,
) -> Result<()> {
    let mut pump = Pump {
        left: options.max_messages.unwrap_or(u64::MAX),
        exit_at_end: options.exit_at_end,
        until,
        read: BTreeSet::new(),
        halted: BTreeMap::new(),
        printed: 0,
        progress: Progress::new(options.progress),
    };
    let all = async {
        let ended = pump.pump(consumer, output).await;
        // However slow the reader is: what was asked for is to arrive.
        output.written().await;
        ended
    };
    let ended = tokio::select! {
        ended = all => ended,
        asked = signals::asked_to_end() => asked,
        ended = output.ended() => match ended {
            Writing::Failed(why) => Err(anyhow!("cannot write to stdout: {why}")),
            Writing::Open | Writing::Closed => Ok(()),
        },
    };
    pump.progress.end(pump.printed);
    ended
}

struct Pump {
    left: u64,
    exit_at_end: bool,
    until: Option<Until>,
    /// Partitions that were read to where `until` says.
    read: BTreeSet<TopicPartition>,
    /// Partitions that stand still, and why.
    halted: BTreeMap<TopicPartition, Error>,
    printed: u64,
    progress: Progress,
}

impl Pump {
    async fn pump<C: Coordination>(
        &mut self,
        consumer: &mut Consumer<C>,
        output: &Output,
    ) -> Result<()> {
        loop {
            if self.left == 0 {
                output.written().await;
            }
            let thrown_away = output.take_thrown_away();
            self.left += thrown_away;
            self.printed -= thrown_away;
            if self.left == 0 {
                break;
            }
            let waits = self.exit_at_end || self.until.is_some();
            let idle = if waits { IDLE } else { Duration::MAX };
            match timeout(idle, consumer.next_batch()).await {
                Ok(Ok(batch)) => {
                    let tp = batch.partition().clone();
                    if !self.print(batch, output).await {
                        // What lies beyond is neither printed nor committed.
                        consumer.pause(std::slice::from_ref(&tp))?;
                        self.read.insert(tp);
                    }
                }
                // The others go on; an event has said so.
                Ok(Err(error)) => match error.halted_partition().cloned() {
                    Some(tp) => {
                        self.halted.insert(tp, error);
                    }
                    None => return Err(error.into()),
                },
                Err(_) => {}
            }
            if waits && self.at_end(consumer).await? {
                break;
            }
        }
        // Whoever asked for a certain part must be able to see that it is not all.
        match std::mem::take(&mut self.halted).into_values().next() {
            Some(error) => Err(error.into()),
            None => Ok(()),
        }
    }

    /// Prints a batch. Gives `false` where it reaches beyond what is asked for.
    async fn print(&mut self, mut batch: Batch<'_>, output: &Output) -> bool {
        let until = self.until.as_ref();
        let until = until.and_then(|until| until.get(batch.partition()).copied());
        while self.left > 0
            && let Some(next) = batch.peek_offset()
        {
            if until.is_some_and(|until| next >= until) {
                return false;
            }
            let count = output.write(&mut batch, self.left, until).await;
            self.left -= count;
            self.printed += count;
            self.progress.show(self.printed);
        }
        true
    }

    /// Whether every assigned partition is read to its end.
    async fn at_end<C: Coordination>(&self, consumer: &Consumer<C>) -> Result<bool> {
        // Asked first: what is assigned a moment later is no less.
        if !consumer.is_settled() {
            return Ok(false);
        }
        let tps: Vec<_> = consumer
            .assignments()
            .into_iter()
            .map(|held| held.tp)
            .collect();
        if tps.is_empty() {
            return Ok(false);
        }
        let tps: Vec<_> = tps
            .into_iter()
            .filter(|tp| !self.halted.contains_key(tp) && !self.read.contains(tp))
            .collect();
        let ends = match &self.until {
            Some(until) => until.clone(),
            None => consumer.end_offsets(&tps).await?,
        };
        Ok(tps
            .iter()
            .all(|tp| match (ends.get(tp), consumer.position(tp)) {
                (Some(end), Ok(position)) => position >= *end,
                _ => true,
            }))
    }
}

/// The count on a terminal.
struct Progress {
    shown: bool,
    since: Instant,
    last: Instant,
}

impl Progress {
    fn new(asked: bool) -> Self {
        let now = Instant::now();
        Self {
            shown: asked || (io::stderr().is_terminal() && !io::stdout().is_terminal()),
            since: now,
            last: now,
        }
    }

    fn show(&mut self, printed: u64) {
        if self.shown && self.last.elapsed() >= Duration::from_millis(500) {
            self.last = Instant::now();
            let rate = printed as f64 / self.since.elapsed().as_secs_f64().max(0.001);
            // With a closed stderr there is nobody left to tell.
            let _ = write!(io::stderr(), "\r{printed} messages, {rate:.0}/s ");
        }
    }

    fn end(&mut self, printed: u64) {
        if self.shown {
            let _ = writeln!(
                io::stderr(),
                "\r{printed} messages in {:.1?}",
                self.since.elapsed()
            );
        }
    }
}
