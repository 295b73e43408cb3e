//! A partition is printed by one member at a time, and what is committed never goes back, whatever comes between the members and
//! ZooKeeper. Real `divvy consume` processes on a real 0.8.2.2, each behind a proxy of its own.

mod cut;
mod hiccup;
mod lost;
mod many;
mod paused;
mod restart;
mod scene;
