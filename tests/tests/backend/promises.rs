//! The promises. Each is given a topic of four partitions whose logs are empty.

use std::collections::BTreeMap;

use anyhow::Result;
use divvy::{ClientError, FetchError, OffsetSpec};

use crate::stage::{Stage, numbers};

/// How many bytes the queue of a stage may hold.
pub(crate) const BUDGET: usize = 64 << 10;

/// Chunks of a partition come in the order of their offsets and begin where they should; nothing is left out.
pub(crate) async fn chunks_join_each_other_from_the_start(stage: &dyn Stage) -> Result<()> {
    stage.append_numbers(0, 0..300).await?;
    stage.backend().start(&stage.tp(0), 0);
    assert_eq!(stage.read(0, 0, 300).await?, numbers(0..300));
    // Also in the middle of what is stored together.
    for start in [37, 299] {
        stage.backend().start(&stage.tp(0), start);
        assert_eq!(stage.read(0, start, 300).await?, numbers(start..300));
    }
    Ok(())
}

/// What is appended later comes without being asked for.
pub(crate) async fn new_messages_come(stage: &dyn Stage) -> Result<()> {
    stage.append_numbers(1, 0..3).await?;
    stage.backend().start(&stage.tp(0), 0);
    stage.backend().start(&stage.tp(1), 3);
    for n in 0..5 {
        stage.append_numbers(0, n..n + 1).await?;
        assert_eq!(stage.read(0, n, n + 1).await?, numbers(n..n + 1));
        stage.append_numbers(1, n + 3..n + 4).await?;
        assert_eq!(stage.read(1, n + 3, n + 4).await?, numbers(n + 3..n + 4));
    }
    Ok(())
}

/// Once `stop` has returned, nothing of the partition enters the queue.
pub(crate) async fn stopping_ends_a_partition(stage: &dyn Stage) -> Result<()> {
    stage.append_numbers(0, 0..50).await?;
    stage.backend().start(&stage.tp(0), 0);
    stage.backend().start(&stage.tp(1), 0);
    stage.queued(0).await?;
    stage.backend().stop(&stage.tp(0));
    assert_eq!(
        stage.backend().prefetch().bytes(),
        0,
        "what was queued is dropped"
    );
    stage.append_numbers(0, 50..60).await?;
    stage.assert_silent(0, 1, 0).await?;
    // Stopping what is not started is nothing.
    stage.backend().stop(&stage.tp(0));
    stage.backend().stop(&stage.tp(3));
    stage.backend().start(&stage.tp(0), 55);
    assert_eq!(stage.read(0, 55, 60).await?, numbers(55..60));
    Ok(())
}

/// Once `start` has returned, nothing that was fetched before enters the queue, however often that happens.
pub(crate) async fn starting_anew_forgets_what_was_fetched(stage: &dyn Stage) -> Result<()> {
    stage.append_numbers(0, 0..200).await?;
    for round in 0..60 {
        let start = (round * 7) % 200;
        stage.backend().start(&stage.tp(0), start);
        if round % 3 == 0 {
            let chunk = stage.next_chunk(0).await?;
            assert_eq!(chunk.from_offset, start);
        } else if round % 3 == 1 {
            stage.queued(0).await?;
        }
    }
    stage.backend().start(&stage.tp(0), 190);
    assert_eq!(stage.read(0, 190, 200).await?, numbers(190..200));
    Ok(())
}

/// A position outside of the log is an error behind the chunks before it, and that partition alone stands still.
pub(crate) async fn out_of_range_stands_still(stage: &dyn Stage) -> Result<()> {
    stage.append_numbers(0, 0..5).await?;
    stage.backend().start(&stage.tp(1), 0);
    for offset in [6, 1 << 40] {
        stage.backend().start(&stage.tp(0), offset);
        let error = stage.next(0).await?.unwrap_err();
        let expected = FetchError::OffsetOutOfRange {
            tp: stage.tp(0),
            offset,
        };
        assert_eq!(error, expected);
        assert_eq!((error.partition(), error.offset()), (&stage.tp(0), offset));
    }
    // Also when the log grows until the position lies within.
    stage.append_numbers(0, 5..10).await?;
    stage.assert_silent(0, 1, 0).await?;
    stage.backend().start(&stage.tp(0), 6);
    assert_eq!(stage.read(0, 6, 10).await?, numbers(6..10));
    // The end itself is no error: the next message comes there.
    stage.backend().start(&stage.tp(2), 0);
    stage.backend().start(&stage.tp(0), 10);
    stage.assert_silent(0, 1, 2).await?;
    Ok(())
}

