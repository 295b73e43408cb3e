//! What the trait `Backend` promises, held against each of its implementations.
//!
//! A promise is a function over a [`Stage`]; every implementation has one, and a module that runs all promises on it.

#![allow(clippy::unwrap_used, reason = "what is wrong in a test may panic")]

mod memory;
mod native;
mod outage;
mod promises;
mod rdkafka;
mod stage;
mod threads;
mod unasked;
