//! The sockets of this process: those that were taken over, and those that a successor may take.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener as StdUnixListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::net::{AddressFamily, SocketType, sockopt};
use socket2::SockRef;

use super::message::Label;
use crate::net::{StdTcpListener, StdUdpSocket, bind, bind_shared};

/// The role of Unix sockets that no option asks for, with the path behind it.
const CONFIGURED: &str = "unix://";

/// Opens sockets: takes those of a predecessor, opens what is missing, and offers all of them to
/// a successor. Cheap to clone; the default has no predecessor.
#[derive(Clone, Default)]
pub struct Sockets(Arc<Mutex<State>>);

/// A socket that a successor may take, until this is dropped. Keep it as long as the socket: a
/// copy of the socket is open until then.
#[must_use = "the socket is not offered to a successor once this is dropped"]
pub struct Offered {
    all: Sockets,
    number: Option<u64>,
}

/// An open socket, and the offer of it.
pub type Open<T> = (T, Offered);

#[derive(Default)]
struct State {
    inherited: Vec<Inherited>,
    next: u64,
    offered: BTreeMap<u64, (Label, Arc<OwnedFd>)>,
    claimed: BTreeSet<PathBuf>,
}

/// The right to serve a Unix socket that the configuration asks for, until this is dropped.
#[must_use = "others may serve the socket once this is dropped"]
pub struct Claim {
    all: Sockets,
    path: PathBuf,
}

/// A socket that was taken over, by what the kernel says that it is.
pub(super) struct Inherited {
    label: Label,
    kind: Kind,
    local: Option<SocketAddr>,
    socket: OwnedFd,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Tcp,
    Udp,
    Unix,
    HandOver,
}

// === impl Sockets ===

impl Sockets {
    pub(super) fn inherit(&self, sockets: Vec<Inherited>) {
        self.lock().inherited = sockets;
    }

    /// One listening socket for the address that the option `role` asks for; `open` opens it if
    /// there is none to take over.
    ///
    /// # Errors
    /// Those of `open`.
    pub fn tcp(
        &self,
        role: &str,
        address: SocketAddr,
        open: impl FnOnce(SocketAddr) -> io::Result<StdTcpListener>,
    ) -> io::Result<Open<StdTcpListener>> {
        let mut taken = self.take(Kind::Tcp, role, Some(address)).into_iter();
        let socket = match taken.next() {
            Some(socket) => StdTcpListener::from(socket),
            None => open(address)?,
        };
        let offered = self.offer(role, Some(address), &socket);
        Ok((socket, offered))
    }

    /// At least one listening socket for each of `workers`, on one address. There may be more
    /// than that, if the predecessor had more: what waits in their queues has to be accepted, too.
    ///
    /// # Errors
    /// If the address cannot be bound.
    pub fn tcp_group(
        &self,
        role: &str,
        address: SocketAddr,
        workers: usize,
    ) -> io::Result<Vec<Open<StdTcpListener>>> {
        let taken = self.take(Kind::Tcp, role, Some(address));
        let mut sockets: Vec<_> = taken.into_iter().map(StdTcpListener::from).collect();
        match sockets.first().map(StdTcpListener::local_addr) {
            None => sockets = bind_shared(address, workers)?,
            Some(local) => {
                let local = local?;
                while sockets.len() < workers {
                    sockets.push(bind(local)?);
                }
            }
        }
        let offered = |socket: StdTcpListener| {
            let offered = self.offer(role, Some(address), &socket);
            (socket, offered)
        };
        Ok(sockets.into_iter().map(offered).collect())
    }

    /// The same for one socket of datagrams.
    ///
    /// # Errors
    /// Those of `open`.
    pub fn udp(
        &self,
        role: &str,
        address: SocketAddr,
        open: impl FnOnce(SocketAddr) -> io::Result<StdUdpSocket>,
    ) -> io::Result<Open<StdUdpSocket>> {
        let mut taken = self.take(Kind::Udp, role, Some(address)).into_iter();
        let socket = match taken.next() {
            Some(socket) => StdUdpSocket::from(socket),
            None => open(address)?,
        };
        let offered = self.offer(role, Some(address), &socket);
        Ok((socket, offered))
    }

    /// The same for a Unix socket. The file stays where the predecessor put it.
    ///
    /// # Errors
    /// Those of `open`.
    pub fn unix(
        &self,
        role: &str,
        open: impl FnOnce() -> io::Result<StdUnixListener>,
    ) -> io::Result<Open<StdUnixListener>> {
        let mut taken = self.take(Kind::Unix, role, None).into_iter();
        let socket = match taken.next() {
            Some(socket) => StdUnixListener::from(socket),
            None => open()?,
        };
        let offered = self.offer(role, None, &socket);
        Ok((socket, offered))
    }

    /// The socket that the predecessor awaited successors on.
    pub(super) fn hand_over(&self, role: &str) -> Option<OwnedFd> {
        self.take(Kind::HandOver, role, None).into_iter().next()
    }

