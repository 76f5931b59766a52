//! The whole tour, by the command that users type.

use std::time::Duration;

use anyhow::ensure;
use kube::Api;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, ListParams};
use serde_json::Value;

use crate::place::{self, Place, succeeded};

const TOUR: Duration = Duration::from_secs(20 * 60);

#[test]
fn the_tour_passes() -> anyhow::Result<()> {
    place::run("tour", tour)
}

async fn tour(place: &Place) -> anyhow::Result<()> {
    the_only_one(place).await?;
    place.bookinfo().await?;
    place
        .apply_file("samples/bookinfo/config/base", |_| {})
        .await?;
    let mut command = place.meshctl();
    command.args(["demo", "--check"]).args(place.options());
    if let Ok(gateway) = std::env::var("MESH_TEST_GATEWAY") {
        command.args(["--gateway", &gateway]);
    }
    let printed = succeeded(place.run(command, TOUR).await?)?;
    let passed = printed.lines().filter(|line| line.trim() == "PASS").count();
    println!("{printed}\ntour: {passed} steps passed");
    ensure!(passed > 0, "no step was taken:\n{printed}");
    ensure!(!printed.contains("FAIL"), "a step failed:\n{printed}");
    Ok(())
}

/// The sample takes every host of the gateway, so there has to be nobody else who does.
async fn the_only_one(place: &Place) -> anyhow::Result<()> {
    let kind = GroupVersionKind::gvk("networking.istio.io", "v1", "Gateway");
    let client = place.cluster.client().clone();
    let api: Api<DynamicObject> = Api::all_with(client, &ApiResource::from_gvk(&kind));
    let all = api.list(&ListParams::default()).await?;
    let others = all.items.into_iter().filter(|gateway| {
        let servers = gateway
            .data
            .pointer("/spec/servers")
            .and_then(Value::as_array);
        let mut hosts = servers
            .into_iter()
            .flatten()
            .filter_map(|server| server.get("hosts")?.as_array())
            .flatten();
        hosts.any(|host| host == "*")
    });
    let others = others
        .map(|gateway| gateway.metadata)
        .filter(|metadata| metadata.namespace.as_ref() != Some(&place.namespace))
        .map(|metadata| {
            format!(
                "{}/{}",
                metadata.namespace.unwrap_or_default(),
                metadata.name.unwrap_or_default()
            )
        })
        .collect::<Vec<_>>();
    ensure!(
        others.is_empty(),
        "the tour needs a gateway for all hosts, and these Gateways take them already: {}; delete them first",
        others.join(", ")
    );
    Ok(())
}
