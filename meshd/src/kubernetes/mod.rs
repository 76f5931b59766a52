//! The control plane on Kubernetes: configuration from the API server, and what is written back.

mod backoff;
pub(crate) mod ca;
mod client;
mod crds;
mod leader;
mod mesh_config;
mod metrics;
mod quarantine;
mod requests;
mod source;
mod status;
mod version;
pub(crate) mod webhook;

use std::path::PathBuf;
use std::sync::Arc;

use kube::Client;
use mesh_ca::Authority;
use mesh_ca::listen::ListenAddress;
use meshd_core::MeshSettings;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use self::leader::Candidate;
use self::requests::ApiRequests;
use self::source::{CatchUp, Progress, Source};
use self::status::{IngressWriter, StatusWriter, Subjects};
use crate::last_good::Quarantine;
use crate::publish::{ConfigHandle, Published};

pub use ca::{AuthoritySecretError, AuthorityStoreError, service_account_of};
pub use client::{ClusterAccess, ClusterError};
pub use crds::{crds, crds_yaml, install_missing_crds};
pub(crate) use leader::Leadership;
pub use mesh_config::of_file as mesh_config_of_file;
pub(crate) use metrics::ClusterMetrics;
pub use webhook::WebhookError;

/// Under this name the API server notes down which fields we write.
pub(crate) const MANAGER: &str = "meshd";

/// What a control plane on Kubernetes needs to know.
#[derive(Debug, Clone)]
pub struct KubernetesSettings {
    /// Which cluster, and as whom.
    pub access: ClusterAccess,
    /// Namespace in which the mesh is installed.
    pub namespace: String,
    /// Name of this revision of the mesh: workloads choose it by the label `istio.io/rev`.
    pub revision: String,
    /// Whether workloads that name no revision are ours (`istio-injection: enabled`).
    pub default_revision: bool,
    /// Name of the cluster, for metrics and for workloads (Istio: `CLUSTER_ID`).
    pub cluster_name: String,
    /// Name of this replica among those of the revision: the name of its pod.
    pub instance: String,
    /// Where admission webhooks are served, if they are.
    pub webhook: Option<ListenAddress>,
    /// File with what is injected into pods.
    pub inject_config: Option<PathBuf>,
    /// Namespaces whose Secrets are read, for the certificates of gateways; all if empty.
    pub secret_namespaces: Vec<String>,
    /// Whether the leader writes the status of objects.
    pub write_status: bool,
    /// Whether the leader writes the roots of trust into every namespace.
    pub distribute_roots: bool,
    /// Audiences of the tokens by which pods get certificates: one of them is enough.
    pub token_audiences: Vec<String>,
}

/// What all parts on a cluster share. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Cluster {
    pub(crate) client: Client,
    /// What the client asks.
    pub(crate) requests: Arc<ApiRequests>,
    pub(crate) settings: Arc<KubernetesSettings>,
    /// Mesh-wide settings where no ConfigMap says otherwise.
    pub(crate) mesh: MeshSettings,
}

/// The parts of a control plane that its parts on a cluster work with.
pub(crate) struct Links {
    /// Where configuration goes.
    pub(crate) config: ConfigHandle,
    /// What is in force.
    pub(crate) published: watch::Receiver<Arc<Published>>,
    /// The authority, if it is in this process.
    pub(crate) authority: Option<Arc<Authority>>,
    /// What replicas confer by when the root is replaced.
    pub(crate) council: Option<Arc<ca::Council>>,
    /// The objects in quarantine.
    pub(crate) quarantine: watch::Receiver<Quarantine>,
    /// The admission webhooks, if they are served.
    pub(crate) webhook: Option<webhook::Server>,
    /// Ends everything.
    pub(crate) shutdown: CancellationToken,
}

/// What the rest of a control plane asks its cluster's side. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct ClusterHandle {
    /// What is counted.
    pub(crate) metrics: Arc<ClusterMetrics>,
    progress: watch::Receiver<Progress>,
    catch_up: CatchUp,
}