    /// The right to serve the Unix socket of that path, which only one worker has at a time.
    pub fn claim(&self, path: &Path) -> Option<Claim> {
        let claim = || Claim {
            all: self.clone(),
            path: path.to_owned(),
        };
        self.lock().claimed.insert(path.to_owned()).then(claim)
    }

    /// The same for a Unix socket that the configuration asks for by its path.
    ///
    /// # Errors
    /// Those of `open`.
    pub fn configured_unix(
        &self,
        path: &Path,
        open: impl FnOnce() -> io::Result<StdUnixListener>,
    ) -> io::Result<Open<StdUnixListener>> {
        self.unix(&format!("{CONFIGURED}{}", path.display()), open)
    }

    /// Listening sockets that were taken over and that no option asks for, but the configuration.
    /// What it has no use for has to be closed. Unix sockets of the configuration stay here until
    /// [`Self::configured_unix`] asks for them, or [`Self::forget_configured`] closes them.
    pub fn rest(&self) -> Vec<StdTcpListener> {
        let mut state = self.lock();
        let rest = std::mem::take(&mut state.inherited);
        let (tcp, others): (Vec<_>, Vec<_>) =
            rest.into_iter().partition(|one| one.kind == Kind::Tcp);
        let configured = others.into_iter().filter(|one| one.configured().is_some());
        state.inherited = configured.collect();
        tcp.into_iter().map(|one| one.socket.into()).collect()
    }

    /// Closes Unix sockets that were taken over, and that the configuration has no use for. One
    /// that a worker has claimed is kept: it may be about to ask for it.
    pub fn forget_configured(&self) {
        let mut state = self.lock();
        let State {
            inherited, claimed, ..
        } = &mut *state;
        inherited.retain(|one| {
            let path = one.configured();
            path.is_none_or(|path| claimed.contains(path))
        });
    }

    /// Offers an open socket to a successor.
    pub fn offer(&self, role: &str, asked: Option<SocketAddr>, socket: &impl AsFd) -> Offered {
        let label = Label {
            role: role.to_owned(),
            asked,
        };
        let number = match socket.as_fd().try_clone_to_owned() {
            Ok(copy) => {
                let mut state = self.lock();
                let number = state.next;
                state.next += 1;
                state.offered.insert(number, (label, Arc::new(copy)));
                Some(number)
            }
            Err(error) => {
                tracing::warn!(role, %error, "a successor cannot take over this socket");
                None
            }
        };
        Offered {
            all: self.clone(),
            number,
        }
    }

    pub(super) fn offered(&self) -> Vec<(Label, Arc<OwnedFd>)> {
        self.lock().offered.values().cloned().collect()
    }

    fn take(&self, kind: Kind, role: &str, address: Option<SocketAddr>) -> Vec<OwnedFd> {
        let mut state = self.lock();
        let found: Vec<usize> = (0..state.inherited.len())
            .rev()
            .filter(|index| {
                let one = state.inherited.get(*index);
                one.is_some_and(|one| one.kind == kind && one.serves(role, address))
            })
            .collect();
        let mut taken: Vec<_> = found
            .into_iter()
            .map(|index| state.inherited.remove(index).socket)
            .collect();
        taken.reverse();
        taken
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Inherited ===

impl Inherited {
    /// `None` if the kernel says that this is no such socket as one that is handed over.
    pub(super) fn new(label: Label, socket: OwnedFd) -> Option<Self> {
        let unix = sockopt::socket_domain(&socket).ok()? == AddressFamily::UNIX;
        let listens = sockopt::socket_acceptconn(&socket).ok()?;
        let kind = match (unix, sockopt::socket_type(&socket).ok()?) {
            (false, SocketType::STREAM) if listens => Kind::Tcp,
            (false, SocketType::DGRAM) => Kind::Udp,
            (true, SocketType::STREAM) if listens => Kind::Unix,
            (true, SocketType::SEQPACKET) if listens => Kind::HandOver,
            _ => return None,
        };
        let local = SockRef::from(&socket).local_addr().ok()?.as_socket();
        Some(Self {
            label,
            kind,
            local,
            socket,
        })
    }

    /// Path of a Unix socket that the configuration asked for.
    fn configured(&self) -> Option<&Path> {
        let path = self.label.role.strip_prefix(CONFIGURED)?;
        (self.kind == Kind::Unix).then_some(Path::new(path))
    }

    /// By the address, whatever asked for it before; with a free port only the option can tell.
    fn serves(&self, role: &str, address: Option<SocketAddr>) -> bool {
        match address {
            Some(address) if address.port() != 0 => self.local == Some(address),
            address => self.label.role == role && self.label.asked == address,
        }
    }
}

// === impl Claim ===

impl Drop for Claim {
    fn drop(&mut self) {
        self.all.lock().claimed.remove(&self.path);
    }
}

// === impl Offered ===

impl Drop for Offered {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.all.lock().offered.remove(&number);
        }
    }
}
