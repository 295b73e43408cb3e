//! A Kafka consumer group that shares partitions through ZooKeeper.
