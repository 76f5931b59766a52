//! The control plane of the mesh: reads configuration, compiles it for each proxy, and says who
//! runs what.
//!
//! ```text
//! directory ──► source ──► publish ──► Published (world, revision, digest)
//!               ConfigHandle ┘             │
//!                              ┌───────────┼────────────┐
//!                          discovery     admin       metrics
//! ```
//!
//! - [`App::build`] opens the state, loads the configuration and listens; [`Bound::run`] serves.
//! - [`ConfigHandle`] feeds configuration from a program instead of a directory.
//! - [`Command`] is the command line, for the binary here and for programs that carry it along.
//!
//! The decisions are those of `meshd-core`; here is what touches files, sockets and time.

mod admin;
mod app;
mod authority;
mod clock;
mod command;
mod discovery;
mod last_good;
mod logging;
mod metrics;
mod publish;
mod registry;
mod revision;
mod settings;
mod source;

pub use app::{App, Bound, BuildError, RunError};
pub use authority::{ExternalAuthority, ExternalAuthorityError};
pub use command::{Command, CommandError, OutboundMode, RunArgs, TokenArgs};
pub use last_good::LastGoodError;
pub use logging::{InvalidFilter, LogControl, LogFormat};
pub use publish::{ConfigHandle, Edit, Published, Stopped};
pub use revision::RevisionError;
pub use settings::{AuthoritySettings, Settings};
pub use source::{Configuration, SourceError, read_configuration};
