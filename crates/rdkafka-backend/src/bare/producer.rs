use std::collections::btree_map::{BTreeMap, Entry};
use std::ffi::{CString, c_int};
use std::fmt;
use std::ptr::{self, NonNull};
use std::time::Duration;

use rdkafka_sys as sys;
use sys::rd_kafka_resp_err_t::{RD_KAFKA_RESP_ERR__INVALID_ARG, RD_KAFKA_RESP_ERR_NO_ERROR};
use sys::rd_kafka_vtype_t as kind;

use super::message::text;
use super::report::Reports;
use super::waker::Waker;
use super::{Config, Error, c_string, last_error};

/// How long a broker has to say which partitions a topic has, until it is asked anew.
const ASKING_MS: c_int = 1000;

/// A producer whose partitions are given records in parcels.
///
/// Dropping it forgets what is not delivered, and waits until librdkafka's threads have ended. It takes no callbacks.
#[derive(Debug)]
pub struct Producer {
    client: NonNull<sys::rd_kafka_t>,
    queue: NonNull<sys::rd_kafka_queue_t>,
    topics: BTreeMap<String, Topic>,
    /// Whether messages are given their times and headers.
    dated: bool,
    /// What the last parcel was made of, so that the next one needs no memory of its own.
    messages: Messages,
    waker: Waker,
}

#[derive(Debug)]
struct Topic {
    raw: NonNull<sys::rd_kafka_topic_t>,
    name: CString,
    /// How many partitions librdkafka knows it to have.
    partitions: i32,
}

#[derive(Default)]
struct Messages(Vec<sys::rd_kafka_message_t>);

impl fmt::Debug for Messages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Messages").field(&self.0.capacity()).finish()
    }
}

/// A record to be stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record<'a> {
    /// Its key; `None` is null.
    pub key: Option<&'a [u8]>,
    /// Its value; `None` is null.
    pub value: Option<&'a [u8]>,
    /// Milliseconds since 1970. 0 is rejected: librdkafka takes it for the time of sending.
    pub timestamp: i64,
    /// Names and values.
    pub headers: Vec<(&'a [u8], Option<&'a [u8]>)>,
}

/// Records that lie somewhere.
pub trait Records {
    /// Every record in its order, the same ones each time.
    fn records(&self) -> impl Iterator<Item = Record<'_>>;
}

/// Records for a partition.
#[derive(Debug)]
pub struct Parcel<'a, R> {
    /// The topic.
    pub topic: &'a str,
    /// The partition.
    pub partition: i32,
    /// The number of the first record, by which its report is known; those of the others follow.
    pub number: usize,
    /// The records.
    pub records: &'a R,
}

/// What came of handing over a parcel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Handed {
    /// No broker has said yet that there is such a partition. Nothing of the parcel was taken.
    Unknown,
    /// It was taken but for these records. There is a report for each of the others.
    Taken(Vec<Rejected>),
}

/// A record that librdkafka has not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// Its number.
    pub number: usize,
    /// librdkafka's code.
    pub code: i32,
    /// librdkafka's text.
    pub why: String,
}

// SAFETY: librdkafka's handles may be used by any thread. The pointers in `messages` are used by `hand_over` alone, which sets them.
unsafe impl Send for Producer {}

impl Producer {
    /// Starts librdkafka's threads. Brokers are connected to as they are needed. `dated` says whether the brokers store times and
    /// headers, or there is no use in passing them on.
    pub fn new(config: Config, dated: bool) -> Result<Self, Error> {
        let client = config.into_producer()?;
        // SAFETY: The client was just made.
        let queue = unsafe { sys::rd_kafka_queue_get_main(client.as_ptr()) };
        let queue = NonNull::new(queue).expect("librdkafka aborts rather than give null here");
        Ok(Self {
            client,
            queue,
            topics: BTreeMap::new(),
            dated,
            messages: Messages::default(),
            waker: Waker::default(),
        })
    }

    /// Lets a waker end this producer's waits, instead of the one that did so far.
    pub fn wake_by(&mut self, waker: &Waker) {
        self.waker.detach(self.queue);
        self.waker = waker.clone();
        self.waker.attach(self.queue);
    }

