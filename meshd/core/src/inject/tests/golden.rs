//! What comes out.

use super::*;

pub(super) const REVIEWS: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: reviews-v1, namespace: shop, labels: {app: reviews, version: v1}}
spec:
  replicas: 1
  selector: {matchLabels: {app: reviews, version: v1}}
  template:
    metadata:
      labels: {app: reviews, version: v1}
      annotations: {prometheus.io/port: '9080', prometheus.io/scrape: 'true'}
    spec:
      serviceAccountName: bookinfo-reviews
      initContainers:
      - {name: migrate, image: 'migrate:1'}
      containers:
      - name: reviews
        image: docker.io/istio/examples-bookinfo-reviews-v1:1.20.3
        ports: [{name: http, containerPort: 9080}]
        livenessProbe: {httpGet: {path: /health, port: http}, periodSeconds: 5}
        readinessProbe: {tcpSocket: {port: 9080}}
        startupProbe: {grpc: {port: 9090, service: reviews}, timeoutSeconds: 4}
        lifecycle: {preStop: {httpGet: {path: /bye, port: http, scheme: HTTPS}}}
        volumeMounts: [{name: tmp, mountPath: /tmp}]
      volumes: [{name: tmp, emptyDir: {}}]
";

#[test]
fn deployment_native() {
    let (object, outcomes) = injected(yaml(REVIEWS), &settings());
    assert_eq!(
        outcomes[0].to_string(),
        "Deployment shop/reviews-v1: injected (sidecar)"
    );
    assert_eq!(outcomes[0].warnings, [""; 0]);
    insta::assert_yaml_snapshot!(object);
}

#[test]
fn deployment_classic() {
    let mut deployment = yaml(REVIEWS);
    deployment["spec"]["template"]["metadata"]["annotations"] = json!({
        "sidecar.istio.io/nativeSidecar": "false",
        "proxy.istio.io/config": "{holdApplicationUntilProxyStarts: true, concurrency: 0, terminationDrainDuration: 1m, drainDuration: 9s}",
        "prometheus.istio.io/merge-metrics": "false",
        "sidecar.istio.io/rewriteAppHTTPProbers": "false",
    });
    let (object, outcomes) = injected(deployment, &settings());
    assert_eq!(
        outcomes[0].warnings,
        [
            "annotation proxy.istio.io/config: drainDuration has no effect",
            "terminationDrainDuration is not shorter than terminationGracePeriodSeconds (30 s): connections are cut",
        ]
    );
    let template = &object["spec"]["template"];
    assert_eq!(
        container_names(template, "/spec/containers"),
        ["istio-proxy", "reviews"]
    );
    assert_eq!(
        container_names(template, "/spec/initContainers"),
        ["migrate", "istio-init"]
    );
    insta::assert_yaml_snapshot!(template);
}

#[test]
fn gateway() {
    let (object, _) = injected(
        yaml(
            "
apiVersion: apps/v1
kind: Deployment
metadata: {name: istio-ingressgateway, namespace: istio-system}
spec:
  template:
    metadata:
      labels: {istio: ingressgateway, sidecar.istio.io/inject: 'true'}
      annotations: {inject.istio.io/templates: gateway, prometheus.io/port: '15020', prometheus.io/scrape: 'true', prometheus.io/path: /stats/prometheus}
    spec:
      containers:
      - name: istio-proxy
        image: auto
        ports: [{containerPort: 15090, protocol: TCP, name: http-envoy-prom}, {containerPort: 8080}]
        securityContext: {capabilities: {drop: [ALL]}, runAsNonRoot: true}
        resources: {limits: {cpu: 2000m, memory: 1024Mi}, requests: {cpu: 100m, memory: 128Mi}}
",
        ),
        &settings(),
    );
    insta::assert_yaml_snapshot!(object);
}

