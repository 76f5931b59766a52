//! The root of trust is replaced while requests run: to its end, over a change of the leader and a
//! restart of the control plane, and back again.

use std::time::{Duration, Instant};

use anyhow::ensure;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use kube::api::DeleteParams;
use serde_json::Value;

use crate::bookinfo::PAGES;
use crate::load::Load;
use crate::place::{self, Place, succeeded};

/// Requests before, and after.
const SOME: u64 = 50;
/// What a rotation may take with a restart in it.
const ROTATED: Duration = Duration::from_secs(120);

#[test]
fn the_root_is_replaced_and_no_request_fails() -> anyhow::Result<()> {
    place::run("rotation", rotation)
}

async fn rotation(place: &Place) -> anyhow::Result<()> {
    let (to, host) = place.bookinfo_of_two().await?;
    place.settle().await?;
    let mut failed = Vec::new();
    for (what, outcome) in [
        (
            "a rotation",
            under_load(place, Load::start(to, &host, &PAGES), Step::Whole).await,
        ),
        (
            "a rotation with another leader and a restart of the control plane",
            under_load(place, Load::start(to, &host, &PAGES), Step::Leaders).await,
        ),
        (
            "a rotation that is taken back",
            under_load(place, Load::start(to, &host, &PAGES), Step::Back).await,
        ),
    ] {
        println!("{what}: {outcome:?}");
        failed.extend(outcome.err().map(|error| error.context(what)));
    }
    match failed.into_iter().next() {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

#[derive(Clone, Copy)]
enum Step {
    Whole,
    Leaders,
    Back,
}

async fn under_load(place: &Place, mut load: Load, step: Step) -> anyhow::Result<Duration> {
    load.more(SOME).await?;
    let began = Instant::now();
    let before = root(&status(place).await?);
    match step {
        Step::Whole => drop(rotate(place, &[]).await?),
        Step::Leaders => {
            let begun = rotate(place, &["--timeout", "1s"]);
            // The order may be given up with the replica that it was given to.
            let _ = begun.await;
            let leases: Api<Lease> = place.mesh_api();
            leases
                .delete("mesh-leader", &DeleteParams::default())
                .await?;
            let meshd: Api<Deployment> = place.mesh_api();
            place.restart(&meshd, "meshd").await?;
        }
        Step::Back => {
            let _ = rotate(place, &["--timeout", "1s"]).await;
            // Or it is too late, which is said; then it goes to its end.
            let back = rotate(place, &["--abort"]).await;
            if let Err(error) = back {
                let words = format!("{error:#}");
                let known = words.contains("being retired") || words.contains("under way");
                ensure!(known, "{words}");
            }
        }
    }
    let after = place
        .poll("the end of the rotation", async || {
            // A replica that has just gone is asked once in vain.
            let status = status(place).await.ok();
            Ok(status.filter(|status| status.get("rotation").is_some_and(Value::is_null)))
        })
        .await?;
    let took = began.elapsed();
    let trusted = after.get("trustedRoots").and_then(Value::as_array);
    ensure!(trusted.map(Vec::len) == Some(1), "{after:#}");
    if !matches!(step, Step::Back) {
        ensure!(root(&after) != before, "the old root signs: {after:#}");
    }
    place.settle().await?;
    load.more(SOME).await?;
    load.stop(began).await?.none_failed("the rotation")?;
    Ok(took)
}

async fn rotate(place: &Place, more: &[&str]) -> anyhow::Result<String> {
    let mut command = place.meshctl();
    command.args(["ca", "rotate"]).args(more);
    succeeded(place.run(command, ROTATED).await?)
}

async fn status(place: &Place) -> anyhow::Result<Value> {
    let mut command = place.meshctl();
    command.args(["ca", "status", "-o", "json"]);
    let printed = succeeded(place.run(command, ROTATED).await?)?;
    let json = printed.find('{').map_or("", |at| printed.split_at(at).1);
    let mut documents = serde_json::Deserializer::from_str(json).into_iter::<Value>();
    Ok(documents.next().unwrap_or(Ok(Value::Null))?)
}

fn root(status: &Value) -> String {
    let root = status.get("signingRoot");
    root.map_or_else(String::new, Value::to_string)
}
