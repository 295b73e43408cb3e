//! Record sets, through the crate's public face.

#![allow(clippy::unwrap_used, reason = "what is wrong in a test may panic")]

mod golden;
mod hostile;
mod make;
mod reading_rules;
mod round_trip;
mod writing;
