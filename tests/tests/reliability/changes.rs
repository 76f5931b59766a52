//! Configuration, certificates, endpoints, control plane and proxies change under load.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bytes::Bytes;
use http::Method;
use mesh_tests::LaptopMesh;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::load::{Load, Shape};
use crate::place::duration;
use crate::proxy::until;

pub const MESH: &str = "\
apiVersion: mesh.dev/v1alpha1
kind: Mesh
metadata: {name: reliability}
spec:
  namespace: default
  workloads:
    - &details
      name: details-v1
      serviceAccount: details
      labels: {app: details, version: v1}
      ports: [{name: http, port: 9080}]
      command: [meshctl, sample, bookinfo, details, --version, v1]
    - {<<: *details, name: details-v2, labels: {app: details, version: v2}}
    - name: caller
      serviceAccount: caller
      labels: {app: caller}
      ports: [{name: http, port: 9080}]
      command: [meshctl, sample, bookinfo, ratings, --version, v1]
";

pub const SUBSETS: &str = "\
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: details}
spec:
  host: details
  subsets:
  - {name: v1, labels: {version: v1}}
  - {name: v2, labels: {version: v2}}
";

pub const SHAPE: Shape = Shape {
    keeping: 4,
    opening: 2,
    pause: Duration::from_millis(2),
};

pub fn routes(weights: &[(&str, u32)]) -> String {
    let routes: Vec<_> = weights
        .iter()
        .map(|(subset, weight)| {
            format!("{{destination: {{host: details, subset: {subset}}}, weight: {weight}}}")
        })
        .collect();
    format!(
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: details}}\nspec: {{hosts: [details], http: [{{route: [{}]}}]}}\n",
        routes.join(", ")
    )
}

/// Lets the caller call, among so many others.
fn policy(others: usize) -> String {
    let mut principals = vec!["cluster.local/ns/default/sa/caller".to_owned()];
    principals.extend((0..others).map(|n| format!("cluster.local/ns/default/sa/other-{n}")));
    format!(
        "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {{name: details}}\nspec:\n  selector: {{matchLabels: {{app: details}}}}\n  action: ALLOW\n  rules: [{{from: [{{source: {{principals: [{}]}}}}]}}]\n",
        principals.join(", ")
    )
}

fn peers(mode: &str) -> String {
    format!(
        "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {{name: default}}\nspec: {{mtls: {{mode: {mode}}}}}\n"
    )
}

async fn configuration(mesh: &LaptopMesh) -> anyhow::Result<()> {
    mesh.apply("subsets.yaml", Some(SUBSETS)).await?;
    for weights in [
        &[("v1", 100)][..],
        &[("v1", 50), ("v2", 50)],
        &[("v2", 100)],
    ] {
        mesh.apply("routes.yaml", Some(&routes(weights))).await?;
    }
    for others in [0, 3, 1] {
        mesh.apply("policy.yaml", Some(&policy(others))).await?;
    }
    for mode in ["STRICT", "PERMISSIVE"] {
        mesh.apply("peers.yaml", Some(&peers(mode))).await?;
    }
    for file in ["routes.yaml", "subsets.yaml", "policy.yaml", "peers.yaml"] {
        mesh.apply(file, None).await?;
    }
    Ok(())
}

async fn certificates(mesh: &LaptopMesh) -> anyhow::Result<()> {
    for workload in ["details-v1", "details-v2", "caller"] {
        // It answers with a line of text.
        let _ = mesh
            .proxy(workload, Method::POST, "/v1/rotate", Bytes::new())
            .await;
    }
    Ok(())
}

/// Processes of the mesh with this in their command line.
pub fn process(mesh: &LaptopMesh, with: &[&str]) -> anyhow::Result<Pid> {
    let parent = format!("PPid:\t{}\n", mesh.id()?);
    let all = fs::read_dir("/proc")?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let found = all.filter(|name| name.parse::<i32>().is_ok()).find(|name| {
        let read = |file: &str| fs::read_to_string(format!("/proc/{name}/{file}"));
        let (Ok(status), Ok(line)) = (read("status"), read("cmdline")) else {
            return false;
        };
        let words: Vec<_> = line.split('\0').collect();
        status.contains(&parent) && with.iter().all(|word| words.contains(word))
    });
    Ok(Pid::from_raw(found.context("the process runs")?.parse()?))
}

