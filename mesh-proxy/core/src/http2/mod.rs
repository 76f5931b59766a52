//! HTTP/2 (RFC 9113) for proxying, without I/O: octets in, events out; calls in, octets out.
//!
//! [`Connection`] keeps the state of one connection. Whoever owns the socket gives it what was
//! read, acts on the [`Event`]s, and writes what [`Connection::output`] has gathered. What differs
//! from a library for servers and clients: header blocks stay references as long as they repeat
//! ([`hpack`]), frames of many streams leave in one write, and a peer that makes work without
//! sense is told so and cut off ([`Config`], `guard`).

mod connection;
mod error;
mod frame;
mod guard;
pub mod hpack;
mod message;
mod window;

pub use connection::{Config, Connection, Event, OpenError, StreamId};
pub use error::{ConnectionError, ErrorCode};
pub use frame::PREFACE;
