//! The ZooKeeper session, the documents and the paths that Kafka and its consumer groups keep there.
