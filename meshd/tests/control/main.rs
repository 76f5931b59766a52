//! A control plane on real sockets and files, seen by a proxy and by an operator.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that fails here has failed"
)]

mod admission;
mod client;
mod federation;
mod files;
mod keys;
mod lifecycle;

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use client::{Credentials, DEADLINE, Proxy, channel, first, get_json, http, names};
use mesh_api::v1::{DiscoveryRequest, Rejection};
use mesh_ca::Authority;
use mesh_ca::listen::BoundAddress;
use meshd::{App, ConfigHandle, Edit, Published, RunError, Settings};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::Code;

const SERVICE: &str = "
apiVersion: v1
kind: Service
metadata: { name: reviews }
spec:
  selector: { app: reviews }
  ports: [{ name: http, port: 9080 }]
";

fn workload(name: &str, address: &str) -> String {
    format!(
        "
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {{ name: {name} }}
spec:
  address: {address}
  labels: {{ app: reviews }}
  serviceAccount: reviews
"
    )
}

const REVIEWS: &str = "spiffe://cluster.local/ns/default/sa/reviews";
const ROOTS: [&str; 3] = ["mesh/default", "inbound/self", "routes/reviews:9080"];
const HOUR: Duration = Duration::from_secs(3600);

/// A running control plane and its files.
struct Control {
    dir: tempfile::TempDir,
    discovery: Vec<BoundAddress>,
    admin: Vec<BoundAddress>,
    roots: Vec<Vec<u8>>,
    authority: Arc<Authority>,
    config: ConfigHandle,
    published: watch::Receiver<Arc<Published>>,
    shutdown: CancellationToken,
    running: JoinHandle<Result<(), RunError>>,
}

fn settings(dir: &tempfile::TempDir) -> Settings {
    let mut settings = Settings::new(dir.path().join("state"));
    settings.config = vec![dir.path().join("config")];
    settings.discovery.push("127.0.0.1:0".parse().unwrap());
    settings.admin.push("127.0.0.1:0".parse().unwrap());
    settings
}

