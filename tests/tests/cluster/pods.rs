//! Deployments and pods of a place: waiting for them, running commands in them, ending them.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use futures_util::future::try_join_all;
use futures_util::{StreamExt, TryStreamExt};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::runtime::watcher;
use kube::runtime::{WatchStreamExt, wait::conditions::Condition};
use kube::{Api, ResourceExt};
use meshctl::cluster::{Asked, PodInfo, find};
use serde_json::{Value, json};

use crate::place::Place;

/// Longest wait for an answer to a call from inside.
const CALL: Duration = Duration::from_secs(60);
/// Why a container waits, if its image is not there.
const NO_IMAGE: [&str; 4] = [
    "ErrImagePull",
    "ImagePullBackOff",
    "ErrImageNeverPull",
    "InvalidImageName",
];

// === impl Place ===

impl Place {
    /// Waits until all Deployments here have all of their pods ready.
    pub(crate) async fn deployments_ready(&self) -> anyhow::Result<()> {
        let api: Api<Deployment> = self.api();
        let all = api.list(&ListParams::default()).await?;
        let names = all
            .items
            .iter()
            .map(ResourceExt::name_any)
            .collect::<Vec<_>>();
        ensure!(
            !names.is_empty(),
            "there are no Deployments in {}",
            self.namespace
        );
        let ready = try_join_all(
            names
                .iter()
                .map(|name| self.until(api.clone(), name, "rolled out", rolled_out)),
        );
        tokio::select! {
            ready = ready => ready.map(|_| ()),
            missing = self.missing_image() => bail!(Self::image_advice(&missing?)),
        }
    }

    /// An image that a container here waits for in vain, as soon as there is one.
    pub(crate) async fn missing_image(&self) -> anyhow::Result<String> {
        let pods = watcher(self.api::<Pod>(), watcher::Config::default());
        let pods = pods.default_backoff().applied_objects();
        let missing = pods.try_filter_map(async |pod| Ok(waits_for_image(&pod)));
        let mut missing = std::pin::pin!(missing);
        let first = missing.next().await;
        Ok(first.context("the watch has ended")??)
    }

    /// Pods of a Deployment that are ready.
    pub(crate) async fn pods_of(&self, deployment: &str) -> anyhow::Result<Vec<PodInfo>> {
        let mut pods = self.cluster.list_pods(Some(&self.namespace), "").await?;
        pods.retain(|pod| pod.ready && pod.controller.1 == deployment);
        Ok(pods)
    }

    /// Some ready pod of a Deployment.
    pub(crate) async fn pod_of(&self, deployment: &str) -> anyhow::Result<PodInfo> {
        let pods = self.cluster.list_pods(Some(&self.namespace), "").await?;
        Ok(find(&pods, &Asked::parse(&format!("deploy/{deployment}")))?.clone())
    }

    /// What the sample's client prints for a request from inside of a pod.
    pub(crate) async fn call(&self, pod: &PodInfo, arguments: &[&str]) -> anyhow::Result<Value> {
        let command = [["/bookinfo", "call"].as_slice(), arguments].concat();
        let told = self.cluster.execute(pod, &command, CALL).await?;
        let line = String::from_utf8_lossy(&told.stdout);
        serde_json::from_str(line.trim()).with_context(|| {
            format!(
                "`{}` in {} prints: {line}{}",
                command.join(" "),
                pod.name,
                told.stderr
            )
        })
    }

    /// Deletes a pod: without grace, if `at_once`.
    pub(crate) async fn end(&self, pod: &PodInfo, at_once: bool) -> anyhow::Result<()> {
        let how = DeleteParams::default();
        let how = if at_once { how.grace_period(0) } else { how };
        let pods = self.cluster.pods(&pod.namespace);
        pods.delete(&pod.name, &how).await?;
        Ok(())
    }

    /// Sets the number of pods of a Deployment, and gives what it was.
    pub(crate) async fn scale(
        &self,
        api: &Api<Deployment>,
        name: &str,
        replicas: i32,
    ) -> anyhow::Result<i32> {
        let before = api.get(name).await?;
        let patch = json!({"spec": {"replicas": replicas}});
        api.patch(name, &PatchParams::default(), &Patch::Merge(patch))
            .await?;
        self.until(api.clone(), name, "rolled out", rolled_out)
            .await?;
        Ok(before.spec.and_then(|spec| spec.replicas).unwrap_or(1))
    }

    /// Waits until the pods that were replaced in a namespace have served their last request.
    pub(crate) async fn none_ending(&self, namespace: &str) -> anyhow::Result<()> {
        self.poll("the end of the old pods", async || {
            let pods = self.cluster.list_pods(Some(namespace), "").await?;
            let ending = pods.iter().any(|pod| pod.phase == "Terminating");
            Ok((!ending).then_some(()))
        })
        .await
    }

    /// Replaces all pods of a Deployment, as `kubectl rollout restart` does, and waits for it.
    pub(crate) async fn restart(&self, api: &Api<Deployment>, name: &str) -> anyhow::Result<()> {
        api.restart(name).await?;
        self.until(api.clone(), name, "restarted", rolled_out).await
    }
}

/// Whether a Deployment runs what it asks for, and nothing older.
pub(crate) fn rolled_out(deployment: Option<&Deployment>) -> bool {
    let Some(deployment) = deployment else {
        return false;
    };
    let (Some(spec), Some(status)) = (&deployment.spec, &deployment.status) else {
        return false;
    };
    let wanted = spec.replicas.unwrap_or(1);
    status.observed_generation >= deployment.metadata.generation
        && status.updated_replicas.unwrap_or(0) == wanted
        && status.available_replicas.unwrap_or(0) == wanted
        && status.replicas.unwrap_or(0) == wanted
}

/// Whether a pod is ready.
pub(crate) fn is_ready() -> impl Condition<Pod> {
    |pod: Option<&Pod>| pod.is_some_and(|pod| PodInfo::new(pod).ready)
}

fn waits_for_image(pod: &Pod) -> Option<String> {
    let status = pod.status.as_ref()?;
    let containers = status.container_statuses.iter().flatten();
    let mut all = containers.chain(status.init_container_statuses.iter().flatten());
    let waiting = all.find(|container| {
        let reason = container
            .state
            .as_ref()
            .and_then(|state| state.waiting.as_ref()?.reason.as_deref());
        reason.is_some_and(|reason| NO_IMAGE.contains(&reason))
    })?;
    Some(waiting.image.clone())
}