/// Starts everything that works on a cluster: in `chores` what may be dropped at the end, in
/// `last_words` what ends by itself after the shutdown.
pub(crate) fn start(
    cluster: &Cluster,
    mut links: Links,
    chores: &mut JoinSet<()>,
    last_words: &mut JoinSet<()>,
) -> ClusterHandle {
    let metrics = Arc::new(ClusterMetrics::new(Arc::clone(&cluster.requests)));
    let (candidate, leadership) = Candidate::new(cluster, Arc::clone(&metrics));
    last_words.spawn(candidate.run(links.shutdown.clone()));
    let (subjects, ingress_writer) = match cluster.settings.write_status {
        true => {
            let (published, leads) = (links.published.clone(), leadership.clone());
            let (writer, inputs) =
                StatusWriter::new(cluster, published, leads, Arc::clone(&metrics));
            chores.spawn(writer.run());
            let (published, leads) = (links.published.clone(), leadership.clone());
            let (writer, ingresses) =
                IngressWriter::new(cluster, published, leads, Arc::clone(&metrics));
            (Subjects::new(inputs, ingresses), Some(writer))
        }
        false => (Subjects::unwritten(), None),
    };
    let (catch_up, progress) = Source::start(
        cluster,
        links.config.clone(),
        subjects,
        Arc::clone(&metrics),
        chores,
    );
    if let Some(webhook) = links.webhook.take() {
        let links = webhook::Links {
            published: links.published.clone(),
            metrics: Arc::clone(&metrics.webhook),
            shutdown: links.shutdown.clone(),
        };
        webhook.start(cluster, links, chores, last_words);
    }
    start_guests(cluster, &links, &leadership, chores);
    let handle = ClusterHandle {
        metrics,
        progress,
        catch_up,
    };
    if let Some(writer) = ingress_writer {
        chores.spawn(writer.run(handle.clone()));
    }
    let scribe = quarantine::Scribe::new(cluster, links.quarantine, leadership.watch());
    chores.spawn(scribe.run(handle.clone()));
    handle
}

/// Starts the authority's work in the cluster.
fn start_guests(
    cluster: &Cluster,
    links: &Links,
    leadership: &Leadership,
    chores: &mut JoinSet<()>,
) {
    if let Some(council) = &links.council {
        council.join(leadership.clone(), links.published.clone());
    }
    if let Some(authority) = &links.authority
        && cluster.settings.distribute_roots
    {
        chores.spawn(ca::keep_root_config_maps(
            cluster.client.clone(),
            Arc::clone(authority),
            leadership.watch(),
        ));
    }
}

// === impl ClusterHandle ===

impl ClusterHandle {
    /// Waits until everything that the API server had at the start is published. Never returns
    /// if the control plane stops before.
    pub(crate) async fn synced(&self) {
        let mut progress = self.progress.clone();
        if progress.wait_for(|progress| progress.synced).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// What is missing before proxies may come, in words.
    pub(crate) fn missing(&self) -> Vec<String> {
        let progress = self.progress.borrow();
        match (progress.synced, progress.missing.is_empty()) {
            (true, _) => Vec::new(),
            (false, true) => vec!["publishing what is on the API server".to_owned()],
            (false, false) => progress.missing.clone(),
        }
    }

    /// Returns once everything that the API server had at the time of the call is published.
    ///
    /// # Errors
    /// If the API server cannot be asked.
    pub(crate) async fn catch_up(&self) -> Result<(), ClusterError> {
        self.synced().await;
        self.catch_up.catch_up().await
    }
}

// === impl KubernetesSettings ===

impl KubernetesSettings {
    /// The revision that is installed by default.
    pub const DEFAULT_REVISION: &'static str = "mesh";

    /// The name that an object of this revision has: `base`, or `base-<revision>` for another
    /// revision than the one installed by default.
    pub fn object_name(&self, base: &str) -> String {
        match self.revision.as_str() {
            Self::DEFAULT_REVISION => base.to_owned(),
            revision => format!("{base}-{revision}"),
        }
    }
}

impl Default for KubernetesSettings {
    /// The default revision in `istio-system`, without webhooks.
    fn default() -> Self {
        Self {
            access: ClusterAccess::default(),
            namespace: "istio-system".to_owned(),
            revision: Self::DEFAULT_REVISION.to_owned(),
            default_revision: true,
            cluster_name: "Kubernetes".to_owned(),
            instance: "meshd".to_owned(),
            webhook: None,
            inject_config: None,
            secret_namespaces: Vec::new(),
            write_status: true,
            distribute_roots: true,
            token_audiences: vec![ca::AuthorityInCluster::AUDIENCE.to_owned()],
        }
    }
}

// === impl Cluster ===

impl Cluster {
    /// Finds the API server, and reads from it what must be known first: into `mesh`.
    ///
    /// # Errors
    /// If no cluster is known, or it does not answer for a minute.
    pub(crate) async fn open(
        settings: &KubernetesSettings,
        mesh: &mut MeshSettings,
    ) -> Result<Self, ClusterError> {
        let requests = Arc::default();
        let client = settings.access.connect_counted(&requests).await?;
        mesh_config::MeshConfig::first(&client, settings, mesh).await?;
        Ok(Self {
            client,
            requests,
            settings: Arc::new(settings.clone()),
            mesh: mesh.clone(),
        })
    }
}
