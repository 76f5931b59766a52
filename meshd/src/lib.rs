//! The control plane of the mesh: reads configuration, compiles it for each proxy, and says who
//! runs what.
//!
//! ```text
//! directory ───► source ──────┐
//! API server ──► kubernetes ──┼─► publish ──► Published (world, revision, digest)
//!                ConfigHandle ┘                   │
//!                              ┌──────────┬───────┴─┬──────────┐
//!                          discovery    admin    metrics   kubernetes (status)
//! ```
//!
//! - [`App::build`] opens the state, loads the configuration and listens; [`Bound::run`] serves.
//! - [`ConfigHandle`] feeds configuration from a program instead of a directory.
//! - [`Command`] is the command line, for the binary here and for programs that carry it along.
//!
//! - [`KubernetesSettings`] make it work on a cluster; [`crds`] are the definitions of what it
//!   reads there.
//!
//! The decisions are those of `meshd-core`; here is what touches files, sockets and time.

mod admin;
mod app;
mod authority;
mod bundles;
mod clock;
mod command;
mod discovery;
mod extension_providers;
mod fetches;
mod https;
mod identity;
mod keys;
mod kubernetes;
mod last_good;
mod logging;
mod mesh_config_file;
mod metrics;
mod publish;
mod registration;
mod registry;
mod revision;
mod settings;
mod source;
mod telemetry_providers;
mod tokens;
mod trust;
mod trust_bundles;

pub use app::{App, Bound, BuildError, RunError};
pub use authority::{ExternalAuthority, ExternalAuthorityError};
pub use bundles::{BundleServing, WebCertificate};
pub use command::{
    BundleArgs, Command, CommandError, KubernetesArgs, OutboundMode, RunArgs, TokenArgs,
};
pub use kubernetes::mesh_config_of_file as read_mesh_config;
pub use kubernetes::{
    AuthoritySecretError, AuthorityStoreError, ClusterAccess, ClusterError, KubernetesSettings,
    WebhookError, crds, crds_yaml, install_missing_crds, service_account_of,
};
pub use last_good::LastGoodError;
pub use logging::{InvalidFilter, LogControl, LogFormat};
pub use publish::{ConfigHandle, Edit, Published, Stopped};
pub use registration::RegistrationError;
pub use revision::RevisionError;
pub use settings::{AuthoritySettings, Settings};
pub use source::{Configuration, SourceError, read_configuration};
pub use tokens::{Joining, TokensArgs, TokensError};
