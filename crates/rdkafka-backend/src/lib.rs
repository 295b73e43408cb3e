//! Broker traffic of divvy's consumers and producer through librdkafka 2.
//!
//! With the feature `bundled` off, which is the default, this crate is empty and no C is built. With it on, librdkafka is built
//! from the sources that come with `rdkafka-sys`; that takes make and compilers of C and C++, and no library of the system's.
//!
//! [`RdkafkaBackend`] is a `Backend` of `divvy-client`: librdkafka fetches, and everything else (groups, offsets, fencing, what is
//! finished) is done as with the native one. [`RdkafkaProducer`] carries a producer's batches: librdkafka sends them, and everything
//! else (batches, order, retries, deadlines) is the producer's. [`bare`] is what both stand on.
//!
//! All unsafe code of the workspace is in this crate, each block with its reason.

#[cfg(feature = "bundled")]
mod backend;
#[cfg(feature = "bundled")]
pub mod bare;
#[cfg(feature = "bundled")]
mod cluster;
#[cfg(feature = "bundled")]
mod producer;

#[cfg(feature = "bundled")]
pub use backend::{RdkafkaBackend, RdkafkaConfig};
#[cfg(feature = "bundled")]
pub use producer::{
    Delivered, DeliveryFailure, RdkafkaProducer, RdkafkaProducerConfig, Run, Stored,
};
