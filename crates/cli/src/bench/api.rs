//! The ways in which an application receives messages, each as it would do it.

use std::num::NonZeroUsize;
use std::time::Duration;

use anyhow::{Context as _, Result};
use divvy::{Consumer, Coordination};
use futures_util::StreamExt as _;

use super::measure::Tally;

/// How messages are received.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Api {
    /// Batches that borrow from the fetch buffer.
    Batch,
    /// One message at a time.
    Recv,
    /// A stream of owned messages, each acknowledged.
    Stream,
    /// Up to so many at a time.
    GetMany(NonZeroUsize),
}

/// Reads until `messages` have passed.
pub(crate) async fn read<C: Coordination>(
    consumer: &mut Consumer<C>,
    api: Api,
    messages: u64,
    tally: &Tally,
) -> Result<()> {
    match api {
        Api::Batch => read_batches(consumer, messages, tally).await,
        Api::Recv => read_one_by_one(consumer, messages, tally).await,
        Api::Stream => read_stream(consumer, messages, tally).await,
        Api::GetMany(most) => read_many(consumer, most, messages, tally).await,
    }
}

async fn read_batches<C: Coordination>(
    consumer: &mut Consumer<C>,
    messages: u64,
    tally: &Tally,
) -> Result<()> {
    while tally.messages() < messages {
        let left = usize::try_from(messages - tally.messages()).unwrap_or(usize::MAX);
        let mut batch = consumer.next_batch().await?;
        for record in batch.records().take(left) {
            tally.add(record.key, record.value);
        }
    }
    Ok(())
}

async fn read_one_by_one<C: Coordination>(
    consumer: &mut Consumer<C>,
    messages: u64,
    tally: &Tally,
) -> Result<()> {
    while tally.messages() < messages {
        let message = consumer.recv().await?;
        tally.add(message.key(), message.value());
    }
    Ok(())
}

async fn read_stream<C: Coordination>(
    consumer: &mut Consumer<C>,
    messages: u64,
    tally: &Tally,
) -> Result<()> {
    let mut stream = std::pin::pin!(consumer.stream()?);
    while tally.messages() < messages {
        let message = stream.next().await.context("the stream has ended")??;
        tally.add(message.key.as_deref(), message.value.as_deref());
        message.ack();
    }
    Ok(())
}

async fn read_many<C: Coordination>(
    consumer: &mut Consumer<C>,
    most: NonZeroUsize,
    messages: u64,
    tally: &Tally,
) -> Result<()> {
    while tally.messages() < messages {
        let left = usize::try_from(messages - tally.messages()).unwrap_or(usize::MAX);
        let many = consumer
            .get_many(most.get().min(left), Duration::from_secs(1))
            .await?;
        for message in many {
            tally.add(message.key(), message.value());
        }
    }
    Ok(())
}
