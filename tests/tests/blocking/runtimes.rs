//! Blocking calls within somebody else's runtime.

use anyhow::{Result, ensure};
use divvy::ClientConfig;
use divvy::blocking::{Client, Error, Result as BlockingResult};
use divvy_tests::{KafkaVersion, on_every_version};

use super::{IDLE, Scene};

on_every_version!(within_a_runtime_it_is_an_error_and_nothing_is_lost);

fn refused<T>(called: BlockingResult<T>) -> Result<()> {
    let error = called.err().map(|error| error.to_string());
    let expected = Error::InsideRuntime.to_string();
    ensure!(error.as_ref() == Some(&expected), "{error:?}");
    Ok(())
}

fn within_a_runtime_it_is_an_error_and_nothing_is_lost(version: KafkaVersion) -> Result<()> {
    let scene = Scene::new(version)?;
    scene.fill(40)?;
    let mut consumer = scene.simple(|_| {})?;
    let producer = scene.producer()?;
    consumer.next();

    let (one, many) = (
        tokio::runtime::Builder::new_current_thread().build()?,
        tokio::runtime::Builder::new_multi_thread().build()?,
    );
    for runtime in [&one, &many] {
        runtime.block_on(async {
            refused(Client::connect(ClientConfig::bootstrap(["127.0.0.1:1"])))?;
            refused(scene.client.refresh())?;
            refused(consumer.next().transpose().map(drop))?;
            refused(consumer.recv().map(drop))?;
            refused(consumer.next_batch().map(drop))?;
            refused(consumer.commit())?;
            refused(producer.send(scene.record(0)))?;
            refused(producer.flush())?;
            ensure!(consumer.events().next().is_none());
            Ok::<_, anyhow::Error>(())
        })?;
    }
    let client = scene.client.clone();
    let pooled = many.block_on(many.spawn_blocking(move || client.refresh()))?;
    refused(pooled)?;

    // What was refused has taken nothing.
    let rest = consumer
        .until_idle(IDLE)
        .collect::<BlockingResult<Vec<_>>>()?;
    ensure!(rest.len() == 39, "{} are left", rest.len());
    // The last one that holds the background thread may go within a runtime, without a panic.
    refused(one.block_on(async move { consumer.close() }))?;
    many.block_on(async move { drop((producer, scene)) });
    Ok(())
}
