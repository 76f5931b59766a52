//! Arguments for Kubernetes.

use std::path::PathBuf;

use clap::Args;
use mesh_ca::listen::ListenAddress;

use crate::kubernetes::{ClusterAccess, KubernetesSettings};

/// Arguments of `run` for Kubernetes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Kubernetes")]
pub struct KubernetesArgs {
    /// Read configuration from the API server too, and write status back
    #[arg(long = "kubernetes", env = "MESHD_KUBERNETES")]
    pub enabled: bool,
    /// Kubeconfig of the cluster [default: what KUBECONFIG names, or the pod's service account]
    #[arg(
        long,
        env = "MESHD_KUBECONFIG",
        requires = "enabled",
        value_name = "FILE"
    )]
    pub kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig [default: its current one]
    #[arg(long, env = "MESHD_CONTEXT", requires = "enabled", value_name = "NAME")]
    pub context: Option<String>,
    /// Namespace in which the mesh is installed
    #[arg(
        long,
        env = "MESHD_NAMESPACE",
        default_value = "istio-system",
        value_name = "NAME"
    )]
    pub namespace: String,
    /// Name of this revision of the mesh; workloads choose it by the label istio.io/rev
    #[arg(
        long,
        env = "MESHD_REVISION",
        default_value = "mesh",
        value_name = "NAME"
    )]
    pub revision: String,
    /// Leave workloads that name no revision (istio-injection=enabled) to another mesh
    #[arg(long, env = "MESHD_NO_DEFAULT_REVISION")]
    pub no_default_revision: bool,
    /// Name of the cluster, for metrics
    #[arg(
        long,
        env = "MESHD_CLUSTER_NAME",
        default_value = "Kubernetes",
        value_name = "NAME"
    )]
    pub cluster_name: String,
    /// Name of this replica: that of its pod [default: the host's name]
    #[arg(long, env = "MESHD_INSTANCE", value_name = "NAME")]
    pub instance: Option<String>,
    /// Where to serve admission webhooks, for example 0.0.0.0:15017
    #[arg(
        long,
        env = "MESHD_WEBHOOK",
        requires = "enabled",
        value_name = "ADDRESS"
    )]
    pub webhook: Option<ListenAddress>,
    /// File with what is injected into pods, YAML
    #[arg(
        long,
        env = "MESHD_INJECT_CONFIG",
        requires = "enabled",
        value_name = "FILE"
    )]
    pub inject_config: Option<PathBuf>,
    /// Namespace whose Secrets may be read for gateways; may be given more than once
    /// [default: all namespaces]
    #[arg(
        long = "secret-namespace",
        env = "MESHD_SECRET_NAMESPACES",
        value_delimiter = ',',
        value_name = "NAME"
    )]
    pub secret_namespaces: Vec<String>,
    /// Audience of the tokens by which pods get certificates; may be given more than once
    #[arg(
        long = "token-audience",
        env = "MESHD_TOKEN_AUDIENCES",
        value_delimiter = ',',
        default_value = "istio-ca",
        value_name = "NAME"
    )]
    pub token_audiences: Vec<String>,
    /// Do not write the status of objects
    #[arg(long, env = "MESHD_NO_STATUS")]
    pub no_status: bool,
    /// Do not write the roots of trust into every namespace
    #[arg(long, env = "MESHD_NO_ROOT_CONFIG_MAPS")]
    pub no_root_config_maps: bool,
}

impl From<KubernetesArgs> for Option<KubernetesSettings> {
    fn from(args: KubernetesArgs) -> Self {
        args.enabled.then(|| KubernetesSettings {
            access: ClusterAccess {
                kubeconfig: args.kubeconfig,
                context: args.context,
            },
            namespace: args.namespace,
            revision: args.revision,
            default_revision: !args.no_default_revision,
            cluster_name: args.cluster_name,
            instance: args.instance.unwrap_or_else(host_name),
            webhook: args.webhook,
            inject_config: args.inject_config,
            secret_namespaces: args.secret_namespaces,
            write_status: !args.no_status,
            distribute_roots: !args.no_root_config_maps,
            token_audiences: args.token_audiences,
        })
    }
}

/// What the kernel calls this host. In a pod it is the pod's name.
fn host_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map(|name| name.trim().to_owned())
        .ok()
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "meshd".to_owned())
}
