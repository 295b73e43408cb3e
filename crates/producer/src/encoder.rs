use std::error::Error as StdError;
use std::sync::Arc;

use bytes::Bytes;

use crate::error::{Error, Result};
use crate::record::ProducerRecord;

#[cfg(test)]
mod tests;

/// Turns a key or a value into bytes. Kafka: `Serializer`, `Encoder`; PyKafka: `serializer`.
///
/// Functions from `&T` to a result of bytes are encoders. What has settings of its own, such as the id of a schema, implements
/// the trait.
///
/// ```
/// use divvy_producer::ProducerRecord;
///
/// let prices = vec![7, 12];
/// let record = ProducerRecord::encoded("prices", &serde_json::to_vec::<Vec<u32>>, &prices)?
///     .encode_key(&serde_json::to_vec::<str>, "coffee")?;
/// assert_eq!(record.value.as_deref(), Some(&b"[7,12]"[..]));
/// assert_eq!(record.key.as_deref(), Some(&b"\"coffee\""[..]));
/// # Ok::<(), divvy_producer::Error>(())
/// ```
pub trait Encoder<T: ?Sized> {
    /// The bytes.
    ///
    /// # Errors
    ///
    /// What keeps the value from being encoded; it becomes the source of [`Error::Encode`].
    fn encode(&self, value: &T) -> Result<Bytes, Box<dyn StdError + Send + Sync>>;
}

impl<T, B, E, F> Encoder<T> for F
where
    T: ?Sized,
    F: Fn(&T) -> Result<B, E>,
    B: Into<Bytes>,
    E: Into<Box<dyn StdError + Send + Sync>>,
{
    fn encode(&self, value: &T) -> Result<Bytes, Box<dyn StdError + Send + Sync>> {
        self(value).map(Into::into).map_err(Into::into)
    }
}

impl ProducerRecord {
    /// A record with an encoded value alone. For a tombstone nothing is encoded: set [`value`](ProducerRecord::value) to `None`.
    ///
    /// # Errors
    ///
    /// [`Error::Encode`].
    pub fn encoded<T: ?Sized>(
        topic: impl Into<Arc<str>>,
        encoder: &(impl Encoder<T> + ?Sized),
        value: &T,
    ) -> Result<Self> {
        let topic = topic.into();
        let value = encode(&topic, "value", encoder, value)?;
        Ok(Self::new(topic, value))
    }

    /// The same record with an encoded key, by whose bytes its partition is chosen.
    ///
    /// # Errors
    ///
    /// [`Error::Encode`].
    pub fn encode_key<T: ?Sized>(
        mut self,
        encoder: &(impl Encoder<T> + ?Sized),
        key: &T,
    ) -> Result<Self> {
        self.key = Some(encode(&self.topic, "key", encoder, key)?);
        Ok(self)
    }
}

fn encode<T: ?Sized>(
    topic: &str,
    part: &'static str,
    encoder: &(impl Encoder<T> + ?Sized),
    value: &T,
) -> Result<Bytes> {
    encoder.encode(value).map_err(|source| Error::Encode {
        topic: topic.to_owned(),
        part,
        source: source.into(),
    })
}
