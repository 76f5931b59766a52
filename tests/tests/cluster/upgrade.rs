//! The mesh is upgraded while requests run: in place, and by a second revision beside the first.
//! Both go there and back again, so that the cluster is left as it was found.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod};
use kube::api::{ListParams, Patch, PatchParams};
use kube::{Api, ResourceExt};
use meshctl::cluster::PROXY_CONTAINER;
use serde_json::json;

use crate::bookinfo::PAGES;
use crate::load::Load;
use crate::place::{self, Place, REVISION, setting, succeeded};

const UPGRADE_TAG: &str = "MESH_TEST_UPGRADE_TAG";
/// The revision of the canary upgrade, and the tag that its namespace follows on the way back.
const CANARY: &str = "mesh-test-canary";
const TAG: &str = "mesh-test-tag";
/// Limit of one command: it waits for the control plane and for the gateway.
const COMMAND: Duration = Duration::from_secs(8 * 60);
/// Requests before the first change and after the last.
const BEFORE: u64 = 80;
const AFTER: u64 = 120;

#[test]
fn an_upgrade_in_place_fails_no_request() -> anyhow::Result<()> {
    place::run("upgrade", in_place)
}

#[test]
fn a_canary_upgrade_fails_no_request() -> anyhow::Result<()> {
    place::run("canary", canary)
}

/// What is installed, and the images of the version to go to.
struct Versions {
    first: String,
    second: String,
    /// What the user had set.
    values: String,
}

async fn in_place(place: &Place) -> anyhow::Result<()> {
    let versions = Box::pin(Versions::find(place)).await?;
    let (to, host) = place.bookinfo_of_two().await?;
    let mut failed = Vec::new();
    for (from, tag) in [
        (&versions.first, &versions.second),
        (&versions.second, &versions.first),
    ] {
        let title = format!("upgrade in place from {from} to {tag}");
        let load = Load::start(to, &host, &PAGES);
        let outcome = under(load, &title, async || {
            meshctl(place, &["upgrade", "--image-tag", tag]).await?;
            restart_workloads(place).await?;
            restart_gateway(place).await?;
            ended(place).await?;
            runs(place, REVISION, tag).await
        });
        failed.extend(outcome.await.err().map(|error| format!("{error:#}")));
    }
    ensure!(failed.is_empty(), "{}", failed.join("\n"));
    Ok(())
}

async fn canary(place: &Place) -> anyhow::Result<()> {
    let versions = Box::pin(Versions::find(place)).await?;
    let (to, host) = place.bookinfo_of_two().await?;
    let load = Load::start(to, &host, &PAGES);
    let title = format!("canary upgrade to {}, by label", versions.second);
    let there = under(load, &title, async || canary_there(place, &versions).await).await;
    let load = Load::start(to, &host, &PAGES);
    let title = format!("and back to {}, by tag", versions.first);
    let back = under(load, &title, async || canary_back(place, &versions).await).await;
    there.and(back)
}

/// As `deploy/README.md` tells it.
async fn canary_there(place: &Place, versions: &Versions) -> anyhow::Result<()> {
    let upgrade = ["upgrade", "--revision", CANARY];
    let images = ["--image-tag", &versions.second];
    meshctl(place, &[upgrade.as_slice(), &images].concat()).await?;
    label(place, CANARY).await?;
    restart_workloads(place).await?;
    meshctl(place, &["tag", "set", "default", "--revision", CANARY]).await?;
    meshctl(place, &[upgrade.as_slice(), &["--gateway"]].concat()).await?;
    ended(place).await?;
    meshctl(place, &["uninstall", "--revision", REVISION, "--yes"]).await?;
    runs(place, CANARY, &versions.second).await
}

/// The same with a tag, whose namespaces need no new label. Each step may have been done.
async fn canary_back(place: &Place, versions: &Versions) -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let values = directory.path().join("values.yaml");
    std::fs::write(&values, &versions.values)?;
    let values = values.display().to_string();
    meshctl(place, &["tag", "set", TAG, "--revision", CANARY]).await?;
    label(place, TAG).await?;
    let install = ["install", "--revision", REVISION, "-f", &values];
    meshctl(place, &install).await?;
    meshctl(place, &["tag", "set", TAG, "--revision", REVISION]).await?;
    restart_workloads(place).await?;
    meshctl(place, &["tag", "set", "default", "--revision", REVISION]).await?;
    meshctl(place, &[install.as_slice(), &["--gateway"]].concat()).await?;
    ended(place).await?;
    meshctl(place, &["uninstall", "--revision", CANARY, "--yes"]).await?;
    runs(place, REVISION, &versions.first).await?;
    label(place, REVISION).await?;
    meshctl(place, &["tag", "remove", TAG]).await?;
    Ok(())
}

// === impl Versions ===

