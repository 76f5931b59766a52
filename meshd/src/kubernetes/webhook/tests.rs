//! Over real HTTPS, as the API server calls.

mod proxy_configs;

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mesh_ca::AuthorityOptions;
use mesh_ca::listen::Socket;
use meshd_core::inject::{InjectContext, InjectSettings, inject};
use meshd_core::{MeshSettings, Store};
use rustls::pki_types::{CertificateDer, ServerName as TlsName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsConnector;

use super::*;
use crate::clock;

const NAME: &str = "meshd.istio-system.svc";

struct Running {
    address: ListenAddress,
    connector: TlsConnector,
    metrics: Arc<WebhookMetrics>,
    shutdown: CancellationToken,
    serving: JoinSet<()>,
    _dir: tempfile::TempDir,
    published: watch::Sender<Arc<Published>>,
    _native: watch::Sender<bool>,
}

/// A reviewed object.
struct Reviewed {
    allowed: bool,
    message: String,
    warnings: Vec<String>,
    object: Value,
}

impl Running {
    /// With these objects on the API server.
    async fn start(objects: &[Value]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let authority = Authority::open(dir.path(), &AuthorityOptions::default()).unwrap();
        let authority = Arc::new(authority);
        let mut roots = RootCertStore::empty();
        for root in authority.roots_der().iter() {
            roots.add(CertificateDer::from(root.clone())).unwrap();
        }
        let mut client = ClientConfig::builder_with_provider(Arc::new(
            rustls::crypto::aws_lc_rs::default_provider(),
        ))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
        // As the API server does, so that its calls go to all replicas.
        client.alpn_protocols = vec![b"http/1.1".to_vec()];

        let (published_sender, published) = watch::channel(published(objects));
        let (native_sender, native) = watch::channel(true);
        let (_, settings) = watch::channel(Ok(Arc::new(InjectSettings::default())));
        let metrics = Arc::new(WebhookMetrics::default());
        let webhooks = Webhooks {
            injector: Injector {
                settings,
                published,
                native,
            },
            metrics: Arc::clone(&metrics),
        };
        let name = ServerName {
            identity: "spiffe://cluster.local/ns/istio-system/sa/meshd"
                .parse()
                .unwrap(),
            dns_names: vec![NAME.to_owned()],
        };
        let server = Server::bind(
            &ListenAddress::Tcp("127.0.0.1:0".to_owned()),
            Some(&authority),
            name,
        )
        .await
        .unwrap();
        let address = server.address().clone();
        let incoming = Incoming::new(server.listener, server.tls, IncomingOptions::default());
        let shutdown = CancellationToken::new();
        let mut serving = JoinSet::new();
        serving.spawn(server::serve(
            incoming,
            address.clone(),
            webhooks,
            shutdown.clone().cancelled_owned(),
        ));
        Self {
            address: address.into(),
            connector: TlsConnector::from(Arc::new(client)),
            metrics,
            shutdown,
            serving,
            _dir: dir,
            published: published_sender,
            _native: native_sender,
        }
    }

    /// From now on these are on the API server.
    fn publish(&self, objects: &[Value]) {
        self.published.send_replace(published(objects));
    }

    /// One request; the status and the body of the answer.
    async fn post(&self, path: &str, kind: &str, body: &[u8]) -> (u16, String) {
        let socket = Socket::connect(&self.address).await.unwrap();
        let name = TlsName::try_from(NAME).unwrap();
        let mut stream = self.connector.connect(name, socket).await.unwrap();
        let head = format!(
            "POST {path}?timeout=10s HTTP/1.1\r\nhost: {NAME}\r\nconnection: close\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        // The server may answer before it has read all.
        let _ = stream.write_all(body).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, body.to_owned())
    }

    async fn review(&self, path: &str, request: Value) -> Reviewed {
        let mut object = request["object"].clone();
        let review = json!({
            "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request,
        });
        let body = serde_json::to_vec(&review).unwrap();
        let (status, body) = self.post(path, "application/json", &body).await;
        assert_eq!(status, 200, "{body}");
        let answer: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(answer["apiVersion"], "admission.k8s.io/v1");
        let response = &answer["response"];
        assert_eq!(response["uid"], "7");
        if let Some(patch) = response["patch"].as_str() {
            assert_eq!(response["patchType"], "JSONPatch");
            let patch: json_patch::Patch =
                serde_json::from_slice(&STANDARD.decode(patch).unwrap()).unwrap();
            json_patch::patch(&mut object, &patch).unwrap();
        }
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Reviewed {
            allowed: response["allowed"].as_bool().unwrap(),
            message: text(&response["status"]["message"]),
            warnings: response["warnings"]
                .as_array()
                .into_iter()
                .flatten()
                .map(text)
                .collect(),
            object,
        }
    }

    async fn inject(&self, namespace: &str, pod: Value) -> Reviewed {
        let request =
            json!({"uid": "7", "namespace": namespace, "operation": "CREATE", "object": pod});
        self.review("/inject", request).await
    }

    async fn validate(&self, object: Value, old: Value) -> Reviewed {
        let operation = if old.is_null() { "CREATE" } else { "UPDATE" };
        let request = json!({
            "uid": "7", "namespace": "shop", "operation": operation, "object": object, "oldObject": old,
        });
        self.review("/validate", request).await
    }

    async fn stop(mut self) {
        self.shutdown.cancel();
        self.serving.join_next().await.unwrap().unwrap();
    }
}

fn published(objects: &[Value]) -> Arc<Published> {
    let mut store = Store::new();
    objects.iter().for_each(|object| store.set_object(object));
    Arc::new(Published {
        revision: 1,
        digest: String::new(),
        problems: Vec::new(),
        world: store.world(&MeshSettings::default()),
        at: clock::instant(),
    })
}

fn deployment() -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "reviews-v1", "namespace": "shop"},
        "spec": {"template": {
            "metadata": {"labels": {"app": "reviews", "version": "v1"}},
            "spec": {
                "serviceAccountName": "bookinfo-reviews",
                "initContainers": [{"name": "migrate", "image": "migrate:1"}],
                "containers": [{
                    "name": "reviews", "image": "reviews:1",
                    "ports": [{"name": "http", "containerPort": 9080}],
                    "livenessProbe": {"httpGet": {"path": "/health", "port": "http"}},
                }],
                "volumes": [{"name": "tmp", "emptyDir": {}}],
            },
        }},
    })
}

