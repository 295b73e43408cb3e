//! One cluster per version for all tests of a process.

use std::sync::OnceLock;

use anyhow::{Result, anyhow};

use crate::{Cluster, KafkaVersion};

type Slot = OnceLock<Result<Cluster, String>>;

pub(super) fn shared(version: KafkaVersion) -> Result<&'static Cluster> {
    static V0_8_2_2: Slot = OnceLock::new();
    static V0_9_0_1: Slot = OnceLock::new();
    static V0_11_0_3: Slot = OnceLock::new();
    static EMBEDDED_0_8_2: Slot = OnceLock::new();
    static EMBEDDED_0_9: Slot = OnceLock::new();
    let slot = match version {
        KafkaVersion::Embedded0_8_2 => &EMBEDDED_0_8_2,
        KafkaVersion::Embedded0_9 => &EMBEDDED_0_9,
        KafkaVersion::V0_8_2_2 => &V0_8_2_2,
        KafkaVersion::V0_9_0_1 => &V0_9_0_1,
        KafkaVersion::V0_11_0_3 => &V0_11_0_3,
    };
    slot.get_or_init(|| {
        Cluster::builder()
            .kafka(version)
            .start()
            .map_err(|error| format!("{error:#}"))
    })
    .as_ref()
    .map_err(|error| anyhow!("the shared cluster of Kafka {version} could not be started: {error}"))
}