#[test]
fn a_gateway_behind_a_balancer() {
    let inject = |templates: &str, topology: &str| {
        let pod = format!(
            "
apiVersion: v1
kind: Pod
metadata:
  name: gateway
  namespace: istio-system
  labels: {{sidecar.istio.io/inject: 'true'}}
  annotations:
    inject.istio.io/templates: {templates}
    proxy.istio.io/config: '{{gatewayTopology: {topology}}}'
spec:
  containers: [{{name: istio-proxy, image: auto}}]
"
        );
        let (pod, outcomes) = injected(yaml(&pod), &settings());
        let containers = pod["spec"]["containers"].as_array().unwrap().iter();
        let environment = containers.flat_map(|one| one["env"].as_array().into_iter().flatten());
        let told = environment.filter_map(|variable| {
            let name = variable["name"].as_str()?.strip_prefix("MESH_GATEWAY_")?;
            Some(format!("{name}={}", variable["value"].as_str()?))
        });
        let told: Vec<String> = told.collect();
        (told.join(" "), outcomes[0].warnings.clone())
    };
    let all = |trusted: u32, forward: &str, header: bool| {
        format!("TRUSTED_PROXIES={trusted} FORWARD_CLIENT_CERT={forward} PROXY_PROTOCOL={header}")
    };
    // The whole of it takes the place of what the mesh says.
    for (topology, told) in [
        ("{proxyProtocol: {}}", all(0, "SANITIZE_SET", true)),
        ("{proxyProtocol: null}", all(0, "SANITIZE_SET", false)),
        (
            "{numTrustedProxies: 2, forwardClientCertDetails: APPEND_FORWARD}",
            all(2, "APPEND_FORWARD", false),
        ),
        ("null", String::new()),
    ] {
        assert_eq!(
            inject("gateway", topology),
            (told, Vec::new()),
            "{topology}"
        );
    }
    let warning = "annotation proxy.istio.io/config: gatewayTopology.hops has no effect";
    assert_eq!(inject("gateway", "{hops: 1}").1, [warning.to_owned()]);
}

#[test]
fn annotations_override() {
    let (pod, outcomes) = injected(
        pod(
            json!({"app.kubernetes.io/name": "named", "app": "web"}),
            json!({
                "traffic.sidecar.istio.io/includeOutboundIPRanges": "10.0.0.0/8",
                "traffic.sidecar.istio.io/excludeOutboundIPRanges": "10.1.0.0/16",
                "traffic.sidecar.istio.io/includeInboundPorts": "",
                "traffic.sidecar.istio.io/excludeInboundPorts": "9000,9001",
                "traffic.sidecar.istio.io/includeOutboundPorts": "443",
                "traffic.sidecar.istio.io/excludeOutboundPorts": "3306",
                "traffic.sidecar.istio.io/excludeInterfaces": "docker0",
                "status.sidecar.istio.io/port": "15022",
                "readiness.status.sidecar.istio.io/periodSeconds": "2",
                "sidecar.istio.io/proxyCPU": "100m",
                "sidecar.istio.io/proxyMemoryLimit": "1Gi",
                "sidecar.istio.io/proxyImage": "registry.example/own/proxy:9",
                "sidecar.istio.io/logLevel": "warning",
                "sidecar.istio.io/userVolume": r#"{"certs":{"secret":{"secretName":"certs"}}}"#,
                "sidecar.istio.io/userVolumeMount": r#"{"certs":{"mountPath":"/certs","readOnly":true}}"#,
                "sidecar.istio.io/componentLogLevel": "misc:error",
                "proxy.istio.io/config": "concurrency: 3\nproxyMetadata: {OWN: \"1\", ISTIO_META_DNS_CAPTURE: \"false\"}\nconcurency: 1\nimage: {imageType: debug}\n",
            }),
        ),
        &settings(),
    );
    assert_eq!(
        outcomes[0].warnings,
        [
            "annotation proxy.istio.io/config: concurency is unknown and has no effect; did you mean `concurrency`?",
            "annotation sidecar.istio.io/componentLogLevel has no effect",
        ]
    );
    insta::assert_yaml_snapshot!(pod);
}

