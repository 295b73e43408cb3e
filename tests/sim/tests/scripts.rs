//! Every script runs as it says.

use std::fs;
use std::path::Path;

use divvy_sim::{Options, Script, describe, run};

#[test]
fn every_script_goes_as_it_says() {
    // Cargo runs the tests of a crate in its folder.
    let folder = Path::new("scripts");
    let mut scripts = 0;
    let mut complaints = Vec::new();
    for entry in fs::read_dir(folder).expect("scripts") {
        let path = entry.expect("a script").path();
        let name = path.display().to_string();
        let text = fs::read_to_string(&path).expect(&name);
        let script: Script = text.parse().unwrap_or_else(|why| panic!("{name}: {why:?}"));
        let mut outcome = run(script.options.clone(), true);
        outcome.violations = script.complaints(&outcome);
        scripts += 1;
        if !outcome.violations.is_empty() {
            complaints.push(describe(&name, &script.options, &outcome));
        }
    }
    assert!(scripts >= 15, "only {scripts} scripts");
    assert!(complaints.is_empty(), "{}", complaints.join("\n\n"));
}

#[test]
fn what_is_expected_and_does_not_happen_is_noticed() {
    let text = |expectation: &str| format!("members 2\nfor 5s\nat 2s join\n{expectation}");
    let complaints = |expectation: &str| {
        let script: Script = text(expectation).parse().expect("a script");
        let outcome = run(script.options.clone(), true);
        script.complaints(&outcome)
    };
    assert_eq!(
        complaints("expect some \"FAULT Join\" from 2s to 3s").len(),
        0
    );
    assert_eq!(
        complaints("expect some \"FAULT Join\" from 3s to 9s").len(),
        1
    );
    assert_eq!(
        complaints("expect no \"FAULT Join\" from 0s to 3s").len(),
        1
    );
}

#[test]
fn what_no_script_can_mean_is_refused() {
    for line in [
        "members",
        "members two",
        "session 6",
        "at 3s",
        "at 3s sing 0",
        "at 3s freeze 0",
        "at 3s freeze 0 2s 3s",
        "at 3s inside lunch freeze 0 2s",
        "at 3s cut 0 2s lost",
        "expect all \"x\" from 0s to 1s",
        "expect some x from 0s to 1s",
        "expect some \"x\" from 0s",
        "whatever 3",
    ] {
        assert!(line.parse::<Script>().is_err(), "{line}");
    }
}

/// What a failing seed prints can be kept as a script, and shortened.
#[test]
fn a_seed_as_a_script_is_the_same_run() {
    for seed in 0..200 {
        let options = Options::from_seed(seed);
        let script: Script = options.to_string().parse().expect("a script");
        assert_eq!(script.options, options);
        assert!(script.expectations.is_empty());
    }
}