/// The budget is kept, and a partition is fetched while it has room, whatever the others do.
pub(crate) async fn keeps_its_budget_and_holds_nobody_up(stage: &dyn Stage) -> Result<()> {
    let value = vec![b'x'; 1000];
    // All are there before anything is fetched: a partition that comes later makes the shares of the others smaller.
    for partition in 0..4 {
        stage.backend().start(&stage.tp(partition), 0);
    }
    for partition in 0..4 {
        stage.append(partition, vec![value.clone(); 100]).await?;
    }
    // Nobody takes anything out of the first three.
    let (mut position, mut most) = (0, 0);
    while position < 100 {
        let chunk = stage.next_chunk(3).await?;
        assert_eq!(chunk.from_offset, position);
        position = chunk.next_offset;
        most = most.max(stage.backend().prefetch().bytes());
    }
    for partition in 0..3 {
        stage.queued(partition).await?;
    }
    most = most.max(stage.backend().prefetch().bytes());
    assert!(most <= BUDGET, "{most} bytes were queued");
    for partition in 0..3 {
        assert_eq!(stage.read(partition, 0, 100).await?.len(), 100);
    }
    Ok(())
}

/// A message that is larger than the share of its partition, or the whole queue, comes all the same.
pub(crate) async fn large_messages_come_too(stage: &dyn Stage) -> Result<()> {
    for partition in 0..4 {
        stage.append(partition, vec![b"small".to_vec()]).await?;
        let large = vec![b'x'; 2 * BUDGET + 1000];
        stage
            .append(partition, vec![large, b"last".to_vec()])
            .await?;
        stage.backend().start(&stage.tp(partition), 0);
    }
    for partition in 0..4 {
        let messages = stage.read(partition, 0, 3).await?;
        let sizes: Vec<usize> = messages.iter().map(|(_, value)| value.len()).collect();
        assert_eq!(sizes, [5, 2 * BUDGET + 1000, 4]);
    }
    Ok(())
}

/// Partitions are listed, and a topic that does not exist is an error, also the second time.
pub(crate) async fn lists_partitions_and_creates_none(stage: &dyn Stage) -> Result<()> {
    assert_eq!(
        stage.backend().partitions(stage.topic()).await?,
        [0, 1, 2, 3]
    );
    let missing = format!("{}-missing", stage.topic());
    for _ in 0..2 {
        let error = stage.backend().partitions(&missing).await.unwrap_err();
        assert!(
            matches!(&error, ClientError::UnknownTopic { topic } if *topic == missing),
            "{error}"
        );
    }
    Ok(())
}

/// Offsets are looked up for each partition on its own.
pub(crate) async fn looks_up_offsets(stage: &dyn Stage) -> Result<()> {
    stage.append_numbers(0, 0..7).await?;
    stage.append_numbers(1, 0..2).await?;
    stage.backend().partitions(stage.topic()).await?;
    let wanted = BTreeMap::from([
        (stage.tp(0), OffsetSpec::Earliest),
        (stage.tp(1), OffsetSpec::Latest),
        (stage.tp(2), OffsetSpec::Latest),
        (stage.tp(9), OffsetSpec::Latest),
    ]);
    let mut found = stage.backend().list_offsets(&wanted).await;
    assert_eq!(found.len(), wanted.len(), "each has an answer");
    let error = found.remove(&stage.tp(9)).unwrap().unwrap_err();
    assert!(
        matches!(&error, ClientError::UnknownPartition { tp } if *tp == stage.tp(9)),
        "{error}"
    );
    let found: Vec<_> = found.into_values().map(Result::unwrap).collect();
    assert_eq!(found, [Some(0), Some(2), Some(0)]);
    let long_ago = BTreeMap::from([(stage.tp(0), OffsetSpec::Time(1))]);
    let found = stage.backend().list_offsets(&long_ago).await;
    assert_eq!(*found[&stage.tp(0)].as_ref().unwrap(), Some(0));
    Ok(())
}

/// `close` ends everything, once and for all.
pub(crate) async fn closing_ends_everything(stage: &dyn Stage) -> Result<()> {
    stage.append_numbers(0, 0..50).await?;
    stage.append_numbers(1, 0..50).await?;
    stage.backend().start(&stage.tp(0), 0);
    stage.backend().start(&stage.tp(1), 0);
    stage.queued(0).await?;
    stage.backend().close().await;
    let prefetch = stage.backend().prefetch();
    assert_eq!(prefetch.bytes(), 0);
    stage.append_numbers(0, 50..60).await?;
    stage.backend().close().await;
    assert!(prefetch.pop(|_| true).is_none());
    assert!(
        stage.backend().partitions(stage.topic()).await.is_ok(),
        "asking is no fetching"
    );
    assert!(prefetch.pop(|_| true).is_none());
    Ok(())
}

/// Makes each promise a test on the stage that the future `$stage` gives.
macro_rules! keeps_all {
    ($stage:expr) => {
        $crate::promises::keeps_all!($stage;
            chunks_join_each_other_from_the_start,
            new_messages_come,
            stopping_ends_a_partition,
            starting_anew_forgets_what_was_fetched,
            out_of_range_stands_still,
            keeps_its_budget_and_holds_nobody_up,
            large_messages_come_too,
            lists_partitions_and_creates_none,
            looks_up_offsets,
            closing_ends_everything,
        );
    };
    ($stage:expr; $($promise:ident),+ $(,)?) => {
        $(#[tokio::test]
        async fn $promise() -> anyhow::Result<()> {
            let stage = $stage.await?;
            $crate::promises::$promise(&stage).await
        })+
    };
}
pub(crate) use keeps_all;
