//! Istio's trap of settings that workload, namespace and root say; its number is that of the
//! table of exact semantics.

use std::collections::BTreeMap;

use mesh_api::v1::{Inbound, MtlsMode};
use meshd_core::inject::{InjectContext, InjectSettings, inject};
use serde_json::{Value, json};

use crate::mesh::{good, inbound, problems};

fn peer(name: &str, namespace: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {{ name: {name}, namespace: {namespace} }}\nspec: {spec}\n"
    )
}

/// The mode of port 80, of the rest, and who says the latter.
fn modes(found: &Inbound) -> (MtlsMode, MtlsMode, &str) {
    let port = found.ports.iter().find(|port| port.port == 80).unwrap();
    let origin = found.mtls_origin.as_ref();
    let name = origin.map_or("", |origin| origin.name.as_str());
    (port.mtls(), found.default_mtls(), name)
}

/// A level that leaves its mode open takes that of the next one; one that says a mode hides those
/// above it. A port takes that of its own policy first.
#[test]
fn trap_73_modes_are_inherited_level_by_level() {
    use MtlsMode::{Disable, Permissive, Strict};
    let root = peer("root", "istio-system", "{ mtls: { mode: STRICT } }");
    let namespace = peer("namespace", "default", "{ mtls: { mode: DISABLE } }");
    let empty = peer("namespace", "default", "{}");
    let elsewhere = peer("elsewhere", "other", "{ mtls: { mode: DISABLE } }");
    let workload = |rest: &str| {
        let spec = format!("{{ selector: {{ matchLabels: {{ app: a }} }}{rest} }}");
        peer("workload", "default", &spec)
    };
    let unset = workload(", mtls: { mode: UNSET }");
    let open = workload("");
    let port = workload(", portLevelMtls: { 80: { mode: PERMISSIVE } }");
    let unset_port = workload(", mtls: { mode: DISABLE }, portLevelMtls: { 80: { mode: UNSET } }");
    let none = String::new();
    for (levels, want) in [
        ([&none, &none, &unset], (Permissive, Permissive, "")),
        ([&root, &none, &unset], (Strict, Strict, "root")),
        ([&root, &empty, &open], (Strict, Strict, "root")),
        ([&root, &elsewhere, &open], (Strict, Strict, "root")),
        ([&root, &namespace, &unset], (Disable, Disable, "namespace")),
        ([&root, &namespace, &open], (Disable, Disable, "namespace")),
        // A port is no level of its own: the rest of the workload inherits as before.
        (
            [&root, &namespace, &port],
            (Permissive, Disable, "namespace"),
        ),
        ([&root, &none, &port], (Permissive, Strict, "root")),
        ([&root, &none, &unset_port], (Disable, Disable, "workload")),
    ] {
        let text = levels.map(String::as_str).concat();
        let found = inbound(&good(&text), "default/a-1");
        assert_eq!(modes(&found), want, "{text}");
        // Nobody selects the neighbour, which is of the same namespace.
        let levels = [levels[0], levels[1]].map(String::as_str).concat();
        let alone = inbound(&good(&levels), "default/b-1");
        let beside = inbound(&good(&text), "default/b-1");
        assert_eq!(beside.default_mtls(), alone.default_mtls(), "{text}");
    }
}

/// The environment of the proxy in a pod whose annotation says this.
fn environment(
    settings: &InjectSettings,
    template: &str,
    config: &str,
) -> BTreeMap<String, String> {
    let annotations =
        json!({"inject.istio.io/templates": template, "proxy.istio.io/config": config});
    let mut pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": "web", "annotations": annotations,
            "labels": {"sidecar.istio.io/inject": "true"},
        },
        "spec": {"containers": [{"name": "web", "image": "web:1"}]},
    });
    inject(&mut pod, settings, &InjectContext::default()).unwrap();
    let lists = ["initContainers", "containers"].map(|list| &pod["spec"][list]);
    let mut containers = lists.into_iter().filter_map(Value::as_array).flatten();
    let proxy = containers.find(|one| one["name"] == "istio-proxy").unwrap();
    let variables = proxy["env"].as_array().unwrap().iter();
    let pairs = variables.filter_map(|one| Some((one["name"].as_str()?, one["value"].as_str()?)));
    pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// The annotation of a pod is laid over the mesh's settings field by field: a message in it takes
/// the place of the whole field, but `proxyMetadata` is joined key by key (Istio:
/// MergeProxyConfig).
#[test]
fn trap_73_an_annotation_replaces_whole_fields() {
    let settings = InjectSettings::from_yaml(
        "
concurrency: 4
terminationDrainDuration: 20s
statusPort: 15099
proxyMetadata: {KEPT: mesh, CHANGED: mesh}
",
    )
    .unwrap();
    let of = |config: &str, name: &str| environment(&settings, "sidecar", config).remove(name);
    for (config, name, want) in [
        // What the annotation leaves out, or leaves open, is the mesh's.
        ("{}", "MESH_CONCURRENCY", Some("4")),
        ("{concurrency: null}", "MESH_CONCURRENCY", Some("4")),
        ("{concurrency: 1}", "MESH_CONCURRENCY", Some("1")),
        ("{concurrency: 1}", "MESH_DRAIN", Some("20s")),
        ("{concurrency: 1}", "MESH_STATUS", Some("0.0.0.0:15099")),
        ("{terminationDrainDuration: 9s}", "MESH_DRAIN", Some("9s")),
        (
            "{terminationDrainDuration: 9s}",
            "MESH_CONCURRENCY",
            Some("4"),
        ),
        ("{proxyMetadata: {CHANGED: pod}}", "CHANGED", Some("pod")),
        ("{proxyMetadata: {CHANGED: pod}}", "KEPT", Some("mesh")),
        ("{proxyMetadata: {NEW: pod}}", "NEW", Some("pod")),
    ] {
        let found = of(config, name);
        assert_eq!(found.as_deref(), want, "{config} {name}");
    }
    // `gatewayTopology` as a whole: what it does not say is Istio's default, and the proxy is told
    // so, for the mesh may say something else.
    let gateway = |config: &str| environment(&settings, "gateway", config);
    let topology = gateway("{gatewayTopology: {numTrustedProxies: 2}}");
    let told = ["TRUSTED_PROXIES", "FORWARD_CLIENT_CERT", "PROXY_PROTOCOL"]
        .map(|name| topology[&format!("MESH_GATEWAY_{name}")].as_str());
    assert_eq!(told, ["2", "SANITIZE_SET", "false"]);
    let silent = gateway("{concurrency: 1}");
    assert!(!silent.contains_key("MESH_GATEWAY_TRUSTED_PROXIES"));
}

/// The two other kinds of the trap are not read, so nothing of them is inherited: their authors
/// are told so, and everything else stays in force.
#[test]
fn trap_73_kinds_that_are_not_read_are_named() {
    for (group, kind, spec) in [
        (
            "networking.istio.io/v1beta1",
            "ProxyConfig",
            "{ concurrency: 1 }",
        ),
        (
            "telemetry.istio.io/v1",
            "Telemetry",
            "{ accessLogging: [{ providers: [{ name: envoy }] }] }",
        ),
    ] {
        let text =
            format!("apiVersion: {group}\nkind: {kind}\nmetadata: {{ name: x }}\nspec: {spec}\n");
        let found = problems(&good(&text));
        let [only] = found.as_slice() else {
            panic!("{found:?}");
        };
        assert!(
            only.contains(": warning: ") && only.contains(kind),
            "{only}"
        );
    }
}
