//! Waiting until every proxy of a cluster runs what its API server has.

use std::collections::BTreeSet;
use std::time::Duration;

use mesh_api::v1::ControlPlaneStatus;
use tokio::time::Instant;

use super::{ControlPlane, Overview, TargetError};
use crate::cluster::{Cluster, PodInfo, PodKind};
use crate::output::count;

const PAUSE: Duration = Duration::from_millis(50);
/// An answer that has taken the whole time still has to get back.
const ON_THE_WAY: Duration = Duration::from_secs(5);

/// Why not every proxy runs it.
#[derive(Debug, thiserror::Error)]
pub enum SettleError {
    /// The cluster.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// It takes too long.
    #[error("not in force everywhere after {limit:?}: {}", left.join("; "))]
    Late {
        /// How long.
        limit: Duration,
        /// What is missing.
        left: Vec<String>,
    },
}

/// Waits until all replicas of the control plane have seen what the API server has now, agree,
/// and every proxy of the cluster is connected to one of them and runs that.
///
/// # Errors
/// If that does not come to be in time, or the cluster cannot be asked.
pub async fn settle(cluster: &Cluster, limit: Duration) -> Result<Overview, SettleError> {
    let deadline = Instant::now() + limit;
    loop {
        let left = match look(cluster, deadline).await {
            Ok(Ok(overview)) => return Ok(overview),
            Ok(Err(left)) => left,
            // A control plane or an API server that starts again is part of what is waited for.
            Err(error) if Instant::now() < deadline => vec![error.to_string()],
            Err(error) => return Err(error.into()),
        };
        if Instant::now() >= deadline {
            return Err(SettleError::Late { limit, left });
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn look(
    cluster: &Cluster,
    deadline: Instant,
) -> Result<Result<Overview, Vec<String>>, TargetError> {
    let control_plane = ControlPlane::in_cluster(cluster).await?;
    let time = deadline.saturating_duration_since(Instant::now());
    // Whole seconds, of which there should be a few looks.
    let seconds = time.as_secs().clamp(1, 5);
    let path = format!("/v1/wait?timeout={seconds}");
    let limit = Duration::from_secs(seconds) + ON_THE_WAY;
    let mut left = Vec::new();
    for (replica, waited) in control_plane.ask::<ControlPlaneStatus>(&path, limit).await {
        if let Err(error) = waited {
            left.push(format!("{}: {error}", replica.name));
        }
    }
    let reports = control_plane.reports().await;
    let overview = Overview::new(&reports);
    // A replica that does not run yet has no proxies that could lag behind.
    if overview.answering == 0 {
        left.push(format!(
            "no control plane answers in namespace {}",
            cluster.mesh_namespace()
        ));
        let down = control_plane.replicas.iter();
        left.extend(
            down.filter_map(|replica| {
                Some(format!("{}: {}", replica.name, replica.down.as_ref()?))
            }),
        );
    }
    if !overview.agrees() {
        left.push(format!(
            "{} do not agree yet",
            count(
                u64::try_from(overview.answering).unwrap_or(u64::MAX),
                "replica"
            )
        ));
    }
    let pods = cluster.list_pods(None, "").await?;
    left.extend(behind(&overview));
    left.extend(missing(&overview, &pods));
    Ok(if left.is_empty() {
        Ok(overview)
    } else {
        Err(left)
    })
}

fn behind(overview: &Overview) -> Option<String> {
    let status = overview.status.as_ref()?;
    (status.current != status.connected).then(|| {
        let of = overview
            .proxies
            .values()
            .filter(|proxy| proxy.status.connected && proxy.status.acked_revision < proxy.newest);
        let names = of.map(|proxy| proxy.status.workload.as_str()).collect();
        format!(
            "{} of {} connected proxies run the newest: not {}",
            status.current,
            status.connected,
            some(names)
        )
    })
}

/// Pods whose proxy should be connected and is not.
fn missing(overview: &Overview, pods: &[PodInfo]) -> Option<String> {
    let connected = overview
        .proxies
        .values()
        .filter(|proxy| proxy.status.connected)
        .map(|proxy| proxy.status.workload.clone())
        .collect::<BTreeSet<_>>();
    let missing = pods
        .iter()
        .filter(|pod| pod.kind != PodKind::Outside && pod.phase == "Running")
        .map(PodInfo::uid)
        .filter(|name| !connected.contains(name))
        .collect::<Vec<_>>();
    (!missing.is_empty()).then(|| {
        format!(
            "not connected: {}",
            some(missing.iter().map(String::as_str).collect())
        )
    })
}

/// The first few of many names.
fn some(names: Vec<&str>) -> String {
    const NAMED: usize = 5;
    let more = names.len().saturating_sub(NAMED);
    let mut text = names.into_iter().take(NAMED).collect::<Vec<_>>().join(", ");
    if more > 0 {
        text.push_str(&format!(" and {more} more"));
    }
    text
}

#[cfg(test)]
mod tests {
    use mesh_api::v1::ProxyStatus;

    use super::super::SeenProxy;
    use super::*;

    fn pod(name: &str, kind: PodKind, phase: &str) -> PodInfo {
        PodInfo {
            namespace: "n".to_owned(),
            name: name.to_owned(),
            controller: ("Pod".to_owned(), name.to_owned()),
            kind,
            ready: true,
            phase: phase.to_owned(),
            ..PodInfo::default()
        }
    }

    #[test]
    fn names_proxies_that_are_missing_or_behind() {
        let seen = |name: &str, connected, acked| {
            let status = ProxyStatus {
                workload: name.to_owned(),
                connected,
                acked_revision: acked,
                ..ProxyStatus::default()
            };
            let seen = SeenProxy {
                replica: "m".to_owned(),
                newest: 5,
                status,
            };
            (name.to_owned(), seen)
        };
        let overview = Overview {
            status: Some(ControlPlaneStatus {
                connected: 2,
                current: 1,
                ..ControlPlaneStatus::default()
            }),
            proxies: [
                seen("n/a", true, 5),
                seen("n/b", true, 4),
                seen("n/c", false, 5),
            ]
            .into(),
            ..Overview::default()
        };
        assert!(behind(&overview).unwrap().ends_with("not n/b"));
        let pods = [
            pod("a", PodKind::Sidecar, "Running"),
            pod("c", PodKind::Gateway, "Running"),
            pod("d", PodKind::Sidecar, "Pending"),
            pod("e", PodKind::Outside, "Running"),
        ];
        assert_eq!(missing(&overview, &pods).unwrap(), "not connected: n/c");
    }
}
