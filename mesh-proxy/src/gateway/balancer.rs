//! What a balancer in front of the gateway says about its client: the PROXY protocol.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Buf as _;
use mesh_proxy_core::detect::{MAX_PROXY_HEADER, ProxyHeader, proxy_header};

use crate::net::Stream;

// A balancer sends the header with the connection (Envoy waits 15 s for it).
const PATIENCE: Duration = Duration::from_secs(15);

/// Why a connection is not served.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoHeader {
    #[error("PROXY protocol: {0}")]
    Io(#[from] io::Error),
    #[error("the connection does not begin with a header of the PROXY protocol")]
    Invalid,
    #[error("no header of the PROXY protocol came in time")]
    Timeout,
}

/// Takes the header off the connection. `None` if the balancer speaks for itself.
pub(super) async fn client(stream: &mut Stream) -> Result<Option<SocketAddr>, NoHeader> {
    tokio::time::timeout(PATIENCE, read(stream))
        .await
        .map_err(|_| NoHeader::Timeout)?
}

async fn read(stream: &mut Stream) -> Result<Option<SocketAddr>, NoHeader> {
    loop {
        match proxy_header(stream.unread()) {
            ProxyHeader::Whole { length, client } => {
                stream.unread_mut().advance(length);
                return Ok(client);
            }
            ProxyHeader::NeedMore if stream.unread().len() < MAX_PROXY_HEADER => {}
            ProxyHeader::NeedMore | ProxyHeader::Invalid => return Err(NoHeader::Invalid),
        }
        if stream.fill().await? == 0 {
            return Err(NoHeader::Io(io::ErrorKind::UnexpectedEof.into()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::UnixStream;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    fn pair() -> (UnixStream, Stream) {
        let (far, near) = UnixStream::pair().unwrap();
        (far, Stream::from(near))
    }

    #[tokio::test]
    async fn a_header_in_pieces_is_taken_off() {
        let (mut far, mut near) = pair();
        let send = async {
            for piece in [
                &b"PRO"[..],
                b"XY TCP4 10.0.0.1 10.0.0.2 7",
                b" 8\r",
                b"\nhello",
            ] {
                far.write_all(piece).await.unwrap();
                tokio::task::yield_now().await;
            }
            far.shutdown().await.unwrap();
        };
        let (client, ()) = tokio::join!(client(&mut near), send);
        assert_eq!(client.unwrap(), Some("10.0.0.1:7".parse().unwrap()));
        let mut rest = String::new();
        near.read_to_string(&mut rest).await.unwrap();
        assert_eq!(rest, "hello");
    }

    #[tokio::test(start_paused = true)]
    async fn others_are_refused() {
        let (mut far, mut near) = pair();
        far.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
        assert!(matches!(client(&mut near).await, Err(NoHeader::Invalid)));
        let (_far, mut near) = pair();
        assert!(matches!(client(&mut near).await, Err(NoHeader::Timeout)));
        let (far, mut near) = pair();
        drop(far);
        assert!(matches!(client(&mut near).await, Err(NoHeader::Io(_))));
    }
}
