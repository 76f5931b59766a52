//! The webhook and `meshctl inject` make the same of a pod.

use std::fs;
use std::time::Duration;

use anyhow::{Context, ensure};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::Api;
use kube::api::PostParams;
use meshctl::cluster::documents;
use serde_json::{Value, json};

use crate::place::{self, Place, details_image, succeeded};

#[test]
fn the_webhook_and_the_command_give_the_same_pod() -> anyhow::Result<()> {
    place::run("inject", inject)
}

async fn inject(place: &Place) -> anyhow::Result<()> {
    let cases = [
        ("plain", json!({})),
        (
            "hold",
            json!({"proxy.istio.io/config": "holdApplicationUntilProxyStarts: true"}),
        ),
        (
            "ports",
            json!({
                "traffic.sidecar.istio.io/excludeOutboundPorts": "5432",
                "traffic.sidecar.istio.io/includeInboundPorts": "9080",
                "sidecar.istio.io/proxyCPU": "20m",
            }),
        ),
    ];
    for (name, annotations) in &cases {
        let (by_webhook, by_command) = both(place, &pod(place, name, annotations)).await?;
        let containers = by_webhook
            .pointer("/spec/initContainers")
            .and_then(Value::as_array);
        ensure!(
            containers.is_some_and(|all| !all.is_empty()),
            "{name}: the webhook has put nothing into the pod: {by_webhook:#}"
        );
        for part in ["/metadata/labels", "/metadata/annotations", "/spec"] {
            let (webhook, command) = (by_webhook.pointer(part), by_command.pointer(part));
            ensure!(
                webhook == command,
                "{name}: {part} differs\nwebhook: {:#}\nmeshctl inject: {:#}",
                webhook.unwrap_or(&Value::Null),
                command.unwrap_or(&Value::Null)
            );
        }
    }
    println!(
        "inject: {} pods, the same by webhook and by command",
        cases.len()
    );
    Ok(())
}

/// The pod as the API server would store it: injected by its webhook, and injected before.
async fn both(place: &Place, pod: &Value) -> anyhow::Result<(Value, Value)> {
    let injected = injected(place, pod).await?;
    Ok((stored(place, pod).await?, stored(place, &injected).await?))
}

/// What `meshctl inject` makes of a pod, with the settings of the cluster.
pub(crate) async fn injected(place: &Place, pod: &Value) -> anyhow::Result<Value> {
    let maps: Api<ConfigMap> = place.mesh_api();
    let map = maps.get("mesh-inject").await?;
    let settings = map.data.and_then(|mut data| data.remove("config.yaml"));
    let directory = tempfile::tempdir()?;
    let (input, config) = (
        directory.path().join("pod.json"),
        directory.path().join("inject.yaml"),
    );
    fs::write(&input, serde_json::to_vec(pod)?)?;
    fs::write(
        &config,
        settings.context("ConfigMap mesh-inject has config.yaml")?,
    )?;
    let mut command = place.meshctl();
    command
        .args(["inject", "-o", "json", "-n", &place.namespace, "-f"])
        .arg(&input)
        .arg("--inject-config")
        .arg(&config);
    let printed = succeeded(place.run(command, Duration::from_secs(30)).await?)?;
    let injected = documents(&printed)?;
    let injected = injected.first().context("the command prints a pod")?;
    Ok(injected.clone())
}

/// What the API server makes of an object, without keeping it.
async fn stored(place: &Place, object: &Value) -> anyhow::Result<Value> {
    let pods: Api<Pod> = place.api();
    let object: Pod = serde_json::from_value(object.clone())?;
    let how = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    let made = pods.create(&how, &object).await?;
    Ok(serde_json::to_value(made)?)
}

/// A pod with one application.
pub(crate) fn pod(place: &Place, name: &str, annotations: &Value) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": place.namespace,
            "labels": {"app": name, "version": "v1"},
            "annotations": annotations,
        },
        "spec": {
            // The API server mounts its token in its own order.
            "automountServiceAccountToken": false,
            "containers": [{
                "name": "app",
                "image": details_image(),
                "ports": [{"name": "http", "containerPort": 9080}],
                "readinessProbe": {"httpGet": {"path": "/health", "port": "http"}},
            }],
        },
    })
}
