//! The way of messages through a consumer, on real clusters and the embedded one: damage on a broker's disk, idle topics, applications that stand
//! still, and the memory that all of it takes.

#![allow(
    clippy::print_stderr,
    reason = "what was measured is shown beside the bound, which is generous"
)]

mod damage;
mod idle;
mod memory;
mod scene;
mod slow;
mod still;
