//! What the installation says about injection.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};

use super::LabelSelector;

/// How proxies are injected. Every field has a default; annotations on pods override many.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct InjectSettings {
    /// Registry and folder of the images.
    pub hub: String,
    /// Tag of the images.
    pub tag: String,
    /// When images are pulled: `Always`, `IfNotPresent`, `Never`; empty leaves it to Kubernetes.
    pub image_pull_policy: String,
    /// Secrets with credentials for the registry, added to every pod.
    pub image_pull_secrets: Vec<String>,
    /// Image of the proxy: a name in the hub, or with a `/` a whole reference.
    pub proxy_image: String,
    /// Image that sets up capture: a name in the hub, or with a `/` a whole reference.
    pub init_image: String,
    /// Name of this control plane's revision (label `istio.io/rev`).
    pub revision: String,
    /// Whether `istio-injection=enabled` and pods that name no revision are for this one.
    pub default_revision: bool,
    /// Further names of this revision.
    pub tags: Vec<String>,
    /// Inject where no label says anything
    /// (Istio: `sidecarInjectorWebhook.enableNamespacesByDefault`).
    pub enable_namespaces_by_default: bool,
    /// Inject into pods that say nothing themselves (Istio: `global.proxy.autoInject`).
    pub auto_inject: bool,
    /// Namespace of the control plane.
    pub mesh_namespace: String,
    /// Where proxies find the control plane, `https://host:port`; empty for its Service.
    pub control_address: String,
    /// DNS name in the control plane's certificate; empty for its Service's.
    pub control_name: String,
    /// Name of the cluster, in metrics.
    pub cluster_name: String,
    /// Name of the network (label `topology.istio.io/network`); empty for none.
    pub network: String,
    /// Whether proxies are native sidecars: init containers that keep running.
    pub native_sidecars: NativeSidecars,
    /// Who redirects a pod's traffic.
    pub capture: CaptureMethod,
    /// How traffic is redirected.
    pub interception_mode: InterceptionMode,
    /// Answer DNS in the proxy.
    pub dns_capture: bool,
    /// Outgoing destinations to capture: `*` or CIDRs.
    #[serde(rename = "includeOutboundIPRanges")]
    pub include_outbound_ip_ranges: String,
    /// Outgoing destinations not to capture: CIDRs.
    #[serde(rename = "excludeOutboundIPRanges")]
    pub exclude_outbound_ip_ranges: String,
    /// Outgoing ports to capture wherever they go.
    pub include_outbound_ports: String,
    /// Outgoing ports not to capture.
    pub exclude_outbound_ports: String,
    /// Incoming ports to capture: `*` or a list.
    pub include_inbound_ports: String,
    /// Incoming ports not to capture.
    pub exclude_inbound_ports: String,
    /// Network interfaces not to capture on.
    pub exclude_interfaces: String,
    /// Log level of proxies.
    pub log_level: String,
    /// Write logs as JSON.
    pub log_as_json: bool,
    /// Where access logs go: `off`, `stdout` or a path.
    pub access_log: String,
    /// Form of access logs: `text` or `json`.
    pub access_log_format: String,
    /// Data threads of a proxy; 0 as many as its CPU limit. The proxy's own default if not given.
    pub concurrency: Option<u32>,
    /// How long connections may finish when a pod ends
    /// (Istio: `defaultConfig.terminationDrainDuration`).
    pub termination_drain_duration: String,
    /// Start applications after their proxy also where it is no native sidecar
    /// (Istio: `defaultConfig.holdApplicationUntilProxyStarts`).
    pub hold_application_until_proxy_starts: bool,
    /// Environment of every proxy (Istio: `defaultConfig.proxyMetadata`).
    pub proxy_metadata: BTreeMap<String, String>,
    /// Send the kubelet's probes through the proxy's status port.
    #[serde(rename = "rewriteAppHTTPProbers")]
    pub rewrite_app_http_probers: bool,
    /// Serve the application's metrics together with the proxy's.
    pub enable_prometheus_merge: bool,
    /// Port for merged metrics and rewritten probes; 0 for none (Istio: `defaultConfig.statusPort`).
    pub status_port: u16,
    /// Resources of the proxy's container (Kubernetes: `ResourceRequirements`).
    pub resources: Map<String, Value>,
    /// Resources of the container that sets up capture.
    pub init_resources: Map<String, Value>,
    /// When a proxy counts as started.
    pub startup_probe: StartupProbe,
    /// When a proxy counts as ready.
    pub readiness_probe: ReadinessProbe,
    /// Pods that get no proxy unless they ask for it themselves.
    pub never_inject_selector: Vec<LabelSelector>,
    /// Without `autoInject`: pods that get a proxy although they say nothing themselves.
    pub always_inject_selector: Vec<LabelSelector>,
    /// Annotations put on every injected pod.
    pub injected_annotations: BTreeMap<String, String>,
    /// Templates for pods that name none.
    pub default_templates: Vec<String>,
    /// Templates besides `sidecar` and `gateway`.
    pub templates: BTreeMap<String, Template>,
}

