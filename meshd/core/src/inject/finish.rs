//! What remains to be done once templates are merged into a pod.

use serde_json::{Map, Value, json};

use super::environment::text;
use super::options::Options;
use super::settings::InjectSettings;
use super::{INIT_CONTAINER, PROXY_CONTAINER, STATUS_ANNOTATION, probes, prometheus, template};

/// Names of what the templates hold, for the annotation that says what was injected.
#[derive(Clone, Debug, Default)]
pub(super) struct Added {
    init_containers: Vec<String>,
    containers: Vec<String>,
    volumes: Vec<String>,
    pull_secrets: Vec<String>,
}

/// Probes, metrics, order and annotations.
///
/// # Errors
/// If the annotations for Prometheus cannot be used.
pub(super) fn finish(
    pod: &mut Value,
    added: &Added,
    options: &Options,
    settings: &InjectSettings,
) -> Result<Vec<String>, String> {
    let mut warnings = Vec::new();
    let status_port = options.config.status_port;
    if has_proxy(pod) {
        if options.merge_metrics
            && let Some(target) = prometheus::merge(pod, status_port)?
        {
            tell_proxy(pod, "MESH_APP_METRICS", &target.to_string());
        }
        if options.rewrite_probes {
            let (targets, found) = probes::rewrite(pod, status_port);
            warnings.extend(found);
            if !targets.is_empty() {
                tell_proxy(pod, "MESH_PROBES", &Value::Object(targets).to_string());
            }
        }
    }
    order(pod, options);
    let mut annotations: Map<String, Value> = Map::new();
    annotations.insert(
        STATUS_ANNOTATION.to_owned(),
        added.status(&settings.revision).into(),
    );
    let further = settings.injected_annotations.iter();
    annotations.extend(further.map(|(key, value)| (key.clone(), value.clone().into())));
    super::merge::merge(pod, json!({"metadata": {"annotations": annotations}}));
    Ok(warnings)
}

/// A native sidecar starts after the capture is set up and before everything else, so that the
/// pod's own init containers are in the mesh. Otherwise the capture comes last, so that init
/// containers, which run without a proxy, reach the network.
fn order(pod: &mut Value, options: &Options) {
    let native = template::names(pod, "/spec/initContainers").any(|name| name == PROXY_CONTAINER);
    let rank = |name: &str| match (name, native) {
        (INIT_CONTAINER, true) => 0,
        (PROXY_CONTAINER, true) => 1,
        (INIT_CONTAINER, false) => 3,
        _ => 2,
    };
    sort(pod, "/spec/initContainers", rank);
    let place = if options.config.hold_application {
        0
    } else {
        2
    };
    let rank = |name: &str| if name == PROXY_CONTAINER { place } else { 1 };
    sort(pod, "/spec/containers", rank);
}

fn sort(pod: &mut Value, list: &str, rank: impl Fn(&str) -> u8) {
    if let Some(list) = pod.pointer_mut(list).and_then(Value::as_array_mut) {
        // Stable: the others keep their order.
        list.sort_by_key(|item| rank(item.get("name").and_then(Value::as_str).unwrap_or_default()));
    }
}

fn has_proxy(pod: &Value) -> bool {
    ["/spec/containers", "/spec/initContainers"]
        .iter()
        .any(|list| template::names(pod, list).any(|name| name == PROXY_CONTAINER))
}

/// Adds a variable to the proxy's environment, unless the pod's author has set it.
fn tell_proxy(pod: &mut Value, name: &str, value: &str) {
    for list in ["/spec/containers", "/spec/initContainers"] {
        let containers = pod.pointer_mut(list).and_then(Value::as_array_mut);
        let proxy = containers.into_iter().flatten().find(|container| {
            container.get("name").and_then(Value::as_str) == Some(PROXY_CONTAINER)
        });
        let Some(environment) = proxy.and_then(|proxy| proxy.get_mut("env")?.as_array_mut()) else {
            continue;
        };
        let known = |item: &Value| item.get("name").and_then(Value::as_str) == Some(name);
        if !environment.iter().any(known) {
            environment.push(text(name, value));
        }
        return;
    }
}

// === impl Added ===

impl Added {
    /// Notes what a template holds.
    pub(super) fn note(&mut self, part: &Value) {
        for (list, names) in [
            ("/spec/initContainers", &mut self.init_containers),
            ("/spec/containers", &mut self.containers),
            ("/spec/volumes", &mut self.volumes),
            ("/spec/imagePullSecrets", &mut self.pull_secrets),
        ] {
            for name in template::names(part, list) {
                if !names.iter().any(|known| known == name) {
                    names.push(name.to_owned());
                }
            }
        }
    }

    /// Istio's form, which its tools read.
    fn status(&self, revision: &str) -> String {
        let list = |names: &[String]| {
            if names.is_empty() {
                Value::Null
            } else {
                names.into()
            }
        };
        json!({
            "initContainers": list(&self.init_containers),
            "containers": list(&self.containers),
            "volumes": list(&self.volumes),
            "imagePullSecrets": list(&self.pull_secrets),
            "revision": revision,
        })
        .to_string()
    }
}
