//! Who carries the load: a pair of proxies, mutual TLS between them.

mod envoy;
mod haproxy;
mod ours;

use std::path::{Path, PathBuf};

use crate::certificates::Certificates;
use crate::child::Running;
use crate::kind::Kind;

/// Who carries the load.
pub(crate) enum Peer {
    /// Nobody.
    Direct,
    /// Our sidecars.
    Ours {
        /// What it is called in the report.
        name: String,
        /// The program.
        binary: PathBuf,
        /// Whether what goes to the application has limits, none of which is reached.
        limited: bool,
    },
    /// Envoy, set up as Istio sets up sidecars.
    Envoy,
    /// HAProxy: what C can do, without a mesh.
    Haproxy,
}

/// Where a pair is to work.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) kind: Kind,
    /// For configuration and logs.
    pub(crate) directory: &'a Path,
    pub(crate) certificates: &'a Certificates,
    /// Port of the application.
    pub(crate) application: u16,
    /// Whether to write access logs.
    pub(crate) access_log: bool,
}

/// Two proxies that run, or none.
pub(crate) struct Pair {
    pub(crate) running: Vec<Running>,
    /// Where clients come in.
    pub(crate) port: u16,
}

// === impl Peer ===

impl Peer {
    /// What it is called in the report.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Direct => "direct",
            Self::Ours { name, .. } => name,
            Self::Envoy => "envoy",
            Self::Haproxy => "haproxy",
        }
    }

    /// Starts the pair, and waits until both listen.
    pub(crate) fn start(&self, place: &Place<'_>) -> anyhow::Result<Pair> {
        match self {
            Self::Direct => Ok(Pair {
                running: Vec::new(),
                port: place.application,
            }),
            Self::Ours {
                binary, limited, ..
            } => ours::start(binary, place, *limited),
            Self::Envoy => envoy::start(place),
            Self::Haproxy => haproxy::start(place),
        }
    }
}
