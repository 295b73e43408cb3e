//! The thread that hands batches to librdkafka, and that its reports come to.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::Duration;

use divvy_client::{ClientConfig, TopicPartition};
use rdkafka_sys::rd_kafka_resp_err_t as Code;
use tokio::sync::oneshot;

use super::config::RdkafkaProducerConfig;
use super::flight::{Delivered, Flights, Waiting};
use crate::bare::{self, Handed, Parcel, Records, Waker};
use crate::cluster::Cluster;

/// How long is waited at a time. Commands end the wait before.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long is waited until brokers are asked anew for a partition.
const ASKING: Duration = Duration::from_millis(100);

/// What the thread is told.
#[derive(Debug)]
pub(super) enum Command<R> {
    /// Where the brokers are.
    Cluster(Cluster),
    Deliver {
        tp: TopicPartition,
        records: R,
        reply: oneshot::Sender<Delivered<R>>,
    },
    Reach {
        partitions: Vec<TopicPartition>,
        within: Duration,
        reply: oneshot::Sender<Vec<(TopicPartition, String)>>,
    },
    Close,
}

/// The thread's state. It alone touches librdkafka.
#[derive(Debug)]
pub(super) struct Poller<R> {
    commands: Receiver<Command<R>>,
    waker: Waker,
    client: ClientConfig,
    config: RdkafkaProducerConfig,
    producer: Option<bare::Producer>,
    waiting: VecDeque<Waiting<R>>,
    flights: Flights<R>,
}

impl<R: Records> Poller<R> {
    pub(super) fn new(
        commands: Receiver<Command<R>>,
        waker: Waker,
        client: ClientConfig,
        config: RdkafkaProducerConfig,
    ) -> Self {
        Self {
            commands,
            waker,
            client,
            config,
            producer: None,
            waiting: VecDeque::new(),
            flights: Flights::new(),
        }
    }

    /// Delivers until it is told to close, or nobody is left to tell it.
    pub(super) fn run(mut self) {
        while self.take_commands() {
            self.hand_over();
            self.receive();
        }
    }

    /// Does what was told, having waited for it where there is nothing else to wait for.
    fn take_commands(&mut self) -> bool {
        if self.producer.is_none() {
            let told = self.commands.recv().is_ok_and(|told| self.take(told));
            if !told {
                return false;
            }
        }
        loop {
            let told = match self.commands.try_recv() {
                Ok(command) => self.take(command),
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => false,
            };
            if !told {
                return false;
            }
        }
    }

    /// Gives whether to go on.
    fn take(&mut self, command: Command<R>) -> bool {
        match command {
            Command::Cluster(cluster) => return self.make(&cluster),
            Command::Deliver { tp, records, reply } => {
                self.waiting.push_back(Waiting::new(tp, records, reply));
            }
            Command::Reach {
                partitions,
                within,
                reply,
            } => {
                // Whoever wanted to know may be gone.
                let _ = reply.send(self.reach(partitions, within));
            }
            Command::Close => return false,
        }
        true
    }

    /// Makes a client of librdkafka.
    fn make(&mut self, cluster: &Cluster) -> bool {
        let settings = self.config.settings(&self.client, cluster);
        let dated = cluster.legacy.is_none();
        match settings.and_then(|settings| bare::Producer::new(settings, dated)) {
            Ok(mut producer) => {
                producer.wake_by(&self.waker);
                self.producer = Some(producer);
                true
            }
            Err(error) => {
                tracing::error!(%error, "librdkafka cannot be had, and nothing can be produced");
                false
            }
        }
    }

    fn reach(
        &mut self,
        partitions: Vec<TopicPartition>,
        within: Duration,
    ) -> Vec<(TopicPartition, String)> {
        let Some(producer) = &mut self.producer else {
            return Vec::new();
        };
        let mut failed = Vec::new();
        for tp in partitions {
            if let Err(error) = producer.reach(&tp.topic, tp.partition, within) {
                failed.push((tp, error.to_string()));
            }
        }
        failed
    }

    /// Hands over what waits, as far as librdkafka knows its partition.
    fn hand_over(&mut self) {
        let Some(producer) = &mut self.producer else {
            return;
        };
        if self.waiting.is_empty() {
            return;
        }
        let waiting: Vec<Waiting<R>> = self.waiting.drain(..).collect();
        let mut numbers = self.flights.numbers();
        let parcels: Vec<Parcel<'_, R>> = waiting
            .iter()
            .map(|batch| Parcel {
                topic: &batch.tp.topic,
                partition: batch.tp.partition,
                number: numbers.take(batch.len),
                records: &batch.records,
            })
            .collect();
        let firsts: Vec<usize> = parcels.iter().map(|parcel| parcel.number).collect();
        let handed = producer.hand_over(&parcels);
        drop(parcels);
        self.flights.go_on_at(numbers);
        let handed = handed.unwrap_or_else(|error| {
            // No name of a topic that exists; it will not be found, and in the end the batch is given up.
            tracing::warn!(%error, "librdkafka takes nothing");
            waiting.iter().map(|_| Handed::Unknown).collect()
        });
        for ((batch, first), handed) in waiting.into_iter().zip(firsts).zip(handed) {
            match handed {
                Handed::Taken(rejected) => {
                    self.flights.begin(first, batch);
                    for rejected in &rejected {
                        self.flights.reject(rejected);
                    }
                }
                Handed::Unknown if batch.since.elapsed() < self.config.request_timeout => {
                    self.waiting.push_back(batch);
                }
                Handed::Unknown => batch.fail(
                    Code::RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION as i32,
                    "it has not heard of the partition",
                ),
            }
        }
    }

    /// Waits for reports, and passes them on.
    fn receive(&mut self) {
        let Some(producer) = &mut self.producer else {
            return;
        };
        let patience = match self.waiting.is_empty() {
            true => PATIENCE,
            false => ASKING,
        };
        let flights = &mut self.flights;
        producer
            .receive(patience)
            .each(|report| flights.report(report));
    }
}
