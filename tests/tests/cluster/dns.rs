//! Names of ServiceEntries are answered inside of application containers, by the sidecar.

use anyhow::{Context, ensure};
use k8s_openapi::api::apps::v1::Deployment;
use serde_json::Value;

use crate::place::{self, Place, details_image};

/// A name that no DNS server has, with an address of its own.
const NAME: &str = "ledger.mesh-test.invalid";

const APPLICATIONS: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: asker}
spec:
  selector: {matchLabels: {app: asker}}
  template:
    metadata: {labels: {app: asker}}
    spec:
      containers: [{name: app, image: IMAGE, imagePullPolicy: IfNotPresent}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: ledger}
spec:
  selector: {matchLabels: {app: ledger}}
  template:
    metadata:
      labels: {app: ledger, sidecar.istio.io/inject: 'false'}
    spec:
      containers:
        - name: app
          image: IMAGE
          imagePullPolicy: IfNotPresent
          readinessProbe: {httpGet: {path: /health, port: 9080}, periodSeconds: 1}
";

const ENTRY: &str = "
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: ledger}
spec:
  hosts: [NAME]
  addresses: [240.240.77.7]
  location: MESH_EXTERNAL
  resolution: STATIC
  ports: [{number: 80, name: http, protocol: HTTP, targetPort: 9080}]
  endpoints: [{address: ADDRESS}]
";

#[test]
fn a_service_entry_is_found_by_its_name() -> anyhow::Result<()> {
    place::run("dns", dns)
}

async fn dns(place: &Place) -> anyhow::Result<()> {
    place
        .apply(&APPLICATIONS.replace("IMAGE", &details_image()))
        .await?;
    place.deployments_ready().await?;
    let ledger = ready_pod(place, "ledger").await?;
    let address = ledger
        .address
        .context("the pod has an address")?
        .to_string();
    let entry = ENTRY.replace("NAME", NAME).replace("ADDRESS", &address);
    let asker = ready_pod(place, "asker").await?;
    let url = format!("http://{NAME}/details/0");
    let before = place.call(&asker, &[&url]).await?;
    ensure!(
        before.get("status").and_then(Value::as_u64) != Some(200),
        "the name has an answer before anybody declares it: {before}"
    );
    place.apply(&entry).await?;
    place.settle().await?;
    let answer = place.call(&asker, &["--count", "1", &url]).await?;
    ensure!(
        answer.get("status").and_then(Value::as_u64) == Some(200),
        "no answer from {NAME}: {answer}"
    );
    // What nobody declares is asked of the cluster's DNS.
    let forwarded = place
        .call(
            &asker,
            &["http://kubernetes.default.svc.cluster.local:443/"],
        )
        .await?;
    let error = forwarded
        .get("error")
        .and_then(Value::as_str)
        .unwrap_or_default();
    ensure!(
        !error.contains("resolve") && !error.contains("lookup"),
        "the cluster's own names have no answer: {forwarded}"
    );
    println!(
        "dns: {NAME} resolves in {} and reaches {}",
        asker.name, ledger.name
    );
    Ok(())
}

async fn ready_pod(place: &Place, name: &str) -> anyhow::Result<meshctl::cluster::PodInfo> {
    let deployments: kube::Api<Deployment> = place.api();
    deployments.get(name).await?;
    let pods = place
        .cluster
        .list_pods(Some(&place.namespace), &format!("app={name}"))
        .await?;
    pods.into_iter()
        .find(|pod| pod.ready)
        .with_context(|| format!("no pod of {name} is ready"))
}