/// Whether proxies are native sidecars.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum NativeSidecars {
    /// Where all nodes can run them (Kubernetes 1.29).
    #[default]
    Auto,
    /// Always.
    Enabled,
    /// Never: an ordinary container.
    Disabled,
}

/// Who redirects a pod's traffic to its proxy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CaptureMethod {
    /// A container of the pod that runs first and needs NET_ADMIN and NET_RAW.
    #[default]
    Init,
    /// A CNI plugin on the node; pods need no privilege.
    Cni,
}

/// How traffic is redirected (Istio: `ProxyConfig.interceptionMode`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum InterceptionMode {
    /// By rewriting destination addresses.
    #[default]
    #[serde(rename = "REDIRECT")]
    Redirect,
    /// Not at all.
    #[serde(rename = "NONE")]
    None,
}

/// When a proxy counts as started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct StartupProbe {
    /// Probe at all.
    pub enabled: bool,
    /// Seconds until the container is restarted.
    pub failure_threshold: u32,
}

/// When a proxy counts as ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct ReadinessProbe {
    /// Seconds before the first probe.
    pub initial_delay_seconds: u32,
    /// Seconds between probes.
    pub period_seconds: u32,
    /// Failures until it counts as not ready.
    pub failure_threshold: u32,
}

/// A part of a pod that is merged into pods: a YAML object, or a text that holds one.
#[derive(Clone, Debug, PartialEq)]
pub struct Template(pub Value);

/// Why settings cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InjectSettingsError(String);

// === impl InjectSettings ===

impl InjectSettings {
    /// Reads settings from YAML or JSON. An empty text gives the defaults.
    ///
    /// # Errors
    /// If it is no YAML, has unknown keys or values that make no sense; with the place.
    pub fn from_yaml(text: &str) -> Result<Self, InjectSettingsError> {
        if text
            .lines()
            .all(|line| line.trim().is_empty() || line.trim_start().starts_with('#'))
        {
            return Ok(Self::default());
        }
        let settings: Self =
            serde_saphyr::from_str(text).map_err(|error| InjectSettingsError(error.to_string()))?;
        settings.check().map(|()| settings)
    }

    fn check(&self) -> Result<(), InjectSettingsError> {
        let fail = |text: &str| Err(InjectSettingsError(text.to_owned()));
        if self.revision.is_empty() || self.mesh_namespace.is_empty() {
            return fail("revision and meshNamespace must not be empty");
        }
        if self.default_templates.is_empty() {
            return fail("defaultTemplates must not be empty");
        }
        // What annotations override is read as an annotation is: an empty pod meets all of it.
        super::options::check_defaults(self)
            .map_err(|reasons| InjectSettingsError(reasons.join("; ")))
    }

    /// Name of the control plane's Service: `meshd`, with another revision than `mesh`
    /// `meshd-<revision>`.
    pub fn service_name(&self) -> String {
        match self.revision.as_str() {
            "mesh" => "meshd".to_owned(),
            revision => format!("meshd-{revision}"),
        }
    }

    /// DNS name in the control plane's certificate.
    pub(super) fn control_name(&self) -> String {
        if self.control_name.is_empty() {
            format!("{}.{}.svc", self.service_name(), self.mesh_namespace)
        } else {
            self.control_name.clone()
        }
    }

