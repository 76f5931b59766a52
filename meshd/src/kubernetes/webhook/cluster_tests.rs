//! Against the Kubernetes that KUBECONFIG names.

use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingWebhookConfiguration,
};
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::{Api, Client, Resource, ResourceExt as _};
use mesh_ca::AuthorityOptions;
use meshd_core::{MeshSettings, Store};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::*;
use crate::clock;
use crate::kubernetes::{ClusterAccess, KubernetesSettings};

const DEADLINE: Duration = Duration::from_secs(60);

/// Serves webhooks as revision `name` does, and lets the API server trust them.
struct Running {
    client: Client,
    authority: Arc<Authority>,
    address: BoundAddress,
    shutdown: CancellationToken,
    chores: JoinSet<()>,
    last_words: JoinSet<()>,
    published: watch::Sender<Arc<Published>>,
    name: String,
    _dir: tempfile::TempDir,
}

impl Running {
    async fn start() -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let client = ClusterAccess::default()
            .connect()
            .await
            .expect("set KUBECONFIG to the kubeconfig of a cluster that may be written to");
        // Distinct from what another run left behind.
        let namespace = json!({"metadata": {"generateName": "mesh-webhook-"}});
        let namespace = Api::<Namespace>::all(client.clone())
            .create(&PostParams::default(), &object(namespace))
            .await
            .unwrap();
        let name = namespace.name_any();
        let dir = tempfile::tempdir().unwrap();
        let authority = Authority::open(dir.path(), &AuthorityOptions::default()).unwrap();
        let authority = Arc::new(authority);
        let server_name = ServerName {
            identity: "spiffe://cluster.local/ns/istio-system/sa/meshd"
                .parse()
                .unwrap(),
            dns_names: vec!["localhost".to_owned()],
        };
        let listen = ListenAddress::Tcp("127.0.0.1:0".to_owned());
        let server = Server::bind(&listen, Some(&authority), server_name)
            .await
            .unwrap();
        let address = server.address().clone();
        let world = Store::new().world(&MeshSettings::default());
        let published = Published {
            revision: 1,
            digest: String::new(),
            problems: Vec::new(),
            world,
            at: clock::instant(),
        };
        let (published, receiver) = watch::channel(Arc::new(published));
        let settings = KubernetesSettings {
            namespace: name.clone(),
            revision: name.clone(),
            ..KubernetesSettings::default()
        };
        let cluster = Cluster {
            requests: Arc::default(),
            client: client.clone(),
            settings: Arc::new(settings),
            mesh: MeshSettings::default(),
        };
        let shutdown = CancellationToken::new();
        let (mut chores, mut last_words) = (JoinSet::new(), JoinSet::new());
        let links = Links {
            published: receiver,
            metrics: Arc::default(),
            shutdown: shutdown.clone(),
        };
        server.start(&cluster, links, &mut chores, &mut last_words);
        Self {
            client,
            authority,
            address,
            shutdown,
            chores,
            last_words,
            published,
            name,
            _dir: dir,
        }
    }

    fn metadata(&self) -> Value {
        json!({"name": self.name, "labels": {"app": "meshd", "istio.io/rev": self.name}})
    }

    /// The bundle that the API server will trust by.
    fn roots(&self) -> String {
        let roots = self.authority.roots_der();
        let text = crate::kubernetes::ca::pem::certificates(&roots);
        base64::Engine::encode(&base64::engine::general_purpose::STANDARD, text)
    }

    /// Calls this process for all pods of the namespace.
    fn webhook_of_namespace(&self) -> Value {
        let BoundAddress::Tcp(address) = &self.address else {
            panic!("not TCP");
        };
        // The API server runs on this machine.
        let url = format!("https://localhost:{}/inject", address.port());
        json!({
            "metadata": {"name": self.name},
            "webhooks": [{
                "name": "rev.namespace.sidecar-injector.mesh.dev",
                "sideEffects": "None", "admissionReviewVersions": ["v1"],
                "failurePolicy": "Fail", "timeoutSeconds": 10,
                "clientConfig": {"url": url, "caBundle": self.roots()},
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": self.name}},
                "rules": [{"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}],
            }],
        })
    }

    async fn stop(mut self) {
        let namespaces = Api::<Namespace>::all(self.client.clone());
        let _ = namespaces
            .delete(&self.name, &DeleteParams::default())
            .await;
        self.shutdown.cancel();
        while let Some(ended) = self.last_words.join_next().await {
            ended.unwrap();
        }
        self.chores.shutdown().await;
        drop(self.published);
    }
}

fn object<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

/// Waits until the first webhook has this bundle.
async fn until_bundle<K>(client: &Client, name: &str, bundle: &str) -> DynamicObject
where
    K: Resource<DynamicType = ()>,
{
    let api =
        Api::<DynamicObject>::all_with(client.clone(), &kube::api::ApiResource::erase::<K>(&()));
    let deadline = Instant::now() + DEADLINE;
    loop {
        let found = api.get(name).await.unwrap();
        if found.data["webhooks"][0]["clientConfig"]["caBundle"] == bundle {
            return found;
        }
        assert!(Instant::now() < deadline, "the bundle was not written");
        // Asks the API server, not a clock.
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keeps_the_bundles_of_its_revision() {
    let running = Running::start().await;
    let (client, name) = (running.client.clone(), running.name.clone());
    // Selects nothing.
    let selector = json!({"matchLabels": {"mesh.dev/nobody": name}});
    let webhook = |name: &str, service: &str| {
        json!({
            "name": name, "sideEffects": "None", "admissionReviewVersions": ["v1"],
            "failurePolicy": "Ignore", "namespaceSelector": selector,
            "clientConfig": {"service": {"name": service, "namespace": running.name, "path": "/inject"}},
            "rules": [{"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}],
        })
    };
    let service = format!("meshd-{name}");
    let body = json!({
        "metadata": running.metadata(),
        "webhooks": [webhook("ours.mesh.dev", &service), webhook("other.mesh.dev", "other")],
    });
    let mutating = Api::<MutatingWebhookConfiguration>::all(client.clone());
    let validating = Api::<ValidatingWebhookConfiguration>::all(client.clone());
    let params = PostParams::default();
    mutating
        .create(&params, &object(body.clone()))
        .await
        .unwrap();
    validating
        .create(&params, &object(body.clone()))
        .await
        .unwrap();
    let roots = running.roots();
    until_bundle::<ValidatingWebhookConfiguration>(&client, &name, &roots).await;
    let written = until_bundle::<MutatingWebhookConfiguration>(&client, &name, &roots).await;
    let webhooks = &written.data["webhooks"];
    assert_eq!(webhooks[0]["failurePolicy"], "Ignore");
    assert_eq!(
        webhooks[1]["clientConfig"].get("caBundle"),
        None,
        "another's service"
    );

    // As an upgrade does that knows nothing of the bundle.
    let reset = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration",
        "metadata": body["metadata"], "webhooks": body["webhooks"],
    });
    let current = mutating.get(&name).await.unwrap();
    let mut replacement: MutatingWebhookConfiguration = object(reset);
    replacement.metadata.resource_version = current.metadata.resource_version;
    mutating
        .replace(&name, &params, &replacement)
        .await
        .unwrap();
    until_bundle::<MutatingWebhookConfiguration>(&client, &name, &roots).await;

    mutating
        .delete(&name, &DeleteParams::default())
        .await
        .unwrap();
    validating
        .delete(&name, &DeleteParams::default())
        .await
        .unwrap();
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_server_gets_its_pods_injected() {
    let running = Running::start().await;
    let (client, name) = (running.client.clone(), running.name.clone());
    let webhooks = Api::<MutatingWebhookConfiguration>::all(client.clone());
    let configuration = running.webhook_of_namespace();
    webhooks
        .create(&PostParams::default(), &object(configuration))
        .await
        .unwrap();
    let pods = Api::<Pod>::namespaced(client.clone(), &name);
    let spec = until_injected(&pods).await.spec.unwrap();
    let init: Vec<String> = spec
        .init_containers
        .unwrap()
        .into_iter()
        .map(|container| container.name)
        .collect();
    assert_eq!(init, ["istio-init", "istio-proxy"]);
    let probe = spec.containers[0].readiness_probe.clone().unwrap();
    let path = probe.http_get.unwrap().path;
    assert_eq!(path.as_deref(), Some("/app-health/web/readyz"));

    for templates in ["sidecar", "gateway"] {
        let annotations = json!({
            "inject.istio.io/templates": templates, "sidecar.istio.io/nativeSidecar": "false",
            "proxy.istio.io/config": "{concurrency: 0, holdApplicationUntilProxyStarts: true}",
        });
        let created = pods.create(&dry(), &pod(annotations)).await.unwrap();
        assert_eq!(created.spec.unwrap().containers.len(), 2, "{templates}");
    }
    let wrong = json!({"sidecar.istio.io/interceptionMode": "TPROXY"});
    let refused = pods.create(&dry(), &pod(wrong)).await.unwrap_err();
    let refused = refused.to_string();
    assert!(refused.contains("TPROXY is not supported"), "{refused}");

    // The strictest of the Pod Security Standards minds the one that needs two capabilities.
    let namespaces = Api::<Namespace>::all(client.clone());
    let enforce =
        json!({"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}});
    namespaces
        .patch(&name, &PatchParams::default(), &Patch::Merge(enforce))
        .await
        .unwrap();
    let refused = until_refused(&pods).await;
    assert!(
        refused.contains("istio-init") && !refused.contains("istio-proxy"),
        "{refused}"
    );
    webhooks
        .delete(&name, &DeleteParams::default())
        .await
        .unwrap();
    running.stop().await;
}

#[expect(clippy::needless_pass_by_value, reason = "json! makes values")]
fn pod(annotations: Value) -> Pod {
    object(json!({
        "metadata": {"name": "web", "labels": {"app": "web"}, "annotations": annotations},
        "spec": {"containers": [{
            "name": "web", "image": "web:1", "ports": [{"containerPort": 80, "name": "http"}],
            "readinessProbe": {"httpGet": {"port": "http", "path": "/"}},
        }]},
    }))
}

/// Nothing is stored, and no node starts anything.
fn dry() -> PostParams {
    PostParams {
        dry_run: true,
        ..PostParams::default()
    }
}

/// A new configuration takes a moment to reach the API server's own cache, and the namespace's
/// service account takes a moment to be there.
async fn until_injected(pods: &Api<Pod>) -> Pod {
    let deadline = Instant::now() + DEADLINE;
    loop {
        match pods.create(&dry(), &pod(json!({}))).await {
            Ok(created)
                if created
                    .annotations()
                    .contains_key("sidecar.istio.io/status") =>
            {
                return created;
            }
            other => assert!(Instant::now() < deadline, "not injected: {other:?}"),
        }
        sleep(Duration::from_millis(50)).await;
    }
}

async fn until_refused(pods: &Api<Pod>) -> String {
    let deadline = Instant::now() + DEADLINE;
    loop {
        match pods.create(&dry(), &pod(json!({}))).await {
            Err(error) => return error.to_string(),
            Ok(_) => assert!(Instant::now() < deadline, "it is not refused"),
        }
        sleep(Duration::from_millis(50)).await;
    }
}
