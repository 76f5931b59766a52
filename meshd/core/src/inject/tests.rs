mod decisions;
mod golden;
mod properties;
mod settings;
mod workload_api;

use serde_json::{Value, json};

use super::*;

/// An object of Kubernetes.
fn yaml(text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap()
}

/// Settings with a tag that stays.
fn settings() -> InjectSettings {
    InjectSettings {
        tag: "test".to_owned(),
        ..InjectSettings::default()
    }
}

fn injected(mut object: Value, settings: &InjectSettings) -> (Value, Vec<Injection>) {
    let outcomes = inject(&mut object, settings, &InjectContext::default()).unwrap();
    (object, outcomes)
}

/// A pod with one container.
#[expect(clippy::needless_pass_by_value, reason = "json! makes values")]
fn pod(labels: Value, annotations: Value) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "web", "labels": labels, "annotations": annotations},
        "spec": {"containers": [{"name": "web", "image": "web:1"}]},
    })
}

fn proxy(pod: &Value) -> &Value {
    ["/spec/initContainers", "/spec/containers"]
        .iter()
        .filter_map(|list| pod.pointer(list)?.as_array())
        .flatten()
        .find(|container| container["name"] == PROXY_CONTAINER)
        .unwrap()
}

fn variable<'a>(pod: &'a Value, name: &str) -> Option<&'a Value> {
    proxy(pod)["env"]
        .as_array()?
        .iter()
        .find(|variable| variable["name"] == name)
}

fn value<'a>(pod: &'a Value, name: &str) -> Option<&'a str> {
    variable(pod, name)?["value"].as_str()
}

fn container_names(pod: &Value, list: &str) -> Vec<String> {
    template::names(pod, list).map(str::to_owned).collect()
}