#[test]
fn own_container_overrides() {
    let mut own = pod(json!({}), json!({}));
    own["spec"]["containers"].as_array_mut().unwrap().push(json!({
        "name": "istio-proxy", "image": "auto",
        "securityContext": {"runAsUser": 2000},
        "env": [{"name": "MESH_DRAIN", "value": "20s"}, {"name": "OWN", "value": "$(POD_NAME)"}],
        "lifecycle": {"preStop": {"sleep": {"seconds": 3}}},
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
    }));
    let (native, _) = injected(own.clone(), &settings());
    assert_eq!(container_names(&native, "/spec/containers"), ["web"]);
    assert_eq!(
        native["spec"]["initContainers"][0]["args"],
        json!(["capture", "install", "--uid=2000", "--dns"])
    );
    insta::assert_yaml_snapshot!(native["spec"]["initContainers"][1]);
    own["metadata"]["annotations"]["sidecar.istio.io/nativeSidecar"] = "false".into();
    let (classic, _) = injected(own, &settings());
    assert_eq!(
        container_names(&classic, "/spec/containers"),
        ["web", "istio-proxy"]
    );
    assert_eq!(
        container_names(&classic, "/spec/initContainers"),
        ["istio-init"]
    );
    assert_eq!(value(&classic, "MESH_DRAIN"), Some("20s"));
}

#[test]
fn jobs() {
    let job = "
apiVersion: batch/v1
kind: CronJob
metadata: {name: nightly, namespace: shop}
spec:
  schedule: '0 3 * * *'
  jobTemplate:
    spec:
      template:
        spec:
          restartPolicy: Never
          containers: [{name: nightly, image: 'nightly:1'}]
";
    let (object, outcomes) = injected(yaml(job), &settings());
    assert_eq!(outcomes[0].warnings, [""; 0]);
    let template = &object["spec"]["jobTemplate"]["spec"]["template"];
    assert_eq!(
        template["metadata"]["labels"]["service.istio.io/canonical-name"],
        "nightly"
    );
    assert_eq!(
        container_names(template, "/spec/initContainers"),
        ["istio-init", "istio-proxy"]
    );
    let classic = InjectSettings {
        native_sidecars: NativeSidecars::Disabled,
        ..settings()
    };
    let (_, outcomes) = injected(yaml(job), &classic);
    assert!(outcomes[0].warnings[0].contains("quitquitquit"));
}

#[test]
fn where_native_sidecars_are_off() {
    let labels = [(
        "sidecar.istio.io/nativeSidecar".to_owned(),
        "false".to_owned(),
    )]
    .into();
    let native = |settings: &InjectSettings, context: &InjectContext<'_>, annotations: Value| {
        let mut pod = pod(json!({}), annotations);
        inject(&mut pod, settings, context).unwrap();
        pod["spec"]["containers"].as_array().unwrap().len() == 1
    };
    let old_nodes = InjectContext {
        native_sidecars: false,
        ..InjectContext::default()
    };
    let namespace = InjectContext {
        namespace_labels: &labels,
        ..InjectContext::default()
    };
    let asks = json!({"sidecar.istio.io/nativeSidecar": "true"});
    let always = InjectSettings {
        native_sidecars: NativeSidecars::Enabled,
        ..settings()
    };
    assert!(native(&settings(), &InjectContext::default(), json!({})));
    assert!(!native(&settings(), &old_nodes, json!({})));
    assert!(native(&always, &old_nodes, json!({})));
    assert!(!native(&always, &namespace, json!({})));
    assert!(native(&settings(), &namespace, asks));
}

