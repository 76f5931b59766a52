//! Watching what was installed come up, and saying why it does not.

use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kube::api::ListParams;
use kube::{Api, ResourceExt as _};
use serde_json::Value;

use super::InstallError;
use super::apply::Progress;
use super::plan::label;
use crate::clock;
use crate::cluster::{Cluster, ObjectRef};

/// How often to look.
const EVERY: Duration = Duration::from_millis(500);

/// How far something is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// It serves.
    Ready,
    /// It does not yet; what holds it up.
    Waiting(String),
}

/// Something that gets ready.
pub(super) trait GetsReady {
    /// Its name.
    fn object(&self) -> &ObjectRef;
    /// How far it is.
    async fn look(&self) -> Result<Readiness, InstallError>;
}

/// Waits until it is ready, telling what holds it up whenever that changes.
pub(super) async fn until_ready(
    what: &impl GetsReady,
    progress: Progress,
    limit: Duration,
) -> Result<(), InstallError> {
    let deadline = tokio::time::Instant::now() + limit;
    let mut told = String::new();
    loop {
        let reason = match what.look().await? {
            Readiness::Ready if told.is_empty() => return Ok(()),
            Readiness::Ready => {
                progress.tell(format_args!("ready      {}", label(what.object())));
                return Ok(());
            }
            Readiness::Waiting(reason) => reason,
        };
        if reason != told {
            progress.tell(format_args!(
                "waiting    {}: {reason}",
                label(what.object())
            ));
            told.clone_from(&reason);
        }
        if tokio::time::Instant::now() >= deadline {
            return Err(InstallError::NotReady {
                object: label(what.object()),
                reason,
                look: describe(what.object()),
                timeout: limit,
            });
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// The command that tells more about an object.
fn describe(object: &ObjectRef) -> String {
    let kind = object.kind.to_ascii_lowercase();
    match object.namespace.as_str() {
        "" => format!("kubectl describe {kind} {}", object.name),
        namespace => format!("kubectl describe {kind} {} -n {namespace}", object.name),
    }
}

/// A Deployment and its pods.
pub(super) struct Deployments<'a> {
    cluster: &'a Cluster,
    object: ObjectRef,
}

// === impl Deployments ===

impl<'a> Deployments<'a> {
    pub(super) fn new(cluster: &'a Cluster, object: &ObjectRef) -> Self {
        Self {
            cluster,
            object: object.clone(),
        }
    }
}

impl GetsReady for Deployments<'_> {
    fn object(&self) -> &ObjectRef {
        &self.object
    }

    async fn look(&self) -> Result<Readiness, InstallError> {
        let ObjectRef {
            namespace, name, ..
        } = &self.object;
        let api: Api<Deployment> = Api::namespaced(self.cluster.client().clone(), namespace);
        let deployment = api.get(name).await.map_err(self.cluster.failed(
            "get",
            "deployments.apps",
            Some(namespace),
        ))?;
        let readiness = rollout(&deployment);
        let labels = deployment
            .spec
            .and_then(|spec| spec.selector.match_labels)
            .unwrap_or_default();
        let selector = labels
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect::<Vec<_>>()
            .join(",");
        let mut pods = self
            .cluster
            .pods(namespace)
            .list(&ListParams::default().labels(&selector))
            .await
            .map_err(self.cluster.failed("list", "pods", Some(namespace)))?
            .items;
        let Readiness::Waiting(progress) = readiness else {
            return Ok(farewell(&pods, clock::unix_seconds()));
        };
        // The newest are those that are waited for.
        pods.sort_by_key(|pod| std::cmp::Reverse(pod.creation_timestamp()));
        let reason = pods.iter().find_map(trouble);
        Ok(Readiness::Waiting(match reason {
            Some(reason) => format!("{progress}; {reason}"),
            None => progress,
        }))
    }
}

/// How far the rollout of a Deployment is.
fn rollout(deployment: &Deployment) -> Readiness {
    let wanted = deployment
        .spec
        .as_ref()
        .and_then(|spec| spec.replicas)
        .unwrap_or(1);
    let status = deployment.status.clone().unwrap_or_default();
    let observed = status.observed_generation >= deployment.metadata.generation;
    let updated = status.updated_replicas.unwrap_or(0);
    let available = status.available_replicas.unwrap_or(0);
    let total = status.replicas.unwrap_or(0);
    if observed && updated >= wanted && available >= wanted && total <= updated {
        return Readiness::Ready;
    }
    // Pods that cannot even be made: quotas, security policies, webhooks.
    let failure = status
        .conditions
        .unwrap_or_default()
        .into_iter()
        .find_map(|condition| {
            (condition.type_ == "ReplicaFailure" && condition.status == "True")
                .then(|| condition.message.unwrap_or_default())
        });
    // Old pods are all available while new ones come up: what is not is new.
    let missing = total.saturating_sub(available);
    let ready = if observed {
        updated.saturating_sub(missing).min(wanted)
    } else {
        0
    };
    let mut text = format!("{ready} of {wanted} new pods ready");
    if let Some(failure) = failure {
        text = format!("{text}; no pod can be made: {failure}");
    } else if ready == wanted && total > updated {
        text = format!("{text}, {} old ones stopping", total - updated);
    }
    Readiness::Waiting(text)
}

/// Whether the old pods have ended. Until then the API server still asks them on the connections
/// that it has: a webhook of before would put its sidecar into pods that are restarted now. A pod
/// that has outlived its grace period is on a node that is gone.
fn farewell(pods: &[Pod], now: i64) -> Readiness {
    let ends = |pod: &&Pod| {
        let status = pod.status.as_ref();
        let phase = status.and_then(|status| status.phase.as_deref());
        let until = pod.metadata.deletion_timestamp.as_ref();
        !matches!(phase, Some("Failed" | "Succeeded"))
            && until.is_some_and(|until| now <= until.0.as_second())
    };
    match pods.iter().filter(ends).count() {
        0 => Readiness::Ready,
        count => Readiness::Waiting(format!("all new pods ready, {count} old ones ending")),
    }
}

/// Why a pod is not ready, if it is not.
fn trouble(pod: &Pod) -> Option<String> {
    let name = pod.name_any();
    let status = pod.status.clone().unwrap_or_default();
    let over = matches!(status.phase.as_deref(), Some("Failed" | "Succeeded"));
    if over || pod.metadata.deletion_timestamp.is_some() {
        return None;
    }
    let conditions = status.conditions.unwrap_or_default();
    let condition = |kind: &str| conditions.iter().find(|one| one.type_ == kind);
    if condition("Ready").is_some_and(|ready| ready.status == "True") {
        return None;
    }
    if let Some(scheduled) = condition("PodScheduled").filter(|one| one.status == "False") {
        let message = scheduled.message.clone().unwrap_or_default();
        return Some(format!("pod {name} has no node: {message}"));
    }
    let containers: Vec<ContainerStatus> = status
        .init_container_statuses
        .into_iter()
        .chain(status.container_statuses)
        .flatten()
        .collect();
    if let Some(found) = containers
        .iter()
        .find_map(|one| container_trouble(&name, one))
    {
        return Some(found);
    }
    let starting = containers
        .iter()
        .find(|one| !one.ready && one.state.as_ref().is_some_and(|s| s.running.is_some()))?;
    Some(format!(
        "pod {name}: container {} runs and is not ready yet",
        starting.name
    ))
}

fn container_trouble(pod: &str, container: &ContainerStatus) -> Option<String> {
    let state = container.state.clone().unwrap_or_default();
    let place = format!("pod {pod}: container {}", container.name);
    let ended = |state: &Option<k8s_openapi::api::core::v1::ContainerStateTerminated>| {
        state.as_ref().filter(|ended| ended.exit_code != 0).map(|ended| {
            let message = ended.message.as_deref().unwrap_or_default().trim();
            format!(
                "ended with exit code {}{}{message}; its log says why: `kubectl logs {pod} -c {} --previous`",
                ended.exit_code,
                if message.is_empty() { "" } else { ": " },
                container.name
            )
        })
    };
    if let Some(waiting) = state.waiting {
        let reason = waiting.reason.unwrap_or_default();
        if matches!(
            reason.as_str(),
            "ContainerCreating" | "PodInitializing" | ""
        ) {
            return None;
        }
        let last = container
            .last_state
            .clone()
            .and_then(|last| ended(&last.terminated));
        let message = last.or(waiting.message).unwrap_or_default();
        return Some(format!("{place}: {reason}: {message}"));
    }
    ended(&state.terminated).map(|text| format!("{place}: {text}"))
}

/// A webhook configuration whose `caBundle` the control plane fills in.
pub(super) struct WebhookTrust<'a> {
    cluster: &'a Cluster,
    object: ObjectRef,
}

