//! Why a control plane does not run.

use std::io;
use std::path::PathBuf;

use mesh_ca::listen::ListenError;
use mesh_ca::tls::TlsError;
use mesh_ca::{AuthorityError, FileError, RenewError};

use crate::authority::ExternalAuthorityError;
use crate::kubernetes::{AuthorityStoreError, ClusterError, WebhookError};
use crate::last_good::LastGoodError;
use crate::registration::RegistrationError;
use crate::revision::RevisionError;
use crate::source::SourceError;

/// Why a control plane cannot start.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The state directory cannot be used.
    #[error("cannot use the state directory {path}: {source}")]
    State {
        /// The directory.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// Another control plane uses the state directory.
    #[error(
        "another control plane runs on the state directory {path}: stop it, or give another --state-dir"
    )]
    StateTaken {
        /// The directory.
        path: PathBuf,
    },
    /// The number of the last revision cannot be read.
    #[error(transparent)]
    Revision(#[from] RevisionError),
    /// The last good configuration of an earlier process cannot be read.
    #[error(transparent)]
    LastGood(#[from] LastGoodError),
    /// The workloads that registered themselves with an earlier process cannot be read.
    #[error(transparent)]
    Registration(#[from] RegistrationError),
    /// The authority cannot be opened.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// The authority in the cluster cannot be opened.
    #[error(transparent)]
    AuthorityInCluster(#[from] AuthorityStoreError),
    /// The token key cannot be opened.
    #[error(transparent)]
    Tokens(#[from] FileError),
    /// The server's own certificate cannot be issued.
    #[error("cannot certify the control plane itself: {0}")]
    Certificate(#[from] RenewError),
    /// Another server does not certify us.
    #[error(transparent)]
    External(#[from] ExternalAuthorityError),
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The configuration cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// An address is taken or invalid.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The operating system does not say where we listen.
    #[error("cannot find out where the control plane listens: {0}")]
    Address(io::Error),
    /// The cluster cannot be used.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// The admission webhooks cannot be served.
    #[error(transparent)]
    Webhook(#[from] WebhookError),
    /// The file with mesh-wide settings cannot be used.
    #[error("{path}: {reason}", path = path.display())]
    MeshConfig {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A setting does not fit.
    #[error("{0}")]
    Setting(String),
    /// The first load failed.
    #[error("loading the configuration failed: {0}")]
    Load(#[from] tokio::task::JoinError),
}

/// Why a control plane stopped before it was told to.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// gRPC failed.
    #[error("discovery failed: {0}")]
    Discovery(#[from] tonic::transport::Error),
    /// HTTP failed.
    #[error("the operator's interface failed: {0}")]
    Admin(#[from] io::Error),
    /// A task panicked.
    #[error("a task of the control plane failed: {0}")]
    Task(#[from] tokio::task::JoinError),
}
