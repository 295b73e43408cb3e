//! How a member reaches the servers: the product's own seam, over the network of the world.

use std::future::poll_fn;
use std::io;

use async_trait::async_trait;
use divvy_zookeeper::wire::{ClientFrame, ServerFrame};
use divvy_zookeeper::{Dial, Pipe};

use crate::network::{Up, Wire};
use crate::world::World;

#[derive(Debug)]
pub(crate) struct SimDial {
    pub(crate) world: World,
    pub(crate) member: usize,
}

/// A member's end of a connection.
#[derive(Debug)]
struct End {
    world: World,
    wire: Wire,
}

#[async_trait]
impl Dial for SimDial {
    async fn dial(&self, server: &str) -> io::Result<Box<dyn Pipe>> {
        let number = server.trim_start_matches("zk").split(':').next();
        let server = number.and_then(|number| number.parse().ok());
        let server = server.ok_or(io::ErrorKind::NotFound)?;
        let wire = self.world.act(|state| {
            let wire = state.network.open(self.member, server);
            state.send_up(wire, Up::Connect);
            wire
        });
        let end = End {
            world: self.world.clone(),
            wire,
        };
        let accepted = poll_fn(|context| {
            self.world.poll_wire(wire, context, |connection| {
                (connection.accepted || connection.over).then_some(connection.accepted)
            })
        });
        match accepted.await {
            Some(true) => Ok(Box::new(end)),
            _ => Err(io::ErrorKind::ConnectionRefused.into()),
        }
    }
}

#[async_trait]
impl Pipe for End {
    fn send(&mut self, frame: ClientFrame) -> io::Result<()> {
        self.world
            .act(|state| state.send_up(self.wire, Up::Frame(frame)));
        Ok(())
    }

    async fn receive(&mut self) -> io::Result<Option<ServerFrame>> {
        let taken = poll_fn(|context| {
            self.world
                .poll_wire(self.wire, context, crate::network::Connection::take)
        });
        match taken.await {
            Some(frame) => frame.map(Some),
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

impl Drop for End {
    fn drop(&mut self) {
        self.world.act(|state| state.leave(self.wire));
    }
}
