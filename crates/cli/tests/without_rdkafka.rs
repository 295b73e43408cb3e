//! The program as it is built by default: without librdkafka, and saying so.

use std::process::Command;

const COMMANDS: [&[&str]; 5] = [
    &["consume", "--zookeeper", "127.0.0.1:1", "--group", "g"],
    &["tail", "--bootstrap", "127.0.0.1:1"],
    &["produce", "--bootstrap", "127.0.0.1:1"],
    &[
        "bench",
        "produce",
        "--bootstrap",
        "127.0.0.1:1",
        "--messages",
        "1",
    ],
    &[
        "bench",
        "consume",
        "--bootstrap",
        "127.0.0.1:1",
        "--messages",
        "1",
    ],
];

#[test]
#[cfg(not(feature = "rdkafka"))]
fn who_asks_for_librdkafka_is_told_how_to_build_it() {
    for command in COMMANDS {
        let divvy = Command::new(env!("CARGO_BIN_EXE_divvy"))
            .args(command)
            .args(["--topic", "t", "--use-rdkafka"])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&divvy.stderr);
        assert_eq!(divvy.status.code(), Some(2), "{command:?}: {said}");
        assert!(
            said.contains("cargo build --release -p divvy-cli --features rdkafka"),
            "{command:?}: {said}"
        );
        assert!(divvy.stdout.is_empty(), "{command:?}");
    }
}

#[test]
fn a_property_of_librdkafka_needs_librdkafka() {
    for command in COMMANDS {
        let divvy = Command::new(env!("CARGO_BIN_EXE_divvy"))
            .args(command)
            .args(["--topic", "t", "--rdkafka-property", "debug=fetch"])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&divvy.stderr);
        assert_eq!(divvy.status.code(), Some(2), "{command:?}: {said}");
        assert!(said.contains("--use-rdkafka"), "{command:?}: {said}");
    }
}
