//! Everything is restarted, as `kubectl rollout restart` does, while requests run.

use std::time::Instant;

use k8s_openapi::api::apps::v1::Deployment;
use kube::Api;

use crate::bookinfo::PAGES;
use crate::load::Load;
use crate::place::{self, Place};

#[test]
fn a_rolling_restart_of_everything_fails_no_request() -> anyhow::Result<()> {
    place::run("rolling", rolling)
}

async fn rolling(place: &Place) -> anyhow::Result<()> {
    let (to, host) = place.bookinfo_of_two().await?;
    let mut failed = Vec::new();
    let mesh: Api<Deployment> = place.mesh_api();
    let home = place.cluster.mesh_namespace();
    for (what, namespace, api) in [
        ("the applications", place.namespace.as_str(), place.api()),
        ("the mesh", home, mesh),
    ] {
        let mut load = Load::start(to, &host, &PAGES);
        load.more(50).await?;
        let began = Instant::now();
        let mut restarted = Vec::new();
        for name in place.deployments(&api).await? {
            place.restart(&api, &name).await?;
            println!("restarted {name} after {} ms", began.elapsed().as_millis());
            restarted.push(name);
        }
        place.none_ending(namespace).await?;
        place.settle().await?;
        load.more(50).await?;
        let report = load.stop(began).await?;
        let title = format!("rolling restart of {what} ({})", restarted.join(", "));
        failed.extend(report.none_failed(&title).err());
    }
    match failed.into_iter().next() {
        Some(error) => Err(error),
        None => Ok(()),
    }
}
