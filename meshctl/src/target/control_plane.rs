//! The control plane: one process on a laptop, some replicas in a cluster.

use std::time::Duration;

use futures_util::future::join_all;
use k8s_openapi::api::apps::v1::Deployment;
use kube::Api;
use kube::api::ListParams;
use mesh_api::v1::{ControlPlaneStatus, Problem, ProblemList, ProxyList, ProxyStatus};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::TargetError;
use crate::call::{Admin, AdminError, Via};
use crate::cluster::{Cluster, PodInfo, PodPort};
use crate::state::MeshRecord;

/// Port of the admin endpoint on the loopback of a pod of the control plane, and of one with a
/// proxy.
pub const ADMIN_PORT: u16 = 15000;
/// Name of the control plane's Deployment; other revisions than the default one append theirs.
const DEPLOYMENT: &str = "meshd";

/// All processes of the control plane.
#[derive(Clone, Debug)]
pub struct ControlPlane {
    /// Each of them.
    pub replicas: Vec<Replica>,
}

/// One process.
#[derive(Clone, Debug)]
pub struct Replica {
    /// Its pod; `the control plane` on a laptop.
    pub name: String,
    /// Its Deployment; empty on a laptop.
    pub deployment: String,
    /// Why it cannot be asked now; none if it can.
    pub down: Option<String>,
    /// Its admin endpoint.
    pub admin: Admin,
}

/// What one replica says.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReplicaReport {
    /// Its name.
    pub replica: String,
    /// Its Deployment; empty on a laptop.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub deployment: String,
    /// None while it does not answer.
    pub status: Option<ControlPlaneStatus>,
    /// Why it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The proxies that it knows.
    #[serde(skip)]
    pub proxies: Vec<ProxyStatus>,
    /// The problems of the configuration as it has it.
    #[serde(skip)]
    pub problems: Vec<Problem>,
}

// === impl ControlPlane ===

impl ControlPlane {
    /// That of a mesh on this machine.
    pub fn on_laptop(record: &MeshRecord) -> Self {
        let name = "the control plane".to_owned();
        Self {
            replicas: vec![Replica {
                admin: Admin::new(name.clone(), &record.control_plane_admin),
                name,
                deployment: String::new(),
                down: None,
            }],
        }
    }

    /// That of a cluster: all replicas of all its revisions, for a proxy is connected to one of
    /// one.
    ///
    /// # Errors
    /// If there is none, or the API server refuses.
    pub async fn in_cluster(cluster: &Cluster) -> Result<Self, TargetError> {
        let namespace = cluster.mesh_namespace();
        let api: Api<Deployment> = Api::namespaced(cluster.client().clone(), namespace);
        let deployments = api
            .list(&ListParams::default())
            .await
            .map_err(cluster.failed("list", "deployments.apps", Some(namespace)))?;
        let mut replicas = Vec::new();
        let mut found = false;
        for deployment in deployments {
            let name = deployment.metadata.name.clone().unwrap_or_default();
            let Some(selector) = selector(&deployment).filter(|_| is_control_plane(&name)) else {
                continue;
            };
            found = true;
            let pods = cluster.list_pods(Some(namespace), &selector).await?;
            let alive = pods.iter().filter(|pod| pod.alive());
            replicas.extend(alive.map(|pod| Replica::in_pod(cluster, pod, &name)));
        }
        if !found {
            return Err(TargetError::NoControlPlane {
                namespace: namespace.to_owned(),
                context: cluster.context().to_owned(),
            });
        }
        replicas.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Self { replicas })
    }

    /// What all replicas say, asked at once.
    pub async fn reports(&self) -> Vec<ReplicaReport> {
        join_all(self.replicas.iter().map(Replica::report)).await
    }

    /// Asks all replicas that can be asked the same at once.
    pub async fn ask<T: DeserializeOwned>(
        &self,
        path: &str,
        timeout: Duration,
    ) -> Vec<(&Replica, Result<T, AdminError>)> {
        let up = self
            .replicas
            .iter()
            .filter(|replica| replica.down.is_none());
        join_all(
            up.map(
                |replica| async move { (replica, replica.admin.get_within(path, timeout).await) },
            ),
        )
        .await
    }
}

fn is_control_plane(deployment: &str) -> bool {
    deployment == DEPLOYMENT
        || deployment
            .strip_prefix(DEPLOYMENT)
            .is_some_and(|revision| revision.starts_with('-'))
}

fn selector(deployment: &Deployment) -> Option<String> {
    let labels = deployment.spec.as_ref()?.selector.match_labels.as_ref()?;
    let pairs = labels.iter().map(|(key, value)| format!("{key}={value}"));
    Some(pairs.collect::<Vec<_>>().join(","))
}

// === impl Replica ===

impl Replica {
    fn in_pod(cluster: &Cluster, pod: &PodInfo, deployment: &str) -> Self {
        let port = PodPort::new(cluster, &pod.namespace, &pod.name, ADMIN_PORT);
        Self {
            name: pod.name.clone(),
            deployment: deployment.to_owned(),
            down: (pod.phase != "Running").then(|| {
                format!(
                    "the pod is {}: `kubectl describe pod -n {} {}` says why",
                    pod.phase, pod.namespace, pod.name
                )
            }),
            admin: Admin::at(
                format!("{} in namespace {}", pod.name, pod.namespace),
                Via::Pod(Box::new(port)),
            ),
        }
    }

    async fn report(&self) -> ReplicaReport {
        let mut report = ReplicaReport {
            replica: self.name.clone(),
            deployment: self.deployment.clone(),
            error: self.down.clone(),
            ..ReplicaReport::default()
        };
        if self.down.is_some() {
            return report;
        }
        match self.admin.get::<ControlPlaneStatus>("/v1/status").await {
            Ok(status) => report.status = Some(status),
            Err(error) => {
                report.error = Some(error.to_string());
                return report;
            }
        }
        // It answered a moment ago; if it has gone since, the first answer still stands.
        let (proxies, problems) = tokio::join!(
            self.admin.get::<ProxyList>("/v1/proxies"),
            self.admin.get::<ProblemList>("/v1/problems")
        );
        report.proxies = proxies.map(|list| list.proxies).unwrap_or_default();
        report.problems = problems.map(|list| list.problems).unwrap_or_default();
        report
    }
}
