//! Jobs with a sidecar come to an end.

use anyhow::{Context, ensure};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{ListParams, PostParams};
use meshctl::cluster::{PodInfo, PodKind};
use serde_json::json;

use crate::place::{self, Place, details_image};

#[test]
fn a_job_with_a_sidecar_ends() -> anyhow::Result<()> {
    place::run("jobs", jobs)
}

async fn jobs(place: &Place) -> anyhow::Result<()> {
    place
        .apply_file("samples/bookinfo/platform/kube/bookinfo.yaml", |_| {})
        .await?;
    place.deployments_ready().await?;
    let job: Job = serde_json::from_value(json!({
        "metadata": {"name": "asks"},
        "spec": {
            "backoffLimit": 0,
            "template": {"spec": {
                "restartPolicy": "Never",
                "containers": [{
                    "name": "asks",
                    "image": details_image(),
                    "imagePullPolicy": "IfNotPresent",
                    // By the name of the Service, so that the request takes the sidecar's DNS and
                    // the sidecar itself.
                    "command": ["/bookinfo", "call", "--count", "5", "http://details:9080/health"],
                }],
            }},
        },
    }))?;
    let jobs: Api<Job> = place.api();
    jobs.create(&PostParams::default(), &job).await?;
    let ended = |job: Option<&Job>| {
        let status = job.and_then(|job| job.status.as_ref());
        let ended = |status: &k8s_openapi::api::batch::v1::JobStatus| {
            status.succeeded == Some(1) || status.failed.is_some_and(|failed| failed > 0)
        };
        status.is_some_and(ended)
    };
    place.until(jobs.clone(), "asks", "ended", ended).await?;
    let job = jobs.get("asks").await?;
    ensure!(
        job.status.and_then(|status| status.succeeded) == Some(1),
        "the Job has failed"
    );
    let pods: Api<Pod> = place.api();
    let pods = pods
        .list(&ListParams::default().labels("job-name=asks"))
        .await?;
    let pod = pods.items.first().context("the Job has a pod")?;
    let info = PodInfo::new(pod);
    ensure!(
        info.kind == PodKind::Sidecar,
        "the pod of the Job has no sidecar"
    );
    ensure!(
        info.phase == "Succeeded",
        "the pod of the Job is {}",
        info.phase
    );
    println!("jobs: 5 requests, 0 failed; the pod with its sidecar has ended");
    Ok(())
}