/// The pod that its ReplicaSet creates.
fn pod(deployment: &Value) -> Value {
    let mut pod = deployment["spec"]["template"].clone();
    let metadata = pod["metadata"].as_object_mut().unwrap();
    metadata.insert("generateName".to_owned(), "reviews-v1-5d9-".into());
    let owner = json!([{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "reviews-v1-5d9", "controller": true}]);
    metadata.insert("ownerReferences".to_owned(), owner);
    metadata["labels"]["pod-template-hash"] = "5d9".into();
    pod["kind"] = "Pod".into();
    pod["apiVersion"] = "v1".into();
    pod
}

#[tokio::test]
async fn gives_pods_the_same_proxy_as_the_offline_command() {
    let running = Running::start(&[]).await;
    for change in [
        |_: &mut Value| {},
        // Without labels the name of the Deployment counts.
        |object: &mut Value| object["spec"]["template"]["metadata"] = json!({"labels": {}}),
        |object: &mut Value| {
            object["spec"]["template"]["metadata"]["annotations"] =
                json!({"sidecar.istio.io/nativeSidecar": "false"});
        },
    ] {
        let mut offline = deployment();
        change(&mut offline);
        let created = pod(&offline);
        inject(
            &mut offline,
            &InjectSettings::default(),
            &InjectContext::default(),
        )
        .unwrap();
        let reviewed = running.inject("shop", created).await;
        assert!(reviewed.allowed, "{}", reviewed.message);
        let template = &offline["spec"]["template"];
        assert_eq!(reviewed.object["spec"], template["spec"]);
        let annotations = &template["metadata"]["annotations"];
        assert_eq!(reviewed.object["metadata"]["annotations"], *annotations);
        for (name, value) in template["metadata"]["labels"].as_object().unwrap() {
            assert_eq!(
                reviewed.object["metadata"]["labels"][name], *value,
                "{name}"
            );
        }
        // Once more, as when another webhook changes the pod: nothing.
        let again = running.inject("shop", reviewed.object.clone()).await;
        assert!(again.allowed);
        assert_eq!(again.object, reviewed.object);
    }
    running.stop().await;
}

