use std::collections::BTreeSet;
use std::collections::btree_map::{BTreeMap, Entry};
use std::ffi::c_int;
use std::ptr::{self, NonNull};
use std::time::Duration;

use rdkafka_sys as sys;

use super::message::{Batch, destroy};
use super::waker::Waker;
use super::{Config, Error, c_string, last_error};

/// A consumer without a group: partitions are started and stopped one by one, and their messages come out of one queue.
///
/// Dropping it stops every partition and waits until librdkafka's threads have ended. It takes no callbacks.
#[derive(Debug)]
pub struct Consumer {
    client: NonNull<sys::rd_kafka_t>,
    queue: NonNull<sys::rd_kafka_queue_t>,
    topics: BTreeMap<String, Topic>,
    /// What the last batch was made of, so that the next one needs no memory of its own.
    messages: Vec<*mut sys::rd_kafka_message_t>,
    waker: Waker,
}

#[derive(Debug)]
struct Topic {
    raw: NonNull<sys::rd_kafka_topic_t>,
    started: BTreeSet<i32>,
}

// SAFETY: librdkafka's handles may be used by any thread. Messages may be freed by any thread too.
unsafe impl Send for Consumer {}

impl Consumer {
    /// Starts librdkafka's threads. Brokers are connected to as they are needed.
    pub fn new(config: Config) -> Result<Self, Error> {
        let client = config.into_consumer()?;
        // SAFETY: The client was just made.
        let queue = unsafe { sys::rd_kafka_queue_new(client.as_ptr()) };
        let queue = NonNull::new(queue).expect("librdkafka aborts rather than give null here");
        Ok(Self {
            client,
            queue,
            topics: BTreeMap::new(),
            messages: Vec::new(),
            waker: Waker::default(),
        })
    }

    /// Fetches a partition from this offset on. A partition that is started already begins anew there.
    ///
    /// What does not exist, or is out of the log's range, is said by a [message](super::Message::error) later.
    pub fn start(&mut self, topic: &str, partition: i32, offset: i64) -> Result<(), Error> {
        self.stop(topic, partition)?;
        let failed = |why| Error::Partition {
            action: "start",
            topic: topic.to_owned(),
            partition,
            why,
        };
        // librdkafka has meanings of its own for these, some of which need a group.
        if offset < 0 {
            return Err(failed(format!("there is no offset {offset}")));
        }
        let queue = self.queue;
        let topic = self.topic(topic)?;
        // SAFETY: The topic and the queue live as long as `self`, and the partition is not started, as librdkafka asks.
        let outcome = unsafe {
            sys::rd_kafka_consume_start_queue(topic.raw.as_ptr(), partition, offset, queue.as_ptr())
        };
        if outcome != 0 {
            return Err(failed(last_error()));
        }
        topic.started.insert(partition);
        Ok(())
    }

    /// Ends fetching a partition, and waits until librdkafka has. Does nothing where it is not started.
    pub fn stop(&mut self, topic: &str, partition: i32) -> Result<(), Error> {
        let Some(known) = self.topics.get_mut(topic) else {
            return Ok(());
        };
        if !known.started.remove(&partition) {
            return Ok(());
        }
        // SAFETY: The topic lives as long as `self`, and the partition is started.
        let outcome = unsafe { sys::rd_kafka_consume_stop(known.raw.as_ptr(), partition) };
        if outcome != 0 {
            return Err(Error::Partition {
                action: "stop",
                topic: topic.to_owned(),
                partition,
                why: last_error(),
            });
        }
        Ok(())
    }

    /// Forgets a topic of which no partition is started: librdkafka asks brokers for the topics that it knows, and old brokers
    /// create a topic that is asked for.
    pub fn forget(&mut self, topic: &str) {
        if let Entry::Occupied(known) = self.topics.entry(topic.to_owned())
            && known.get().started.is_empty()
        {
            // SAFETY: Nobody uses the topic after this.
            unsafe { sys::rd_kafka_topic_destroy(known.remove().raw.as_ptr()) };
        }
    }

