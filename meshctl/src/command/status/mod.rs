//! `meshctl status`.

mod gather;
mod render;

use std::process::ExitCode;

use mesh_api::v1::{ControlPlaneStatus, Problem, ProxySelf, ProxyStatus};
use serde::Serialize;

use crate::cli::{Output, StatusArgs};
use crate::clock;
use crate::cluster::PodInfo;
use crate::output::{json, say};
use crate::state::{Capture, WorkloadRecord};
use crate::target::{MeshTarget, ReplicaReport};

/// Everything that `status` tells; the form of `-o json`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report {
    #[serde(flatten)]
    place: Place,
    /// None while it does not answer. Of several replicas, the sum.
    control_plane: Option<ControlPlaneStatus>,
    /// Why it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    control_plane_error: Option<String>,
    /// In a cluster: each replica.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    replicas: Vec<ReplicaReport>,
    proxies: Vec<Proxy>,
    problems: Vec<Problem>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Place {
    Laptop {
        state: String,
        capture: Capture,
    },
    Cluster {
        context: String,
        server: String,
        #[serde(rename = "meshNamespace")]
        namespace: String,
    },
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Proxy {
    #[serde(flatten)]
    workload: Workload,
    /// What the proxy says of itself; none while it does not answer, and for proxies of a
    /// cluster that the control plane sees.
    own: Option<ProxySelf>,
    /// What the control plane says of it; none if it has not seen it.
    seen: Option<ProxyStatus>,
    /// In a cluster: the replica that it is, or was last, connected to.
    #[serde(skip_serializing_if = "Option::is_none")]
    replica: Option<String>,
    /// The newest revision of whoever it is connected to.
    #[serde(skip)]
    newest: Option<u64>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Workload {
    Process(Box<WorkloadRecord>),
    Pod(Box<PodInfo>),
}

pub(super) async fn run(args: &StatusArgs) -> anyhow::Result<ExitCode> {
    let report = report(&MeshTarget::resolve(&args.mesh.selection()).await?).await?;
    match args.output.output {
        Output::Json => json(&report)?,
        Output::Text => say(render::text(&report, clock::unix_seconds())),
    }
    Ok(ExitCode::SUCCESS)
}

/// What `status` tells about a mesh.
pub(super) async fn report(target: &MeshTarget) -> anyhow::Result<Report> {
    Ok(match target {
        MeshTarget::Laptop(laptop) => gather::on_laptop(laptop).await,
        MeshTarget::Cluster(cluster) => gather::in_cluster(cluster).await?,
    })
}

// === impl Report ===

impl Report {
    /// As it is printed.
    pub(super) fn text(&self) -> String {
        render::text(self, clock::unix_seconds())
    }

    /// Workloads whose proxies are in trouble, then the others.
    pub(super) fn worst_first(&self) -> Vec<String> {
        let mut proxies = self.proxies.iter().collect::<Vec<_>>();
        proxies.sort_by_key(|proxy| proxy.is_well());
        let names = proxies.into_iter().map(|proxy| proxy.workload.name());
        names.collect()
    }
}

// === impl Proxy ===

impl Proxy {
    fn is_well(&self) -> bool {
        let refuses = self.seen.iter().flat_map(|seen| &seen.rejected).count()
            + self.own.iter().flat_map(|own| &own.rejected).count();
        let connected = self.seen.as_ref().is_some_and(|seen| seen.connected);
        let behind = self.seen.as_ref().map(|seen| seen.acked_revision) < self.newest;
        refuses == 0 && connected && !behind
    }
}

// === impl Workload ===

impl Workload {
    /// As the control plane calls it.
    fn name(&self) -> String {
        match self {
            Self::Process(record) => record.name.clone(),
            Self::Pod(pod) => pod.uid(),
        }
    }
}
