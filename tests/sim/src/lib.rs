//! Groups of members in a world of faults, from a seed.
//!
//! A run puts members of the product (its ZooKeeper session, its membership, its driver, its engine and its offset store, nothing
//! of which knows that it is simulated) on a model of ZooKeeper, on logs in memory, and on clocks and links that fail. All of it
//! runs on one thread in virtual time, so that minutes take milliseconds, and everything follows from the seed: a run that fails
//! fails again, line by line.
//!
//! Those who judge a run know only what the outside can see: what was delivered and finished, what the members report, and which
//! nodes there are in ZooKeeper.
//!
//! ```no_run
//! let outcome = divvy_sim::run(divvy_sim::Options::from_seed(7), true);
//! for line in &outcome.timeline {
//!     println!("{line}");
//! }
//! assert!(outcome.violations.is_empty());
//! ```

mod broker;
mod checks;
mod fault;
mod host;
mod member;
mod network;
mod options;
mod pipe;
mod run;
mod script;
mod strikes;
mod sweep;
mod timeline;
mod world;

pub use fault::{Fault, Stage, Ways, What};
pub use options::Options;
pub use run::{Outcome, run};
pub use script::{Expectation, Script};
pub use strikes::Strikes;
pub use sweep::{Sweep, Swept, describe, report};
