//! What the user says about which mesh.

use std::path::PathBuf;

use crate::cluster::ClusterOptions;

/// Which mesh is meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// State directory of a mesh on this machine.
    pub state: Option<PathBuf>,
    /// The cluster of the current context, whatever runs on this machine.
    pub in_cluster: bool,
    /// Which cluster, and where in it.
    pub cluster: ClusterOptions,
}

/// Where to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// On this machine.
    Laptop,
    /// In the cluster that was named.
    Cluster,
    /// Nothing was named and nothing runs here: in the cluster of the current context, if there
    /// is one.
    Either,
}

// === impl Selection ===

impl Selection {
    /// A mesh on this machine.
    pub fn on_laptop(state: Option<PathBuf>) -> Self {
        Self {
            state,
            ..Self::default()
        }
    }

    /// Whether the user has named a cluster.
    pub fn names_cluster(&self) -> bool {
        self.in_cluster || self.cluster.context.is_some() || self.cluster.kubeconfig.is_some()
    }

    /// Where to look, if a mesh does or does not run in the state directory.
    pub fn place(&self, runs_here: bool) -> Place {
        match self {
            _ if self.names_cluster() => Place::Cluster,
            _ if self.state.is_some() || runs_here => Place::Laptop,
            _ => Place::Either,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_named_counts_then_what_runs_then_the_context() {
        let none = Selection::default();
        let state = Selection::on_laptop(Some(PathBuf::from("/s")));
        let flag = Selection {
            in_cluster: true,
            ..Selection::default()
        };
        let context = Selection {
            cluster: ClusterOptions {
                context: Some("kind".to_owned()),
                ..ClusterOptions::default()
            },
            ..Selection::default()
        };
        let namespace = Selection {
            cluster: ClusterOptions {
                namespace: Some("shop".to_owned()),
                ..ClusterOptions::default()
            },
            ..Selection::default()
        };
        for (selection, runs, place) in [
            (&none, true, Place::Laptop),
            (&none, false, Place::Either),
            (&state, true, Place::Laptop),
            (&state, false, Place::Laptop),
            (&flag, true, Place::Cluster),
            (&context, true, Place::Cluster),
            (&context, false, Place::Cluster),
            (&namespace, true, Place::Laptop),
            (&namespace, false, Place::Either),
        ] {
            assert_eq!(selection.place(runs), place, "{selection:?} {runs}");
        }
    }
}