impl Control {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("config")).unwrap();
        fs::write(dir.path().join("config/reviews.yaml"), SERVICE).unwrap();
        fs::write(
            dir.path().join("config/v1.yaml"),
            workload("reviews-v1", "10.0.0.1"),
        )
        .unwrap();
        Self::start_in(dir).await
    }

    async fn start_in(dir: tempfile::TempDir) -> Self {
        let bound = Box::pin(App::build(settings(&dir))).await.unwrap();
        let shutdown = CancellationToken::new();
        Self {
            dir,
            discovery: bound.discovery_addrs.clone(),
            admin: bound.admin_addrs.clone(),
            roots: bound.roots_der(),
            authority: Arc::clone(bound.authority().unwrap().0),
            config: bound.config(),
            published: bound.published(),
            running: tokio::spawn(Box::pin(bound.run(shutdown.clone()))),
            shutdown,
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join("config").join(name)
    }

    fn credentials(&self, identity: &str) -> Credentials {
        Credentials::issue(&self.authority, identity, HOUR)
    }

    /// A stream of the workload default/reviews-v1.
    async fn proxy(&self, known: HashMap<String, String>) -> Proxy {
        self.proxy_over(0, known).await
    }

    async fn proxy_over(&self, listener: usize, known: HashMap<String, String>) -> Proxy {
        let credentials = self.credentials(REVIEWS);
        let channel = channel(&self.discovery[listener], &self.roots, Some(&credentials)).await;
        Proxy::start(channel, first("default/reviews-v1", &ROOTS, known))
            .await
            .unwrap()
    }

    /// Waits until what is published is as wanted.
    async fn until(&mut self, what: &str, wanted: impl Fn(&Published) -> bool) -> Arc<Published> {
        let published = tokio::time::timeout(
            DEADLINE,
            self.published.wait_for(|published| wanted(published)),
        )
        .await;
        Arc::clone(
            &published
                .unwrap_or_else(|_| panic!("no such state in time: {what}"))
                .unwrap(),
        )
    }

    async fn stop(self) -> tempfile::TempDir {
        self.shutdown.cancel();
        tokio::time::timeout(DEADLINE, self.running)
            .await
            .unwrap()
            .unwrap()
            .unwrap();
        self.dir
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_of_a_file_reaches_the_proxy_as_a_delta() {
    let control = Control::start().await;
    for listener in 0..2 {
        let mut proxy = control.proxy_over(listener, HashMap::new()).await;
        let response = proxy.take().await;
        let got = names(&response);
        for name in ROOTS.into_iter().chain([
            "service/reviews.default.svc.cluster.local",
            "workload/default/reviews-v1",
        ]) {
            assert!(got.contains(&name), "{name} is not in {got:?}");
        }

        let file = format!("v2-{listener}.yaml");
        fs::write(
            control.file(&file),
            workload(&format!("reviews-v2-{listener}"), "10.0.0.2"),
        )
        .unwrap();
        let response = proxy.take().await;
        let added = format!("workload/default/reviews-v2-{listener}");
        assert_eq!(names(&response), [added.as_str()], "only what is new");
        let revision = response.revision;

        let path = format!("/v1/wait?revision={revision}&timeout=30");
        let status = get_json(&control.admin[listener], &path).await;
        assert_eq!(
            (status["connected"].as_u64(), status["current"].as_u64()),
            (Some(1), Some(1)),
            "{status}"
        );
        let proxies = get_json(&control.admin[listener], "/v1/proxies").await;
        let shown = &proxies["proxies"][0];
        assert_eq!(shown["workload"], "default/reviews-v1");
        assert_eq!(shown["identity"], REVIEWS);
        assert_eq!(
            shown["acked_revision"].as_str().unwrap(),
            revision.to_string()
        );

        fs::remove_file(control.file(&file)).unwrap();
        let response = proxy.take().await;
        assert_eq!(response.removed, [added]);
        drop(proxy);
        wait_for_json(&control.admin[0], "/v1/status", |status| {
            status["connected"].as_u64().unwrap_or(0) == 0
        })
        .await;
    }
    let (_, metrics) = http(&control.admin[0], "GET", "/metrics").await;
    for line in [
        "pilot_xds_pushes{type=\"mesh\"} 6",
        "pilot_proxy_convergence_time_count",
        "citadel_server_csr_count 0",
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
    control.stop().await;
}

/// Asks again until the answer is as wanted.
async fn wait_for_json(
    address: &BoundAddress,
    path: &str,
    wanted: impl Fn(&serde_json::Value) -> bool,
) {
    let deadline = tokio::time::Instant::now() + DEADLINE;
    loop {
        let answer = get_json(address, path).await;
        if wanted(&answer) {
            return;
        }
        assert!(
            tokio::time::Instant::now() < deadline,
            "not in time: {answer}"
        );
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_is_shown_and_the_rest_runs() {
    let control = Control::start().await;
    let mut proxy = control.proxy(HashMap::new()).await;
    let response = proxy.response().await.unwrap();
    let rejection = Rejection {
        resource: "inbound/self".to_owned(),
        version: response
            .upsert
            .iter()
            .find(|r| r.name == "inbound/self")
            .unwrap()
            .version
            .clone(),
        reason: "ports[0].protocol: not set".to_owned(),
    };
    proxy.ack(&response, vec![rejection]).await;
    let path = format!("/v1/wait?revision={}", response.revision);
    assert_eq!(http(&control.admin[0], "GET", &path).await.0, 200);
    let proxies = get_json(&control.admin[0], "/v1/proxies").await;
    let shown = &proxies["proxies"][0]["rejected"][0];
    assert_eq!(
        (shown["resource"].as_str(), shown["reason"].as_str()),
        (Some("inbound/self"), Some("ports[0].protocol: not set"))
    );
    let (_, metrics) = http(&control.admin[0], "GET", "/metrics").await;
    assert!(
        metrics.contains("pilot_total_xds_rejects{type=\"mesh\"} 1"),
        "{metrics}"
    );
    control.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_resends_nothing_that_the_proxy_holds() {
    let control = Control::start().await;
    let mut proxy = control.proxy(HashMap::new()).await;
    let response = proxy.take().await;
    let known: HashMap<String, String> = response
        .upsert
        .iter()
        .map(|resource| (resource.name.clone(), resource.version.clone()))
        .collect();
    let before = get_json(&control.admin[0], "/v1/status").await;
    let dir = control.stop().await;
    let status = proxy.response().await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status}");

    let control = Control::start_in(dir).await;
    let after = get_json(&control.admin[0], "/v1/status").await;
    assert_eq!(before["digest"], after["digest"]);
    let number =
        |status: &serde_json::Value| status["revision"].as_str().unwrap().parse::<u64>().unwrap();
    assert!(
        number(&after) > number(&before),
        "a new process continues above the last number"
    );

    let mut proxy = control.proxy(known).await;
    let response = proxy.take().await;
    assert_eq!((names(&response), response.removed.len()), (vec![], 0));
    // What it asks for anew it gets.
    let subscribe = vec!["routes/reviews.default:9080".to_owned()];
    proxy
        .send(DiscoveryRequest {
            subscribe,
            ..DiscoveryRequest::default()
        })
        .await;
    assert_eq!(names(&proxy.take().await), ["routes/reviews.default:9080"]);
    control.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_file_is_named_and_the_old_configuration_stays() {
    let mut control = Control::start().await;
    let before = Arc::clone(&control.published.borrow());
    fs::write(
        control.file("reviews.yaml"),
        SERVICE.replace("selector:", "selektor:"),
    )
    .unwrap();
    let broken = control
        .until("a problem", |published| !published.problems.is_empty())
        .await;
    let line = meshd_core::ProblemLine(&broken.problems[0]).to_string();
    assert!(
        line.contains("reviews.yaml:6:") && line.contains("error"),
        "{line}"
    );
    assert_eq!(
        (before.revision, &before.digest),
        (broken.revision, &broken.digest)
    );
    let problems = get_json(&control.admin[0], "/v1/problems").await;
    assert_eq!(problems["problems"][0]["severity"], "SEVERITY_ERROR");
    assert_eq!(get_json(&control.admin[0], "/v1/status").await["errors"], 1);

    fs::write(control.file("reviews.yaml"), b"\xff").unwrap();
    let broken = control
        .until("a file that is no text", |p| {
            p.problems.iter().any(|p| p.message.contains("UTF-8"))
        })
        .await;
    assert_eq!(before.digest, broken.digest);

    fs::write(control.file("reviews.yaml"), SERVICE).unwrap();
    control
        .until("no problem", |published| published.problems.is_empty())
        .await;
    // An editor that moves the old file away, and one that renames a new one into its place.
    fs::rename(control.file("reviews.yaml"), control.file("reviews.yaml~")).unwrap();
    fs::write(
        control.file(".reviews.tmp"),
        SERVICE.replace("9080", "9081"),
    )
    .unwrap();
    fs::rename(control.file(".reviews.tmp"), control.file("reviews.yaml")).unwrap();
    let changed = control
        .until("a change", |published| published.digest != before.digest)
        .await;
    assert_eq!(
        changed.revision,
        before.revision + 1,
        "one revision, not one without the service between"
    );
    control.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_that_does_not_answer_holds_up_nobody() {
    let control = Control::start().await;
    let mut silent = control.proxy(HashMap::new()).await;
    let unanswered = silent.response().await.unwrap();
    let credentials = control.credentials("spiffe://cluster.local/ns/default/sa/any");
    let other = channel(&control.discovery[0], &control.roots, Some(&credentials)).await;
    let mut other = Proxy::start(other, first("default/any", &ROOTS, HashMap::new()))
        .await
        .unwrap();
    other.take().await;
    for n in 2..6 {
        fs::write(
            control.file("more.yaml"),
            workload("reviews-v2", &format!("10.0.0.{n}")),
        )
        .unwrap();
        other.take().await;
    }
    let newest = control.published.borrow().revision;
    assert_eq!(
        http(&control.admin[0], "GET", "/v1/wait?timeout=0").await.0,
        504
    );
    silent.ack(&unanswered, Vec::new()).await;
    let latest = silent.take().await;
    assert_eq!(
        (latest.revision, names(&latest)),
        (newest, vec!["workload/default/reviews-v2"]),
        "the latest wins"
    );
    assert_eq!(http(&control.admin[0], "GET", "/v1/wait").await.0, 200);
    control.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_feeds_configuration() {
    let control = Control::start().await;
    let mut proxy = control.proxy(HashMap::new()).await;
    proxy.take().await;
    let edit = Edit::new()
        .set("a", workload("reviews-v3", "10.0.0.3"))
        .set("b", workload("reviews-v4", "10.0.0.4"));
    let published = control.config.apply(edit).await.unwrap();
    let response = proxy.take().await;
    assert_eq!(response.revision, published.revision);
    assert_eq!(
        names(&response),
        ["workload/default/reviews-v3", "workload/default/reviews-v4"]
    );
    let same = control
        .config
        .apply(Edit::new().set("a", workload("reviews-v3", "10.0.0.3")))
        .await
        .unwrap();
    assert_eq!(same.revision, published.revision, "nothing changed");
    control
        .config
        .apply(Edit::new().remove("a").remove("b"))
        .await
        .unwrap();
    assert_eq!(proxy.take().await.removed.len(), 2);
    let config = control.config.clone();
    control.stop().await;
    assert!(config.apply(Edit::new()).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_operator_sees_everything() {
    let control = Control::start().await;
    let services = get_json(&control.admin[0], "/v1/services").await;
    assert_eq!(
        services["services"][0]["hostname"],
        "reviews.default.svc.cluster.local"
    );
    let world = get_json(&control.admin[0], "/debug/world").await;
    assert_eq!(world["workloads"][0]["identity"], REVIEWS);
    for (method, path, code) in [
        ("GET", "/", 200),
        ("GET", "/healthz", 200),
        ("GET", "/readyz", 200),
        ("GET", "/nothing", 404),
        ("GET", "/v1/wait?revision=x", 400),
        ("GET", "/v1/wait?revision=99999&timeout=0", 504),
        ("POST", "/log?level=debug", 501),
    ] {
        assert_eq!(
            http(&control.admin[0], method, path).await.0,
            code,
            "{path}"
        );
    }
    control.stop().await;
}
