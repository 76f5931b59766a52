//! Istio's Bookinfo application in Rust: four small HTTP services that call each other,
//! made for trying a service mesh on.
//!
//! `productpage` asks `details` and `reviews` (three versions), and `reviews` asks
//! `ratings`. Paths, ports, JSON shapes, timeouts and error texts are those of the original,
//! so Istio's own `samples/bookinfo/networking` configuration applies to it unchanged.
//!
//! [`serve`] runs one service until it is told to stop; [`bind`] then [`Bound::run`] do the
//! same in two steps, for callers that need the address. [`Command`] is the command line.
//! [`Call`] sends requests from where the services run.

mod app;
mod body;
mod call;
mod client;
mod command;
mod details;
mod forward;
mod productpage;
mod ratings;
mod reply;
mod reviews;
mod server;
mod settings;
#[cfg(test)]
mod tests;
mod urlencoded;

pub use call::{Call, CallFailure};
pub use client::proxy::{InvalidProxy, ProxySettings};
pub use command::{Command, init_logging};
pub use server::{Bound, Error, bind, serve};
pub use settings::{InvalidTarget, Service, Settings, SettingsError, Target, Timeouts, Upstreams};

/// The largest request or response body that any of the services reads, in bytes.
pub const MAX_BODY: usize = 64 * 1024;
