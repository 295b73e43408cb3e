//! Shares the partitions of Kafka topics out among consumers through ZooKeeper.