#[test]
fn without_capture() {
    let none = json!({"sidecar.istio.io/interceptionMode": "NONE"});
    let (by_pod, _) = injected(pod(json!({}), none), &settings());
    assert_eq!(
        container_names(&by_pod, "/spec/initContainers"),
        ["istio-proxy"]
    );
    assert_eq!(value(&by_pod, "MESH_DNS"), None);
    let plugin = InjectSettings {
        capture: CaptureMethod::Cni,
        ..settings()
    };
    let (by_plugin, _) = injected(pod(json!({}), json!({})), &plugin);
    assert_eq!(
        container_names(&by_plugin, "/spec/initContainers"),
        ["istio-proxy"]
    );
    assert_eq!(value(&by_plugin, "MESH_DNS"), Some("127.0.0.1:15053"));
}

#[test]
fn says_everything_that_is_wrong() {
    let mut wrong = pod(
        json!({}),
        json!({
            "sidecar.istio.io/interceptionMode": "TPROXY",
            "sidecar.istio.io/proxyCPU": "lots",
            "traffic.sidecar.istio.io/excludeOutboundPorts": "80,x",
            "proxy.istio.io/config": "concurrency: many",
            "sidecar.istio.io/userVolume": "[]",
        }),
    );
    let before = wrong.clone();
    let error = inject(&mut wrong, &settings(), &InjectContext::default()).unwrap_err();
    assert_eq!(error.reasons.len(), 5, "{error}");
    insta::assert_snapshot!(error.to_string());
    assert_eq!(wrong, before);

    for (pod, want) in [
        (
            pod(
                json!({}),
                json!({"inject.istio.io/templates": "sidecar,gold"}),
            ),
            "`gold` is unknown",
        ),
        (
            pod(json!({}), json!({"prometheus.io/port": "15090"})),
            "port of the proxy",
        ),
        (
            json!({"apiVersion": "v1", "kind": "Pod", "spec": {"containers": "x"}}),
            "spec.containers is not",
        ),
        (
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"labels": {"a": 1}}, "spec": {}}),
            "metadata.labels is not",
        ),
    ] {
        let error = inject(&mut pod.clone(), &settings(), &InjectContext::default()).unwrap_err();
        assert!(error.to_string().contains(want), "{error}");
    }
}

#[test]
fn probes_that_cannot_be_moved_stay() {
    for (probe, warns) in [
        (json!({"httpGet": {"port": "nobody", "path": "/"}}), true),
        (json!({"httpGet": {"port": 80, "path": "/a b"}}), true),
        (
            json!({"httpGet": {"port": 80, "httpHeaders": [{"name": "a b", "value": "c"}]}}),
            true,
        ),
        (json!({"httpGet": {"port": 0, "path": "/"}}), true),
        (
            json!({"httpGet": {"port": 80, "path": "/", "host": "example.com"}}),
            false,
        ),
        (json!({"httpGet": {"port": 15020, "path": "/"}}), false),
        (json!({"exec": {"command": ["true"]}}), false),
    ] {
        let mut own = pod(json!({}), json!({}));
        own["spec"]["containers"][0]["livenessProbe"] = probe.clone();
        let (after, outcomes) = injected(own, &settings());
        assert_eq!(after["spec"]["containers"][0]["livenessProbe"], probe);
        assert_eq!(value(&after, "MESH_PROBES"), None);
        assert_eq!(!outcomes[0].warnings.is_empty(), warns, "{probe}");
    }
}

#[test]
fn lists_and_others() {
    let list = yaml(&format!(
        "apiVersion: v1\nkind: List\nitems:\n- {{apiVersion: v1, kind: Service, metadata: {{name: s}}}}\n- {}\n",
        serde_json::to_string(&yaml(REVIEWS)).unwrap()
    ));
    let (object, outcomes) = injected(list.clone(), &settings());
    assert_eq!(outcomes[0].decision, Decision::Skip(SkipReason::NoPod));
    assert_eq!(object["items"][0], list["items"][0]);
    assert_eq!(object["items"][1], injected(yaml(REVIEWS), &settings()).0);
}

