//! Templates: parts of pods that are merged into pods.

use serde_json::{Map, Value, json};

use super::apply::InjectContext;
use super::decide::{annotation, label};
use super::environment::{Kind, environment};
use super::options::Options;
use super::settings::{CaptureMethod, InjectSettings, InterceptionMode};
use super::{PROXY_CONTAINER, capture, container, owner};

/// What a template is made from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Input<'a> {
    pub(super) pod: &'a Value,
    pub(super) options: &'a Options,
    pub(super) settings: &'a InjectSettings,
    pub(super) context: &'a InjectContext<'a>,
}

// === impl Input ===

impl Input<'_> {
    /// The part of a pod that a template stands for.
    ///
    /// # Errors
    /// If there is no such template.
    pub(super) fn render(&self, name: &str) -> Result<Value, String> {
        if let Some(custom) = self.settings.templates.get(name) {
            let mut part = custom.0.clone();
            if let Value::Object(part) = &mut part {
                part.retain(|key, _| matches!(key.as_str(), "metadata" | "spec"));
            }
            return Ok(part);
        }
        match name {
            "sidecar" => Ok(self.sidecar()),
            "gateway" => Ok(self.gateway()),
            _ => {
                let own = ["gateway", "sidecar"].map(str::to_owned);
                let mut known: Vec<String> = self.settings.templates.keys().cloned().collect();
                known.extend(own);
                known.sort();
                Err(format!(
                    "the template `{name}` is unknown (annotation inject.istio.io/templates); there are {}",
                    known.join(", ")
                ))
            }
        }
    }

    fn sidecar(&self) -> Value {
        let proxy = self.proxy(Kind::Sidecar);
        let mut first = Vec::new();
        if self.options.config.interception == InterceptionMode::Redirect
            && self.settings.capture == CaptureMethod::Init
        {
            let uid = user_of_proxy(self.pod);
            first.push(capture::container(self.options, self.settings, uid));
        }
        let mut part = self.part(Kind::Sidecar);
        let containers = if self.options.native {
            first.push(proxy);
            Vec::new()
        } else {
            vec![proxy]
        };
        if let Some(spec) = part.get_mut("spec").and_then(Value::as_object_mut) {
            for (key, list) in [("initContainers", first), ("containers", containers)] {
                if !list.is_empty() {
                    spec.insert(key.to_owned(), list.into());
                }
            }
        }
        part
    }

    /// Binds any port that its Gateways ask for, without a privilege: the system setting is the
    /// pod's own, and one that Kubernetes counts as safe.
    fn gateway(&self) -> Value {
        let proxy = self.proxy(Kind::Gateway);
        let mut part = self.part(Kind::Gateway);
        if let Some(spec) = part.get_mut("spec").and_then(Value::as_object_mut) {
            spec.insert("containers".to_owned(), vec![proxy].into());
            let setting = json!({"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"});
            spec.insert("securityContext".to_owned(), json!({"sysctls": [setting]}));
        }
        part
    }

    fn proxy(&self, kind: Kind) -> Value {
        // The labels as they will be.
        let mut pod = self.pod.clone();
        super::merge::merge(&mut pod, json!({"metadata": self.metadata(kind)}));
        let environment = environment(kind, &pod, self.options, self.settings, self.context);
        container::proxy(kind, &environment, self.options, self.settings)
    }

    /// What sidecars and gateways have alike.
    fn part(&self, kind: Kind) -> Value {
        let taken: Vec<&str> = names(self.pod, "/spec/volumes").collect();
        let volumes: Vec<Value> = container::volumes(self.options)
            .into_iter()
            // Somebody who brings a volume of our name wants it in its place.
            .filter(|volume| {
                let name = volume.get("name").and_then(Value::as_str);
                name.is_none_or(|name| !taken.contains(&name))
            })
            .collect();
        let mut spec = Map::new();
        if !volumes.is_empty() {
            spec.insert("volumes".to_owned(), volumes.into());
        }
        let secrets = self.settings.image_pull_secrets.iter();
        let secrets: Vec<Value> = secrets.map(|name| json!({"name": name})).collect();
        if !secrets.is_empty() {
            spec.insert("imagePullSecrets".to_owned(), secrets.into());
        }
        json!({"metadata": self.metadata(kind), "spec": spec})
    }

    /// Labels and annotations that every pod of the mesh has (Istio's).
    fn metadata(&self, kind: Kind) -> Value {
        let mut labels = Map::new();
        let mut set = |name: &str, value: &str| {
            if label(self.pod, name).is_none() && !value.is_empty() {
                labels.insert(name.to_owned(), value.into());
            }
        };
        if kind == Kind::Sidecar {
            set("security.istio.io/tlsMode", "istio");
            if self.options.config.hbone() {
                set("networking.istio.io/tunnel", "http");
            }
        }
        set("service.istio.io/canonical-name", &self.canonical_name());
        let version = ["app.kubernetes.io/version", "version"]
            .iter()
            .find_map(|name| label(self.pod, name).filter(|value| !value.is_empty()));
        set(
            "service.istio.io/canonical-revision",
            version.unwrap_or("latest"),
        );
        set(
            "topology.istio.io/network",
            self.context.network.unwrap_or(&self.settings.network),
        );
        let mut annotations = Map::new();
        let revision = self.settings.revision.clone();
        annotations.insert("istio.io/rev".to_owned(), revision.into());
        let application = names(self.pod, "/spec/containers").find(|name| *name != PROXY_CONTAINER);
        for name in [
            "kubectl.kubernetes.io/default-container",
            "kubectl.kubernetes.io/default-logs-container",
        ] {
            if let Some(application) = application
                && annotation(self.pod, name).is_none()
            {
                annotations.insert(name.to_owned(), application.into());
            }
        }
        json!({"labels": labels, "annotations": annotations})
    }

    fn canonical_name(&self) -> String {
        let labelled = ["app.kubernetes.io/name", "app"]
            .iter()
            .find_map(|name| label(self.pod, name).filter(|value| !value.is_empty()));
        let name = labelled.map_or_else(
            || match self.context.workload {
                Some(name) => name.to_owned(),
                None => owner::workload_name(self.pod),
            },
            str::to_owned,
        );
        // What a label's value may be.
        let short: String = name.chars().take(63).collect();
        short.trim_matches(['-', '_', '.']).to_owned()
    }
}

/// Names of a list of a pod.
pub(super) fn names<'a>(pod: &'a Value, list: &str) -> impl Iterator<Item = &'a str> {
    let list = pod.pointer(list).and_then(Value::as_array);
    list.into_iter()
        .flatten()
        .filter_map(|item| item.get("name").and_then(Value::as_str))
}

/// Whom the proxy runs as: a container of its name in the pod may say it.
fn user_of_proxy(pod: &Value) -> u64 {
    ["/spec/containers", "/spec/initContainers"]
        .iter()
        .filter_map(|list| pod.pointer(list).and_then(Value::as_array))
        .flatten()
        .filter(|item| item.get("name").and_then(Value::as_str) == Some(PROXY_CONTAINER))
        .find_map(|item| item.pointer("/securityContext/runAsUser")?.as_u64())
        // The rules cannot tell root from root.
        .filter(|user| *user != 0)
        .unwrap_or(container::USER)
}
