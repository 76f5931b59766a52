//! Where the objects are.

use std::path::PathBuf;

use crate::cluster::Cluster;
use crate::files::Files;
use crate::topology::Topology;

/// Where the objects are.
pub(crate) enum Source {
    /// In files.
    Files(Files),
    /// In an API server.
    Cluster(Box<Cluster>),
}

/// What tells meshd of it.
pub(crate) type Arguments = Vec<PathBuf>;

// === impl Source ===

impl Source {
    /// Arguments for `meshd run`.
    pub(crate) fn arguments(&self) -> Arguments {
        match self {
            Self::Files(files) => files.arguments(),
            Self::Cluster(cluster) => cluster.arguments(),
        }
    }

    /// All pods of a service are ready from now on, but this one.
    pub(crate) async fn change(
        &self,
        topology: &Topology,
        service: usize,
        unready: Option<usize>,
    ) -> anyhow::Result<()> {
        match self {
            Self::Files(files) => files.change(topology, service, unready),
            Self::Cluster(cluster) => cluster.change(topology, service, unready).await,
        }
    }
}
