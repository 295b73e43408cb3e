use super::*;
use crate::question::CORRELATION_ID;

/// One broker, and one topic with a partition that has a leader and one that has none.
fn answer() -> Vec<u8> {
    let mut bytes = Vec::new();
    let numbers = |numbers: &[i32]| {
        numbers
            .iter()
            .flat_map(|n| n.to_be_bytes())
            .collect::<Vec<u8>>()
    };
    bytes.extend(numbers(&[CORRELATION_ID, 1, 7]));
    bytes.extend(b"\0\x04host");
    bytes.extend(numbers(&[9092, 1]));
    bytes.extend(b"\0\0\0\x05topic");
    bytes.extend(numbers(&[2]));
    bytes.extend(b"\0\0");
    bytes.extend(numbers(&[0, 7, 2, 7, 8, 1, 7]));
    bytes.extend(b"\0\x05");
    bytes.extend(numbers(&[1, -1, 1, 8, 0]));
    bytes
}

#[test]
fn an_answer_is_understood() {
    let metadata = parse(&answer()).expect("an answer");
    assert_eq!(
        metadata.brokers,
        BTreeMap::from([(7, ("host".to_owned(), 9092))])
    );
    let led = PartitionMetadata {
        leader: Some(7),
        replicas: vec![7, 8],
        isr: vec![7],
    };
    let orphan = PartitionMetadata {
        leader: None,
        replicas: vec![8],
        isr: vec![],
    };
    assert_eq!(
        metadata.topics,
        BTreeMap::from([("topic".to_owned(), BTreeMap::from([(0, led), (1, orphan)]))])
    );
}

#[test]
fn an_answer_that_is_cut_short_or_too_long_is_an_error() {
    let answer = answer();
    for end in 0..answer.len() {
        assert!(parse(&answer[..end]).is_err(), "{end} bytes");
    }
    assert!(parse(&[answer.as_slice(), b"more"].concat()).is_err());
}
