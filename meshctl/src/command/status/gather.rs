//! Who is asked what.

use futures_util::future::join_all;
use mesh_api::v1::ProxySelf;

use super::{Place, Proxy, Report, Workload};
use crate::call::Admin;
use crate::cluster::{Cluster, PodInfo, PodKind};
use crate::target::{ControlPlane, Laptop, Overview, Proxy as ProxyEnd, TargetError};

/// In a cluster the control plane tells of its proxies; so many at most of those that it does not
/// see are asked themselves.
const ASKED: usize = 16;

pub(super) async fn on_laptop(laptop: &Laptop) -> Report {
    let record = &laptop.record;
    let mut reports = ControlPlane::on_laptop(record).reports().await;
    let overview = Overview::new(&reports);
    let report = reports.pop().unwrap_or_default();
    let asked = record.workloads.iter().map(|workload| async {
        let admin = ProxyEnd::on_laptop(workload).admin;
        Proxy {
            own: own(&admin).await,
            seen: overview
                .proxies
                .get(&workload.name)
                .map(|seen| seen.status.clone()),
            workload: Workload::Process(Box::new(workload.clone())),
            replica: None,
            newest: report.status.as_ref().map(|status| status.revision),
        }
    });
    Report {
        place: Place::Laptop {
            state: laptop.state.root().display().to_string(),
            capture: record.capture,
        },
        proxies: join_all(asked).await,
        control_plane: report.status,
        control_plane_error: report.error,
        replicas: Vec::new(),
        problems: report.problems,
    }
}

pub(super) async fn in_cluster(cluster: &Cluster) -> Result<Report, TargetError> {
    let replicas = ControlPlane::in_cluster(cluster).await?.reports().await;
    let overview = Overview::new(&replicas);
    let namespace = cluster.namespace_given().then(|| cluster.namespace());
    let pods = cluster.list_pods(namespace, "").await?;
    let mut proxies = pods
        .into_iter()
        .filter(|pod| pod.kind != PodKind::Outside && !ended(pod))
        .map(|pod| {
            let seen = overview.proxies.get(&pod.uid());
            Proxy {
                own: None,
                seen: seen.map(|seen| seen.status.clone()),
                replica: seen.map(|seen| seen.replica.clone()),
                newest: seen.map(|seen| seen.newest),
                workload: Workload::Pod(Box::new(pod)),
            }
        })
        .collect::<Vec<_>>();
    let lost = proxies.iter_mut().filter(|proxy| {
        proxy.seen.as_ref().is_none_or(|seen| !seen.connected)
            && matches!(&proxy.workload, Workload::Pod(pod) if pod.phase == "Running")
    });
    join_all(lost.take(ASKED).map(|proxy| async {
        let end = match &proxy.workload {
            Workload::Pod(pod) => ProxyEnd::in_pod(cluster, pod),
            Workload::Process(_) => None,
        };
        if let Some(end) = end {
            proxy.own = own(&end.admin).await;
        }
    }))
    .await;
    let control_plane_error = overview.status.is_none().then(|| {
        let errors = replicas.iter().filter_map(|replica| replica.error.clone());
        let errors = errors.collect::<Vec<_>>();
        if errors.is_empty() {
            "it has no pods".to_owned()
        } else {
            errors.join("; ")
        }
    });
    Ok(Report {
        place: Place::Cluster {
            context: cluster.context().to_owned(),
            server: cluster.server().to_owned(),
            namespace: cluster.mesh_namespace().to_owned(),
        },
        control_plane: overview.status,
        control_plane_error,
        replicas,
        proxies,
        problems: overview.problems,
    })
}

async fn own(admin: &Admin) -> Option<ProxySelf> {
    admin.get("/v1/status").await.ok()
}

fn ended(pod: &PodInfo) -> bool {
    matches!(pod.phase.as_str(), "Succeeded" | "Failed")
}
