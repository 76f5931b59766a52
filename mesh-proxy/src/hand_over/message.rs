//! What the two processes say to each other.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags,
};
use serde::{Deserialize, Serialize};
use socket2::{Domain, SockAddr, Socket, Type};
use tokio::io::Interest;

use crate::net::UnixStream;

/// The version of these messages. What is added to one must be optional; anything else needs
/// the next number.
pub(super) const VERSION: u32 = 1;

/// Sockets in one message; the kernel takes 253 (`SCM_MAX_FD`).
pub(super) const SOCKETS_AT_A_TIME: usize = 64;

const LARGEST: usize = 64 * 1024;

/// A message.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "message", rename_all = "snake_case")]
pub(super) enum Message {
    /// The newer process asks for the sockets.
    Take {
        version: u32,
        workload: String,
        build: String,
    },
    /// The older one gives none.
    Refused { why: String },
    /// Some sockets, described in the order of the descriptors.
    Sockets { sockets: Vec<Label>, more: bool },
    /// The newer process accepts connections.
    Serving,
}

/// What a socket is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Label {
    /// The option that asked for it.
    pub(super) role: String,
    /// The address in that option; its port may be 0.
    pub(super) asked: Option<SocketAddr>,
}

/// One end of a connection between the two processes.
#[derive(Debug)]
pub(super) struct Channel(UnixStream);

/// A path to a Unix socket that is short enough for the kernel, as long as this lives.
#[derive(Debug)]
pub(super) struct ShortPath {
    // Found through it, so it stays open.
    _directory: std::fs::File,
    pub(super) path: PathBuf,
}

fn invalid(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

/// A socket of the kind that both sides use.
pub(super) fn socket() -> io::Result<Socket> {
    Socket::new(Domain::UNIX, Type::SEQPACKET, None)
}

// === impl ShortPath ===

impl ShortPath {
    /// The kernel takes 107 bytes; directories of state may lie deeper.
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        use std::os::fd::AsRawFd;
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(invalid("no path of a socket"));
        };
        let parent = if parent.as_os_str().is_empty() {
            Path::new(".")
        } else {
            parent
        };
        let directory = std::fs::File::open(parent)?;
        let path = Path::new("/proc/self/fd")
            .join(directory.as_raw_fd().to_string())
            .join(name);
        Ok(Self {
            _directory: directory,
            path,
        })
    }

    pub(super) fn address(&self) -> io::Result<SockAddr> {
        SockAddr::unix(&self.path)
    }
}

// === impl Channel ===

impl Channel {
    /// Over a connected socket, if the other side is of the same user or root.
    pub(super) fn new(connected: OwnedFd) -> io::Result<Self> {
        let peer = rustix::net::sockopt::socket_peercred(&connected)?;
        let own = nix::unistd::geteuid().as_raw();
        if peer.uid.as_raw() != own && !peer.uid.is_root() {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        let connected = std::os::unix::net::UnixStream::from(connected);
        connected.set_nonblocking(true)?;
        // It is no stream, and only used by the system calls below.
        Ok(Self(UnixStream::from_std(connected)?))
    }

    /// Sends a message with descriptors, [`SOCKETS_AT_A_TIME`] at most.
    pub(super) async fn send(&self, message: &Message, with: &[BorrowedFd<'_>]) -> io::Result<()> {
        let bytes = serde_json::to_vec(message)?;
        self.0
            .async_io(Interest::WRITABLE, || {
                let mut space =
                    [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS_AT_A_TIME))];
                let mut control = SendAncillaryBuffer::new(&mut space);
                if !with.is_empty() && !control.push(SendAncillaryMessage::ScmRights(with)) {
                    return Err(invalid("too many sockets for one message"));
                }
                let flags = SendFlags::NOSIGNAL;
                rustix::net::sendmsg(&self.0, &[IoSlice::new(&bytes)], &mut control, flags)?;
                Ok(())
            })
            .await
    }

    /// The next message; `None` once the other side has ended.
    pub(super) async fn receive(&self) -> io::Result<Option<(Message, Vec<OwnedFd>)>> {
        let mut bytes = vec![0; LARGEST];
        let (length, sockets) = self
            .0
            .async_io(Interest::READABLE, || receive(self.0.as_fd(), &mut bytes))
            .await?;
        if length == 0 {
            return Ok(None);
        }
        let text = bytes.get(..length).unwrap_or_default();
        let message = serde_json::from_slice(text).map_err(|_| invalid("an unknown message"))?;
        Ok(Some((message, sockets)))
    }
}

fn receive(socket: BorrowedFd<'_>, bytes: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS_AT_A_TIME))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC;
    let mut into = [IoSliceMut::new(bytes)];
    let received = match rustix::net::recvmsg(socket, &mut into, &mut control, flags) {
        // It ended with something of ours unread.
        Err(rustix::io::Errno::CONNRESET) => return Ok((0, Vec::new())),
        received => received?,
    };
    let sockets = control
        .drain()
        .filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(sockets) => Some(sockets),
            _ => None,
        })
        .flatten()
        .collect();
    Ok((received.bytes, sockets))
}
