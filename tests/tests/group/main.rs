//! Groups of real `divvy consume` processes on real clusters, 0.8.2.2 and 0.9.0.1: who owns what, and what is printed.

mod crash_release;
mod ensemble;
mod idle;
mod kill;
mod reader;
mod session;
mod shapes;
mod share;