    /// Where proxies find the control plane.
    pub(super) fn control_address(&self) -> String {
        if self.control_address.is_empty() {
            let (service, namespace) = (self.service_name(), &self.mesh_namespace);
            format!("https://{service}.{namespace}.svc:15012")
        } else {
            self.control_address.clone()
        }
    }

    /// The whole reference of an image.
    pub(super) fn image(&self, name: &str) -> String {
        if name.contains('/') {
            name.to_owned()
        } else {
            format!("{}/{name}:{}", self.hub.trim_end_matches('/'), self.tag)
        }
    }
}

impl Default for InjectSettings {
    fn default() -> Self {
        let none = String::new;
        Self {
            hub: "mesh.local".to_owned(),
            tag: env!("CARGO_PKG_VERSION").to_owned(),
            image_pull_policy: none(),
            image_pull_secrets: Vec::new(),
            proxy_image: "mesh-proxy".to_owned(),
            init_image: "mesh-init".to_owned(),
            revision: "mesh".to_owned(),
            default_revision: true,
            tags: Vec::new(),
            enable_namespaces_by_default: false,
            auto_inject: true,
            mesh_namespace: "istio-system".to_owned(),
            control_address: none(),
            control_name: none(),
            cluster_name: "Kubernetes".to_owned(),
            network: none(),
            native_sidecars: NativeSidecars::default(),
            capture: CaptureMethod::default(),
            interception_mode: InterceptionMode::default(),
            dns_capture: true,
            include_outbound_ip_ranges: "*".to_owned(),
            exclude_outbound_ip_ranges: none(),
            include_outbound_ports: none(),
            exclude_outbound_ports: none(),
            include_inbound_ports: "*".to_owned(),
            exclude_inbound_ports: none(),
            exclude_interfaces: none(),
            log_level: "info".to_owned(),
            log_as_json: false,
            access_log: "stdout".to_owned(),
            access_log_format: "text".to_owned(),
            concurrency: None,
            termination_drain_duration: "5s".to_owned(),
            hold_application_until_proxy_starts: false,
            proxy_metadata: BTreeMap::new(),
            rewrite_app_http_probers: true,
            enable_prometheus_merge: true,
            status_port: 15020,
            resources: resources("32Mi", "2", "512Mi"),
            init_resources: resources("16Mi", "1", "64Mi"),
            startup_probe: StartupProbe::default(),
            readiness_probe: ReadinessProbe::default(),
            never_inject_selector: Vec::new(),
            always_inject_selector: Vec::new(),
            injected_annotations: BTreeMap::new(),
            default_templates: vec!["sidecar".to_owned()],
            templates: BTreeMap::new(),
        }
    }
}

fn resources(memory: &str, cpu_limit: &str, memory_limit: &str) -> Map<String, Value> {
    let requests = json!({"cpu": "10m", "memory": memory});
    let limits = json!({"cpu": cpu_limit, "memory": memory_limit});
    [
        ("requests".to_owned(), requests),
        ("limits".to_owned(), limits),
    ]
    .into_iter()
    .collect()
}

impl Default for StartupProbe {
    fn default() -> Self {
        Self {
            enabled: true,
            failure_threshold: 600,
        }
    }
}

impl Default for ReadinessProbe {
    fn default() -> Self {
        Self {
            initial_delay_seconds: 0,
            period_seconds: 15,
            failure_threshold: 4,
        }
    }
}

// === impl Template ===

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        let value = match Value::deserialize(deserializer)? {
            Value::String(text) if text.contains("{{") => {
                return Err(D::Error::custom(
                    "a template of Go's text/template is not supported; write the part of a pod as plain YAML",
                ));
            }
            Value::String(text) => serde_saphyr::from_str(&text).map_err(D::Error::custom)?,
            value => value,
        };
        let known = |value: &Map<String, Value>| {
            value
                .keys()
                .all(|key| matches!(key.as_str(), "apiVersion" | "kind" | "metadata" | "spec"))
        };
        match value.as_object() {
            Some(object) if known(object) => Ok(Self(value)),
            _ => Err(D::Error::custom(
                "a template is a part of a pod: an object with `metadata` and `spec`",
            )),
        }
    }
}