// === impl WebhookTrust ===

impl<'a> WebhookTrust<'a> {
    pub(super) fn new(cluster: &'a Cluster, object: &ObjectRef) -> Self {
        Self {
            cluster,
            object: object.clone(),
        }
    }
}

impl GetsReady for WebhookTrust<'_> {
    fn object(&self) -> &ObjectRef {
        &self.object
    }

    async fn look(&self) -> Result<Readiness, InstallError> {
        let found = self.cluster.read(&self.object).await?;
        Ok(trusted(&serde_json::json!(found)))
    }
}

fn trusted(configuration: &Value) -> Readiness {
    let webhooks = configuration.get("webhooks").and_then(Value::as_array);
    let without = webhooks.into_iter().flatten().find(|webhook| {
        let bundle = webhook
            .pointer("/clientConfig/caBundle")
            .and_then(Value::as_str);
        bundle.is_none_or(str::is_empty)
    });
    match without {
        None => Readiness::Ready,
        Some(_) => Readiness::Waiting(
            "the control plane has not written its roots (caBundle) yet".to_owned(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn deployment(status: &Value) -> Deployment {
        serde_json::from_value(json!({
            "metadata": {"name": "meshd", "generation": 2},
            "spec": {"replicas": 2, "selector": {}, "template": {}},
            "status": status,
        }))
        .unwrap()
    }

    #[test]
    fn a_rollout_ends_when_all_pods_are_new_and_available() {
        for (status, want) in [
            (
                json!({"observedGeneration": 1, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}),
                Some("0 of 2 new pods ready"),
            ),
            (
                json!({"observedGeneration": 2, "replicas": 4, "updatedReplicas": 2, "availableReplicas": 3}),
                Some("1 of 2 new pods ready"),
            ),
            (
                json!({"observedGeneration": 2, "replicas": 4, "updatedReplicas": 2, "availableReplicas": 4}),
                Some("2 of 2 new pods ready, 2 old ones stopping"),
            ),
            (
                json!({"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 1}),
                Some("1 of 2 new pods ready"),
            ),
            (
                json!({"observedGeneration": 2, "conditions": [{"type": "ReplicaFailure", "status": "True", "message": "quota"}]}),
                Some("0 of 2 new pods ready; no pod can be made: quota"),
            ),
            (
                json!({"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}),
                None,
            ),
        ] {
            let want = want.map_or(Readiness::Ready, |text| Readiness::Waiting(text.to_owned()));
            assert_eq!(rollout(&deployment(&status)), want, "{status}");
        }
    }

    #[test]
    fn old_pods_are_waited_for_until_their_grace_is_over() {
        let pod = |metadata: Value, phase: &str| -> Pod {
            serde_json::from_value(json!({"metadata": metadata, "status": {"phase": phase}}))
                .unwrap()
        };
        let ending = json!({"deletionTimestamp": "1970-01-01T00:01:40Z"});
        let pods = |phase| [pod(json!({}), "Running"), pod(ending.clone(), phase)];
        let waiting = Readiness::Waiting("all new pods ready, 1 old ones ending".to_owned());
        assert_eq!(farewell(&pods("Running"), 99), waiting);
        assert_eq!(farewell(&pods("Running"), 101), Readiness::Ready);
        assert_eq!(farewell(&pods("Succeeded"), 99), Readiness::Ready);
        assert_eq!(farewell(&[], 0), Readiness::Ready);
    }

    #[test]
    fn a_pod_says_what_holds_it_up() {
        let container = |state: Value, last: Value| json!({"containerStatuses": [{"name": "c", "image": "i", "imageID": "", "ready": false, "restartCount": 0, "state": state, "lastState": last}]});
        for (status, want) in [
            (
                json!({"conditions": [{"type": "Ready", "status": "True"}]}),
                None,
            ),
            (
                json!({"conditions": [{"type": "PodScheduled", "status": "False", "message": "no node fits"}]}),
                Some("pod p has no node: no node fits"),
            ),
            (
                container(
                    json!({"waiting": {"reason": "ContainerCreating"}}),
                    json!({}),
                ),
                None,
            ),
            (
                container(
                    json!({"waiting": {"reason": "ImagePullBackOff", "message": "not found"}}),
                    json!({}),
                ),
                Some("pod p: container c: ImagePullBackOff: not found"),
            ),
            (
                container(
                    json!({"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}}),
                    json!({"terminated": {"exitCode": 2}}),
                ),
                Some(
                    "pod p: container c: CrashLoopBackOff: ended with exit code 2; its log says why: `kubectl logs p -c c --previous`",
                ),
            ),
            (
                container(json!({"running": {}}), json!({})),
                Some("pod p: container c runs and is not ready yet"),
            ),
        ] {
            let pod: Pod =
                serde_json::from_value(json!({"metadata": {"name": "p"}, "status": status}))
                    .unwrap();
            assert_eq!(trouble(&pod).as_deref(), want, "{status}");
        }
        let gone = json!({"metadata": {"name": "p", "deletionTimestamp": "2026-01-01T00:00:00Z"}});
        assert_eq!(trouble(&serde_json::from_value(gone).unwrap()), None);
    }

    #[test]
    fn webhooks_are_trusted_when_all_of_them_have_roots() {
        let hook = |bundle: Value| json!({"clientConfig": {"caBundle": bundle}});
        assert_eq!(
            trusted(&json!({"webhooks": [hook("x".into())]})),
            Readiness::Ready
        );
        for bundle in [Value::Null, "".into()] {
            let configuration = json!({"webhooks": [hook("x".into()), hook(bundle)]});
            assert!(matches!(trusted(&configuration), Readiness::Waiting(_)));
        }
    }
}
