//! Where a command looks: a mesh on this machine, or one in a Kubernetes cluster. Commands ask
//! proxies and the control plane the same questions in both; only the way there differs.

mod control_plane;
mod overview;
mod proxy;
mod selection;
mod settle;

use crate::cluster::{Cluster, ClusterError, FindError};
use crate::state::{MeshRecord, RecordError, StateDir, StateError};

pub use control_plane::{ADMIN_PORT, ControlPlane, Replica, ReplicaReport};
pub use overview::{Overview, SeenProxy};
pub use proxy::Proxy;
pub use selection::{Place, Selection};
pub use settle::{SettleError, settle};

/// A mesh that commands can ask.
#[derive(Clone, Debug)]
pub enum MeshTarget {
    /// On this machine.
    Laptop(Laptop),
    /// In a cluster.
    Cluster(Cluster),
}

/// A mesh on this machine.
#[derive(Clone, Debug)]
pub struct Laptop {
    /// Its state directory.
    pub state: StateDir,
    /// What runs.
    pub record: MeshRecord,
}

/// Why there is no mesh to ask.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// No state directory.
    #[error(transparent)]
    State(#[from] StateError),
    /// Nothing runs on this machine, or there is no such workload.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The cluster.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// The pod.
    #[error(transparent)]
    Find(#[from] FindError),
    /// Neither here nor there.
    #[error("{here}; {there}")]
    Nowhere {
        /// Why not on this machine.
        here: Box<RecordError>,
        /// Why in no cluster.
        there: ClusterError,
    },
    /// The pod is not of the mesh.
    #[error(
        "pod {pod} (context `{context}`) has no proxy of this mesh: label its namespace, `kubectl label namespace {namespace} istio.io/rev=mesh`, and restart the pod"
    )]
    NoProxy {
        /// The pod, `<namespace>/<name>`.
        pod: String,
        /// Its namespace.
        namespace: String,
        /// The context.
        context: String,
    },
    /// No control plane.
    #[error(
        "no control plane in namespace {namespace} of context `{context}`: `meshctl install` puts one there, or name the namespace that has it with --mesh-namespace"
    )]
    NoControlPlane {
        /// Where it was looked for.
        namespace: String,
        /// The context.
        context: String,
    },
}

// === impl Laptop ===

impl Laptop {
    fn find(selection: &Selection) -> Result<Self, TargetError> {
        let state = StateDir::find(selection.state.as_deref())?;
        let record = MeshRecord::of_running(&state)?;
        Ok(Self { state, record })
    }
}

// === impl MeshTarget ===

impl MeshTarget {
    /// Finds the mesh that is meant. Nothing is sent to it yet.
    ///
    /// # Errors
    /// If there is none.
    pub async fn resolve(selection: &Selection) -> Result<Self, TargetError> {
        let laptop = Laptop::find(selection);
        let runs = !matches!(
            &laptop,
            // A user without a home directory runs no mesh here.
            Err(TargetError::State(StateError::NoHome)
                | TargetError::Record(RecordError::NotRunning { .. }))
        );
        match (selection.place(runs), laptop) {
            (Place::Laptop, laptop) => Ok(Self::Laptop(laptop?)),
            (Place::Cluster, _) => Ok(Self::Cluster(Cluster::connect(&selection.cluster).await?)),
            (Place::Either, laptop) => {
                let there = match Cluster::connect(&selection.cluster).await {
                    Ok(cluster) => return Ok(Self::Cluster(cluster)),
                    Err(error) => error,
                };
                Err(match laptop {
                    Err(TargetError::Record(here)) => TargetError::Nowhere {
                        here: Box::new(here),
                        there,
                    },
                    _ => there.into(),
                })
            }
        }
    }

    /// The proxy of a workload.
    ///
    /// # Errors
    /// If there is no such workload, or it has no proxy.
    pub async fn proxy(&self, name: &str) -> Result<Proxy, TargetError> {
        match self {
            Self::Laptop(laptop) => Ok(Proxy::on_laptop(laptop.record.workload(name)?)),
            Self::Cluster(cluster) => {
                let pod = cluster.find_pod(name).await?;
                Proxy::in_pod(cluster, &pod).ok_or_else(|| TargetError::NoProxy {
                    pod: pod.uid(),
                    namespace: pod.namespace.clone(),
                    context: cluster.context().to_owned(),
                })
            }
        }
    }

    /// The control plane.
    ///
    /// # Errors
    /// If there is none.
    pub async fn control_plane(&self) -> Result<ControlPlane, TargetError> {
        match self {
            Self::Laptop(laptop) => Ok(ControlPlane::on_laptop(&laptop.record)),
            Self::Cluster(cluster) => ControlPlane::in_cluster(cluster).await,
        }
    }

    /// In a few words, for messages.
    pub fn name(&self) -> String {
        match self {
            Self::Laptop(laptop) => format!("mesh in {}", laptop.state.root().display()),
            Self::Cluster(cluster) => format!(
                "mesh of {} in context {}",
                cluster.mesh_namespace(),
                cluster.context()
            ),
        }
    }
}