    /// Copies the records of parcels, each for another partition, and says for each what came of it. Fails where a topic's name is
    /// none, and has taken nothing then.
    ///
    /// librdkafka begins a request with whatever is there when it looks. Their partitions are stopped meanwhile, so that it sees
    /// all of a parcel or nothing: it becomes one request, which is stored or fails as a whole, where librdkafka's limits allow.
    pub fn hand_over<R: Records>(
        &mut self,
        parcels: &[Parcel<'_, R>],
    ) -> Result<Vec<Handed>, Error> {
        let mut partitions = Partitions::new(parcels.len());
        let mut topics = Vec::with_capacity(parcels.len());
        for parcel in parcels {
            let topic = self.topic_of(parcel.topic, parcel.partition)?;
            let known = (parcel.partition < topic.partitions).then_some(topic.raw);
            if known.is_some() {
                partitions.add(&topic.name, parcel.partition);
            }
            topics.push(known);
        }
        partitions.pause(self.client);
        let handed = parcels
            .iter()
            .zip(topics)
            .map(|(parcel, topic)| match (topic, self.dated) {
                (None, _) => Handed::Unknown,
                (Some(topic), false) => Handed::Taken(self.hand_over_plain(topic, parcel)),
                (Some(topic), true) => Handed::Taken(self.hand_over_dated(topic, parcel)),
            })
            .collect();
        partitions.resume(self.client);
        // SAFETY: The client lives as long as `self`. Only the beginning of flushing is of use here, which wakes the threads that
        // have seen their partitions stopped. There is no time given to wait for what it waits for.
        unsafe { sys::rd_kafka_flush(self.client.as_ptr(), 0) };
        Ok(handed)
    }

    /// Waits so long at most for reports.
    pub fn receive(&mut self, patience: Duration) -> Reports<'_> {
        let patience = c_int::try_from(patience.as_millis()).unwrap_or(c_int::MAX);
        // SAFETY: The queue lives as long as `self`.
        let event = unsafe { sys::rd_kafka_queue_poll(self.queue.as_ptr(), patience) };
        Reports::new(NonNull::new(event))
    }

    /// Asks a partition's leader for something that it answers when it has read all that was sent to it before, and waits for that.
    pub fn reach(&mut self, topic: &str, partition: i32, patience: Duration) -> Result<(), Error> {
        let name = c_string(topic)?;
        let (mut low, mut high) = (0, 0);
        let patience = c_int::try_from(patience.as_millis()).unwrap_or(c_int::MAX);
        // SAFETY: The client lives as long as `self`, the name and both places until the call returns.
        let outcome = unsafe {
            sys::rd_kafka_query_watermark_offsets(
                self.client.as_ptr(),
                name.as_ptr(),
                partition,
                &raw mut low,
                &raw mut high,
                patience,
            )
        };
        match outcome {
            RD_KAFKA_RESP_ERR_NO_ERROR => Ok(()),
            failed => Err(Error::Partition {
                action: "reach",
                topic: topic.to_owned(),
                partition,
                why: describe(failed),
            }),
        }
    }

    /// Hands records over as brokers store them that know no times and headers. All are rejected where some have headers, which librdkafka
    /// would leave out.
    fn hand_over_plain<R: Records>(
        &mut self,
        topic: NonNull<sys::rd_kafka_topic_t>,
        parcel: &Parcel<'_, R>,
    ) -> Vec<Rejected> {
        let messages = &mut self.messages.0;
        messages.clear();
        let mut has_headers = false;
        for (number, record) in (parcel.number..).zip(parcel.records.records()) {
            has_headers |= !record.headers.is_empty();
            messages.push(message(parcel.partition, number, &record));
        }
        if has_headers {
            let invalid = |number| Rejected::new(number, RD_KAFKA_RESP_ERR__INVALID_ARG);
            let numbers = (parcel.number..).take(messages.len());
            return numbers.map(invalid).collect();
        }
        let count = c_int::try_from(messages.len()).unwrap_or(c_int::MAX);
        // SAFETY: The topic lives as long as `self`. There are so many messages; what they point to is the parcel's and is copied
        // before the call returns.
        unsafe {
            sys::rd_kafka_produce_batch(
                topic.as_ptr(),
                parcel.partition,
                sys::RD_KAFKA_MSG_F_COPY,
                messages.as_mut_ptr(),
                count,
            );
        }
        let rejected = (parcel.number..)
            .zip(&self.messages.0)
            .filter(|(_, message)| message.err != RD_KAFKA_RESP_ERR_NO_ERROR)
            .map(|(number, message)| Rejected::new(number, message.err));
        rejected.collect()
    }

    fn hand_over_dated<R: Records>(
        &self,
        topic: NonNull<sys::rd_kafka_topic_t>,
        parcel: &Parcel<'_, R>,
    ) -> Vec<Rejected> {
        let mut rejected = Vec::new();
        for (number, record) in (parcel.number..).zip(parcel.records.records()) {
            let code = match record.timestamp {
                0 => RD_KAFKA_RESP_ERR__INVALID_ARG,
                _ => self.produce(topic, parcel.partition, number, &record),
            };
            if code != RD_KAFKA_RESP_ERR_NO_ERROR {
                rejected.push(Rejected::new(number, code));
            }
        }
        rejected
    }

