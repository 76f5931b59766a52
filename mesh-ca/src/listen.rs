//! Where servers listen and clients connect: TCP or a Unix socket. The only module that names
//! `tokio::net`.

use std::fmt;
use std::fs::{self, File, TryLockError};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::task::{Context, Poll};

use tokio::net::{TcpListener, UnixListener};

mod socket;

pub use socket::Socket;

/// `unix:///path/to.sock`, or `host:port`, with `http://` or `https://` before it if one likes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListenAddress {
    /// Host (name or address) and port; port 0 takes a free one.
    Tcp(String),
    /// Path of a socket.
    Unix(PathBuf),
}

/// Why a text is no address to listen on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no address: write unix:///path/to.sock or host:port, for example 127.0.0.1:15012"
)]
pub struct InvalidListenAddress(String);

/// Where a listener listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BoundAddress {
    /// Address and port.
    Tcp(SocketAddr),
    /// Path of the socket.
    Unix(PathBuf),
}

/// Why nobody listens.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Somebody else does.
    #[error(
        "cannot listen on {address}: another process does; stop it, or choose another address{hint}"
    )]
    Taken {
        /// The address.
        address: ListenAddress,
        /// How to find the process.
        hint: String,
    },
    /// Something else stands at the path of the socket.
    #[error(
        "cannot listen on unix://{path}: a file that is no socket is there; move it away or choose another path"
    )]
    NoSocket {
        /// The path.
        path: PathBuf,
    },
    /// The operating system refused.
    #[error("cannot listen on {address}: {source}")]
    Io {
        /// The address.
        address: ListenAddress,
        /// What the operating system says.
        source: io::Error,
    },
}

/// A bound socket. A Unix socket's file goes with it.
#[derive(Debug)]
pub enum Listener {
    /// TCP.
    Tcp(TcpListener),
    /// A Unix socket.
    Unix(UnixListener, SocketFile),
}

/// Who may connect to a Unix socket, besides what its directory says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Its owner: for sockets that ask for no credentials.
    Owner,
    /// Anybody: for sockets that authenticate.
    Anybody,
}

/// Removes the socket's file at the end. While it lives, nobody else takes the path.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    _lock: File,
}

/// Lets this process have as many descriptors as its hard limit allows. A server needs one for
/// every connection, and the soft limit is 1024 on most systems for programs that use select(2).
/// For servers' own processes: what they start inherits it.
pub fn raise_descriptor_limit() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
    if let Err(error) = raised {
        // It serves, only fewer clients at once.
        tracing::warn!(%error, "cannot raise the limit of open descriptors");
    }
}

/// Keeps the memory of this process, and the keys in it, out of core files. Not 0: a program that
/// takes cores by a pipe (core_pattern) gets them whatever the limit is, unless it is 1.
/// For servers' own processes: what they start inherits it.
pub fn forbid_core_files() {
    use nix::sys::resource::{Resource, setrlimit};
    if let Err(error) = setrlimit(Resource::RLIMIT_CORE, 1, 1) {
        tracing::warn!(%error, "core files cannot be forbidden: if this process crashes, its keys may be in one");
    }
}

// === impl ListenAddress ===

impl FromStr for ListenAddress {
    type Err = InvalidListenAddress;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidListenAddress(text.chars().take(256).collect());
        if let Some(path) = text.strip_prefix("unix:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return match path.is_empty() {
                true => Err(invalid()),
                false => Ok(Self::Unix(PathBuf::from(path))),
            };
        }
        let rest = text
            .strip_prefix("https://")
            .or_else(|| text.strip_prefix("http://"))
            .unwrap_or(text);
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = rest.rsplit_once(':').ok_or_else(invalid)?;
        let plain = |b: u8| {
            b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':' | b'[' | b']')
        };
        if host.is_empty() || !host.bytes().all(plain) || port.parse::<u16>().is_err() {
            return Err(invalid());
        }
        Ok(Self::Tcp(rest.to_owned()))
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => f.write_str(address),
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
        }
    }
}

// === impl BoundAddress ===

impl From<BoundAddress> for ListenAddress {
    /// Where to connect to.
    fn from(bound: BoundAddress) -> Self {
        match bound {
            BoundAddress::Tcp(address) => Self::Tcp(address.to_string()),
            BoundAddress::Unix(path) => Self::Unix(path),
        }
    }
}

impl fmt::Display for BoundAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
        }
    }
}

// === impl Listener ===

