//! Spouts on real clusters: the examples that acknowledge and fail one by one, as processes of one group.
//!
//! - `pool`: the workers of `worker_pool` finish in any order, one in ten fails, some messages always do, and members are killed.
//! - `storm`: `storm_spout`, driven by what speaks Storm's side of its protocol.
//! - `storm_itself`: the same under Storm.

mod pool;
mod storm;
mod storm_itself;
