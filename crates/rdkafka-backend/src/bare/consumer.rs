use std::collections::BTreeSet;
use std::collections::btree_map::{BTreeMap, Entry};
use std::ffi::{CStr, c_int};
use std::fmt;
use std::marker::PhantomData;
use std::ptr::{self, NonNull};
use std::slice;
use std::time::Duration;

use rdkafka_sys as sys;

use super::{Config, Error, c_string};

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
        })
    }

    /// Fetches a partition from this offset on. A partition that is started already begins anew there.
    ///
    /// What does not exist, or is out of the log's range, is said by a [message](Message::error) later.
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

    /// Takes at most so many messages out of the queue. Waits so long at most; an empty batch is no error.
    pub fn receive(&mut self, most: usize, patience: Duration) -> Result<Batch<'_>, Error> {
        // What a forgotten batch has left.
        destroy(&mut self.messages);
        self.messages.reserve(most);
        let patience = c_int::try_from(patience.as_millis()).unwrap_or(c_int::MAX);
        // SAFETY: The queue lives as long as `self`, and there is room for `most` messages.
        let received = unsafe {
            sys::rd_kafka_consume_batch_queue(
                self.queue.as_ptr(),
                patience,
                self.messages.as_mut_ptr(),
                most,
            )
        };
        let received =
            usize::try_from(received).map_err(|_| Error::Receive { why: last_error() })?;
        // SAFETY: librdkafka has written so many messages, which are at most `most`.
        unsafe { self.messages.set_len(received) };
        Ok(Batch {
            messages: &mut self.messages,
        })
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

/// Messages out of the queue, and errors of partitions among them. Gives them back to librdkafka when it is dropped.
pub struct Batch<'a> {
    messages: &'a mut Vec<*mut sys::rd_kafka_message_t>,
}

impl Batch<'_> {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// In the order of the queue, which is that of the offsets in each partition.
    pub fn iter(&self) -> impl Iterator<Item = Message<'_>> {
        self.messages.iter().map(|raw| Message {
            raw: *raw,
            batch: PhantomData,
        })
    }
}

impl fmt::Debug for Batch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch").field("len", &self.len()).finish()
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        destroy(self.messages);
    }
}

/// A message, which lies in librdkafka's memory, or an error of a partition.
#[derive(Clone, Copy)]
pub struct Message<'a> {
    /// A valid message as long as `'a`: it is destroyed only when the batch is dropped. No reference, because its error need
    /// not be one that the bindings know.
    raw: *const sys::rd_kafka_message_t,
    batch: PhantomData<&'a ()>,
}

impl<'a> Message<'a> {
    /// Its partition.
    pub fn partition(&self) -> i32 {
        // SAFETY: The message is valid.
        unsafe { (*self.raw).partition }
    }

    /// Its offset.
    pub fn offset(&self) -> i64 {
        // SAFETY: The message is valid.
        unsafe { (*self.raw).offset }
    }

    /// Its key, if it has one.
    pub fn key(&self) -> Option<&'a [u8]> {
        // SAFETY: The message is valid, and its key is null or so many bytes, which live as long as it does.
        unsafe { bytes((*self.raw).key.cast(), (*self.raw).key_len) }
    }

    /// Its value, if it has one. Of an error it is librdkafka's text.
    pub fn value(&self) -> Option<&'a [u8]> {
        // SAFETY: As of the key.
        unsafe { bytes((*self.raw).payload.cast(), (*self.raw).len) }
    }

    /// librdkafka's code and text where this is an error. Codes below 0 are its own, others the broker's.
    pub fn error(&self) -> Option<(i32, String)> {
        // SAFETY: The message is valid. The code is read as the number that C has there: librdkafka passes on what a broker
        // sends, and an enum must not hold what it does not name.
        let code = unsafe { (&raw const (*self.raw).err).cast::<i32>().read() };
        if code == 0 {
            return None;
        }
        // SAFETY: The message is valid, and the text lives at least as long as it does.
        let text = unsafe { text(sys::rd_kafka_message_errstr(self.raw)) };
        Some((code, text))
    }
}

impl fmt::Debug for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("partition", &self.partition())
            .field("offset", &self.offset())
            .field("error", &self.error())
            .finish()
    }
}

fn destroy(messages: &mut Vec<*mut sys::rd_kafka_message_t>) {
    for message in messages.drain(..) {
        // SAFETY: librdkafka gave the message, and draining forgets it.
        unsafe { sys::rd_kafka_message_destroy(message) };
    }
}

/// # Safety
///
/// `start` is null, or so many bytes lie there as long as `'a`.
unsafe fn bytes<'a>(start: *const u8, len: usize) -> Option<&'a [u8]> {
    // SAFETY: As the caller promises.
    (!start.is_null()).then(|| unsafe { slice::from_raw_parts(start, len) })
}

/// # Safety
///
/// `start` is null, or the start of a text that ends with a zero byte.
unsafe fn text(start: *const std::ffi::c_char) -> String {
    if start.is_null() {
        return String::new();
    }
    // SAFETY: As the caller promises.
    let text = unsafe { CStr::from_ptr(start) };
    text.to_string_lossy().into_owned()
}

/// Why the last call of this thread has failed.
fn last_error() -> String {
    // SAFETY: Both take no memory of ours, and the text is a constant.
    unsafe { text(sys::rd_kafka_err2str(sys::rd_kafka_last_error())) }
}
