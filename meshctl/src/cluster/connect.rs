//! Which cluster.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::core::ApiResource;
use kube::discovery::Scope;
use kube::{Api, Client, Config};

use super::ClusterError;
use super::error::Doing;

/// Namespace of the control plane unless told otherwise, as Istio's.
pub const DEFAULT_MESH_NAMESPACE: &str = "istio-system";
/// An API server that does not take a connection in this time is away.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// What the user says about which cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterOptions {
    /// Kubeconfig file; by default `$KUBECONFIG`, else `~/.kube/config`, else the service account
    /// of the pod that this runs in.
    pub kubeconfig: Option<PathBuf>,
    /// Its context; by default the current one.
    pub context: Option<String>,
    /// Namespace of workloads that are named without one; by default the context's.
    pub namespace: Option<String>,
    /// Namespace of the control plane; by default [`DEFAULT_MESH_NAMESPACE`].
    pub mesh_namespace: Option<String>,
}

/// A cluster, and where in it the mesh is.
#[derive(Clone)]
pub struct Cluster {
    client: Client,
    context: String,
    server: String,
    namespace: String,
    namespace_given: bool,
    mesh_namespace: String,
    kinds: Arc<Mutex<KnownKinds>>,
}

/// By apiVersion and kind.
type KnownKinds = BTreeMap<(String, String), (ApiResource, Scope)>;

// === impl ClusterOptions ===

impl ClusterOptions {
    async fn config(&self) -> Result<(Config, String), ClusterError> {
        let options = KubeConfigOptions {
            context: self.context.clone(),
            ..KubeConfigOptions::default()
        };
        let unusable = |source: KubeconfigError| ClusterError::Config {
            file: self.kubeconfig.clone(),
            context: self.context.clone(),
            source: Box::new(source),
        };
        let kubeconfig = match &self.kubeconfig {
            Some(path) => Kubeconfig::read_from(path),
            None => Kubeconfig::read(),
        };
        let kubeconfig = match kubeconfig {
            Ok(kubeconfig) => kubeconfig,
            Err(error) if self.kubeconfig.is_none() && self.context.is_none() => {
                return match Config::incluster() {
                    Ok(config) => Ok((config, "in-cluster".to_owned())),
                    // The way that a person would go is the one to complain about.
                    Err(_) => Err(unusable(error)),
                };
            }
            Err(error) => return Err(unusable(error)),
        };
        let context = self
            .context
            .clone()
            .or_else(|| kubeconfig.current_context.clone())
            .unwrap_or_default();
        let config = Config::from_custom_kubeconfig(kubeconfig, &options)
            .await
            .map_err(unusable)?;
        Ok((config, context))
    }
}

// === impl Cluster ===

impl Cluster {
    /// The cluster that the options name. Nothing is sent to it yet.
    ///
    /// # Errors
    /// If there is no such kubeconfig or context, or its credentials cannot be read.
    pub async fn connect(options: &ClusterOptions) -> Result<Self, ClusterError> {
        let (mut config, context) = options.config().await?;
        config.connect_timeout = Some(CONNECT_TIMEOUT);
        let server = config.cluster_url.to_string();
        let namespace = options
            .namespace
            .clone()
            .unwrap_or_else(|| config.default_namespace.clone());
        let client = Client::try_from(config).map_err(|source| ClusterError::Client {
            context: context.clone(),
            source: Box::new(source),
        })?;
        Ok(Self {
            client,
            context,
            server,
            namespace,
            namespace_given: options.namespace.is_some(),
            mesh_namespace: options
                .mesh_namespace
                .clone()
                .unwrap_or_else(|| DEFAULT_MESH_NAMESPACE.to_owned()),
            kinds: Arc::default(),
        })
    }

    /// The client.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Name of the context.
    pub fn context(&self) -> &str {
        &self.context
    }

    /// URL of the API server.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// Namespace of workloads that are named without one.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Whether the user has named that namespace.
    pub fn namespace_given(&self) -> bool {
        self.namespace_given
    }

    /// Namespace of the control plane.
    pub fn mesh_namespace(&self) -> &str {
        &self.mesh_namespace
    }

    /// Pods of a namespace.
    pub fn pods(&self, namespace: &str) -> Api<Pod> {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// Says what failed: `verb` as RBAC names it, the resource, and the namespace if it has one.
    pub fn failed<'a>(
        &'a self,
        verb: &'static str,
        resource: &'a str,
        namespace: Option<&'a str>,
    ) -> impl FnOnce(kube::Error) -> ClusterError + 'a {
        move |error| {
            ClusterError::new(
                self,
                Doing {
                    verb,
                    resource,
                    namespace,
                },
                error,
            )
        }
    }

    pub(super) fn known_kind(&self, key: &(String, String)) -> Option<(ApiResource, Scope)> {
        let kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        kinds.get(key).cloned()
    }

    pub(super) fn remember_kind(&self, key: (String, String), found: &(ApiResource, Scope)) {
        let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        kinds.insert(key, found.clone());
    }

    /// Version of the API server.
    ///
    /// # Errors
    /// If it does not tell.
    pub async fn server_version(&self) -> Result<String, ClusterError> {
        self.client
            .apiserver_version()
            .await
            .map(|version| version.git_version)
            .map_err(self.failed("get", "/version", None))
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster")
            .field("context", &self.context)
            .field("server", &self.server)
            .field("namespace", &self.namespace)
            .field("mesh_namespace", &self.mesh_namespace)
            .finish_non_exhaustive()
    }
}
