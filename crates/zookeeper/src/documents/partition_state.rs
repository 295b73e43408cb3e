use super::{Malformed, int_field, ints, object};

/// The state of a partition, `/brokers/topics/<topic>/partitions/<partition>/state`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionState {
    /// The broker that leads the partition; none while it is offline (`-1` in the document).
    pub leader: Option<i32>,
    /// How often the leader has changed.
    pub leader_epoch: i32,
    /// The brokers whose replicas are in sync.
    pub isr: Vec<i32>,
}

impl PartitionState {
    /// Reads a state.
    ///
    /// # Errors
    /// [`Malformed`] where it is no JSON object or lacks one of the fields.
    pub fn parse(data: &[u8]) -> Result<Self, Malformed> {
        let document = object(data)?;
        let leader = int_field(&document, "leader")?;
        let isr = document.get("isr").and_then(ints);
        Ok(Self {
            leader: (leader >= 0).then_some(leader),
            leader_epoch: int_field(&document, "leader_epoch")?,
            isr: isr.ok_or_else(|| Malformed::new("it has no list `isr`"))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_kafka_writes() {
        let state =
            br#"{"controller_epoch":1,"leader":1,"version":1,"leader_epoch":3,"isr":[1,2]}"#;
        assert_eq!(
            PartitionState::parse(state),
            Ok(PartitionState {
                leader: Some(1),
                leader_epoch: 3,
                isr: vec![1, 2]
            })
        );
        let offline =
            br#"{"controller_epoch":1,"leader":-1,"version":1,"leader_epoch":4,"isr":[]}"#;
        assert_eq!(PartitionState::parse(offline).unwrap().leader, None);
    }

    #[test]
    fn refuses_what_is_no_state() {
        for data in [
            "",
            "[]",
            "{}",
            r#"{"leader":1,"leader_epoch":1}"#,
            r#"{"leader":1,"leader_epoch":1,"isr":["1"]}"#,
        ] {
            assert!(PartitionState::parse(data.as_bytes()).is_err(), "{data}");
        }
    }
}
