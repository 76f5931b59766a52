//! The data plane of the mesh: a sidecar beside one workload, or an ingress gateway.
//!
//! [`App::build`] takes [`Settings`] and returns [`Bound`]: every socket is bound then and its
//! address is known, nothing is served yet. [`Bound::run`] serves until it is told to stop.
//! The decisions (routing, authorization, balancing, retries) are in the crate
//! `mesh-proxy-core`; this crate gives them sockets, TLS, threads and time.
//!
//! Threads: one for discovery, certificates, admin and telemetry; and one for each data
//! worker, with its own listeners, connection pools and metric shards.
//!
//! ```no_run
//! # async fn embed() -> Result<(), Box<dyn std::error::Error>> {
//! use mesh_proxy::{App, Settings, SettingsSource};
//! use tokio_util::sync::CancellationToken;
//!
//! let source = SettingsSource {
//!     workload: Some("default/reviews-v1".into()),
//!     control: Some("unix:///run/mesh/meshd.sock".into()),
//!     roots: Some("/run/mesh/root.pem".into()),
//!     token: Some("/run/mesh/token".into()),
//!     explicit: Some("127.0.0.1:0".into()),
//!     ..SettingsSource::default()
//! };
//! let bound = App::build(Settings::try_from(source)?).await?;
//! println!("proxy at {:?}", bound.explicit());
//! bound.run(CancellationToken::new()).await?;
//! # Ok(())
//! # }
//! ```

pub mod admin;
pub mod admission;
pub mod app;
pub mod authz;
pub mod capture;
pub mod clock;
pub mod command;
pub mod control;
pub mod dns;
pub mod drain;
pub mod hand_over;
pub mod identity;
mod memory;
pub mod pod_status;
pub mod readiness;
pub mod runtime;
pub mod settings;
pub mod shared;
pub mod telemetry;
#[cfg(test)]
mod testing;
pub mod tls;

// The data path. `net` is the only module that names `tokio::net`; the others take
// `TcpListener`, `TcpStream`, `UnixListener` and `UnixStream` from there.
pub mod detect;
pub mod gateway;
pub mod http;
pub mod http1;
pub mod http2;
pub mod inbound;
pub mod net;
pub mod outbound;
pub mod sidecar;
pub mod socks;
pub mod upstream;
pub mod worker;
pub mod workload_api;

pub use app::{App, Bound, BuildError};
pub use command::Command;
pub use settings::{Settings, SettingsSource};
pub use shared::Shared;
