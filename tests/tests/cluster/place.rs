//! A namespace of a test's own in the cluster under test.

use std::fs::{File, OpenOptions};
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use futures_util::FutureExt;
use k8s_openapi::api::core::v1::{Event, Namespace};
use kube::Api;
use kube::api::{DeleteParams, ListParams, PostParams};
use kube::runtime::wait::{await_condition, conditions};
use mesh_tests::Running;
use meshctl::cluster::{Cluster, ClusterOptions, documents};
use meshctl::target::settle;
use nix::fcntl::{Flock, FlockArg};
use serde_json::{Value, json};
use tokio::time::timeout;

/// How long a state may take to come about, with images on the node.
pub(crate) const LIMIT: Duration = Duration::from_secs(180);
/// Revision of the control plane.
pub(crate) const REVISION: &str = "mesh";
/// What the names of the sample's images have before the service's.
const SAMPLE: &str = "bookinfo-";
/// Identities in the sample's files, which are for the namespace `default`.
const SAMPLE_IDENTITIES: &str = "cluster.local/ns/default/";

/// The namespace.
pub(crate) struct Place {
    pub(crate) cluster: Cluster,
    pub(crate) namespace: String,
    kubeconfig: PathBuf,
}

/// Runs a test in the namespace `mesh-test-NAME`, which is new and labelled for injection. It goes
/// when the test ends, however that is.
pub(crate) fn run(
    name: &str,
    test: impl AsyncFnOnce(&Place) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let _alone = alone()?;
    runtime.block_on(async {
        let place = Place::create(name).await?;
        let outcome = AssertUnwindSafe(test(&place)).catch_unwind().await;
        let outcome = outcome.unwrap_or_else(|_| bail!("the test has panicked"));
        if outcome.is_err() {
            place.tell().await;
        }
        place.delete().await?;
        outcome
    })
}

/// One test at a time, also if each is a process of its own.
fn alone() -> anyhow::Result<Flock<File>> {
    let path = std::env::temp_dir().join("mesh-cluster-tests.lock");
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .with_context(|| path.display().to_string())?;
    Flock::lock(file, FlockArg::LockExclusive)
        .map_err(|(_, errno)| errno)
        .with_context(|| path.display().to_string())
}

/// Directory of the source.
pub(crate) fn source(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// A variable of the environment, or what holds without it.
pub(crate) fn setting(name: &str, default: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| default.to_owned())
}

