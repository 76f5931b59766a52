//! Parts of the mesh are killed, one at a time, while requests run.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod};
use kube::Api;
use kube::api::{DeleteParams, PostParams};
use meshctl::cluster::PodInfo;
use serde_json::json;

use crate::bookinfo::PAGES;
use crate::load::{CLIENTS, Load};
use crate::place::{self, Place};
use crate::pods::rolled_out;

/// Requests before something is killed, and after it has come back.
const BEFORE: u64 = 80;
const AFTER: u64 = 120;
/// What kube-proxy may take on a node to send nothing more to a pod that is gone.
const NODE: Duration = Duration::from_secs(3);
const RESTART_API_SERVER: &str = "MESH_TEST_RESTART_API_SERVER";
const RESTART_NODE_PROXY: &str = "MESH_TEST_RESTART_NODE_PROXY";
const KILL_CONTAINER: &str = "MESH_TEST_KILL_CONTAINER";

#[test]
fn what_is_killed_takes_only_its_own_requests_along() -> anyhow::Result<()> {
    place::run("kills", kills)
}

async fn kills(place: &Place) -> anyhow::Result<()> {
    let (to, host) = place.bookinfo_of_two().await?;
    let load = || Load::start(to, &host, &PAGES);
    let mut failed = Vec::new();
    let mut outcomes = vec![
        (
            "an application pod deleted",
            application(place, load()).await,
        ),
        (
            "a sidecar ended and restarted",
            sidecar(place, load()).await,
        ),
        ("meshd killed", meshd(place, load()).await),
        ("a gateway killed", gateway(place, load()).await),
    ];
    if let Some(kill) = told(
        KILL_CONTAINER,
        "for kind: docker exec mesh-control-plane ctr -n k8s.io task kill -s SIGKILL $CONTAINER",
    ) {
        for deployment in ["details-v1", "productpage-v1"] {
            let outcome = sidecar_container(place, load(), deployment, &kill).await;
            outcomes.push(("the container of a sidecar killed", outcome));
        }
    }
    if let Some(restart) = told(
        RESTART_NODE_PROXY,
        "for kind: docker exec mesh-control-plane sh -c 'kill -9 $(pidof kube-proxy)'",
    ) {
        let outcome = node_proxy(place, load(), &restart).await;
        outcomes.push(("the node's proxy killed", outcome));
    }
    if let Some(restart) = told(
        RESTART_API_SERVER,
        "for kind: docker exec mesh-control-plane sh -c 'kill -9 $(pidof kube-apiserver)'",
    ) {
        let outcome = api_server(place, load(), &restart).await;
        outcomes.push(("the API server restarted", outcome));
    }
    for (what, outcome) in outcomes {
        match outcome {
            Ok(()) => println!("PASS {what}"),
            Err(error) => {
                println!("FAIL {what}: {error:#}");
                failed.push(what);
            }
        }
    }
    ensure!(failed.is_empty(), "failed: {}", failed.join(", "));
    Ok(())
}

/// A command from outside of the cluster that its user has to give.
fn told(variable: &str, example: &str) -> Option<String> {
    let command = std::env::var(variable).ok();
    if command.is_none() {
        println!("NOT TESTED: set {variable} to a command, {example}");
    }
    command
}

/// With its grace period, as in every rollout and eviction: nothing may fail.
async fn application(place: &Place, mut load: Load) -> anyhow::Result<()> {
    load.more(BEFORE).await?;
    let began = Instant::now();
    for deployment in ["productpage-v1", "details-v1"] {
        let pod = place.pod_of(deployment).await?;
        place.end(&pod, false).await?;
        replaced(place, &pod, deployment).await?;
    }
    load.more(AFTER).await?;
    load.stop(began)
        .await?
        .none_failed("an application pod deleted")
}

/// The proxy of one of two pods ends; what was in flight there may fail.
async fn sidecar(place: &Place, mut load: Load) -> anyhow::Result<()> {
    load.more(BEFORE).await?;
    let pod = place.pod_of("details-v1").await?;
    let (before, _) = proxy_of(place, &pod).await?;
    let began = Instant::now();
    place
        .call(&pod, &["-X", "POST", "http://127.0.0.1:15020/quitquitquit"])
        .await?;
    place
        .poll("the restart of the sidecar", async || {
            let again = proxy_of(place, &pod).await?.0 > before;
            let pods = place.pods_of("details-v1").await?;
            let ready = pods.iter().any(|one| one.name == pod.name);
            Ok((again && ready).then_some(()))
        })
        .await?;
    load.more(AFTER).await?;
    let report = load.stop(began).await?;
    report.at_most("a sidecar ended and restarted", CLIENTS)
}

