//! What holds for every pod.

use proptest::prelude::*;

use super::*;

/// Whether everything of `before` is in `after`, apart from what injection is there to change.
fn keeps(before: &Value, after: &Value, path: &str) -> Result<(), String> {
    let rewritten = [
        "livenessProbe",
        "readinessProbe",
        "startupProbe",
        "lifecycle",
    ];
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => {
            for (key, value) in before {
                if rewritten.contains(&key.as_str())
                    || key.starts_with("prometheus.io/")
                    || value.is_null()
                {
                    continue;
                }
                let inner = format!("{path}.{key}");
                let found = after.get(key).ok_or_else(|| format!("{inner} is gone"))?;
                keeps(value, found, &inner)?;
            }
            Ok(())
        }
        (Value::Array(before), Value::Array(after)) => before.iter().try_for_each(|item| {
            let Some(name) = item.get("name") else {
                return if after.contains(item) {
                    Ok(())
                } else {
                    Err(format!("{path}: {item} is gone"))
                };
            };
            let found = after.iter().find(|other| other.get("name") == Some(name));
            let found = found.ok_or_else(|| format!("{path}[{name}] is gone"))?;
            keeps(item, found, &format!("{path}[{name}]"))
        }),
        (before, after) if before == after => Ok(()),
        (before, after) => Err(format!("{path} was {before} and is {after}")),
    }
}

fn probe() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(
            json!({"httpGet": {"path": "/h", "port": "http", "httpHeaders": [{"name": "a", "value": "b"}]}})
        ),
        Just(
            json!({"httpGet": {"path": "/h", "port": 8080, "scheme": "HTTPS"}, "timeoutSeconds": 7})
        ),
        Just(json!({"tcpSocket": {"port": 8080}, "periodSeconds": 3})),
        Just(json!({"grpc": {"port": 9090, "service": "x"}})),
        Just(json!({"exec": {"command": ["true"]}})),
        Just(json!({"httpGet": {"path": "/h", "port": "nobody"}})),
    ]
}

fn container(name: &'static str) -> impl Strategy<Value = Value> {
    (proptest::option::of(probe()), proptest::option::of(probe()), any::<bool>()).prop_map(
        move |(liveness, readiness, ports)| {
            let mut container = json!({"name": name, "image": format!("{name}:1"), "env": [{"name": "A", "value": "1"}]});
            if let Some(probe) = liveness {
                container["livenessProbe"] = probe;
            }
            if let Some(probe) = readiness {
                container["readinessProbe"] = probe;
            }
            if ports {
                container["ports"] = json!([{"name": "http", "containerPort": 8080}]);
                container["lifecycle"] = json!({"preStop": {"httpGet": {"port": "http", "path": "/bye"}}});
            }
            container
        },
    )
}

fn annotations() -> impl Strategy<Value = Value> {
    let one = prop_oneof![
        Just(("sidecar.istio.io/nativeSidecar", "false")),
        Just(("prometheus.io/port", "9102")),
        Just(("prometheus.io/scrape", "false")),
        Just((
            "proxy.istio.io/config",
            "holdApplicationUntilProxyStarts: true"
        )),
        Just(("sidecar.istio.io/interceptionMode", "NONE")),
        Just(("inject.istio.io/templates", "gateway")),
        Just(("sidecar.istio.io/proxyCPU", "1")),
        Just((
            "sidecar.istio.io/userVolume",
            r#"{"extra":{"emptyDir":{}}}"#
        )),
        Just(("kubectl.kubernetes.io/default-container", "web")),
        Just(("example.com/own", "x")),
    ];
    proptest::collection::vec(one, 0..5).prop_map(|pairs| {
        Value::Object(
            pairs
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value.into()))
                .collect(),
        )
    })
}

fn some_pod() -> impl Strategy<Value = Value> {
    let volumes = proptest::sample::subsequence(vec!["istio-token", "data", "mesh-state"], 0..=3);
    let override_ = proptest::option::of(Just(json!({
        "name": "istio-proxy", "image": "own/proxy:1",
        "env": [{"name": "MESH_DRAIN", "value": "9s"}, {"name": "OWN", "value": "$(POD_NAME)"}],
        "resources": {"limits": {"cpu": "3"}},
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
    })));
    (annotations(), volumes, container("web"), container("other"), container("first"), override_)
        .prop_map(|(annotations, volumes, web, other, first, own)| {
            let mut containers = vec![web, other];
            containers.extend(own);
            let volumes: Vec<Value> = volumes
                .into_iter()
                .map(|name| json!({"name": name, "secret": {"secretName": "mine"}}))
                .collect();
            json!({
                "apiVersion": "v1", "kind": "Pod",
                "metadata": {"name": "web", "labels": {"app": "web", "security.istio.io/tlsMode": "disabled"}, "annotations": annotations},
                "spec": {
                    "containers": containers, "initContainers": [first], "volumes": volumes,
                    "securityContext": {"fsGroup": 2000, "sysctls": [{"name": "net.core.somaxconn", "value": "1"}]},
                    "imagePullSecrets": [{"name": "own"}],
                    "futureField": {"kept": true},
                },
            })
        })
}

proptest! {
    #[test]
    fn loses_nothing_and_does_it_once(pod in some_pod()) {
        let settings = InjectSettings { image_pull_secrets: vec!["registry".to_owned()], ..settings() };
        let (once, outcomes) = injected(pod.clone(), &settings);
        prop_assert!(matches!(outcomes[0].decision, Decision::Inject(_)));
        // The author's container of the proxy may have become an init container.
        let mut apps = pod.clone();
        let containers = apps["spec"]["containers"].as_array_mut().unwrap();
        let own: Vec<Value> = containers.extract_if(.., |item| item["name"] == PROXY_CONTAINER).collect();
        prop_assert_eq!(keeps(&apps, &once, "pod"), Ok(()));
        for own in own {
            prop_assert_eq!(keeps(&own, proxy(&once), "proxy"), Ok(()));
        }
        let (twice, outcomes) = injected(once.clone(), &settings);
        prop_assert_eq!(&outcomes[0].decision, &Decision::Skip(SkipReason::AlreadyInjected));
        prop_assert_eq!(&twice, &once);
        // Nothing is there twice.
        for list in ["/spec/initContainers", "/spec/containers", "/spec/volumes"] {
            let mut names = container_names(&once, list);
            let count = names.len();
            names.sort();
            names.dedup();
            prop_assert_eq!(names.len(), count, "{}", list);
        }
        let env = proxy(&once)["env"].as_array().unwrap();
        let mut names: Vec<_> = env.iter().map(|variable| variable["name"].to_string()).collect();
        names.sort();
        names.dedup();
        prop_assert_eq!(names.len(), env.len());
    }

    #[test]
    fn never_panics(text in ".{0,40}", which in 0_usize..12) {
        let names = [
            "proxy.istio.io/config", "sidecar.istio.io/userVolume", "sidecar.istio.io/proxyCPU",
            "traffic.sidecar.istio.io/excludeInboundPorts", "status.sidecar.istio.io/port",
            "inject.istio.io/templates", "prometheus.io/port", "sidecar.istio.io/status",
            "sidecar.istio.io/logLevel", "sidecar.istio.io/proxyImage",
            "sidecar.istio.io/interceptionMode", "sidecar.istio.io/inject",
        ];
        let mut pod = pod(json!({}), json!({(names[which]): text}));
        let before = pod.clone();
        let result = inject(&mut pod, &settings(), &InjectContext::default());
        if result.is_err() {
            prop_assert_eq!(pod, before);
        }
    }
}
