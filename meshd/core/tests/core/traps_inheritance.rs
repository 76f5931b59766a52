//! Istio's trap of settings that workload, namespace and root say; its number is that of the
//! table of exact semantics.

use std::collections::BTreeMap;

use mesh_api::v1::{Inbound, MtlsMode};
use meshd_core::inject::{InjectContext, InjectSettings, inject};
use serde_json::{Value, json};

use crate::mesh::{good, inbound, problems, world};

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

/// The environment of the proxy in a pod with these annotations, and the label `app: web`.
#[expect(clippy::needless_pass_by_value, reason = "json! makes values")]
fn environment(
    settings: &InjectSettings,
    context: &InjectContext<'_>,
    annotations: Value,
) -> BTreeMap<String, String> {
    let mut pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": "web", "annotations": annotations,
            "labels": {"sidecar.istio.io/inject": "true", "app": "web"},
        },
        "spec": {"containers": [{"name": "web", "image": "web:1"}]},
    });
    inject(&mut pod, settings, context).unwrap();
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
    let with = |template: &str, config: &str| {
        let annotations =
            json!({"inject.istio.io/templates": template, "proxy.istio.io/config": config});
        environment(&settings, &InjectContext::default(), annotations)
    };
    let of = |config: &str, name: &str| with("sidecar", config).remove(name);
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
    let gateway = |config: &str| with("gateway", config);
    let topology = gateway("{gatewayTopology: {numTrustedProxies: 2}}");
    let told = ["TRUSTED_PROXIES", "FORWARD_CLIENT_CERT", "PROXY_PROTOCOL"]
        .map(|name| topology[&format!("MESH_GATEWAY_{name}")].as_str());
    assert_eq!(told, ["2", "SANITIZE_SET", "false"]);
    let silent = gateway("{concurrency: 1}");
    assert!(!silent.contains_key("MESH_GATEWAY_TRUSTED_PROXIES"));
}

fn proxy_config(name: &str, namespace: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: networking.istio.io/v1beta1\nkind: ProxyConfig\nmetadata: {{ name: {name}, namespace: {namespace} }}\nspec: {spec}\n"
    )
}

/// `MESH_CONCURRENCY`, `A` and `B` of a proxy in the namespace, with the mesh's own settings
/// `concurrency: 9` and `A: settings`.
fn started(objects: &[&String], namespace: &str, annotation: &str) -> [String; 3] {
    let settings =
        InjectSettings::from_yaml("{concurrency: 9, proxyMetadata: {A: settings}}").unwrap();
    let text: String = objects.iter().map(|text| text.as_str()).collect();
    let current = good(&text);
    let context = InjectContext {
        namespace,
        proxy_configs: current.proxy_configs(),
        ..InjectContext::default()
    };
    let annotations = json!({"proxy.istio.io/config": annotation});
    let mut found = environment(&settings, &context, annotations);
    ["MESH_CONCURRENCY", "A", "B"].map(|name| found.remove(name).unwrap_or_default())
}

/// The installation, the root namespace, the pod's namespace, its annotation, the ProxyConfig that
/// selects it: each field of the last that gives it counts, and `environmentVariables` are joined
/// key by key (Istio: EffectiveProxyConfig).
#[test]
fn trap_73_a_proxy_config_is_laid_over_the_wider_ones() {
    let root = proxy_config(
        "root",
        "istio-system",
        "{ concurrency: 1, environmentVariables: { A: root, B: root } }",
    );
    let namespace = proxy_config(
        "namespace",
        "shop",
        "{ concurrency: 2, environmentVariables: { B: namespace } }",
    );
    let workload = proxy_config(
        "workload",
        "shop",
        "{ selector: { matchLabels: { app: web } }, concurrency: 3, environmentVariables: { A: workload } }",
    );
    let silent = proxy_config("namespace", "shop", "{ environmentVariables: {} }");
    let spec_less = silent.replace("spec: { environmentVariables: {} }\n", "");
    let all = [&root, &namespace, &workload];
    let annotation = "{concurrency: 5, proxyMetadata: {A: pod, B: pod}}";
    for (objects, of, annotation, want) in [
        (&[][..], "shop", "{}", ["9", "settings", ""]),
        (&[&root], "shop", "{}", ["1", "root", "root"]),
        (&[&namespace], "shop", "{}", ["2", "settings", "namespace"]),
        (&all[..2], "shop", "{}", ["2", "root", "namespace"]),
        (&all[..2], "other", "{}", ["1", "root", "root"]),
        (&all, "shop", "{}", ["3", "workload", "namespace"]),
        // Those of a level that say nothing inherit everything.
        (&[&root, &silent], "shop", "{}", ["1", "root", "root"]),
        (&[&root, &spec_less], "shop", "{}", ["1", "root", "root"]),
        // The annotation counts more than namespaces, and less than what selects the pod.
        (&all[..2], "shop", annotation, ["5", "pod", "pod"]),
        (&all, "shop", annotation, ["3", "workload", "pod"]),
        (
            &all,
            "shop",
            "{concurrency: 0}",
            ["3", "workload", "namespace"],
        ),
    ] {
        assert_eq!(
            started(objects, of, annotation),
            want,
            "{objects:?} {of} {annotation}"
        );
    }
    // 0 is a value: as many threads as the CPU limit, by a reference.
    let zero = proxy_config("zero", "shop", "{ concurrency: 0 }");
    assert_eq!(started(&[&root, &zero], "shop", "{}")[0], "");
}