/// The same without a chance to say good-bye: what was in flight there fails, and nothing after.
async fn sidecar_container(
    place: &Place,
    mut load: Load,
    deployment: &str,
    kill: &str,
) -> anyhow::Result<()> {
    load.more(BEFORE).await?;
    let pod = place.pod_of(deployment).await?;
    let (before, id) = proxy_of(place, &pod).await?;
    let began = Instant::now();
    shell(place, kill, Some(&id)).await?;
    let killed = Instant::now();
    place
        .poll("the restart of the sidecar", async || {
            let again = proxy_of(place, &pod).await?.0 > before;
            let pods = place.pods_of(deployment).await?;
            let ready = pods.iter().any(|one| one.name == pod.name);
            Ok((again && ready).then_some(()))
        })
        .await?;
    load.more(AFTER).await?;
    let mut report = load.stop(began).await?;
    let title = format!("the sidecar's container in {} killed", pod.name);
    report.at_most(&title, CLIENTS)?;
    report.failures.retain(|failure| failure.sent > killed);
    report.none_failed(&format!("{title}, without what was in flight"))
}

/// The rules that it has made stay; what it would have made comes when it is back. Meanwhile an
/// application pod is replaced: the mesh does not need it to find the new one.
async fn node_proxy(place: &Place, mut load: Load, restart: &str) -> anyhow::Result<()> {
    load.more(BEFORE).await?;
    let began = Instant::now();
    shell(place, restart, None).await?;
    let pod = place.pod_of("details-v1").await?;
    place.end(&pod, false).await?;
    replaced(place, &pod, "details-v1").await?;
    load.more(AFTER).await?;
    load.stop(began)
        .await?
        .none_failed("the node's proxy killed, then an application pod deleted")
}

async fn shell(place: &Place, script: &str, container: Option<&str>) -> anyhow::Result<()> {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command.envs(container.map(|id| ("CONTAINER", id)));
    place::succeeded(place.run(command, place::LIMIT).await?)?;
    Ok(())
}

/// All replicas at once and without grace: proxies go on with what they have.
async fn meshd(place: &Place, mut load: Load) -> anyhow::Result<()> {
    load.more(BEFORE).await?;
    let pods = mesh_pods(place, "app=meshd").await?;
    ensure!(!pods.is_empty(), "no meshd runs");
    let began = Instant::now();
    for pod in &pods {
        place.end(pod, true).await?;
    }
    let namespace = place.cluster.mesh_namespace();
    for name in controllers(&pods) {
        let api: Api<Deployment> = place.mesh_api();
        let gone = async || {
            let now = mesh_pods(place, "app=meshd").await?;
            let fresh = now
                .iter()
                .all(|pod| pods.iter().all(|old| old.name != pod.name));
            Ok((fresh && now.len() >= pods.len()).then_some(()))
        };
        place.poll(&format!("the return of {name}"), gone).await?;
        place
            .until(api, &name, "rolled out", rolled_out)
            .await
            .with_context(|| format!("in namespace {namespace}"))?;
    }
    place.settle().await?;
    load.more(AFTER).await?;
    load.stop(began).await?.none_failed("meshd killed")
}

/// One of two, without grace. What was in flight there fails, and connections that the node still
/// sends there; nobody gets an error of HTTP.
async fn gateway(place: &Place, load: Load) -> anyhow::Result<()> {
    let pods = place.gateway_pods().await?;
    let name = controllers(&pods).pop().context("no gateway runs")?;
    let api: Api<Deployment> = place.mesh_api();
    let before = place.scale(&api, &name, 2).await?;
    let outcome = kill_gateway(place, load, &name).await;
    place.scale(&api, &name, before).await?;
    outcome
}

