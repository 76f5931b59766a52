//! What a pod belongs to.

use serde_json::Value;

use super::decide::label;

/// Name of the Deployment, StatefulSet or the like that made a pod; the pod's own if nothing did
/// (Istio: `GetDeployMetaFromPod`). Empty if neither has one yet.
pub(super) fn workload_name(pod: &Value) -> String {
    let text = |path: &str| {
        pod.pointer(path)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let own = text("/metadata/name");
    let generated = text("/metadata/generateName");
    // Only who makes many pods lets the API server choose their names.
    let owner = controller(pod).filter(|_| !generated.is_empty());
    let name = match owner {
        Some((kind, name)) => controller_name(pod, kind, name),
        None => own,
    };
    if name.is_empty() {
        generated.trim_end_matches('-').to_owned()
    } else {
        name.to_owned()
    }
}

/// Whether a Job made the pod.
pub(super) fn is_job(pod: &Value) -> bool {
    controller(pod).is_some_and(|(kind, _)| kind == "Job")
}

fn controller(pod: &Value) -> Option<(&str, &str)> {
    let owners = pod.pointer("/metadata/ownerReferences")?.as_array()?;
    let owner = owners
        .iter()
        .find(|owner| owner.get("controller").and_then(Value::as_bool) == Some(true))?;
    Some((owner.get("kind")?.as_str()?, owner.get("name")?.as_str()?))
}

fn controller_name<'a>(pod: &'a Value, kind: &str, name: &'a str) -> &'a str {
    match kind {
        "ReplicaSet" => ["pod-template-hash", "rollouts-pod-template-hash"]
            .iter()
            .filter_map(|hash| label(pod, hash).filter(|hash| !hash.is_empty()))
            .find_map(|hash| name.strip_suffix(hash)?.strip_suffix('-'))
            .unwrap_or(name),
        "ReplicationController" => label(pod, "deploymentconfig").unwrap_or(name),
        // A CronJob's jobs end in the minute that they are for.
        "Job" => match name.rsplit_once('-') {
            Some((cron, minute))
                if (8..=10).contains(&minute.len())
                    && minute.bytes().all(|b| b.is_ascii_digit()) =>
            {
                cron
            }
            _ => name,
        },
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_what_made_the_pod() {
        let owned = |kind: &str, name: &str, labels: Value| {
            json!({"metadata": {
                "generateName": format!("{name}-"), "labels": labels,
                "ownerReferences": [{"kind": kind, "name": name, "controller": true}],
            }})
        };
        for (pod, want) in [
            (
                owned("ReplicaSet", "web-5d9", json!({"pod-template-hash": "5d9"})),
                "web",
            ),
            (owned("ReplicaSet", "web-5d9", json!({})), "web-5d9"),
            (
                owned(
                    "ReplicaSet",
                    "web-7c",
                    json!({"rollouts-pod-template-hash": "7c"}),
                ),
                "web",
            ),
            (owned("StatefulSet", "db", json!({})), "db"),
            (owned("Job", "nightly-28500000", json!({})), "nightly"),
            (owned("Job", "once-1", json!({})), "once-1"),
            (
                owned(
                    "ReplicationController",
                    "dc-3",
                    json!({"deploymentconfig": "dc"}),
                ),
                "dc",
            ),
            (json!({"metadata": {"name": "alone"}}), "alone"),
            (json!({"metadata": {"generateName": "many-"}}), "many"),
            (json!({}), ""),
        ] {
            assert_eq!(workload_name(&pod), want);
        }
    }
}
