//! Which server holds whose session.

use anyhow::{Context as _, Result};

use super::{Cluster, four_letter_word};

#[cfg(test)]
mod tests;

impl Cluster {
    /// The ZooKeeper server, counted from 0, to which the client is connected whose session an ephemeral node lives by. The path
    /// includes the chroot.
    ///
    /// # Errors
    ///
    /// When no such node exists, or its client is connected to none just now.
    pub fn server_of(&self, path: &str) -> Result<usize> {
        let dump = four_letter_word(self.zookeeper_leader()?.address(), "dump")?;
        let session = owner_of(&dump, path).with_context(|| format!("no session owns {path}"))?;
        let connection = format!("sid={session},");
        self.zookeepers()
            .iter()
            .position(|server| {
                four_letter_word(server.address(), "cons")
                    .is_ok_and(|connections| connections.contains(&connection))
            })
            .with_context(|| format!("session {session} of {path} is connected to no server"))
    }
}

/// The session under which `dump` lists an ephemeral node: a line with its id, then one for each node.
fn owner_of<'a>(dump: &'a str, path: &str) -> Option<&'a str> {
    let mut session = None;
    for line in dump.lines() {
        match line.strip_prefix('\t') {
            Some(node) if node == path => return session,
            Some(_) => {}
            None => session = line.strip_suffix(':'),
        }
    }
    None
}
