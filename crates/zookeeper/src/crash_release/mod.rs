//! Ending the sessions of a process that has died at once, and not only when they time out.
//!
//! The servers learn of a process that died without closing its sessions when these time out, and until then its ephemeral nodes
//! keep others from its work. A second process, the helper, is told of every session before anybody uses it. When its parent is
//! gone without having closed them, it attaches to them and closes them, which takes milliseconds.
//!
//! It is the same program, started once more: [`run_if_asked`], called first thing in `main`, makes it one. Turn it on with
//! [`Config::crash_release`](crate::Config::crash_release).
//!
//! ```no_run
//! use divvy_zookeeper::{Config, CrashRelease, ZooKeeper, crash_release};
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     crash_release::run_if_asked();
//!     let zookeeper = ZooKeeper::new(Config {
//!         crash_release: CrashRelease::this_program()?,
//!         ..Config::new("zk1:2181")
//!     })?;
//!     # drop(zookeeper);
//!     Ok(())
//! }
//! ```
//!
//! The helper acts only after its parent has exited *and* the pipe between the two has ended, so never for a process that is
//! merely slow or stopped. It ends within a second of its parent. The sessions' passwords go through that pipe and nowhere else.
//! It ignores SIGTERM, SIGINT and SIGHUP, is in a process group of its own, and has the null device for standard streams. It
//! cannot outlive a container or a control group that is killed as a whole; then sessions time out as ever.

use std::io;
use std::path::PathBuf;

mod closing;
mod helper;
mod message;
mod parent;

#[cfg(test)]
mod tests;

pub use helper::run_if_asked;

pub(crate) use parent::Helper;

/// What tells a program that it is to be the helper: its first argument. The second is its parent's process id.
const ARGUMENT: &str = "crash-release-helper";

/// Whether the sessions of this process are closed for it when it dies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum CrashRelease {
    /// No: they time out.
    #[default]
    Off,
    /// By a helper process that runs this program, which calls [`run_if_asked`] at its start. It is started with the
    /// [`ZooKeeper`](crate::ZooKeeper) handle; where that fails there is a warning, and sessions time out.
    Program(PathBuf),
}

impl CrashRelease {
    /// By a helper process that runs the same program as this process.
    ///
    /// # Errors
    /// Where the system does not tell which program that is.
    pub fn this_program() -> io::Result<Self> {
        std::env::current_exe().map(Self::Program)
    }
}
