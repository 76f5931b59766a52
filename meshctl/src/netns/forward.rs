//! From a port of the host into the hub.

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// How long to wait after an accept failed, mostly because descriptors are used up (EMFILE).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Accepts on a listener of the host and carries each connection to an address inside the hub and
/// back, one direction closed at a time. A connection that `to` refuses is closed. The peer sees
/// the hub's address as the client's. Ends, with its connections, when it is dropped.
///
/// # Errors
/// If the runtime cannot take the listener.
pub async fn forward(listener: TcpListener, to: SocketAddr) -> io::Result<Infallible> {
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((client, _)) => { connections.spawn(carry(client, to)); }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection on a port of the host");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn carry(mut client: TcpStream, to: SocketAddr) {
    let carried = async {
        let mut server = TcpStream::connect(to).await?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        tokio::io::copy_bidirectional(&mut client, &mut server).await
    };
    if let Err(error) = carried.await {
        tracing::debug!(%to, %error, "a connection from the host ended");
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    fn listener() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    #[tokio::test]
    async fn carries_both_ways_with_half_close() {
        let (front, at) = listener();
        let (back, to) = listener();
        tokio::spawn(forward(front, to));
        back.set_nonblocking(true).unwrap();
        let back = tokio::net::TcpListener::from_std(back).unwrap();

        let mut client = TcpStream::connect(at).await.unwrap();
        client.write_all(b"question").await.unwrap();
        client.shutdown().await.unwrap();
        let (mut server, _) = back.accept().await.unwrap();
        let mut question = String::new();
        server.read_to_string(&mut question).await.unwrap();
        assert_eq!(question, "question");
        // The other direction is still open.
        server.write_all(b"answer").await.unwrap();
        drop(server);
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer, "answer");
    }

    #[tokio::test]
    async fn closes_what_nobody_takes() {
        let (front, at) = listener();
        let (back, to) = listener();
        drop(back);
        tokio::spawn(forward(front, to));
        let mut client = TcpStream::connect(at).await.unwrap();
        let mut rest = Vec::new();
        // The end of the stream or a reset: both say that it is over.
        let _ = client.read_to_end(&mut rest).await;
        assert!(rest.is_empty());
    }
}
