//! Which mesh, and in which form.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::cluster::ClusterOptions;
use crate::target::Selection;

/// Which mesh of this machine.
#[derive(Clone, Debug, Args)]
pub struct StateArg {
    /// Directory of the mesh's state; meshes with different ones live side by side
    /// [default: $XDG_STATE_HOME/mesh or ~/.local/state/mesh]
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
}

/// Which mesh: one of this machine, or one of a cluster. A named cluster comes first, then
/// `--state` or what runs in the default state directory, then the current context.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Which mesh")]
pub struct MeshArg {
    /// Directory of the state of a mesh on this machine
    /// [default: $XDG_STATE_HOME/mesh or ~/.local/state/mesh, if a mesh runs there]
    #[arg(long, value_name = "DIR", conflicts_with_all = ["context", "kubeconfig", "in_cluster"])]
    pub state: Option<PathBuf>,
    /// Which cluster.
    #[command(flatten)]
    pub cluster: ClusterArg,
}

/// Which cluster, and where in it.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Which mesh")]
pub struct ClusterArg {
    /// Context of the kubeconfig: the mesh of that cluster
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,
    /// The kubeconfig [default: $KUBECONFIG or ~/.kube/config]
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// The mesh of the current context, even if one runs on this machine
    #[arg(long = "cluster")]
    pub in_cluster: bool,
    /// Cluster: namespace of workloads that are named without one [default: the context's]
    #[arg(short, long, value_name = "NAMESPACE")]
    pub namespace: Option<String>,
    /// Cluster: namespace of the control plane [default: istio-system]
    #[arg(long, value_name = "NAMESPACE")]
    pub mesh_namespace: Option<String>,
}

/// In which form.
#[derive(Clone, Copy, Debug, Args)]
pub struct OutputArg {
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t = Output::Text, value_name = "FORM")]
    pub output: Output,
}

/// Forms of output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    Text,
    /// For programs.
    Json,
}

// === impl MeshArg ===

impl MeshArg {
    /// What they say.
    pub fn selection(&self) -> Selection {
        Selection {
            state: self.state.clone(),
            ..self.cluster.selection()
        }
    }
}

// === impl ClusterArg ===

impl ClusterArg {
    /// What they say.
    pub fn selection(&self) -> Selection {
        Selection {
            state: None,
            in_cluster: self.in_cluster,
            cluster: self.options(),
        }
    }

    /// Which cluster they name.
    pub fn options(&self) -> ClusterOptions {
        ClusterOptions {
            kubeconfig: self.kubeconfig.clone(),
            context: self.context.clone(),
            namespace: self.namespace.clone(),
            mesh_namespace: self.mesh_namespace.clone(),
        }
    }
}
