//! What the proxy's container is told.

use serde_json::{Value, json};

use super::apply::InjectContext;
use super::decide::label;
use super::options::Options;
use super::settings::InjectSettings;
use super::workload_api;
use crate::topology::forward_name;

/// Directory of the roots that the control plane is trusted by.
pub(super) const ROOTS_DIR: &str = "/var/run/secrets/mesh";
/// Directory of the token that the pod authenticates with.
pub(super) const TOKEN_DIR: &str = "/var/run/secrets/tokens";
/// Directory for the last configuration.
pub(super) const STATE_DIR: &str = "/var/lib/mesh";

/// What kind of proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Sidecar,
    Gateway,
}

/// The environment of a proxy, in an order in which each variable can use those before it.
pub(super) fn environment(
    kind: Kind,
    pod: &Value,
    options: &Options,
    settings: &InjectSettings,
    context: &InjectContext<'_>,
) -> Vec<Value> {
    let mut all = identity(kind, pod, settings, context);
    all.extend(listeners(kind, options));
    all.extend(behaviour(options, settings));
    all.extend(ending(kind, options));
    for (name, value) in &options.config.metadata {
        all.retain(|known| known.get("name").and_then(Value::as_str) != Some(name));
        all.push(text(name, value));
    }
    all
}

fn identity(
    kind: Kind,
    pod: &Value,
    settings: &InjectSettings,
    context: &InjectContext<'_>,
) -> Vec<Value> {
    let kind = match kind {
        Kind::Sidecar => "sidecar",
        Kind::Gateway => "gateway",
    };
    vec![
        field("POD_NAME", "metadata.name"),
        field("POD_NAMESPACE", "metadata.namespace"),
        text("MESH_WORKLOAD", "$(POD_NAMESPACE)/$(POD_NAME)"),
        text("MESH_KIND", kind),
        field("MESH_SERVICE_ACCOUNT", "spec.serviceAccountName"),
        field("MESH_ADDRESSES", "status.podIPs"),
        text("MESH_LABELS", &labels(pod)),
        text(
            "MESH_CLUSTER",
            context.cluster.unwrap_or(&settings.cluster_name),
        ),
        text("MESH_CONTROL", &settings.control_address()),
        text("MESH_CONTROL_NAME", &settings.control_name()),
        text("MESH_ROOTS", &format!("{ROOTS_DIR}/root-cert.pem")),
        text("MESH_TOKEN", &format!("{TOKEN_DIR}/istio-token")),
        text("MESH_STATE", STATE_DIR),
    ]
}

fn listeners(kind: Kind, options: &Options) -> Vec<Value> {
    let mut all = Vec::new();
    if kind == Kind::Sidecar {
        all.push(text("MESH_OUTBOUND", "0.0.0.0:15001"));
        all.push(text("MESH_INBOUND_TRANSPARENT", "0.0.0.0:15006"));
        if options.workload_api {
            // Whoever reaches the socket is of this pod.
            all.push(text("MESH_WORKLOAD_API", &workload_api::socket()));
            all.push(text("MESH_WORKLOAD_API_USERS", "any"));
        }
        if options.config.hbone() {
            all.push(text("MESH_HBONE", "0.0.0.0:15008"));
        }
    }
    if let Some(topology) = options.config.topology.filter(|_| kind == Kind::Gateway) {
        let proxies = topology.trusted_proxies.to_string();
        all.push(text("MESH_GATEWAY_TRUSTED_PROXIES", &proxies));
        let forward = forward_name(&topology);
        all.push(text("MESH_GATEWAY_FORWARD_CLIENT_CERT", forward));
        let header = topology.proxy_protocol.to_string();
        all.push(text("MESH_GATEWAY_PROXY_PROTOCOL", &header));
    }
    all.push(text("MESH_ADMIN", "127.0.0.1:15000"));
    all.push(text("MESH_METRICS", "0.0.0.0:15090"));
    if options.config.status_port != 0 {
        let address = format!("0.0.0.0:{}", options.config.status_port);
        all.push(text("MESH_STATUS", &address));
    }
    all.push(text("MESH_READINESS", "0.0.0.0:15021"));
    if kind == Kind::Sidecar && options.dns_capture {
        all.push(text("MESH_DNS", "127.0.0.1:15053"));
    }
    all
}

fn behaviour(options: &Options, settings: &InjectSettings) -> Vec<Value> {
    let mut all = Vec::new();
    match options.config.concurrency {
        None => {}
        // Istio: as many as the CPU limit says, or the node has.
        Some(0) => all.push(json!({
            "name": "MESH_CONCURRENCY",
            "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "1"}},
        })),
        Some(threads) => all.push(text("MESH_CONCURRENCY", &threads.to_string())),
    }
    all.push(text("MESH_LOG", &options.log_level));
    if settings.log_as_json {
        all.push(text("MESH_LOG_JSON", "true"));
    }
    all.push(text("MESH_ACCESS_LOG", &settings.access_log));
    if settings.access_log_format != "text" {
        all.push(text("MESH_ACCESS_LOG_FORMAT", &settings.access_log_format));
    }
    all
}

/// How the proxy ends (Istio: `terminationDrainDuration`).
fn ending(kind: Kind, options: &Options) -> Vec<Value> {
    let drain = super::values::write_duration(options.config.drain);
    let mut all = vec![text("MESH_DRAIN", &drain)];
    // A native sidecar is told to end after its application. Others are told at the same time, and
    // callers hear of it later: they serve on, unless asked to end with the last connection.
    let native = kind == Kind::Sidecar && options.native;
    let at_last_connection = options
        .config
        .metadata("EXIT_ON_ZERO_ACTIVE_CONNECTIONS")
        .is_some_and(|text| super::values::boolean(text) == Ok(true));
    if !native && !at_last_connection {
        all.push(text("MESH_DRAIN_MINIMUM", &drain));
    }
    all
}

/// The labels that give metrics their names. For everything else the control plane reads the pod.
fn labels(pod: &Value) -> String {
    let pairs = [
        "app",
        "version",
        "service.istio.io/canonical-name",
        "service.istio.io/canonical-revision",
    ]
    .into_iter()
    .filter_map(|name| Some(format!("{name}={}", label(pod, name)?)));
    pairs.collect::<Vec<_>>().join(",")
}

/// A variable with a value.
pub(super) fn text(name: &str, value: &str) -> Value {
    json!({"name": name, "value": value})
}

/// A variable from the pod (downward API).
fn field(name: &str, path: &str) -> Value {
    json!({"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}})
}
