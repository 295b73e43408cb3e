use std::collections::BTreeMap;

use super::*;

/// Puts a prefix before text that is not empty.
struct Prefix(&'static str);

impl Encoder<str> for Prefix {
    fn encode(&self, text: &str) -> Result<Bytes, Box<dyn StdError + Send + Sync>> {
        match text {
            "" => Err("nothing to encode".into()),
            text => Ok(format!("{}{text}", self.0).into()),
        }
    }
}

#[test]
fn key_and_value_are_encoded_each_by_its_own() {
    let record = ProducerRecord::encoded("t", &serde_json::to_vec::<[i32]>, &[1, 2][..]).unwrap();
    assert_eq!(record, ProducerRecord::new("t", "[1,2]"));
    let record = record.encode_key(&Prefix("k-"), "7").unwrap();
    let expected = ProducerRecord {
        key: Some("k-7".into()),
        ..ProducerRecord::new("t", "[1,2]")
    };
    assert_eq!(record, expected);
}

#[test]
fn an_encoder_may_be_an_object() {
    let encoders: [&dyn Encoder<str>; 2] = [&Prefix("a"), &Prefix("b")];
    let values = encoders.map(|encoder| ProducerRecord::encoded("t", encoder, "x").unwrap().value);
    assert_eq!(values, [Some("ax".into()), Some("bx".into())]);
}

#[test]
fn what_cannot_be_encoded_says_for_which_topic_and_why() {
    // Keys of JSON's objects are text.
    let wrong = BTreeMap::from([((1, 2), 3)]);
    let value = ProducerRecord::encoded("t", &serde_json::to_vec::<BTreeMap<_, _>>, &wrong);
    let key = ProducerRecord::new("t", "x").encode_key(&Prefix("k"), "");
    let errors = [value, key].map(Result::unwrap_err);
    for (error, part, why) in [
        (&errors[0], "value", "key must be a string"),
        (&errors[1], "key", "nothing to encode"),
    ] {
        let expected = format!("the {part} of a record for topic `t` cannot be encoded: {why}");
        assert_eq!(error.to_string(), expected);
        assert!(StdError::source(error).is_some() && !error.is_retriable());
    }
}
