//! Groups in hard weather, on real clusters: servers of an ensemble die or are cut off from one another, a broker's registration
//! flaps, brokers are replaced by others of a later version, a handler keeps its only thread busy.

mod busy;
mod cut_off;
mod ensemble;
mod flapping;
mod upgrade;