async fn control_plane(mesh: &LaptopMesh) -> anyhow::Result<()> {
    let state = mesh.state().display().to_string();
    let old = process(mesh, &["--state-dir", &state])?;
    kill(old, Signal::SIGKILL)?;
    let new = || process(mesh, &["--state-dir", &state]).is_ok_and(|new| new != old);
    until("the control plane runs again", new).await;
    let deadline = Instant::now() + mesh_tests::laptop::LIMIT;
    while mesh.settle().await.is_err() {
        anyhow::ensure!(Instant::now() < deadline, "the control plane is not back");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    all_connected(mesh).await
}

async fn drain(mesh: &LaptopMesh, workload: &str) -> anyhow::Result<()> {
    let name = format!("default/{workload}");
    let old = process(mesh, &["--workload", &name, "--on-ready"])?;
    kill(old, Signal::SIGTERM)?;
    let new = || process(mesh, &["--workload", &name, "--on-ready"]).is_ok_and(|new| new != old);
    until("another process serves", new).await;
    all_connected(mesh).await
}

/// Waits until every proxy is served by the control plane: who drains next is known to be gone by
/// those that call it, and who has drained is known to be back.
async fn all_connected(mesh: &LaptopMesh) -> anyhow::Result<()> {
    let deadline = Instant::now() + mesh_tests::laptop::LIMIT;
    for workload in ["details-v1", "details-v2", "caller"] {
        let connected = || async {
            let status = mesh.proxy(workload, Method::GET, "/v1/status", Bytes::new());
            let status = status.await;
            status.is_ok_and(|status| status["ready"] == true && status["connected"] == true)
        };
        while !connected().await {
            anyhow::ensure!(Instant::now() < deadline, "{workload} is not connected");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    mesh.settle().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_changes_fails_a_request() {
    let mesh = tokio::task::block_in_place(|| LaptopMesh::start(MESH, &[])).unwrap();
    let load = Load::ask(mesh.explicit("caller").unwrap(), "details:9080", SHAPE);
    load.more(50).await;
    let end = Instant::now() + duration(Duration::from_secs(15));
    let mut rounds = 0;
    while rounds == 0 || Instant::now() < end {
        configuration(&mesh).await.unwrap();
        load.reached("configuration", 20).await;
        certificates(&mesh).await.unwrap();
        load.reached("certificates", 20).await;
        control_plane(&mesh).await.unwrap();
        load.reached("a killed control plane", 20).await;
        for workload in ["details-v1", "details-v2"] {
            drain(&mesh, workload).await.unwrap();
            load.reached(workload, 50).await;
        }
        rounds += 1;
    }
    let requests = load.stop().await;
    println!("{requests} requests, {rounds} rounds of all changes");
    tokio::task::block_in_place(|| mesh.stop()).unwrap();
}

/// A service of which endpoints come and go; all are the same two processes in truth.
fn endpoint(number: usize, address: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {{name: churn-{number}}}\nspec:\n  address: {address}\n  labels: {{app: churn, security.istio.io/tlsMode: istio}}\n  serviceAccount: details\n  ports: {{http: 9080}}\n"
    )
}

const CHURN: &str = "\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: churn}
spec:
  hosts: [churn.example]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 9080, name: http, protocol: HTTP}]
  workloadSelector: {labels: {app: churn}}
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endpoints_that_come_and_go_fail_no_request() {
    let mesh = tokio::task::block_in_place(|| LaptopMesh::start(MESH, &[])).unwrap();
    let address = |name: &str| {
        let workload = mesh.workload(name).unwrap();
        workload["address"].as_str().unwrap().to_owned()
    };
    let addresses = [address("details-v1"), address("details-v2")];
    let entry = |number: usize| endpoint(number, &addresses[number % 2]);
    mesh.apply("churn.yaml", Some(CHURN)).await.unwrap();
    mesh.apply("endpoint-0.yaml", Some(&entry(0)))
        .await
        .unwrap();
    let load = Load::ask(
        mesh.explicit("caller").unwrap(),
        "churn.example:9080",
        SHAPE,
    );
    load.more(50).await;
    let end = Instant::now() + duration(Duration::from_secs(8));
    let mut ticks = tokio::time::interval(Duration::from_millis(100));
    let mut changes = 0;
    while Instant::now() < end {
        ticks.tick().await;
        // Five of them there at a time, besides the one that stays.
        let number = 1 + changes % 10;
        let gone = 1 + (changes + 5) % 10;
        let file = |number: usize| mesh.config().join(format!("endpoint-{number}.yaml"));
        fs::write(file(number), entry(number)).unwrap();
        let _ = fs::remove_file(file(gone));
        changes += 1;
    }
    let requests = load.stop().await;
    println!("{requests} requests, {changes} times an endpoint came and one went");
    tokio::task::block_in_place(|| mesh.stop()).unwrap();
}