impl Versions {
    async fn find(place: &Place) -> anyhow::Result<Self> {
        let second = std::env::var(UPGRADE_TAG).with_context(|| {
            format!(
                "{UPGRADE_TAG} is not set: it names the tag of a second version's images, which the nodes need; \
                 for one of this source: deploy/images/build.sh --tag TAG --load kind"
            )
        })?;
        let api: Api<Deployment> = place.mesh_api();
        let meshd = api.get("meshd").await.context("no revision `mesh`")?;
        let containers = meshd.spec.and_then(|spec| spec.template.spec);
        let image = containers.and_then(|spec| spec.containers.first()?.image.clone());
        let image = image.context("meshd has no image")?;
        let (_, first) = image.rsplit_once(':').context("an image without a tag")?;
        ensure!(
            first != second,
            "{UPGRADE_TAG} is {second}, and that is what runs"
        );
        let api: Api<ConfigMap> = place.mesh_api();
        let record = api
            .get("mesh-install")
            .await
            .context("meshctl has not installed this mesh, and upgrades only what it has")?;
        let values = record.data.and_then(|mut data| data.remove("values.yaml"));
        let versions = Self {
            first: first.to_owned(),
            second,
            values: values.context("mesh-install has no values.yaml")?,
        };
        versions.images(place).await?;
        Ok(versions)
    }

    /// Fails at once if the nodes do not get the images of the second version.
    async fn images(&self, place: &Place) -> anyhow::Result<()> {
        let hub = setting("MESH_TEST_HUB", "mesh.local");
        let containers = ["meshd", "mesh-proxy", "mesh-init"].map(|name| {
            json!({
                "name": name,
                "image": format!("{hub}/{name}:{}", self.second),
                "imagePullPolicy": "IfNotPresent",
                "args": ["--version"],
            })
        });
        let pod = json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": "images",
                "namespace": place.namespace,
                "labels": {"sidecar.istio.io/inject": "false"},
            },
            "spec": {"restartPolicy": "Never", "containers": containers},
        });
        place.cluster.apply(&pod, false).await?;
        let ended = |pod: Option<&Pod>| {
            let status = pod.and_then(|pod| pod.status.as_ref());
            let phase = status.and_then(|status| status.phase.as_deref());
            matches!(phase, Some("Succeeded" | "Failed"))
        };
        let ended = place.until(place.api(), "images", "through", ended);
        tokio::select! {
            ended = ended => ended,
            missing = place.missing_image() => anyhow::bail!(Place::image_advice(&missing?)),
        }
    }
}

/// Does something while requests run, of which none may fail.
async fn under(
    mut load: Load,
    title: &str,
    work: impl AsyncFnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    load.more(BEFORE).await?;
    let began = Instant::now();
    let worked = work().await.with_context(|| title.to_owned());
    load.more(AFTER).await?;
    let report = load.stop(began).await?;
    println!("{title} took {} s", began.elapsed().as_secs());
    let served = report.none_failed(title);
    worked.and(served)
}

async fn meshctl(place: &Place, arguments: &[&str]) -> anyhow::Result<String> {
    let mut command = place.meshctl();
    command.args(arguments);
    let ended = place.run(command, COMMAND).await?;
    succeeded(ended).with_context(|| format!("meshctl {}", arguments.join(" ")))
}

/// Lets the namespace belong to a revision, or to what a tag stands for.
async fn label(place: &Place, revision: &str) -> anyhow::Result<()> {
    let api: Api<Namespace> = Api::all(place.cluster.client().clone());
    let patch = json!({"metadata": {"labels": {"istio.io/rev": revision}}});
    api.patch(
        &place.namespace,
        &PatchParams::default(),
        &Patch::Merge(patch),
    )
    .await?;
    Ok(())
}

/// `kubectl rollout restart` and `kubectl rollout status` of each Deployment. One after the other:
/// the sample's page gives up after three seconds, which a small node needs to start all at once.
async fn restart_workloads(place: &Place) -> anyhow::Result<()> {
    let api = place.api();
    for name in place.deployments(&api).await? {
        place.restart(&api, &name).await?;
    }
    Ok(())
}

async fn restart_gateway(place: &Place) -> anyhow::Result<()> {
    let pods = place.gateway_pods().await?;
    let pod = pods.first().context("no gateway runs")?;
    place.restart(&place.mesh_api(), &pod.controller.1).await
}

async fn ended(place: &Place) -> anyhow::Result<()> {
    place.none_ending(&place.namespace).await?;
    place.none_ending(place.cluster.mesh_namespace()).await
}

/// Waits until all is at rest; then every proxy here has to be of this version and revision.
async fn runs(place: &Place, revision: &str, tag: &str) -> anyhow::Result<()> {
    place.settle().await?;
    let mut seen = 0;
    for (api, labels) in [
        (place.api::<Pod>(), ""),
        (place.mesh_api(), "istio=ingressgateway"),
    ] {
        for pod in api.list(&ListParams::default().labels(labels)).await? {
            let spec = pod.spec.as_ref().context("a pod has a spec")?;
            let sidecars = spec.init_containers.iter().flatten();
            let mut all = sidecars.chain(&spec.containers);
            let Some(proxy) = all.find(|one| one.name == PROXY_CONTAINER) else {
                continue;
            };
            let image = proxy.image.as_deref().unwrap_or_default();
            let of = pod.annotations().get("istio.io/rev").map(String::as_str);
            let name = pod.name_any();
            ensure!(
                image.ends_with(&format!(":{tag}")),
                "{name} runs {image}, not {tag}"
            );
            ensure!(
                of == Some(revision),
                "{name} is of revision {of:?}, not {revision}"
            );
            seen += 1;
        }
    }
    println!("{seen} proxies run {tag} of revision {revision}");
    ensure!(seen > 1, "there are no proxies");
    Ok(())
}
