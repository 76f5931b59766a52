//! Listening sockets.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::net::{TcpListener, TcpStream};

// Linux caps it by net.core.somaxconn.
const BACKLOG: i32 = 4096;

// Out of file descriptors or memory: the condition needs time to pass.
const PAUSE: Duration = Duration::from_millis(20);

/// Accepts connections on one socket of one worker.
#[derive(Debug)]
pub struct Acceptor {
    listener: TcpListener,
}

/// Opens `workers` sockets on one address, for one thread each; the kernel spreads connections
/// over them (SO_REUSEPORT). With port 0 all get the same free port.
///
/// # Errors
/// If the address cannot be bound, or if any other process listens on it. The latter must be
/// asked for on its own, because SO_REUSEPORT would share the port silently.
pub fn bind_shared(address: SocketAddr, workers: usize) -> io::Result<Vec<StdListener>> {
    let probe = open(address, false)?;
    let address = local(&probe)?;
    drop(probe);
    (0..workers.max(1))
        .map(|_| listen(open(address, true)?))
        .collect()
}

/// Opens one socket that other workers of this process may open, too.
///
/// # Errors
/// If the address cannot be bound.
pub fn bind(address: SocketAddr) -> io::Result<StdListener> {
    listen(open(address, true)?)
}

fn open(address: SocketAddr, shared: bool) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    if shared {
        socket.set_reuse_port(true)?;
    }
    if address.is_ipv6() {
        // `::` takes IPv4, too, unless something listens on 0.0.0.0 already.
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    socket.bind(&address.into())?;
    if !shared {
        // With SO_REUSEADDR, only listening makes a conflict with another listener visible.
        socket.listen(1)?;
    }
    Ok(socket)
}

fn listen(socket: Socket) -> io::Result<StdListener> {
    socket.set_nonblocking(true)?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn local(socket: &Socket) -> io::Result<SocketAddr> {
    socket
        .local_addr()?
        .as_socket()
        .ok_or_else(|| io::Error::from(io::ErrorKind::AddrNotAvailable))
}

// === impl Acceptor ===

impl Acceptor {
    /// Registers a socket with the runtime of the calling thread.
    ///
    /// # Errors
    /// If the runtime refuses the socket.
    pub fn new(listener: StdListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        Ok(Self {
            listener: TcpListener::from_std(listener)?,
        })
    }

    /// The address that it listens on.
    ///
    /// # Errors
    /// If the kernel does not tell.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// The next connection, with Nagle's algorithm off. Errors of single connections are passed
    /// over; a shortage of descriptors or memory is waited out.
    pub async fn accept(&self) -> (TcpStream, SocketAddr) {
        loop {
            match self.listener.accept().await {
                Ok((stream, peer)) => {
                    // Without it small messages wait for the peer's delayed acknowledgement.
                    if stream.set_nodelay(true).is_ok() {
                        keep_alive(&stream);
                        return (stream, peer);
                    }
                }
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot accept connections");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }
}

/// A listening Unix socket whose file has this mode. One that a killed process left behind is
/// replaced, one that is answered is not.
///
/// # Errors
/// If the path is taken or cannot be bound.
pub fn bind_unix(path: &Path, mode: u32) -> io::Result<UnixListener> {
    if UnixStream::connect(path).is_ok() {
        return Err(io::ErrorKind::AddrInUse.into());
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Lets this process have as many descriptors as its hard limit allows: every connection needs
/// one or two, and the soft limit is 1024 on most systems for programs that use select(2).
pub fn raise_descriptor_limit() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
    if let Err(error) = raised {
        // It serves, only fewer connections at once.
        tracing::warn!(%error, "cannot raise the limit of open descriptors");
    }
}

/// Keeps the memory of this process, and the keys in it, out of core files. Not 0: a program that
/// takes cores by a pipe (core_pattern) gets them whatever the limit is, unless it is 1.
/// For servers' own processes: what they start inherits it.
pub(crate) fn forbid_core_files() {
    use nix::sys::resource::{Resource, setrlimit};
    if let Err(error) = setrlimit(Resource::RLIMIT_CORE, 1, 1) {
        tracing::warn!(%error, "core files cannot be forbidden: if this process crashes, its keys may be in one");
    }
}

// Peers that are gone without a word are noticed after two minutes.
pub(super) fn keep_alive(stream: &TcpStream) {
    let probes = TcpKeepalive::new()
        .with_time(Duration::from_secs(60))
        .with_interval(Duration::from_secs(20))
        .with_retries(3);
    // Without it the connection works as well, but for that.
    let _ = SockRef::from(stream).set_tcp_keepalive(&probes);
}

fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_workers_share_one_port() {
        let sockets = bind_shared("127.0.0.1:0".parse().unwrap(), 3).unwrap();
        let first = sockets[0].local_addr().unwrap();
        assert!(sockets.iter().all(|s| s.local_addr().unwrap() == first));
        assert_ne!(first.port(), 0);
    }

    #[test]
    fn a_taken_port_is_refused() {
        let taken = bind_shared("127.0.0.1:0".parse().unwrap(), 1).unwrap();
        let address = taken[0].local_addr().unwrap();
        let error = bind_shared(address, 2).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }
}