    fn produce(
        &self,
        topic: NonNull<sys::rd_kafka_topic_t>,
        partition: i32,
        number: usize,
        record: &Record<'_>,
    ) -> sys::rd_kafka_resp_err_t {
        let (key, key_len) = place(record.key);
        let (value, value_len) = place(record.value);
        let headers = headers(&record.headers);
        // SAFETY: The client and the topic live as long as `self`. Each kind is followed by what librdkafka says it takes, and the
        // list ends with its end. What is pointed to lives until the call returns, and is copied by then.
        let code = unsafe {
            sys::rd_kafka_producev(
                self.client.as_ptr(),
                kind::RD_KAFKA_VTYPE_RKT,
                topic.as_ptr(),
                kind::RD_KAFKA_VTYPE_PARTITION,
                partition,
                kind::RD_KAFKA_VTYPE_MSGFLAGS,
                sys::RD_KAFKA_MSG_F_COPY,
                kind::RD_KAFKA_VTYPE_KEY,
                key,
                key_len,
                kind::RD_KAFKA_VTYPE_VALUE,
                value,
                value_len,
                kind::RD_KAFKA_VTYPE_TIMESTAMP,
                record.timestamp,
                kind::RD_KAFKA_VTYPE_OPAQUE,
                ptr::without_provenance_mut::<std::ffi::c_void>(number),
                kind::RD_KAFKA_VTYPE_HEADERS,
                headers,
                kind::RD_KAFKA_VTYPE_END,
            )
        };
        if code != RD_KAFKA_RESP_ERR_NO_ERROR && !headers.is_null() {
            // SAFETY: librdkafka takes headers only where it takes the message.
            unsafe { sys::rd_kafka_headers_destroy(headers) };
        }
        code
    }

    /// A topic, with partitions that are known now where the wanted one was not known before.
    fn topic_of(&mut self, name: &str, partition: i32) -> Result<&Topic, Error> {
        let client = self.client;
        let topic = self.topic(name)?;
        if partition >= topic.partitions {
            topic.partitions = count_partitions(client, topic.raw).unwrap_or(topic.partitions);
        }
        Ok(topic)
    }

    /// What tests ask librdkafka's own broker through.
    #[cfg(test)]
    pub(super) fn client(&self) -> NonNull<sys::rd_kafka_t> {
        self.client
    }

    fn topic(&mut self, name: &str) -> Result<&mut Topic, Error> {
        let entry = match self.topics.entry(name.to_owned()) {
            Entry::Occupied(known) => return Ok(known.into_mut()),
            Entry::Vacant(entry) => entry,
        };
        let name = c_string(name)?;
        // SAFETY: The client lives as long as `self`, the name until the call returns. Without settings of its own the topic
        // gets those of the client.
        let raw = unsafe {
            sys::rd_kafka_topic_new(self.client.as_ptr(), name.as_ptr(), ptr::null_mut())
        };
        let raw = NonNull::new(raw).ok_or_else(|| Error::Create { why: last_error() })?;
        Ok(entry.insert(Topic {
            raw,
            name,
            partitions: 0,
        }))
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        self.waker.detach(self.queue);
        let all = sys::RD_KAFKA_PURGE_F_QUEUE
            | sys::RD_KAFKA_PURGE_F_INFLIGHT
            | sys::RD_KAFKA_PURGE_F_NON_BLOCKING;
        for topic in self.topics.values() {
            // SAFETY: Nobody uses the topic after this.
            unsafe { sys::rd_kafka_topic_destroy(topic.raw.as_ptr()) };
        }
        // SAFETY: All reports and topics are given back, and nobody uses queue or client after this. The client comes last, as
        // librdkafka asks; it waits for nothing that was purged.
        unsafe {
            sys::rd_kafka_purge(self.client.as_ptr(), all);
            sys::rd_kafka_queue_destroy(self.queue.as_ptr());
            sys::rd_kafka_destroy(self.client.as_ptr());
        }
    }
}

impl Rejected {
    fn new(number: usize, code: sys::rd_kafka_resp_err_t) -> Self {
        Self {
            number,
            code: code as i32,
            why: describe(code),
        }
    }
}

/// Partitions that librdkafka is to stop and to go on with.
struct Partitions(NonNull<sys::rd_kafka_topic_partition_list_t>);

