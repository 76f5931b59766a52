//! Connections handed on.

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::{CallError, Via};
use crate::output::complain;

/// Hands every connection of a listener on over one of its own, until the listener breaks. That
/// one cannot be handed on is told on standard error.
///
/// # Errors
/// If the listener breaks.
pub async fn relay(listener: TcpListener, via: Via) -> std::io::Result<()> {
    // They end with this.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (client, _) = accepted?;
                connections.spawn(hand_on(client, via.clone()));
            }
            Some(ended) = connections.join_next() => {
                if let Ok(Err(error)) = ended {
                    complain(format_args!("error: {error}"));
                }
            }
        }
    }
}

async fn hand_on(mut client: TcpStream, via: Via) -> Result<(), CallError> {
    let mut server = via.open().await?;
    // That one side hangs up is how connections end.
    let _ = copy_bidirectional(&mut client, &mut server).await;
    Ok(())
}
