//! The kubelet's probes of a workload that takes nothing but mutual TLS.

use anyhow::ensure;
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::Api;
use kube::api::{ListParams, PostParams};
use serde_json::{Value, json};

use crate::place::{self, Place, details_image};
use crate::pods::is_ready;

const STRICT: &str = "\
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default}
spec: {mtls: {mode: STRICT}}
";

#[test]
fn probes_pass_under_strict_mutual_tls() -> anyhow::Result<()> {
    place::run("probes", probes)
}

async fn probes(place: &Place) -> anyhow::Result<()> {
    place.apply(STRICT).await?;
    place.settle().await?;
    let pods: Api<Pod> = place.api();
    let good = json!({
        "startupProbe": {"httpGet": {"path": "/health", "port": "http"}, "periodSeconds": 1},
        "readinessProbe": {"httpGet": {"path": "/health", "port": 9080}, "periodSeconds": 1},
        "livenessProbe": {"tcpSocket": {"port": 9080}, "periodSeconds": 1},
    });
    let tcp = json!({"readinessProbe": {"tcpSocket": {"port": "http"}, "periodSeconds": 1}});
    let bad = json!({
        "readinessProbe": {"httpGet": {"path": "/no-such-page", "port": 9080}, "periodSeconds": 1},
    });
    for (name, probes) in [("http", &good), ("tcp", &tcp), ("bad", &bad)] {
        let pod: Pod = serde_json::from_value(pod(name, probes))?;
        pods.create(&PostParams::default(), &pod).await?;
    }
    let ready = async {
        place
            .until(pods.clone(), "http", "ready", is_ready())
            .await?;
        place.until(pods.clone(), "tcp", "ready", is_ready()).await
    };
    tokio::select! {
        ready = ready => ready?,
        missing = place.missing_image() => anyhow::bail!(Place::image_advice(&missing?)),
    }
    // The probe has to reach the application, or everything would pass.
    let why = place
        .poll("a failure of the bad probe", async || {
            let events: Api<Event> = place.api();
            let about = ListParams::default().fields("involvedObject.name=bad,reason=Unhealthy");
            let events = events.list(&about).await?;
            let mut messages = events.items.into_iter().filter_map(|event| event.message);
            Ok(messages.find(|message| message.contains("404")))
        })
        .await?;
    // From outside of the mesh nothing else gets in.
    for name in ["http", "tcp"] {
        let pod = pods.get(name).await?;
        let statuses = pod.status.and_then(|status| status.container_statuses);
        let restarts = statuses
            .iter()
            .flatten()
            .map(|one| one.restart_count)
            .sum::<i32>();
        ensure!(restarts == 0, "{name} was restarted {restarts} times");
    }
    println!("probes: HTTP and TCP pass under STRICT; a bad one fails: {why}");
    Ok(())
}

fn pod(name: &str, probes: &Value) -> Value {
    let mut container = json!({
        "name": "app",
        "image": details_image(),
        "imagePullPolicy": "IfNotPresent",
        "ports": [{"name": "http", "containerPort": 9080}],
    });
    let fields = probes.as_object().into_iter().flatten();
    if let Some(container) = container.as_object_mut() {
        container.extend(fields.map(|(key, value)| (key.clone(), value.clone())));
    }
    json!({"metadata": {"name": name, "labels": {"app": name}}, "spec": {"containers": [container]}})
}
