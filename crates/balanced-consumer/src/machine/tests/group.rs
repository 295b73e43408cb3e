//! Seeded runs of whole groups. `SEED=` replays one of them.

use super::model::World;

fn run(seed: u64) -> World {
    println!("SEED={seed}");
    let mut world = World::new(seed);
    world.run();
    world.check_converged();
    world
}

#[test]
fn groups_converge_whatever_happens_and_no_partition_has_two_owners() {
    if let Some(seed) = std::env::var("SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
    {
        let world = run(seed);
        println!("{}", world.log.join("\n"));
        return;
    }
    for seed in 0..150 {
        run(seed);
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for seed in 1000..1010 {
        assert!(run(seed).log == run(seed).log);
    }
}
