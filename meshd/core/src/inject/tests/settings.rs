//! What the installation may say.

use super::*;

#[test]
fn reads_what_the_installation_writes() {
    let text = "
# values of an installation
hub: registry.example/mesh
tag: 1.2.3
revision: canary
nativeSidecars: disabled
capture: cni
interceptionMode: NONE
includeOutboundIPRanges: 10.0.0.0/8
rewriteAppHTTPProbers: false
concurrency: 0
resources: {requests: {cpu: 50m}}
readinessProbe: {periodSeconds: 2}
neverInjectSelector:
- matchLabels: {app: db}
templates:
  plain: {spec: {terminationGracePeriodSeconds: 60}}
  text: |
    metadata: {labels: {team: a}}
";
    let read = InjectSettings::from_yaml(text).unwrap();
    assert_eq!(read.service_name(), "meshd-canary");
    assert_eq!(
        read.image("mesh-proxy"),
        "registry.example/mesh/mesh-proxy:1.2.3"
    );
    assert_eq!(read.native_sidecars, NativeSidecars::Disabled);
    assert_eq!(read.readiness_probe.failure_threshold, 4);
    assert_eq!(read.templates["text"].0["metadata"]["labels"]["team"], "a");
    assert_eq!(
        InjectSettings::from_yaml("# nothing\n"),
        Ok(InjectSettings::default())
    );
    assert_eq!(InjectSettings::from_yaml(""), Ok(InjectSettings::default()));
    assert_eq!(
        InjectSettings::from_yaml("{}"),
        Ok(InjectSettings::default())
    );
}

#[test]
fn refuses_what_makes_no_sense() {
    for (text, want) in [
        ("hubb: x", "hubb"),
        ("logLevel: loud", "logLevel"),
        ("excludeInboundPorts: a", "excludeInboundPorts"),
        ("terminationDrainDuration: 5", "terminationDrainDuration"),
        ("interceptionMode: TPROXY", "TPROXY"),
        ("accessLogFormat: xml", "accessLogFormat"),
        ("defaultTemplates: []", "defaultTemplates"),
        ("revision: ''", "revision"),
        ("templates: {a: '{{ .Values.x }}'}", "text/template"),
        ("templates: {a: [1]}", "part of a pod"),
    ] {
        let error = InjectSettings::from_yaml(text).unwrap_err().to_string();
        assert!(error.contains(want), "{text}: {error}");
    }
}

#[test]
fn hbone_is_for_those_that_ask_for_it() {
    let with = |config: &str| {
        let annotations = json!({ "proxy.istio.io/config": config });
        injected(pod(json!({}), annotations), &settings()).0
    };
    let asked = with("proxyMetadata: {ISTIO_META_ENABLE_HBONE: 'true'}");
    assert_eq!(value(&asked, "MESH_HBONE"), Some("0.0.0.0:15008"));
    let label = "/metadata/labels/networking.istio.io~1tunnel";
    assert_eq!(asked.pointer(label), Some(&json!("http")));
    let usual = with("concurrency: 1");
    assert_eq!(value(&usual, "MESH_HBONE"), None);
    assert_eq!(usual.pointer(label), None);
}

/// They are read as the annotation's `proxyMetadata` are, and of the namespace that the object is
/// in.
#[test]
fn variables_of_a_proxy_config_are_settings_too() {
    let mut store = crate::Store::new();
    store.set_object(&json!({
        "apiVersion": "networking.istio.io/v1beta1", "kind": "ProxyConfig",
        "metadata": {"name": "reviews", "namespace": "shop"},
        "spec": {
            "selector": {"matchLabels": {"app": "reviews"}},
            "concurrency": 3,
            "environmentVariables": {"ISTIO_META_ENABLE_HBONE": "true", "MESH_LOG": "debug"},
        },
    }));
    let world = store.world(&crate::MeshSettings::default());
    let context = InjectContext {
        namespace: "other",
        proxy_configs: world.proxy_configs(),
        ..InjectContext::default()
    };
    let with = |namespace: &str| {
        let mut deployment = yaml(super::golden::REVIEWS);
        deployment["metadata"]["namespace"] = namespace.into();
        inject(&mut deployment, &settings(), &context).unwrap();
        deployment["spec"]["template"].take()
    };
    let names = ["MESH_CONCURRENCY", "MESH_HBONE", "MESH_LOG"];
    let told = |pod: &Value| names.map(|name| value(pod, name).unwrap_or_default().to_owned());
    let tunnel = "/metadata/labels/networking.istio.io~1tunnel";
    let shop = with("shop");
    assert_eq!(told(&shop), ["3", "0.0.0.0:15008", "debug"]);
    assert_eq!(shop.pointer(tunnel), Some(&json!("http")));
    let other = with("");
    assert_eq!(told(&other), ["", "", "info"]);
    assert_eq!(other.pointer(tunnel), None);
}