impl Partitions {
    fn new(count: usize) -> Self {
        let count = c_int::try_from(count).unwrap_or(c_int::MAX);
        // SAFETY: Takes nothing but a number, and always gives a list that is the caller's own.
        let raw = unsafe { sys::rd_kafka_topic_partition_list_new(count) };
        Self(NonNull::new(raw).expect("librdkafka aborts rather than give null here"))
    }

    fn add(&mut self, topic: &CString, partition: i32) {
        // SAFETY: The list lives as long as `self`, and copies the name.
        unsafe {
            sys::rd_kafka_topic_partition_list_add(self.0.as_ptr(), topic.as_ptr(), partition);
        }
    }

    /// Stops sending from the partitions.
    fn pause(&mut self, client: NonNull<sys::rd_kafka_t>) {
        // SAFETY: The caller's client and the list are valid.
        unsafe { sys::rd_kafka_pause_partitions(client.as_ptr(), self.0.as_ptr()) };
    }

    fn resume(&mut self, client: NonNull<sys::rd_kafka_t>) {
        // SAFETY: The caller's client and the list are valid.
        unsafe { sys::rd_kafka_resume_partitions(client.as_ptr(), self.0.as_ptr()) };
    }
}

impl Drop for Partitions {
    fn drop(&mut self) {
        // SAFETY: Nobody uses the list after this.
        unsafe { sys::rd_kafka_topic_partition_list_destroy(self.0.as_ptr()) };
    }
}

/// Asks a broker how many partitions a topic has, and librdkafka knows them when this returns. `None` where there is no answer.
///
/// What librdkafka is given for a partition that it does not know it passes on one by one when it does.
fn count_partitions(
    client: NonNull<sys::rd_kafka_t>,
    topic: NonNull<sys::rd_kafka_topic_t>,
) -> Option<i32> {
    let mut answer = ptr::null();
    // SAFETY: The caller's client and its topic are valid. The answer is the caller's own where the call succeeds, and holds as
    // many topics as it says.
    unsafe {
        let outcome = sys::rd_kafka_metadata(
            client.as_ptr(),
            0,
            topic.as_ptr(),
            &raw mut answer,
            ASKING_MS,
        );
        if outcome != RD_KAFKA_RESP_ERR_NO_ERROR || answer.is_null() {
            return None;
        }
        let topics = (*answer).topics;
        // A broker's code, which need not be one that the bindings know.
        let found =
            (*answer).topic_cnt == 1 && (&raw const (*topics).err).cast::<i32>().read() == 0;
        let count = found.then(|| (*topics).partition_cnt);
        sys::rd_kafka_metadata_destroy(answer);
        count
    }
}

/// A message as librdkafka takes many at a time. It is valid as long as the record is.
fn message(partition: i32, number: usize, record: &Record<'_>) -> sys::rd_kafka_message_t {
    let (key, key_len) = place(record.key);
    let (payload, len) = place(record.value);
    sys::rd_kafka_message_t {
        err: RD_KAFKA_RESP_ERR_NO_ERROR,
        rkt: ptr::null_mut(),
        partition,
        payload,
        len,
        key,
        key_len,
        offset: 0,
        _private: ptr::without_provenance_mut(number),
    }
}

/// Where bytes lie; null for none. librdkafka only reads there.
fn place(bytes: Option<&[u8]>) -> (*mut std::ffi::c_void, usize) {
    bytes.map_or((ptr::null_mut(), 0), |bytes| {
        (bytes.as_ptr().cast_mut().cast(), bytes.len())
    })
}

/// A copy of headers, which is the caller's own; null where there are none.
fn headers(headers: &[(&[u8], Option<&[u8]>)]) -> *mut sys::rd_kafka_headers_t {
    if headers.is_empty() {
        return ptr::null_mut();
    }
    let length = |length: usize| isize::try_from(length).unwrap_or(isize::MAX);
    // SAFETY: The list is made here. Names and values are copied, and of the lengths given.
    unsafe {
        let list = sys::rd_kafka_headers_new(headers.len());
        for (name, value) in headers {
            let (value, value_len) = place(*value);
            sys::rd_kafka_header_add(
                list,
                name.as_ptr().cast(),
                length(name.len()),
                value,
                length(value_len),
            );
        }
        list
    }
}

/// librdkafka's text for a code.
fn describe(code: sys::rd_kafka_resp_err_t) -> String {
    // SAFETY: Takes no memory of ours, and the text is a constant.
    unsafe { text(sys::rd_kafka_err2str(code)) }
}
