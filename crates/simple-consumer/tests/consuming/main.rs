//! What consumers promise, over a log in memory and a scripted backend.

#![allow(clippy::unwrap_used, reason = "what is wrong in a test may panic")]

mod common;
mod damage;
mod decoding;
mod finishing;
mod growth;
mod handing;
mod handles;
mod positions;
mod resets;
mod revoking;
mod spout_fates;
mod spouts;
mod stalling;
mod stores;
mod suspending;
mod unpacking;
