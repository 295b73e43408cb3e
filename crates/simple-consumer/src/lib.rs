//! A Kafka consumer that owns every partition of its topics, or those that it is given.