impl Listener {
    /// Listens. A socket file that a dead process left behind is replaced; one that somebody
    /// listens on is not.
    ///
    /// # Errors
    /// A [`ListenError`] that names the address and the next step.
    pub async fn bind(address: &ListenAddress, access: Access) -> Result<Self, ListenError> {
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::AddrInUse => taken(address),
            _ => ListenError::Io {
                address: address.clone(),
                source,
            },
        };
        match address {
            ListenAddress::Tcp(text) => TcpListener::bind(text.as_str())
                .await
                .map(Self::Tcp)
                .map_err(failed),
            ListenAddress::Unix(path) => {
                let file = SocketFile::claim(address, path)?;
                let listener = UnixListener::bind(path).map_err(failed)?;
                let mode = match access {
                    Access::Owner => 0o600,
                    Access::Anybody => 0o666,
                };
                fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(failed)?;
                Ok(Self::Unix(listener, file))
            }
        }
    }

    /// Where it listens.
    ///
    /// # Errors
    /// If the operating system does not say.
    pub fn address(&self) -> io::Result<BoundAddress> {
        match self {
            Self::Tcp(listener) => listener.local_addr().map(BoundAddress::Tcp),
            Self::Unix(_, file) => Ok(BoundAddress::Unix(file.path.clone())),
        }
    }

    /// Takes the next connection.
    ///
    /// # Errors
    /// Of `accept(2)`; the listener stays good.
    pub fn poll_accept(&self, context: &mut Context<'_>) -> Poll<io::Result<Socket>> {
        match self {
            Self::Tcp(listener) => listener.poll_accept(context).map_ok(|(stream, _)| {
                // Small messages both ways. Without it they are only slower.
                let _ = stream.set_nodelay(true);
                Socket::Tcp(stream)
            }),
            Self::Unix(listener, _) => listener
                .poll_accept(context)
                .map_ok(|(stream, _)| Socket::Unix(stream)),
        }
    }

    /// Takes the next connection.
    ///
    /// # Errors
    /// As [`Listener::poll_accept`].
    pub async fn accept(&self) -> io::Result<Socket> {
        std::future::poll_fn(|context| self.poll_accept(context)).await
    }
}

fn taken(address: &ListenAddress) -> ListenError {
    let hint = match address {
        ListenAddress::Tcp(text) => {
            let port = text.rsplit_once(':').map_or("", |(_, port)| port);
            format!(" (`ss -ltnp 'sport = :{port}'` shows it)")
        }
        ListenAddress::Unix(path) => format!(" (`fuser {}` shows it)", path.display()),
    };
    ListenError::Taken {
        address: address.clone(),
        hint,
    }
}

// === impl SocketFile ===

impl SocketFile {
    /// Makes the path free for us alone. Looking and removing would leave a gap in which two
    /// processes remove each other's socket; the lock beside it closes that.
    fn claim(address: &ListenAddress, path: &Path) -> Result<Self, ListenError> {
        let failed = |source| ListenError::Io {
            address: address.clone(),
            source,
        };
        let mut lock_path = path.as_os_str().to_owned();
        lock_path.push(".lock");
        let lock = File::options()
            .create(true)
            .append(true)
            .open(lock_path)
            .map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(taken(address)),
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        match fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(failed(source)),
            Ok(found) if !found.file_type().is_socket() => {
                return Err(ListenError::NoSocket {
                    path: path.to_owned(),
                });
            }
            Ok(_) => {
                // A program that knows nothing of our lock may listen there.
                if std::os::unix::net::UnixStream::connect(path).is_ok() {
                    return Err(taken(address));
                }
                fs::remove_file(path).map_err(failed)?;
            }
        }
        Ok(Self {
            path: path.to_owned(),
            _lock: lock,
        })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // If it is gone already, all is well.
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_addresses() {
        for (text, shown) in [
            ("127.0.0.1:15012", "127.0.0.1:15012"),
            ("https://[::1]:15012/", "[::1]:15012"),
            ("http://localhost:0", "localhost:0"),
            ("unix:///run/mesh/a.sock", "unix:///run/mesh/a.sock"),
            ("unix:a.sock", "unix://a.sock"),
        ] {
            assert_eq!(text.parse::<ListenAddress>().unwrap().to_string(), shown);
        }
        for text in [
            "",
            "15012",
            ":1",
            "a:b",
            "a:99999",
            "unix:",
            "unix://",
            "ftp://a:1",
            "a b:1",
        ] {
            assert!(text.parse::<ListenAddress>().is_err(), "{text}");
        }
    }

    #[tokio::test]
    async fn a_stale_socket_is_replaced_and_a_live_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.sock");
        let address = ListenAddress::Unix(path.clone());
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "a dead process leaves its file");

        let first = Listener::bind(&address, Access::Owner).await.unwrap();
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        let error = Listener::bind(&address, Access::Owner).await.unwrap_err();
        assert!(
            matches!(error, ListenError::Taken { .. }) && error.to_string().contains("a.sock"),
            "{error}"
        );
        drop(first);
        assert!(!path.exists());
        Listener::bind(&address, Access::Anybody).await.unwrap();
    }

    #[tokio::test]
    async fn what_is_not_ours_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.sock");
        fs::write(&path, "precious").unwrap();
        let error = Listener::bind(&ListenAddress::Unix(path.clone()), Access::Owner)
            .await
            .unwrap_err();
        assert!(matches!(error, ListenError::NoSocket { .. }));
        assert_eq!(fs::read(&path).unwrap(), b"precious");

        fs::remove_file(&path).unwrap();
        let _foreign = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let error = Listener::bind(&ListenAddress::Unix(path.clone()), Access::Owner)
            .await
            .unwrap_err();
        assert!(matches!(error, ListenError::Taken { .. }) && path.exists());
    }

    #[tokio::test]
    async fn a_taken_port_is_named() {
        let held = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let text = held.local_addr().unwrap().to_string();
        let error = Listener::bind(&ListenAddress::Tcp(text.clone()), Access::Owner)
            .await
            .unwrap_err();
        assert!(
            error.to_string().contains(&text) && error.to_string().contains("another process"),
            "{error}"
        );
    }
}