/// Of several for the same pods the oldest counts, and nothing of the others is joined to it. A
/// selector is for its own namespace, also in the root namespace; one without labels selects
/// nothing (Istio: mergedNamespaceConfig, mergedWorkloadConfig).
#[test]
fn trap_73_one_proxy_config_counts_at_each_level() {
    let one = |name: &str, namespace: &str, selector: &str| {
        let spec =
            format!("{{ {selector} concurrency: 1, environmentVariables: {{ A: {name} }} }}");
        proxy_config(name, namespace, &spec)
    };
    let web = "selector: { matchLabels: { app: web } },";
    let older = one("z", "shop", web);
    let younger = proxy_config(
        "a",
        "shop",
        "{ selector: { matchLabels: { app: web } }, concurrency: 2, environmentVariables: { B: a } }",
    );
    let others = one(
        "other",
        "shop",
        "selector: { matchLabels: { app: other } },",
    );
    let of_root = one("root", "istio-system", web);
    let nobody = one("nobody", "shop", "selector: {},");
    let wide = one("wide", "shop", "");
    let second = proxy_config(
        "second",
        "shop",
        "{ concurrency: 2, environmentVariables: { B: b } }",
    );
    let inherited = ["9", "settings", ""];
    for (objects, of, want) in [
        (&[&older, &younger][..], "shop", ["1", "z", ""]),
        (&[&younger, &older], "shop", ["2", "settings", "a"]),
        (&[&others, &younger], "shop", ["2", "settings", "a"]),
        (&[&others], "shop", inherited),
        (&[&older], "other", inherited),
        (&[&of_root], "shop", inherited),
        (&[&of_root], "istio-system", ["1", "root", ""]),
        (&[&nobody], "shop", inherited),
        (&[&wide, &second], "shop", ["1", "wide", ""]),
    ] {
        assert_eq!(started(objects, of, "{}"), want, "{objects:?} {of}");
    }
    let said = problems(&good(&format!("{wide}{second}"))).join("\n");
    assert!(
        said.contains("ProxyConfig shop/second has no effect: shop/wide holds already"),
        "{said}"
    );
    let said = problems(&good(&nobody)).join("\n");
    assert!(
        said.contains("workload selector specified without labels")
            && said.contains("has no effect: a selector without labels selects nothing"),
        "{said}"
    );
}

/// There is one image; who asks for another hears of it, at its place, and the rest holds.
#[test]
fn trap_73_what_a_proxy_config_cannot_do_is_named() {
    let said = |text: &str| problems(&world(text));
    let image = |kind: &str| {
        let spec = format!("\n  image: {{ imageType: {kind} }}\n  concurrency: 4");
        proxy_config("image", "shop", &spec)
    };
    assert_eq!(
        said(&image("debug")),
        [
            "input.yaml:6:23: warning: spec.image.imageType: `debug` has no effect: there is one image of the proxy [unsupported]"
        ]
    );
    assert_eq!(started(&[&image("debug")], "shop", "{}")[0], "4");
    for usual in ["default", "''", "null"] {
        assert_eq!(said(&image(usual)), [""; 0], "{usual}");
    }
    let elsewhere = image("default").replace("v1beta1", "v1");
    let found = said(&elsewhere).join("\n");
    assert!(
        found.contains("unknown apiVersion `networking.istio.io/v1` for ProxyConfig; write `networking.istio.io/v1beta1`"),
        "{found}"
    );
}
