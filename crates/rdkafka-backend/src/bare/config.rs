use std::ffi::{CStr, c_char};
use std::ptr::NonNull;

use rdkafka_sys as sys;

use super::{Error, c_string};

/// How much room librdkafka gets for the text of an error.
const TEXT_BYTES: usize = 512;

/// Settings of a consumer or producer by librdkafka's names. A property of topics holds for every topic.
#[derive(Debug)]
pub struct Config {
    raw: NonNull<sys::rd_kafka_conf_t>,
}

impl Config {
    /// librdkafka's defaults, but that it writes no log: it would go to stderr.
    pub fn new() -> Self {
        // SAFETY: Takes nothing and always gives settings that are the caller's own.
        let raw = unsafe { sys::rd_kafka_conf_new() };
        let raw = NonNull::new(raw).expect("librdkafka aborts rather than give null here");
        // SAFETY: The settings were just made, and no callback is a valid callback.
        unsafe { sys::rd_kafka_conf_set_log_cb(raw.as_ptr(), None) };
        Self { raw }
    }

    /// Sets a property. Fails with librdkafka's own text where it knows no such property or refuses the value.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), Error> {
        let (c_name, c_value) = (c_string(name)?, c_string(value)?);
        let mut text = ErrorText::new();
        // SAFETY: The settings live as long as `self`; both texts end with a zero byte and live until the call returns, as does
        // the room for the error, whose size is given.
        let outcome = unsafe {
            sys::rd_kafka_conf_set(
                self.raw.as_ptr(),
                c_name.as_ptr(),
                c_value.as_ptr(),
                text.as_mut_ptr(),
                TEXT_BYTES,
            )
        };
        match outcome {
            sys::rd_kafka_conf_res_t::RD_KAFKA_CONF_OK => Ok(()),
            _ => Err(Error::Property {
                name: name.to_owned(),
                value: value.to_owned(),
                why: text.into_string(),
            }),
        }
    }

    /// Makes a consumer of the settings.
    pub(super) fn into_consumer(self) -> Result<NonNull<sys::rd_kafka_t>, Error> {
        self.into_client(sys::rd_kafka_type_t::RD_KAFKA_CONSUMER)
    }

    /// Makes a producer of the settings, which says by events in its main queue what became of each message.
    pub(super) fn into_producer(self) -> Result<NonNull<sys::rd_kafka_t>, Error> {
        // SAFETY: The settings live as long as `self`.
        unsafe { sys::rd_kafka_conf_set_events(self.raw.as_ptr(), sys::RD_KAFKA_EVENT_DR) };
        self.into_client(sys::rd_kafka_type_t::RD_KAFKA_PRODUCER)
    }

    fn into_client(self, kind: sys::rd_kafka_type_t) -> Result<NonNull<sys::rd_kafka_t>, Error> {
        let mut text = ErrorText::new();
        // SAFETY: The settings are valid, and are librdkafka's own from here on if it succeeds, which `forget` below takes into
        // account. The room for the error lives until the call returns, and its size is given.
        let raw =
            unsafe { sys::rd_kafka_new(kind, self.raw.as_ptr(), text.as_mut_ptr(), TEXT_BYTES) };
        match NonNull::new(raw) {
            Some(client) => {
                std::mem::forget(self);
                Ok(client)
            }
            None => Err(Error::Create {
                why: text.into_string(),
            }),
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Config {
    fn drop(&mut self) {
        // SAFETY: The settings were not given away: that forgets `self`.
        unsafe { sys::rd_kafka_conf_destroy(self.raw.as_ptr()) };
    }
}

// SAFETY: The settings are memory that nobody else knows of, and can be changed through `&mut self` alone.
unsafe impl Send for Config {}

/// Room for the text of an error.
struct ErrorText([u8; TEXT_BYTES]);

impl ErrorText {
    fn new() -> Self {
        Self([0; TEXT_BYTES])
    }

    fn as_mut_ptr(&mut self) -> *mut c_char {
        self.0.as_mut_ptr().cast()
    }

    fn into_string(self) -> String {
        CStr::from_bytes_until_nul(&self.0)
            .map(|text| text.to_string_lossy().into_owned())
            .unwrap_or_default()
    }
}
