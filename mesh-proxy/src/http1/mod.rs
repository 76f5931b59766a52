//! HTTP/1 on sockets: what drives [`mesh_proxy_core::http1`].
//!
//! No connection to a server has a task of its own: whoever sends a request writes it and reads
//! the answer, so that what a server sends wakes the client's connection directly. A body that
//! cannot be written at once is the exception: a task writes it, also while the answer comes.

mod body;
mod client;
mod link;
mod server;
mod tunnel;
mod upgrade;

pub use body::RecvBody;
pub use client::{Handle, Waiting, connect};
pub use link::MessageError;
pub use server::{Allowance, ConnectionEnd, Successive, serve};
pub use tunnel::PostTunnel;
