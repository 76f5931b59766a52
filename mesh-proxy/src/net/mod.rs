//! Sockets: the one place that knows how they are opened, bound, read and joined.

mod connect;
mod listen;
mod orig_dst;
mod own;
mod relay;
mod stream;
mod sys;

pub use connect::{ConnectError, Dialer, connect, datagrams_to, lookup};
pub(crate) use listen::forbid_core_files;
pub use listen::{Acceptor, bind, bind_shared, bind_unix, raise_descriptor_limit};
pub use orig_dst::original_destination;
pub use own::own_addresses;
pub use relay::{Ending, RelayLimits, RelayMeter, relay};
pub use stream::{Stream, reset};
pub(crate) use sys::{give_back, unmap_until_used};
// So that no other module names the runtime's sockets.
pub use std::net::{TcpListener as StdTcpListener, UdpSocket as StdUdpSocket};
pub use tokio::net::{TcpListener, TcpStream, UdpSocket, UnixListener, UnixStream};
