//! A batching Kafka producer for brokers from 0.8.2 on.
