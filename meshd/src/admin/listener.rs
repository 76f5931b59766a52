//! Lets axum serve on what we listen on.

use std::io;
use std::time::Duration;

use axum::serve::Listener as AxumListener;
use mesh_ca::listen::{BoundAddress, Listener, Socket};
use tokio::time::sleep;

/// A TCP or Unix listener for the operator's interface.
#[derive(Debug)]
pub(crate) struct AdminListener(pub(crate) Listener);

impl AxumListener for AdminListener {
    type Io = Socket;
    type Addr = BoundAddress;

    async fn accept(&mut self) -> (Socket, BoundAddress) {
        loop {
            match (self.0.accept().await, self.0.address()) {
                (Ok(socket), Ok(address)) => return (socket, address),
                (Err(error), _) | (_, Err(error)) => {
                    tracing::warn!(%error, "cannot accept a connection; trying again");
                    sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<BoundAddress> {
        self.0.address()
    }
}
