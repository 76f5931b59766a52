//! A cluster, a namespace of one test in it, and control planes that run in this process.

use std::path::PathBuf;
use std::time::Duration;

use k8s_openapi::api::core::v1::Namespace;
use kube::api::{DeleteParams, DynamicObject, ObjectMeta, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, Client, ResourceExt};
use mesh_ca::listen::{BoundAddress, Socket};
use meshd::{App, ClusterAccess, KubernetesSettings, RunError, Settings, install_missing_crds};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// A namespace of a test's own. It goes at the end, if the test gets there.
pub(crate) struct Place {
    pub(crate) client: Client,
    pub(crate) namespace: String,
}

/// A control plane.
pub(crate) struct Control {
    dir: tempfile::TempDir,
    settings: Settings,
    pub(crate) admin: BoundAddress,
    pub(crate) monitoring: BoundAddress,
    shutdown: CancellationToken,
    running: JoinHandle<Result<(), RunError>>,
}

pub(crate) async fn client(kubeconfig: Option<PathBuf>) -> Client {
    let access = ClusterAccess {
        kubeconfig,
        context: None,
    };
    access.connect().await.expect(
        "set KUBECONFIG to the kubeconfig of a cluster whose administrator you are, for example by `kind get kubeconfig`",
    )
}

/// Asks until the answer is there.
pub(crate) async fn eventually<T, F: Future<Output = Option<T>>>(
    what: &str,
    mut ask: impl FnMut() -> F,
) -> T {
    let end = Instant::now() + DEADLINE;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < end, "waiting for: {what}");
        sleep(Duration::from_millis(50)).await;
    }
}

// === impl Place ===

impl Place {
    pub(crate) async fn new(name: &str) -> Self {
        let client = client(None).await;
        install_missing_crds(&client).await.unwrap();
        let namespace = Namespace {
            metadata: ObjectMeta {
                generate_name: Some(format!("meshd-{name}-")),
                ..ObjectMeta::default()
            },
            ..Namespace::default()
        };
        let api: Api<Namespace> = Api::all(client.clone());
        let made = api
            .create(&PostParams::default(), &namespace)
            .await
            .unwrap();
        let namespace = made.name_any();
        Self { client, namespace }
    }

    pub(crate) async fn leave(self) {
        let api: Api<Namespace> = Api::all(self.client);
        let params = DeleteParams::background();
        api.delete(&self.namespace, &params).await.unwrap();
    }

    pub(crate) fn api(&self, api_version: &str, kind: &str) -> Api<DynamicObject> {
        let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
        let mut resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        if kind == "Gateway" {
            resource.plural = "gateways".to_owned();
        }
        Api::namespaced_with(self.client.clone(), &self.namespace, &resource)
    }

    /// Applies YAML, an object or several, in this namespace.
    pub(crate) async fn apply(&self, yaml: &str) {
        let objects: Vec<Value> = serde_saphyr::from_multiple(yaml).unwrap();
        for object in objects {
            let api = self.api(
                object["apiVersion"].as_str().unwrap(),
                object["kind"].as_str().unwrap(),
            );
            let name = object["metadata"]["name"].as_str().unwrap().to_owned();
            let params = PatchParams::apply("a-user").force();
            api.patch(&name, &params, &Patch::Apply(&object))
                .await
                .unwrap();
        }
    }

    pub(crate) async fn delete(&self, api_version: &str, kind: &str, name: &str) {
        let api = self.api(api_version, kind);
        api.delete(name, &DeleteParams::default()).await.unwrap();
    }
}

// === impl Control ===

impl Control {
    /// One in the namespace of the test.
    pub(crate) async fn start(place: &Place, instance: &str) -> Self {
        Self::start_with(place, instance, |_| {}).await
    }

