//! Replacing a running proxy without refusing a connection: a newer process takes over the open
//! sockets of the older one.
//!
//! The older process listens on a Unix socket (`SOCK_SEQPACKET`, [`Settings::hand_over`]). A
//! process that is started with the same settings finds it there and is given copies of all
//! listening sockets, over `SCM_RIGHTS`. Both processes hold the same sockets then, with the same
//! queues of connections that wait to be accepted, so nothing is lost whichever of them closes its
//! copies or crashes. The newer one fetches certificate and configuration, begins to accept, and
//! says so; only then the older one closes its copies, serves what it has accepted to its end, and
//! ends. If the newer one ends before, the older one never stopped to serve.
//!
//! Both sides check that the other is of the same user, or root. Messages are JSON with a version;
//! a version that is not known is refused, and both go on as they were.
//!
//! [`Settings::hand_over`]: crate::Settings::hand_over

mod message;
mod predecessor;
mod sockets;
mod successors;

pub use predecessor::{HandOverError, Predecessor, take_over};
pub use sockets::{Claim, Offered, Open, Sockets};
pub use successors::Successors;

#[cfg(test)]
mod tests;
