//! Starts real ZooKeeper and Kafka for the tests.