#[tokio::test]
async fn says_why_a_pod_is_refused() {
    let running = Running::start(&[]).await;
    let mut wrong = pod(&deployment());
    wrong["metadata"]["annotations"] = json!({
        "sidecar.istio.io/interceptionMode": "TPROXY", "sidecar.istio.io/proxyCPU": "x",
    });
    let reviewed = running.inject("shop", wrong).await;
    assert!(!reviewed.allowed);
    assert!(
        reviewed.message.contains("TPROXY is not supported")
            && reviewed.message.contains("proxyCPU"),
        "{}",
        reviewed.message
    );
    let mut host = pod(&deployment());
    host["spec"]["hostNetwork"] = true.into();
    let reviewed = running.inject("shop", host.clone()).await;
    assert!(reviewed.allowed);
    assert_eq!(reviewed.object, host);
    running.stop().await;
}

#[tokio::test]
async fn knows_the_namespace_and_the_path() {
    let namespace = json!({
        "apiVersion": "v1", "kind": "Namespace",
        "metadata": {"name": "shop", "labels": {"sidecar.istio.io/nativeSidecar": "false"}},
    });
    let running = Running::start(&[namespace]).await;
    let reviewed = running.inject("shop", pod(&deployment())).await;
    assert_eq!(
        reviewed.object["spec"]["containers"][1]["name"],
        "istio-proxy"
    );
    let request = json!({"uid": "7", "namespace": "other", "operation": "CREATE", "object": pod(&deployment())});
    let reviewed = running
        .review("/inject/cluster/east/net/one", request)
        .await;
    assert_eq!(
        reviewed.object["metadata"]["labels"]["topology.istio.io/network"],
        "one"
    );
    let proxy = reviewed.object["spec"]["initContainers"][1].to_string();
    assert!(
        proxy.contains(r#"{"name":"MESH_CLUSTER","value":"east"}"#),
        "{proxy}"
    );
    running.stop().await;
}

#[expect(clippy::needless_pass_by_value, reason = "json! makes values")]
fn virtual_service(spec: Value) -> Value {
    json!({
        "apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
        "metadata": {"name": "reviews", "namespace": "shop"}, "spec": spec,
    })
}

#[tokio::test]
async fn validates_as_analyze_does() {
    let running = Running::start(&[]).await;
    let good = virtual_service(json!({
        "hosts": ["reviews"], "http": [{"route": [{"destination": {"host": "nobody-yet"}}]}],
    }));
    let reviewed = running.validate(good.clone(), Value::Null).await;
    assert!(reviewed.allowed, "{}", reviewed.message);
    let missing = "Referenced host not found: \"nobody-yet\"";
    assert!(
        reviewed.warnings.len() == 1 && reviewed.warnings[0].contains(missing),
        "{:?}",
        reviewed.warnings
    );

    let bad = virtual_service(json!({
        "hosts": ["reviews"], "https": [],
        "http": [{"timeout": "soon", "route": [{"destination": {"host": "reviews"}}]}],
    }));
    let reviewed = running.validate(bad.clone(), Value::Null).await;
    assert!(!reviewed.allowed);
    let files = [("reviews.yaml".to_owned(), bad.to_string())];
    let found = meshd_core::analyze(&files, &MeshSettings::default());
    let errors: Vec<_> = found
        .iter()
        .filter(|problem| problem.severity() == mesh_api::v1::Severity::Error)
        .collect();
    assert_eq!(errors.len(), 2);
    for error in errors {
        assert!(
            reviewed.message.contains(&error.message),
            "{}: {}",
            reviewed.message,
            error.message
        );
    }

    // What was wrong before stays editable where nothing of it changes.
    let mut labelled = bad.clone();
    labelled["metadata"]["labels"] = json!({"a": "b"});
    let reviewed = running.validate(labelled, bad.clone()).await;
    assert!(reviewed.allowed && reviewed.warnings.len() >= 2);
    let reviewed = running.validate(bad, good).await;
    assert!(!reviewed.allowed);

    let mut nameless = virtual_service(
        json!({"hosts": ["a"], "http": [{"route": [{"destination": {"host": "a"}}]}]}),
    );
    nameless["metadata"] = json!({"generateName": "a-"});
    let reviewed = running.validate(nameless, Value::Null).await;
    assert!(reviewed.allowed, "{}", reviewed.message);
    running.stop().await;
}

#[tokio::test]
async fn warns_of_what_is_not_there_as_analyze_does() {
    let meta = |name: &str| json!({"name": name, "namespace": "shop"});
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": meta("reviews"),
        "spec": {"selector": {"app": "reviews"}, "ports": [{"name": "http", "port": 80}]},
    });
    let rule = json!({
        "apiVersion": "networking.istio.io/v1", "kind": "DestinationRule", "metadata": meta("reviews"),
        "spec": {"host": "reviews", "subsets": [{"name": "v1", "labels": {"version": "v1"}}]},
    });
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "reviews-1", "namespace": "shop", "labels": {"app": "reviews", "version": "v1"}},
        "spec": {"containers": []}, "status": {"phase": "Running", "podIP": "10.0.0.1"},
    });
    let mut older = virtual_service(json!({
        "hosts": ["shared"], "http": [{"route": [{"destination": {"host": "reviews"}}]}],
    }));
    older["metadata"] = meta("older");
    let present = [service, rule, pod, older];
    let running = Running::start(&present).await;
    let to = |subset: &str, port: u16| json!({"destination": {"host": "reviews", "subset": subset, "port": {"number": port}}});
    let cases = [
        virtual_service(json!({"hosts": ["reviews"], "http": [{"route": [to("v1", 80)]}]})),
        virtual_service(json!({"hosts": ["reviews"], "http": [{"route": [to("v2", 81)]}]})),
        virtual_service(
            json!({"hosts": ["shared"], "gateways": ["mesh", "edge"], "http": [{"route": [to("v1", 80)]}]}),
        ),
        json!({
            "apiVersion": "networking.istio.io/v1", "kind": "DestinationRule", "metadata": meta("other"),
            "spec": {"host": "reviews", "subsets": [{"name": "v3", "labels": {"version": "v3"}}]},
        }),
        json!({
            "apiVersion": "networking.istio.io/v1", "kind": "Gateway", "metadata": meta("edge"),
            "spec": {"selector": {"istio": "nobody"}, "servers": [{"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": ["*"]}]},
        }),
        json!({
            "apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy", "metadata": meta("none"),
            "spec": {"selector": {"matchLabels": {"app": "nobody"}}, "rules": [{}]},
        }),
        json!({
            "apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy", "metadata": meta("some"),
            "spec": {"selector": {"matchLabels": {"app": "reviews"}}, "rules": [{}]},
        }),
    ];
    let mut counts = Vec::new();
    for object in cases {
        let mut store = Store::new();
        present
            .iter()
            .chain([&object])
            .for_each(|object| store.set_object(object));
        let world = store.world(&MeshSettings::default());
        let all: Vec<String> = world
            .problems()
            .iter()
            .filter(|problem| problem.severity() == mesh_api::v1::Severity::Warning)
            .filter(|problem| {
                let origin = problem.origin.as_ref().unwrap();
                object["kind"] == *origin.kind && object["metadata"]["name"] == *origin.name
            })
            .map(|problem| format!("{} [{}]", problem.message, problem.code))
            .collect();
        let reviewed = running.validate(object, Value::Null).await;
        assert!(reviewed.allowed, "{}", reviewed.message);
        assert_eq!(reviewed.warnings, all);
        counts.push(all.len());
    }
    // The last: the pod has no sidecar that could enforce it.
    assert_eq!(counts, [0, 2, 2, 1, 1, 1, 1]);
    running.stop().await;
}

#[tokio::test]
async fn answers_nonsense() {
    let running = Running::start(&[]).await;
    let json = "application/json";
    assert_eq!(running.post("/inject", "text/plain", b"{}").await.0, 415);
    assert_eq!(running.post("/inject", json, b"{").await.0, 400);
    assert_eq!(running.post("/validate", json, b"{}").await.0, 400);
    assert_eq!(running.post("/elsewhere", json, b"{}").await.0, 404);
    let large = vec![b' '; 7 * 1024 * 1024];
    assert_eq!(running.post("/inject", json, &large).await.0, 413);
    // As large as two objects can be.
    let mut large = vec![b' '; 5 * 1024 * 1024];
    large.extend(b"{}");
    assert_eq!(running.post("/inject", json, &large).await.0, 400);
    let reviewed = running.inject("shop", json!([1])).await;
    assert!(!reviewed.allowed);
    assert!(format!("{:?}", running.metrics).contains("failed: 1"));
    running.stop().await;
}
