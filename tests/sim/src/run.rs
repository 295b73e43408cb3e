//! One run, from its options to its outcome.

use divvy_embedded_cluster::zookeeper::Millis;
use tokio::runtime::Builder;

use crate::options::Options;
use crate::strikes::Strikes;
use crate::world::{Item, World};

/// How long what is finished may take to be stored and everything to be read, beyond the interval of commits.
const READING: Millis = 3_000;

/// How long leaving in order may take where nothing is in the way.
const LEAVING: Millis = 1_000;

/// What came of a run.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// What was seen that must not be; empty for a good run.
    pub violations: Vec<String>,
    /// What happened, if it was asked for.
    pub timeline: Vec<String>,
    /// Which faults struck, and when.
    pub strikes: Strikes,
    /// How many messages came into the members' hands.
    pub deliveries: u64,
    /// How much time passed, in virtual milliseconds.
    pub virtual_ms: u64,
}

/// Carries out a run. With `verbose`, it notes everything that happens.
pub fn run(options: Options, verbose: bool) -> Outcome {
    let built = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    match built {
        Ok(runtime) => runtime.block_on(live(options, verbose)),
        Err(error) => Outcome {
            violations: vec![format!("no runtime: {error}")],
            ..Outcome::default()
        },
    }
}

async fn live(options: Options, verbose: bool) -> Outcome {
    let world = World::new(options.clone(), verbose);
    world.act(|state| {
        for partitions in &options.topics {
            state.create_topic(*partitions);
        }
        for _ in 0..options.members {
            let slot = state.add_slot();
            state.plan(0, Item::Start(slot));
        }
        for (index, fault) in options.faults.iter().enumerate() {
            state.plan(fault.at, Item::Fault(index));
        }
        state.plan(500, Item::Append);
    });
    world.run_until(options.window).await;
    world.act(crate::world::State::heal);
    // Members that were on their way out or down come back now.
    let converged = options.settles_within();
    world.run_until(options.window + converged).await;
    // Who left in the middle of it came back later.
    let later = world.act(|state| state.checks.settles_by());
    let settled = (options.window + converged).max(later.unwrap_or(0) + 1);
    world.run_until(settled).await;
    world.act(|state| {
        state.appending = false;
        if let Some(why) = state.unsettled() {
            state.violation(format!("{why}, {converged} ms after everything was healed"));
        }
    });
    let read = settled + options.commit_interval + READING;
    world.run_until(read).await;
    world.act(|state| {
        if let Some(why) = state.unread() {
            state.violation(format!("{why}, at the end"));
        }
        state.leave_all();
    });
    world.run_until(read + LEAVING).await;
    world.act(|state| {
        if let Some(why) = state.left_behind() {
            state.violation(format!("{why}, {LEAVING} ms after everybody was to leave"));
        }
        state.hear_events();
        Outcome {
            violations: std::mem::take(&mut state.checks.violations),
            timeline: state.timeline.take(),
            strikes: std::mem::take(&mut state.checks.strikes),
            deliveries: state.checks.deliveries,
            virtual_ms: state.now(),
        }
    })
}
