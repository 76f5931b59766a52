//! Tokens of service accounts that are not for the mesh get no certificate.

use anyhow::{Context, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{LogParams, PostParams};
use serde_json::{Value, json};

use crate::inject::{injected, pod};
use crate::place::{self, Place};
use crate::pods::is_ready;

const PROXY: &str = "istio-proxy";

#[test]
fn a_token_for_another_audience_gets_no_certificate() -> anyhow::Result<()> {
    place::run("tokens", tokens)
}

async fn tokens(place: &Place) -> anyhow::Result<()> {
    let pods: Api<Pod> = place.api();
    // The same pods but for what the API server signs into their tokens.
    let good = injected(place, &pod(place, "mine", &json!({}))).await?;
    let mut bad = injected(place, &pod(place, "elsewhere", &json!({}))).await?;
    let audience = audience(&mut bad).context("the pod has a token for the mesh")?;
    ensure!(*audience == "istio-ca", "the mesh's audience: {audience}");
    *audience = json!("elsewhere");
    for one in [&bad, &good] {
        let one: Pod = serde_json::from_value(one.clone())?;
        pods.create(&PostParams::default(), &one).await?;
    }
    let refused = place.poll("the refusal of its token", async || {
        let of_proxy = LogParams {
            container: Some(PROXY.to_owned()),
            ..LogParams::default()
        };
        // There is no log before its container runs.
        let log = pods.logs("elsewhere", &of_proxy).await.unwrap_or_default();
        let told = |line: &&str| line.contains("no certificate") && line.contains("audience");
        Ok(log.lines().find(told).map(ToOwned::to_owned))
    });
    println!("tokens: {}", refused.await?);
    place
        .until(pods.clone(), "mine", "ready", is_ready())
        .await?;
    let bad = serde_json::to_value(pods.get("elsewhere").await?)?;
    let started = bad
        .pointer("/status/initContainerStatuses")
        .and_then(Value::as_array)
        .and_then(|all| all.iter().find(|one| one["name"] == PROXY))
        .is_some_and(|proxy| proxy["started"] == true);
    ensure!(!started, "the proxy serves without a certificate: {bad:#}");
    Ok(())
}

/// The audience of the token that the proxy shows.
fn audience(pod: &mut Value) -> Option<&mut Value> {
    let volumes = pod.pointer_mut("/spec/volumes")?.as_array_mut()?;
    volumes.iter_mut().find_map(|volume| {
        let sources = volume.pointer_mut("/projected/sources")?.as_array_mut()?;
        sources
            .iter_mut()
            .find_map(|source| source.pointer_mut("/serviceAccountToken/audience"))
    })
}
