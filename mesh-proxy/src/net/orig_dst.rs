//! Where a redirected connection was going.

use std::io;
use std::net::SocketAddr;

use socket2::SockRef;
use tokio::net::TcpStream;

/// The destination of a connection before the kernel's REDIRECT (SO_ORIGINAL_DST), or `None`
/// if the connection was made to the listener itself.
///
/// # Errors
/// If the kernel has no entry for the connection (ENOENT): it was not redirected.
pub fn original_destination(stream: &TcpStream) -> io::Result<Option<SocketAddr>> {
    let local = stream.local_addr()?;
    let socket = SockRef::from(stream);
    // A socket on `::` that took an IPv4 connection shows a mapped address.
    let is_v4 = match local {
        SocketAddr::V4(_) => true,
        SocketAddr::V6(v6) => v6.ip().to_ipv4_mapped().is_some(),
    };
    let original = if is_v4 {
        socket.original_dst_v4()?
    } else {
        socket.original_dst_v6()?
    };
    let original = original
        .as_socket()
        .ok_or_else(|| io::Error::from(io::ErrorKind::Unsupported))?;
    let local = SocketAddr::new(local.ip().to_canonical(), local.port());
    Ok((original != local).then_some(original))
}
