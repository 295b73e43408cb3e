//! A seed is a run: the same one each time.

use divvy_sim::{Options, run};

#[test]
fn the_same_seed_gives_the_same_run_line_by_line() {
    let mut lines = 0;
    for seed in 0..100 {
        let [first, second] = [(); 2].map(|()| run(Options::from_seed(seed), true));
        let differs = first
            .timeline
            .iter()
            .zip(&second.timeline)
            .find(|(first, second)| first != second);
        assert_eq!(differs, None, "seed {seed}");
        assert_eq!(first.timeline.len(), second.timeline.len(), "seed {seed}");
        lines += first.timeline.len();
    }
    assert!(lines > 50_000, "{lines} lines in all");
}

/// What is noted must not change what happens.
#[test]
fn a_run_is_the_same_whether_it_is_noted_or_not() {
    for seed in 100..120 {
        let noted = run(Options::from_seed(seed), true);
        let plain = run(Options::from_seed(seed), false);
        assert!(plain.timeline.is_empty());
        assert_eq!(plain.deliveries, noted.deliveries, "seed {seed}");
        assert_eq!(plain.strikes, noted.strikes, "seed {seed}");
    }
}

#[test]
fn different_seeds_give_different_runs() {
    let [first, second] = [1, 2].map(|seed| run(Options::from_seed(seed), true).timeline);
    assert_ne!(first, second);
}
