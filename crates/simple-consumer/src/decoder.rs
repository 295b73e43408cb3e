use std::error::Error as StdError;

use divvy_client::TopicPartition;

use crate::error::{Error, Result};
use crate::message::{Message, OwnedMessage};
use crate::spout::SpoutMessage;

/// Makes something of the bytes of a key or a value. Kafka: `Deserializer`, `Decoder`; PyKafka: `deserializer`.
///
/// Functions from bytes to a result are decoders, such as `serde_json::from_slice::<Order>`, or [`std::str::from_utf8`], whose
/// result borrows from the message. What has settings of its own, such as known schemas, implements the trait.
///
/// ```no_run
/// # use divvy_simple_consumer::{Error, SimpleConsumer};
/// # async fn example(consumer: &mut SimpleConsumer) -> Result<(), Error> {
/// loop {
///     let message = consumer.recv().await?;
///     match message.decode_value(&std::str::from_utf8) {
///         Ok(Some(text)) => println!("{text}"),
///         Ok(None) => println!("a tombstone"),
///         // Says where it is. The next call goes on behind it, as behind any other.
///         Err(error) => eprintln!("{error}"),
///     }
/// }
/// # }
/// ```
pub trait Decoder<'a, T> {
    /// What the bytes say. Null is not decoded; empty bytes are.
    ///
    /// # Errors
    ///
    /// What is wrong with the bytes; it becomes the source of [`Error::Decode`].
    fn decode(&self, bytes: &'a [u8]) -> Result<T, Box<dyn StdError + Send + Sync>>;
}

impl<'a, T, E, F> Decoder<'a, T> for F
where
    F: Fn(&'a [u8]) -> Result<T, E>,
    E: Into<Box<dyn StdError + Send + Sync>>,
{
    fn decode(&self, bytes: &'a [u8]) -> Result<T, Box<dyn StdError + Send + Sync>> {
        self(bytes).map_err(Into::into)
    }
}

/// Where a message lies, for the error.
struct Place<'p> {
    tp: &'p TopicPartition,
    offset: i64,
}

impl Place<'_> {
    fn decode<'a, T>(
        &self,
        part: &'static str,
        bytes: Option<&'a [u8]>,
        decoder: &(impl Decoder<'a, T> + ?Sized),
    ) -> Result<Option<T>> {
        let decoded = bytes.map(|bytes| decoder.decode(bytes)).transpose();
        decoded.map_err(|source| Error::Decode {
            tp: self.tp.clone(),
            offset: self.offset,
            part,
            source: source.into(),
        })
    }
}

impl<'m> Message<'m> {
    /// What its key says; `None` for none.
    ///
    /// # Errors
    ///
    /// [`Error::Decode`], which says where the message lies. It changes nothing about the message: whether it is finished is
    /// decided as for any other.
    pub fn decode_key<T>(&self, decoder: &(impl Decoder<'m, T> + ?Sized)) -> Result<Option<T>> {
        self.place().decode("key", self.key(), decoder)
    }

    /// What its value says; `None` for none (a tombstone). Errors as for [`Message::decode_key`].
    pub fn decode_value<T>(&self, decoder: &(impl Decoder<'m, T> + ?Sized)) -> Result<Option<T>> {
        self.place().decode("value", self.value(), decoder)
    }

    fn place(&self) -> Place<'_> {
        Place {
            tp: self.partition(),
            offset: self.offset(),
        }
    }
}

/// The same for messages that have their bytes to themselves.
macro_rules! decode_owned {
    ($message:ident) => {
        impl $message {
            /// What its key says; `None` for none. Errors as for [`Message::decode_key`](crate::Message::decode_key).
            pub fn decode_key<'m, T>(
                &'m self,
                decoder: &(impl Decoder<'m, T> + ?Sized),
            ) -> Result<Option<T>> {
                self.place().decode("key", self.key.as_deref(), decoder)
            }

            /// What its value says; `None` for none (a tombstone). Errors as for
            /// [`Message::decode_key`](crate::Message::decode_key).
            pub fn decode_value<'m, T>(
                &'m self,
                decoder: &(impl Decoder<'m, T> + ?Sized),
            ) -> Result<Option<T>> {
                self.place().decode("value", self.value.as_deref(), decoder)
            }

            fn place(&self) -> Place<'_> {
                Place {
                    tp: &self.tp,
                    offset: self.offset,
                }
            }
        }
    };
}

decode_owned!(OwnedMessage);
decode_owned!(SpoutMessage);