async fn kill_gateway(place: &Place, mut load: Load, name: &str) -> anyhow::Result<()> {
    place.settle().await?;
    load.more(BEFORE).await?;
    let pods = place.gateway_pods().await?;
    ensure!(
        pods.len() == 2,
        "{} gateways are ready, not two",
        pods.len()
    );
    let victim = pods.first().context("there are two")?;
    let began = Instant::now();
    place.end(victim, true).await?;
    place
        .poll("the return of the gateway", async || {
            let now = place.gateway_pods().await?;
            let fresh = now.iter().all(|pod| pod.name != victim.name);
            Ok((fresh && now.len() == 2).then_some(()))
        })
        .await?;
    let api: Api<Deployment> = place.mesh_api();
    place.until(api, name, "rolled out", rolled_out).await?;
    load.more(AFTER).await?;
    let mut report = load.stop(began).await?;
    println!("a gateway killed: {report}");
    report
        .failures
        .retain(|failure| failure.answered || failure.sent > began + NODE);
    report.none_failed("a gateway killed, without what it took along")
}

/// Everything goes on without it, and follows it again afterwards.
async fn api_server(place: &Place, mut load: Load, restart: &str) -> anyhow::Result<()> {
    load.more(BEFORE).await?;
    let began = Instant::now();
    shell(place, restart, None).await?;
    place
        .poll("the return of the API server", async || {
            Ok(place.cluster.server_version().await.ok())
        })
        .await?;
    // A change reaches all proxies.
    place
        .apply(
            "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: after}\nspec: {host: after.example}\n",
        )
        .await?;
    place.settle().await?;
    roots_of_new_namespace(place).await?;
    load.more(AFTER).await?;
    load.stop(began)
        .await?
        .none_failed("the API server restarted")
}

/// The leader goes on with what it writes: without roots no pod starts in a new namespace.
async fn roots_of_new_namespace(place: &Place) -> anyhow::Result<()> {
    let name = format!("{}-later", place.namespace);
    let namespaces: Api<Namespace> = Api::all(place.cluster.client().clone());
    let wanted: Namespace = serde_json::from_value(json!({"metadata": {"name": name}}))?;
    namespaces.create(&PostParams::default(), &wanted).await?;
    let maps: Api<ConfigMap> = Api::namespaced(place.cluster.client().clone(), &name);
    let there = |map: Option<&ConfigMap>| map.is_some();
    let found = place.until(maps, "mesh-ca-root-cert", "in a new namespace", there);
    let found = found.await;
    namespaces
        .delete(&name, &DeleteParams::background())
        .await?;
    found
}

async fn mesh_pods(place: &Place, selector: &str) -> anyhow::Result<Vec<PodInfo>> {
    let namespace = place.cluster.mesh_namespace();
    let mut pods = place.cluster.list_pods(Some(namespace), selector).await?;
    pods.retain(|pod| pod.ready);
    Ok(pods)
}

fn controllers(pods: &[PodInfo]) -> Vec<String> {
    let mut names = pods
        .iter()
        .map(|pod| pod.controller.1.clone())
        .collect::<Vec<_>>();
    names.sort();
    names.dedup();
    names
}

/// Waits until a pod is gone and its Deployment has all of its pods again.
async fn replaced(place: &Place, pod: &PodInfo, deployment: &str) -> anyhow::Result<()> {
    let gone = |pod: Option<&Pod>| pod.is_none();
    place
        .until(place.api::<Pod>(), &pod.name, "gone", gone)
        .await?;
    place
        .until(place.api(), deployment, "rolled out", rolled_out)
        .await
}

/// How often the proxy of a pod has been restarted, and the id of its container.
async fn proxy_of(place: &Place, pod: &PodInfo) -> anyhow::Result<(i32, String)> {
    let pod = place.cluster.pods(&pod.namespace).get(&pod.name).await?;
    let status = pod.status.context("the pod has no status")?;
    let all = status.init_container_statuses.into_iter().flatten();
    let mut all = all.chain(status.container_statuses.into_iter().flatten());
    let proxy = all.find(|container| container.name == meshctl::cluster::PROXY_CONTAINER);
    let proxy = proxy.context("the pod has no proxy")?;
    let id = proxy.container_id.unwrap_or_default();
    // As `containerd://ID`.
    let id = id.rsplit('/').next().unwrap_or_default().to_owned();
    Ok((proxy.restart_count, id))
}