/// A text of the sample with the images under test, whatever registry and version it names.
fn with_images(text: &str) -> String {
    let line = |line: &str| {
        let (before, image) = line.split_once("image: ")?;
        if !before.trim().is_empty() {
            return None;
        }
        let (_, name) = image.rsplit_once('/')?;
        let (_, name) = name.split_once(SAMPLE)?;
        let (name, _) = name.split_once(':')?;
        Some(format!("{before}image: {}", sample_image(name)))
    };
    let line = |text: &str| line(text).unwrap_or_else(|| text.to_owned());
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// Image of a workload of the sample.
fn sample_image(name: &str) -> String {
    let hub = setting("MESH_TEST_HUB", "mesh.local");
    let tag = setting("MESH_TEST_TAG", env!("CARGO_PKG_VERSION"));
    format!("{hub}/{SAMPLE}{name}:{tag}")
}

/// Image of an application that answers on port 9080, and can be told to call others.
pub(crate) fn details_image() -> String {
    sample_image("details-v1")
}

// === impl Place ===

impl Place {
    async fn create(name: &str) -> anyhow::Result<Self> {
        let kubeconfig = std::env::var_os("KUBECONFIG").context(
            "KUBECONFIG is not set: these tests need a cluster with the mesh installed. \
             For example: deploy/kind/up.sh, or any cluster with `meshctl install`; \
             then KUBECONFIG=FILE cargo test -p mesh-tests --features cluster --test cluster",
        )?;
        let kubeconfig = PathBuf::from(kubeconfig);
        let namespace = format!("mesh-test-{name}");
        let cluster = Cluster::connect(&ClusterOptions {
            kubeconfig: Some(kubeconfig.clone()),
            namespace: Some(namespace.clone()),
            ..ClusterOptions::default()
        })
        .await?;
        let place = Self {
            cluster,
            namespace,
            kubeconfig,
        };
        // Of an earlier run.
        place.delete().await?;
        place.await_gone().await?;
        let wanted: Namespace = serde_json::from_value(json!({
            "metadata": {"name": place.namespace, "labels": {"istio.io/rev": REVISION}},
        }))?;
        place
            .namespaces()
            .create(&PostParams::default(), &wanted)
            .await
            .with_context(|| format!("cannot create namespace {}", place.namespace))?;
        Ok(place)
    }

    fn namespaces(&self) -> Api<Namespace> {
        Api::all(self.cluster.client().clone())
    }

    async fn delete(&self) -> anyhow::Result<()> {
        let how = DeleteParams::background();
        match self.namespaces().delete(&self.namespace, &how).await {
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
            // It is being deleted already.
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
            Err(error) => Err(error).context("cannot delete the namespace of the test"),
            Ok(_) => Ok(()),
        }
    }

    async fn await_gone(&self) -> anyhow::Result<()> {
        // A uid that nothing has: gone, or another one.
        let gone = |namespace: Option<&Namespace>| namespace.is_none();
        let waited = await_condition(self.namespaces(), &self.namespace, gone);
        timeout(LIMIT, waited)
            .await
            .with_context(|| format!("namespace {} does not go away", self.namespace))??;
        Ok(())
    }

    /// API of a kind in this namespace.
    pub(crate) fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.cluster.client().clone(), &self.namespace)
    }

    /// API of a kind in the mesh's own namespace.
    pub(crate) fn mesh_api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        let client = self.cluster.client().clone();
        Api::namespaced(client, self.cluster.mesh_namespace())
    }

    /// Applies the documents of a text here, changed by `change`, with the images under test.
    pub(crate) async fn apply_changed(
        &self,
        text: &str,
        change: impl Fn(&mut Value),
    ) -> anyhow::Result<()> {
        let identities = format!("cluster.local/ns/{}/", self.namespace);
        let text = with_images(text).replace(SAMPLE_IDENTITIES, &identities);
        for mut object in documents(&text)? {
            let metadata = object
                .pointer_mut("/metadata")
                .and_then(Value::as_object_mut)
                .context("an object has no metadata")?;
            metadata.insert("namespace".to_owned(), json!(self.namespace));
            change(&mut object);
            self.cluster.apply(&object, false).await?;
        }
        Ok(())
    }

    /// Applies the documents of a text here.
    pub(crate) async fn apply(&self, text: &str) -> anyhow::Result<()> {
        self.apply_changed(text, |_| {}).await
    }

    /// Applies a file of the source, or all of a directory.
    pub(crate) async fn apply_file(
        &self,
        path: &str,
        change: impl Fn(&mut Value),
    ) -> anyhow::Result<()> {
        let path = source(path);
        let files = if path.is_dir() {
            let entries = std::fs::read_dir(&path)?.collect::<Result<Vec<_>, _>>()?;
            let mut files = entries
                .iter()
                .map(std::fs::DirEntry::path)
                .collect::<Vec<_>>();
            files.sort();
            files
        } else {
            vec![path]
        };
        for file in files {
            let text =
                std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
            self.apply_changed(&text, &change)
                .await
                .with_context(|| file.display().to_string())?;
        }
        Ok(())
    }

    /// Waits until every proxy runs what the API server has.
    pub(crate) async fn settle(&self) -> anyhow::Result<()> {
        settle(&self.cluster, LIMIT).await?;
        Ok(())
    }

    /// The command `meshctl`.
    pub(crate) fn meshctl(&self) -> Command {
        let mut command = match std::env::var_os("MESH_TEST_MESHCTL") {
            Some(path) => Command::new(path),
            None => Command::new(mesh_tests::meshctl()),
        };
        command.env("KUBECONFIG", &self.kubeconfig);
        command
    }

    /// Options of `meshctl` that name this cluster and namespace.
    pub(crate) fn options(&self) -> [String; 4] {
        let kubeconfig = self.kubeconfig.display().to_string();
        [
            "--kubeconfig".to_owned(),
            kubeconfig,
            "-n".to_owned(),
            self.namespace.clone(),
        ]
    }

    /// Runs a command to its end: whether it succeeded, and all that it printed.
    pub(crate) async fn run(
        &self,
        mut command: Command,
        limit: Duration,
    ) -> anyhow::Result<(bool, String)> {
        let ended = tokio::task::spawn_blocking(move || {
            Running::spawn(&mut command)
                .map_err(|error| error.to_string())
                .and_then(|mut running| running.wait(limit))
        });
        let (status, printed) = ended.await?.map_err(anyhow::Error::msg)?;
        Ok((status.success(), printed))
    }

    /// Prints what there is and what went wrong, before it is gone.
    async fn tell(&self) {
        eprintln!("--- namespace {} when the test failed", self.namespace);
        let pods = self.cluster.list_pods(Some(&self.namespace), "").await;
        for pod in pods.unwrap_or_default() {
            let ready = if pod.ready { "ready" } else { "not ready" };
            eprintln!("pod {} {} {ready}", pod.name, pod.phase);
        }
        let events: Api<Event> = self.api();
        let Ok(events) = events.list(&ListParams::default()).await else {
            return;
        };
        for event in events.items {
            if event.type_.as_deref() == Some("Warning") {
                let about = event.involved_object.name.unwrap_or_default();
                let message = event.message.unwrap_or_default();
                eprintln!(
                    "event {about}: {}: {message}",
                    event.reason.unwrap_or_default()
                );
            }
        }
    }

    /// Waits for a condition of one object.
    pub(crate) async fn until<K>(
        &self,
        api: Api<K>,
        name: &str,
        what: &str,
        condition: impl conditions::Condition<K>,
    ) -> anyhow::Result<()>
    where
        K: kube::Resource + Clone + std::fmt::Debug + Send + serde::de::DeserializeOwned + 'static,
    {
        let waited = timeout(LIMIT, await_condition(api, name, condition)).await;
        waited.with_context(|| format!("{name} is not {what} after {LIMIT:?}"))??;
        Ok(())
    }

    /// Does something again until it gives something. For what cannot be watched.
    pub(crate) async fn poll<T>(
        &self,
        what: &str,
        look: impl AsyncFn() -> anyhow::Result<Option<T>>,
    ) -> anyhow::Result<T> {
        let mut again = tokio::time::interval(Duration::from_millis(200));
        let all = async {
            loop {
                again.tick().await;
                if let Some(found) = look().await? {
                    return Ok(found);
                }
            }
        };
        match timeout(LIMIT, all).await {
            Ok(found) => found,
            Err(_) => bail!("{what} did not happen within {LIMIT:?}"),
        }
    }

    /// Says that images are there, or how to make them.
    pub(crate) fn image_advice(image: &str) -> String {
        let build = match image
            .rsplit('/')
            .next()
            .and_then(|name| name.split_once(':'))
        {
            Some((name @ ("user-service" | "order-service"), _)) => format!(
                "docker build -t {image} samples/user-order/{name} (with --build-arg NODE_IMAGE=… where node:22-alpine cannot be pulled)"
            ),
            Some((_, tag)) => format!(
                "deploy/images/build.sh --tag {tag} --load kind (or --load ctr); other images are named by MESH_TEST_HUB and MESH_TEST_TAG"
            ),
            None => "an image with a tag".to_owned(),
        };
        format!("the nodes do not have the image {image}. Build it and load it: {build}")
    }
}

/// Fails with all that was printed, if a command has failed.
pub(crate) fn succeeded((success, printed): (bool, String)) -> anyhow::Result<String> {
    ensure!(success, "the command has failed:\n{printed}");
    Ok(printed)
}
