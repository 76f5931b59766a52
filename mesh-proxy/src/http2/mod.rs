//! HTTP/2 on sockets: what drives [`mesh_proxy_core::http2`].
//!
//! Each connection is one task, which reads, writes and, on the server's side, runs its requests:
//! whatever they have to say leaves in one write. Everything is on one thread, so a request is
//! written into the buffer of the connection that it goes out on by whoever sends it, and that
//! connection's task only wakes to flush it.

mod body;
mod client;
mod driver;
mod link;
mod pump;
mod server;
mod tunnel;

pub use body::RecvBody;
pub use client::{Handle, Opening, Waiting, connect};
pub use driver::ConnectionEnd;
pub use link::StreamError;
pub use server::{AnswerBody, Patience, Upgraded, serve, serve_tunnels};
pub use tunnel::{Answer, Ends, Offer, Tunnel};
