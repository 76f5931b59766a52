//! Answers from the proxies of a running mesh.

use futures_util::future::join_all;
use mesh_proxy_core::explain::{ExplainReport, ExplainRequest};

use super::callees::{Target, targets};
use super::{Callee, Explanation, Question, QuestionError};
use crate::call::AdminError;
use crate::cluster::{Cluster, PodInfo};
use crate::state::{MeshRecord, WorkloadKind};
use crate::target::{MeshTarget, Proxy, TargetError};

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    /// The question.
    #[error(transparent)]
    Question(#[from] QuestionError),
    /// The workload.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// The proxy.
    #[error(transparent)]
    Admin(#[from] AdminError),
}

/// Asks the caller's proxy, then the proxies of all endpoints that it names.
///
/// # Errors
/// If the question makes no sense, there is no such workload, or its proxy does not answer.
pub async fn explain_live(
    mesh: &MeshTarget,
    question: &Question,
) -> Result<Explanation, LiveError> {
    let mut request = question.request()?;
    let from = mesh.proxy(&question.from).await?;
    if let Some(port) = number_in_gateways(&from, &request) {
        request.port = port;
    }
    let caller: ExplainReport = from.admin.post("/v1/explain", &request).await?;
    let targets = targets(&caller, &request, from.address);
    let others = Others::of(mesh, &targets).await;
    let others = &others;
    let callees = join_all(targets.into_iter().map(|target| async move {
        let asked = match others.proxy(&target.uid) {
            Ok(proxy) => proxy
                .admin
                .post("/v1/explain?direction=inbound", &target.request)
                .await
                .map_err(|error| error.to_string()),
            Err(note) => Err(note),
        };
        let (report, note) = match asked {
            Ok(report) => (Some(report), None),
            Err(note) => (None, Some(note)),
        };
        Callee {
            workload: target.uid,
            report,
            note,
        }
    }));
    Ok(Explanation {
        request: question.title(),
        by: "running mesh",
        callees: callees.await,
        caller,
    })
}

/// The number that a gateway's port has in Gateway objects, not the one it got on this machine.
fn number_in_gateways(from: &Proxy, request: &ExplainRequest) -> Option<u16> {
    let gateway = from.kind == WorkloadKind::Gateway;
    let mut ports = from.ports.iter().filter(|_| gateway);
    let port = ports.find(|port| port.listen.port() == request.port)?;
    Some(port.port)
}

/// The workloads that a request could go to.
enum Others<'a> {
    Laptop(&'a MeshRecord),
    Cluster(&'a Cluster, Vec<PodInfo>),
    /// Why they cannot be looked up.
    Unknown(String),
}

// === impl Others ===

impl<'a> Others<'a> {
    async fn of(mesh: &'a MeshTarget, targets: &[Target]) -> Self {
        let cluster = match mesh {
            MeshTarget::Laptop(laptop) => return Self::Laptop(&laptop.record),
            MeshTarget::Cluster(cluster) => cluster,
        };
        let mut namespaces = targets
            .iter()
            .filter_map(|target| Some(target.uid.split_once('/')?.0))
            .collect::<Vec<_>>();
        namespaces.sort_unstable();
        namespaces.dedup();
        let mut pods = Vec::new();
        for namespace in namespaces {
            match cluster.list_pods(Some(namespace), "").await {
                Ok(found) => pods.extend(found),
                Err(error) => return Self::Unknown(error.to_string()),
            }
        }
        Self::Cluster(cluster, pods)
    }

    fn proxy(&self, uid: &str) -> Result<Proxy, String> {
        let foreign =
            || "it is not a workload of this mesh, so nothing is known of its side".to_owned();
        match self {
            Self::Laptop(record) => {
                let mut all = record.workloads.iter();
                let workload = all.find(|workload| workload.name == uid);
                workload.map(Proxy::on_laptop).ok_or_else(foreign)
            }
            Self::Cluster(cluster, pods) => {
                let pod = pods.iter().find(|pod| pod.uid() == uid);
                let pod = pod.ok_or_else(foreign)?;
                Proxy::in_pod(cluster, pod).ok_or_else(|| {
                    "the pod has no proxy, so the mesh decides nothing on its side".to_owned()
                })
            }
            Self::Unknown(why) => Err(why.clone()),
        }
    }
}