    /// How many messages are in the queue.
    pub fn queued(&self) -> usize {
        // SAFETY: The queue lives as long as `self`.
        unsafe { sys::rd_kafka_queue_length(self.queue.as_ptr()) }
    }

    /// Lets a waker end this consumer's waits, instead of the one that did so far.
    pub fn wake_by(&mut self, waker: &Waker) {
        self.waker.detach(self.queue);
        self.waker = waker.clone();
        self.waker.attach(self.queue);
    }

    /// Takes at most so many messages out of the queue, as they are there. Waits so long for the first of them at most; an empty
    /// batch is no error.
    pub fn receive(&mut self, most: usize, patience: Duration) -> Result<Batch<'_>, Error> {
        // What a forgotten batch has left.
        destroy(&mut self.messages);
        // SAFETY: The client lives as long as `self`. What librdkafka has to say of brokers is dropped here, or it would pile up:
        // there is no callback for it.
        unsafe { sys::rd_kafka_poll(self.client.as_ptr(), 0) };
        self.messages.reserve(most);
        let patience = c_int::try_from(patience.as_millis()).unwrap_or(c_int::MAX);
        // librdkafka waits until a batch is full. Hence one message first, and then what is there besides.
        self.take(most.min(1), patience)?;
        if !self.messages.is_empty() {
            self.take(most - 1, 0)?;
        }
        Ok(Batch::new(self.client, &mut self.messages))
    }

    /// Puts at most so many messages behind those that were received, for which room is reserved.
    fn take(&mut self, most: usize, patience: c_int) -> Result<(), Error> {
        let room = self.messages.spare_capacity_mut();
        let most = most.min(room.len());
        // SAFETY: The queue lives as long as `self`, and there is room for `most` messages.
        let received = unsafe {
            sys::rd_kafka_consume_batch_queue(
                self.queue.as_ptr(),
                patience,
                room.as_mut_ptr().cast(),
                most,
            )
        };
        let received =
            usize::try_from(received).map_err(|_| Error::Receive { why: last_error() })?;
        // SAFETY: librdkafka has written so many messages, which are at most `most`.
        unsafe { self.messages.set_len(self.messages.len() + received) };
        Ok(())
    }

    fn topic(&mut self, name: &str) -> Result<&mut Topic, Error> {
        let entry = match self.topics.entry(name.to_owned()) {
            Entry::Occupied(known) => return Ok(known.into_mut()),
            Entry::Vacant(entry) => entry,
        };
        let c_name = c_string(name)?;
        // SAFETY: The client lives as long as `self`, the name until the call returns. Without settings of its own the topic
        // gets those of the client.
        let raw = unsafe {
            sys::rd_kafka_topic_new(self.client.as_ptr(), c_name.as_ptr(), ptr::null_mut())
        };
        let raw = NonNull::new(raw).ok_or_else(|| Error::Create { why: last_error() })?;
        Ok(entry.insert(Topic {
            raw,
            started: BTreeSet::new(),
        }))
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.waker.detach(self.queue);
        destroy(&mut self.messages);
        for topic in self.topics.values() {
            for partition in &topic.started {
                // SAFETY: The topic is destroyed below. A partition that cannot be stopped ends with the client.
                unsafe { sys::rd_kafka_consume_stop(topic.raw.as_ptr(), *partition) };
            }
            // SAFETY: Nobody uses the topic after this.
            unsafe { sys::rd_kafka_topic_destroy(topic.raw.as_ptr()) };
        }
        // SAFETY: No partition fills the queue any more, all messages and topics are given back, and nobody uses either after
        // this. The client comes last, as librdkafka asks.
        unsafe {
            sys::rd_kafka_queue_destroy(self.queue.as_ptr());
            sys::rd_kafka_destroy(self.client.as_ptr());
        }
    }
}
