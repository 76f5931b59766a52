//! SOCKS version 5 (RFC 1928), as far as a proxy for clients on the same host needs it: no
//! authentication, CONNECT, names and both kinds of addresses.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use bytes::Buf;
use mesh_api::Hostname;
use tokio::io::AsyncWriteExt;

use crate::net::Stream;

/// The first byte of a SOCKS5 client.
pub const VERSION: u8 = 5;

const NO_AUTHENTICATION: u8 = 0;
const NO_ACCEPTABLE_METHOD: u8 = 0xff;
const CONNECT: u8 = 1;

/// What a client is told (RFC 1928 section 6, field REP).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Reply {
    /// The bytes that follow are carried to the destination.
    Succeeded = 0,
    /// The proxy failed.
    GeneralFailure = 1,
    /// The mesh's configuration does not allow the destination.
    NotAllowed = 2,
    /// There is no endpoint.
    HostUnreachable = 4,
    /// The command is not CONNECT.
    CommandNotSupported = 7,
    /// The kind of address is unknown.
    AddressTypeNotSupported = 8,
}

/// Why a handshake failed.
#[derive(Debug, thiserror::Error)]
pub enum SocksError {
    /// The connection broke or ended early.
    #[error("SOCKS client: {0}")]
    Io(#[from] io::Error),
    /// The client sent what RFC 1928 does not allow.
    #[error("SOCKS client: {0}")]
    Protocol(&'static str),
    /// The client was silent for too long.
    #[error("SOCKS client was silent for too long")]
    Timeout,
}

/// Reads a client's wish for a connection: the host as the client wrote it, and the port. The
/// client then waits for [`reply`].
///
/// # Errors
/// If the client breaks the protocol, asks for what is not supported (it was told so), goes
/// away, or takes longer than `timeout`.
pub async fn accept(stream: &mut Stream, timeout: Duration) -> Result<(Hostname, u16), SocksError> {
    tokio::time::timeout(timeout, handshake(stream))
        .await
        .map_err(|_| SocksError::Timeout)?
}

/// Answers a client's wish.
///
/// # Errors
/// If the connection is broken.
pub async fn reply(stream: &mut Stream, reply: Reply) -> io::Result<()> {
    // The bound address says nothing to the client: 0.0.0.0:0.
    stream
        .write_all(&[VERSION, reply as u8, 0, 1, 0, 0, 0, 0, 0, 0])
        .await?;
    stream.flush().await
}

async fn handshake(stream: &mut Stream) -> Result<(Hostname, u16), SocksError> {
    let [version, count] = take(stream).await?;
    if version != VERSION {
        return Err(SocksError::Protocol("the version is not 5"));
    }
    let methods = take_some(stream, count.into()).await?;
    if !methods.contains(&NO_AUTHENTICATION) {
        stream.write_all(&[VERSION, NO_ACCEPTABLE_METHOD]).await?;
        return Err(SocksError::Protocol("it insists on authentication"));
    }
    stream.write_all(&[VERSION, NO_AUTHENTICATION]).await?;
    stream.flush().await?;

    let [version, command, _reserved, kind] = take(stream).await?;
    if version != VERSION {
        return Err(SocksError::Protocol("the version is not 5"));
    }
    let host = match kind {
        1 => Ipv4Addr::from(take::<4>(stream).await?).to_string(),
        4 => Ipv6Addr::from(take::<16>(stream).await?).to_string(),
        3 => {
            let [length] = take(stream).await?;
            String::from_utf8_lossy(&take_some(stream, length.into()).await?).into_owned()
        }
        _ => {
            reply(stream, Reply::AddressTypeNotSupported).await?;
            return Err(SocksError::Protocol("the kind of address is unknown"));
        }
    };
    let port = u16::from_be_bytes(take(stream).await?);
    if command != CONNECT {
        reply(stream, Reply::CommandNotSupported).await?;
        return Err(SocksError::Protocol("the command is not CONNECT"));
    }
    let Ok(host) = host.parse::<Hostname>() else {
        reply(stream, Reply::GeneralFailure).await?;
        return Err(SocksError::Protocol("the host name is not valid"));
    };
    Ok((host, port))
}

async fn take<const N: usize>(stream: &mut Stream) -> Result<[u8; N], SocksError> {
    let bytes = take_some(stream, N).await?;
    <[u8; N]>::try_from(bytes.as_slice()).map_err(|_| SocksError::Protocol("it is too short"))
}

// Exactly as many bytes: what follows belongs to the tunnel.
async fn take_some(stream: &mut Stream, count: usize) -> Result<Vec<u8>, SocksError> {
    while stream.unread().len() < count {
        if stream.fill().await? == 0 {
            return Err(SocksError::Io(io::ErrorKind::UnexpectedEof.into()));
        }
    }
    let bytes = stream.unread().get(..count).unwrap_or_default().to_vec();
    stream.unread_mut().advance(count);
    Ok(bytes)
}

/// The host and port as an address, if the host is one.
pub fn as_address(host: &Hostname, port: u16) -> Option<SocketAddr> {
    host.as_str()
        .parse()
        .ok()
        .map(|ip| SocketAddr::new(ip, port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::UnixStream;
    use tokio::io::AsyncReadExt;

    async fn run(bytes: &[u8]) -> (Result<(Hostname, u16), SocksError>, Vec<u8>, Vec<u8>) {
        let (mut client, near) = UnixStream::pair().unwrap();
        client.write_all(bytes).await.unwrap();
        client.shutdown().await.unwrap();
        let mut near = Stream::from(near);
        let result = accept(&mut near, Duration::from_secs(5)).await;
        let mut rest = Vec::new();
        near.read_to_end(&mut rest).await.unwrap();
        drop(near);
        let mut told = Vec::new();
        client.read_to_end(&mut told).await.unwrap();
        (result, told, rest)
    }

    #[tokio::test]
    async fn understands_names_and_addresses() {
        let greet = [5, 1, 0];
        let cases: [(&[u8], &str, u16); 3] = [
            (
                &[
                    5, 1, 0, 3, 7, b'r', b'e', b'v', b'i', b'e', b'w', b's', 0x23, 0x78,
                ],
                "reviews",
                9080,
            ),
            (&[5, 1, 0, 1, 10, 0, 0, 1, 0, 80], "10.0.0.1", 80),
            (
                &[
                    5, 1, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 187,
                ],
                "::1",
                443,
            ),
        ];
        for (request, host, port) in cases {
            let (result, told, rest) = run(&[&greet, request, b"payload"].concat()).await;
            let (got_host, got_port) = result.unwrap();
            assert_eq!((got_host.as_str(), got_port), (host, port));
            assert_eq!(told, [5, 0]);
            assert_eq!(rest, b"payload");
        }
    }

    #[tokio::test]
    async fn refuses_what_it_cannot_do() {
        let cases: [(&[u8], &[u8]); 5] = [
            (&[4, 1], &[]),
            (&[5, 1, 2], &[5, 0xff]),
            (
                &[5, 1, 0, 5, 2, 0, 1, 1, 1, 1, 1, 0, 80],
                &[5, 0, 5, 7, 0, 1, 0, 0, 0, 0, 0, 0],
            ),
            (
                &[5, 1, 0, 5, 1, 0, 9],
                &[5, 0, 5, 8, 0, 1, 0, 0, 0, 0, 0, 0],
            ),
            (&[5, 1], &[]),
        ];
        for (request, answer) in cases {
            let (result, told, _) = run(request).await;
            assert!(result.is_err(), "{request:?}");
            assert_eq!(told, answer, "{request:?}");
        }
    }
}
