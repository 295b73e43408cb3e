//! Groups of members of several makes on real clusters, 0.8.2.2 and 0.9.0.1: `divvy consume` beside Kafka's own high-level
//! consumer and beside PyKafka's.

mod backends;
mod dialect;
mod java;
mod neighbours;
mod pykafka;
