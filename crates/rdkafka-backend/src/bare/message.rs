use std::ffi::{CStr, c_char};
use std::fmt;
use std::marker::PhantomData;
use std::ptr::{self, NonNull};
use std::slice;

use rdkafka_sys as sys;
use sys::rd_kafka_timestamp_type_t::{
    RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME, RD_KAFKA_TIMESTAMP_NOT_AVAILABLE,
};

/// Messages out of the queue, and errors of partitions among them. Gives them back to librdkafka when it is dropped.
pub struct Batch<'a> {
    /// Lives as long as `'a`.
    client: NonNull<sys::rd_kafka_t>,
    messages: &'a mut Vec<*mut sys::rd_kafka_message_t>,
}

impl<'a> Batch<'a> {
    /// The messages are the client's, valid, and nobody else's.
    pub(super) fn new(
        client: NonNull<sys::rd_kafka_t>,
        messages: &'a mut Vec<*mut sys::rd_kafka_message_t>,
    ) -> Self {
        Self { client, messages }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// The end of the log that a message came from, as far as it can be read, as the last answer of a broker said. Below 0 where
    /// none has said so.
    pub fn high_watermark(&self, message: Message<'_>) -> i64 {
        let (mut low, mut high) = (-1, -1);
        // SAFETY: The client lives as long as the batch, the message keeps its topic and with it the name, and both places are
        // written before the call returns. Where librdkafka does not know the partition it leaves them alone.
        unsafe {
            let topic = (*message.raw).rkt;
            if !topic.is_null() {
                sys::rd_kafka_get_watermark_offsets(
                    self.client.as_ptr(),
                    sys::rd_kafka_topic_name(topic),
                    message.partition(),
                    &raw mut low,
                    &raw mut high,
                );
            }
        }
        high
    }

    /// In the order of the queue, which is that of the offsets in each partition.
    pub fn iter(&self) -> impl Iterator<Item = Message<'_>> + Clone {
        self.messages.iter().map(|raw| Message::new(*raw))
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

/// Whose clock a timestamp was read off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// The producer's.
    Producer,
    /// The broker's, when it appended the message.
    Broker,
}

impl<'a> Message<'a> {
    /// The message is valid as long as `'a`.
    pub(super) fn new(raw: *const sys::rd_kafka_message_t) -> Self {
        Self {
            raw,
            batch: PhantomData,
        }
    }

    /// What the producer gave with it, as a number.
    pub(super) fn opaque(&self) -> usize {
        // SAFETY: The message is valid.
        unsafe { (*self.raw)._private }.addr()
    }

    /// The broker that it was sent to.
    pub(super) fn broker(&self) -> i32 {
        // SAFETY: The message is valid.
        unsafe { sys::rd_kafka_message_broker_id(self.raw) }
    }

    /// Its topic. Empty where an error is of no topic.
    pub fn topic(&self) -> &'a str {
        // SAFETY: The message is valid, and keeps its topic as long as it lives.
        let name = unsafe {
            match (*self.raw).rkt {
                topic if topic.is_null() => return "",
                topic => CStr::from_ptr(sys::rd_kafka_topic_name(topic)),
            }
        };
        // Kafka takes letters, digits and a few signs of ASCII only.
        name.to_str().unwrap_or_default()
    }

    /// Its partition.
    pub fn partition(&self) -> i32 {
        // SAFETY: The message is valid.
        unsafe { (*self.raw).partition }
    }

    /// Whether both are of the same partition of the same topic.
    pub fn joins(&self, other: &Message<'_>) -> bool {
        // SAFETY: Both messages are valid.
        unsafe { (*self.raw).rkt == (*other.raw).rkt && self.partition() == other.partition() }
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

    /// Its timestamp in milliseconds since 1970, if it has one.
    pub fn timestamp(&self) -> Option<(i64, Clock)> {
        let mut kind = RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        // SAFETY: The message is valid, and the kind is written before the call returns.
        let at = unsafe { sys::rd_kafka_message_timestamp(self.raw, &raw mut kind) };
        match kind {
            RD_KAFKA_TIMESTAMP_NOT_AVAILABLE => None,
            RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME => Some((at, Clock::Broker)),
            _ => Some((at, Clock::Producer)),
        }
    }

    /// Puts its headers, each a name and a value, at the end of `headers`. Gives whether there are any.
    pub fn headers(&self, headers: &mut Vec<(&'a [u8], Option<&'a [u8]>)>) -> bool {
        let mut list = ptr::null_mut();
        // SAFETY: The message is valid, and this thread alone has it: librdkafka reads the headers when they are first asked for.
        let outcome = unsafe { sys::rd_kafka_message_headers(self.raw, &raw mut list) };
        if outcome != sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR || list.is_null() {
            return false;
        }
        // SAFETY: The list is the message's, and lives as long as it does.
        let count = unsafe { sys::rd_kafka_header_cnt(list) };
        for at in 0..count {
            let (mut name, mut value, mut len) = (ptr::null(), ptr::null(), 0);
            // SAFETY: As before, and the three places are written before the call returns. A name ends with a zero byte, a value
            // is null or so many bytes, and both live as long as the list.
            unsafe {
                sys::rd_kafka_header_get_all(list, at, &raw mut name, &raw mut value, &raw mut len);
                if !name.is_null() {
                    let name = CStr::from_ptr(name).to_bytes();
                    headers.push((name, bytes(value.cast(), len)));
                }
            }
        }
        count > 0
    }

    /// Whether this is an error.
    pub fn is_error(&self) -> bool {
        self.code() != 0
    }

    /// librdkafka's code and text where this is an error. Codes below 0 are its own, others the broker's.
    pub fn error(&self) -> Option<(i32, String)> {
        let code = self.code();
        if code == 0 {
            return None;
        }
        // SAFETY: The message is valid, and the text lives at least as long as it does.
        let text = unsafe { text(sys::rd_kafka_message_errstr(self.raw)) };
        Some((code, text))
    }

    /// 0 where this is no error.
    pub(super) fn code(&self) -> i32 {
        // SAFETY: The message is valid. The code is read as the number that C has there: librdkafka passes on what a broker
        // sends, and an enum must not hold what it does not name.
        unsafe { (&raw const (*self.raw).err).cast::<i32>().read() }
    }
}

impl fmt::Debug for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("topic", &self.topic())
            .field("partition", &self.partition())
            .field("offset", &self.offset())
            .field("error", &self.error())
            .finish()
    }
}

/// Gives messages back to librdkafka, which has given them.
pub(super) fn destroy(messages: &mut Vec<*mut sys::rd_kafka_message_t>) {
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
pub(super) unsafe fn text(start: *const c_char) -> String {
    if start.is_null() {
        return String::new();
    }
    // SAFETY: As the caller promises.
    let text = unsafe { CStr::from_ptr(start) };
    text.to_string_lossy().into_owned()
}
