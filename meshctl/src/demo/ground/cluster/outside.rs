//! A pod outside of the mesh, which the tour makes and removes.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, PostParams};
use serde_json::json;
use tokio::time::Instant;

use crate::cluster::{Cluster, PodInfo};

const NAME: &str = "mesh-tour-outside";
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(100);

/// The pod.
#[derive(Debug)]
pub(super) struct Outside(PodInfo);

// === impl Outside ===

impl Outside {
    /// Makes one without sidecar, from an image of the sample, and waits until it runs.
    pub(super) async fn create(cluster: &Cluster, image: &str) -> anyhow::Result<Self> {
        let namespace = cluster.namespace();
        let pods = cluster.pods(namespace);
        let wanted: Pod = serde_json::from_value(json!({
            "metadata": {
                "name": NAME,
                "namespace": namespace,
                "labels": {"app": NAME, "sidecar.istio.io/inject": "false"},
            },
            "spec": {
                "terminationGracePeriodSeconds": 0,
                "automountServiceAccountToken": false,
                "containers": [{
                    "name": "client",
                    "image": image,
                    "imagePullPolicy": "IfNotPresent",
                    // Something that stays; nobody calls it.
                    "command": ["/bookinfo", "details"],
                }],
            },
        }))?;
        remove(cluster).await?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            match pods.create(&PostParams::default(), &wanted).await {
                Ok(_) => break,
                // The one of an earlier tour takes its time to go.
                Err(kube::Error::Api(status))
                    if status.is_already_exists() && Instant::now() < deadline =>
                {
                    tokio::time::sleep(PAUSE).await;
                }
                Err(error) => {
                    return Err(cluster.failed("create", "pods", Some(namespace))(error).into());
                }
            }
        }
        loop {
            let pod =
                pods.get(NAME)
                    .await
                    .map_err(cluster.failed("get", "pods", Some(namespace)))?;
            let pod = PodInfo::new(&pod);
            if pod.ready {
                return Ok(Self(pod));
            }
            ensure!(
                Instant::now() < deadline,
                "pod {namespace}/{NAME} is {} after {PATIENCE:?}: `kubectl describe pod -n {namespace} {NAME}` says why",
                pod.phase
            );
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// The pod.
    pub(super) fn pod(&self) -> &PodInfo {
        &self.0
    }

    /// Removes it.
    pub(super) async fn remove(self, cluster: &Cluster) -> anyhow::Result<()> {
        remove(cluster)
            .await
            .context("cannot remove the pod outside of the mesh")
    }
}

async fn remove(cluster: &Cluster) -> anyhow::Result<()> {
    let namespace = cluster.namespace();
    let pods = cluster.pods(namespace);
    match pods
        .delete(NAME, &DeleteParams::default().grace_period(0))
        .await
    {
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
        Err(error) => Err(cluster.failed("delete", "pods", Some(namespace))(error).into()),
        Ok(_) => Ok(()),
    }
}
