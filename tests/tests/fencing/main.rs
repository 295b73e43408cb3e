//! A partition is printed by one member at a time, and what is committed never goes back, whatever comes between the members and
//! ZooKeeper. Real `divvy consume` processes on a real 0.8.2.2, each behind a proxy of its own.

mod cut;
mod foreign;
mod hiccup;
mod in_kafka;
mod lost;
mod many;
mod paused;
mod policies;
mod restart;
mod scene;
mod stalled;