#[test]
fn custom_templates() {
    let settings = InjectSettings {
        default_templates: vec!["sidecar".to_owned(), "ours".to_owned()],
        templates: [(
            "ours".to_owned(),
            Template(yaml(
                "
metadata: {annotations: {team: platform}}
spec:
  terminationGracePeriodSeconds: 90
  initContainers:
  - name: istio-proxy
    env: [{name: MESH_DRAIN, value: 60s}]
  containers:
  - {name: helper, image: 'helper:1'}
",
            )),
        )]
        .into(),
        ..settings()
    };
    let (pod, outcomes) = injected(pod(json!({}), json!({})), &settings);
    assert_eq!(
        outcomes[0].to_string(),
        "Pod default/web: injected (sidecar, ours)"
    );
    assert_eq!(value(&pod, "MESH_DRAIN"), Some("60s"));
    assert_eq!(pod["spec"]["terminationGracePeriodSeconds"], 90);
    assert_eq!(pod["metadata"]["annotations"]["team"], "platform");
    assert_eq!(container_names(&pod, "/spec/containers"), ["web", "helper"]);
    assert_eq!(
        pod["metadata"]["annotations"][STATUS_ANNOTATION],
        r#"{"initContainers":["istio-init","istio-proxy"],"containers":["helper"],"volumes":["mesh-ca-root-cert","istio-token","mesh-state"],"imagePullSecrets":null,"revision":"mesh"}"#
    );
}

#[test]
fn metrics_of_the_application() {
    let merged = |annotations: Value| {
        let (pod, _) = injected(pod(json!({}), annotations), &settings());
        (
            value(&pod, "MESH_APP_METRICS").map(str::to_owned),
            pod["metadata"]["annotations"]["prometheus.io/port"].clone(),
        )
    };
    let status = json!("15020");
    assert_eq!(merged(json!({})), (None, status.clone()));
    assert_eq!(
        merged(json!({"prometheus.io/scrape": "true"})),
        (
            Some(r#"{"port":80,"path":"/metrics","scheme":"http"}"#.to_owned()),
            status.clone()
        )
    );
    assert_eq!(
        merged(
            json!({"prometheus.io.port": "9", "prometheus.io/path": "/m", "prometheus.io/scheme": "https"})
        ),
        (
            Some(r#"{"port":9,"path":"/m","scheme":"https"}"#.to_owned()),
            status
        )
    );
    assert_eq!(
        merged(json!({"prometheus.io/scrape": "false", "prometheus.io/port": "9"})),
        (None, json!("9"))
    );
    let off = json!({"prometheus.istio.io/merge-metrics": "false", "prometheus.io/port": "9"});
    assert_eq!(merged(off), (None, json!("9")));
}

/// What the API server adds before it asks the webhook makes no difference.
#[test]
fn gives_the_same_with_and_without_defaults() {
    let pod = |http: &Value, grpc: &Value| {
        json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "labels": {"app": "a"}},
            "spec": {"containers": [{
                "name": "app", "image": "a",
                "ports": [{"name": "web", "containerPort": 80}],
                "livenessProbe": {"httpGet": http}, "readinessProbe": {"grpc": grpc},
            }]},
        })
    };
    let written = pod(
        &json!({"port": "web", "path": "/live", "httpHeaders": [{"name": "a", "value": "b"}]}),
        &json!({"port": 9090}),
    );
    let stored = pod(
        &json!({"path": "/live", "port": "web", "scheme": "HTTP", "httpHeaders": [{"name": "a", "value": "b"}]}),
        &json!({"port": 9090, "service": ""}),
    );
    let [written, stored] = [written, stored].map(|mut pod| {
        inject(
            &mut pod,
            &InjectSettings::default(),
            &InjectContext::default(),
        )
        .unwrap();
        pod
    });
    // As text: also the order of fields.
    assert_eq!(written.to_string(), stored.to_string());
}