    pub(crate) async fn start_with(
        place: &Place,
        instance: &str,
        change: impl FnOnce(&mut KubernetesSettings),
    ) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut kubernetes = KubernetesSettings {
            namespace: place.namespace.clone(),
            instance: instance.to_owned(),
            // The namespaces are everybody's.
            distribute_roots: false,
            ..KubernetesSettings::default()
        };
        change(&mut kubernetes);
        let mut settings = Settings::new(dir.path().join("state"));
        settings.admin.push("127.0.0.1:0".parse().unwrap());
        settings.monitoring.push("127.0.0.1:0".parse().unwrap());
        settings.mesh.root_namespace = place.namespace.clone();
        settings.kubernetes = Some(kubernetes);
        Self::build(dir, settings).await
    }

    async fn build(dir: tempfile::TempDir, settings: Settings) -> Self {
        let bound = Box::pin(App::build(settings.clone())).await.unwrap();
        let admin = bound.admin_addrs[1].clone();
        let monitoring = bound.monitoring_addrs[0].clone();
        let shutdown = CancellationToken::new();
        let stop = shutdown.clone();
        let running = tokio::spawn(async move { Box::pin(bound.run(stop)).await });
        Self {
            dir,
            settings,
            admin,
            monitoring,
            shutdown,
            running,
        }
    }

    /// Waits until it is ready for proxies.
    pub(crate) async fn ready(self) -> Self {
        eventually("readiness", || async {
            let (code, _) = http(&self.monitoring, "/readyz").await;
            (code == 200).then_some(())
        })
        .await;
        self
    }

    pub(crate) async fn stop(self) -> (tempfile::TempDir, Settings) {
        self.shutdown.cancel();
        self.running.await.unwrap().unwrap();
        (self.dir, self.settings)
    }

    /// Ends it without a word to anybody.
    pub(crate) async fn kill(self) {
        self.running.abort();
        assert!(self.running.await.unwrap_err().is_cancelled());
    }

    /// Stops it, and starts it again on the same state.
    pub(crate) async fn restart(self) -> Self {
        let (dir, settings) = self.stop().await;
        Self::build(dir, settings).await.ready().await
    }

    /// Everything that the API server has now is in force after this.
    pub(crate) async fn wait(&self) -> Value {
        let (code, body) = http(&self.admin, "/v1/wait?timeout=60").await;
        assert_eq!(code, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    }

    pub(crate) async fn json(&self, path: &str) -> Value {
        let (code, body) = http(&self.admin, path).await;
        assert_eq!(code, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    }

    /// Messages about objects of this namespace.
    pub(crate) async fn problems(&self, namespace: &str) -> Vec<String> {
        let list = self.json("/v1/problems").await;
        let problems = list["problems"].as_array().unwrap();
        problems
            .iter()
            .filter(|problem| problem["origin"]["namespace"] == namespace)
            .map(|problem| {
                let (name, message) = (&problem["origin"]["name"], &problem["message"]);
                format!("{}: {}", name.as_str().unwrap(), message.as_str().unwrap())
            })
            .collect()
    }

    /// Host names of the services of this namespace, sorted.
    pub(crate) async fn services(&self, namespace: &str) -> Vec<String> {
        let list = self.json("/v1/services").await;
        let services = list["services"].as_array().unwrap();
        let mut names: Vec<String> = services
            .iter()
            .filter(|service| service["namespace"] == namespace)
            .map(|service| service["hostname"].as_str().unwrap().to_owned())
            .collect();
        names.sort();
        names
    }

    /// The value of a metric without labels.
    pub(crate) async fn metric(&self, name: &str) -> Option<f64> {
        let (_, text) = http(&self.monitoring, "/metrics").await;
        let mut lines = text.lines();
        let line = lines.find(|line| line.starts_with(&format!("{name} ")))?;
        line.rsplit(' ').next()?.parse().ok()
    }
}

/// Status code and body.
pub(crate) async fn http(address: &BoundAddress, path: &str) -> (u16, String) {
    let address = address.to_string().parse().unwrap();
    let mut socket = Socket::connect(&address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: meshd\r\nConnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    timeout(DEADLINE * 2, socket.read_to_end(&mut answer))
        .await
        .expect("an answer in time")
        .unwrap();
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let code = head.split(' ').nth(1).unwrap().parse().unwrap();
    (code, unchunked(head, body))
}

fn unchunked(head: &str, body: &str) -> String {
    if !head.to_lowercase().contains("transfer-encoding: chunked") {
        return body.to_owned();
    }
    let (mut rest, mut text) = (body, String::new());
    while let Some((size, after)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap();
        text.push_str(&after[..size]);
        rest = &after[size + 2..];
    }
    text
}
