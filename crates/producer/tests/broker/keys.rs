//! Where records with keys go, and those without.

use std::sync::Arc;

use divvy_producer::{Error, HashingPartitioner};

use super::*;

fn keyed(key: Option<&'static str>) -> ProducerRecord {
    ProducerRecord {
        key: key.map(Into::into),
        ..ProducerRecord::new("t", "value")
    }
}

#[tokio::test]
async fn a_partitioner_that_goes_by_keys_refuses_records_without_one() {
    let cluster = Cluster::start(1, 7).await;
    let producer = producer(&cluster, |config| {
        config.partitioner = Arc::new(HashingPartitioner);
    })
    .await;
    assert_eq!(producer.partitions_for("t").await.unwrap().len(), 7);
    for error in [
        producer.send(keyed(None)).await.unwrap_err(),
        producer.try_send(keyed(None)).unwrap_err(),
    ] {
        let said = error.to_string();
        assert!(matches!(error, Error::InvalidRecord { .. }), "{said}");
        assert!(said.contains("`t`") && said.contains("no key"), "{said}");
        assert!(!error.is_retriable());
    }

    // An empty key is a key, and who names a partition needs none.
    let empty = producer.send(keyed(Some(""))).await.unwrap();
    assert_eq!(soon(empty).await.unwrap().tp.partition, 3);
    let named = producer.send(record(5, "value")).await.unwrap();
    assert_eq!(soon(named).await.unwrap().tp.partition, 5);
}
