//! Whatever the charts can be told to make is valid: the API server checks it, and keeps nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::place::{self, Place, succeeded};

const RENDER: Duration = Duration::from_secs(60);

/// A name, the values set, and how many objects of some kinds there are then.
type Case = (
    &'static str,
    &'static [&'static str],
    &'static [(&'static str, usize)],
);

/// Values, and how many objects of the kinds that depend on them there are then.
const CASES: [Case; 5] = [
    (
        "defaults",
        &[],
        &[
            ("HorizontalPodAutoscaler", 0),
            ("PodDisruptionBudget", 1),
            ("NetworkPolicy", 2),
        ],
    ),
    (
        "several replicas",
        &["meshd.replicas=3", "gateway.replicas=3"],
        &[("HorizontalPodAutoscaler", 0), ("PodDisruptionBudget", 2)],
    ),
    (
        // A budget for one pod would hold up the drain of its node for ever.
        "one replica",
        &["meshd.replicas=1"],
        &[("PodDisruptionBudget", 0)],
    ),
    (
        "autoscaling",
        &[
            "meshd.autoscaling.enabled=true",
            "gateway.autoscaling.enabled=true",
            "gateway.autoscaling.minReplicas=2",
        ],
        &[("HorizontalPodAutoscaler", 2), ("PodDisruptionBudget", 2)],
    ),
    (
        "a revision without network policies",
        &[
            "revision=canary",
            "defaultRevision=false",
            "revisionTags={prod}",
            "networkPolicy.enabled=false",
            "gateway.networkPolicy.enabled=false",
            "gateway.name=other-gateway",
            "gateway.service.type=ClusterIP",
        ],
        &[("NetworkPolicy", 0)],
    ),
];

#[test]
fn the_api_server_takes_all_that_charts_make() -> anyhow::Result<()> {
    place::run("chart", chart)
}

async fn chart(place: &Place) -> anyhow::Result<()> {
    for (title, values, wanted) in CASES {
        let mut command = place.meshctl();
        command.args(["install", "--dry-run", "-o", "json"]);
        for value in values {
            command.args(["--set", value]);
        }
        let printed = succeeded(place.run(command, RENDER).await?)?;
        let objects: Vec<Value> = serde_json::from_str(&printed).context("no JSON")?;
        let mut kinds = BTreeMap::<&str, usize>::new();
        for object in &objects {
            let kind = object.get("kind").and_then(Value::as_str);
            let kind = kind.context("an object has no kind")?;
            *kinds.entry(kind).or_default() += 1;
            let name = object.pointer("/metadata/name").unwrap_or(&Value::Null);
            let checked = place.cluster.apply(object, true).await;
            checked.with_context(|| format!("{title}: {kind} {name}"))?;
        }
        for (kind, count) in wanted {
            let found = kinds.get(kind).copied().unwrap_or(0);
            ensure!(
                found == *count,
                "{title}: {found} objects of kind {kind}, not {count}"
            );
        }
        println!("chart: {title}: {} objects are valid", objects.len());
    }
    Ok(())
}
