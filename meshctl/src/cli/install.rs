//! `install`, `upgrade`, `uninstall`, `tag`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::selection::OutputArg;
use super::value::parse_duration;
use crate::cluster::ClusterOptions;

/// Which cluster, and where in it the mesh is.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Which cluster")]
pub struct PlaceArg {
    /// Context of the kubeconfig [default: the current one]
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,
    /// The kubeconfig [default: $KUBECONFIG or ~/.kube/config]
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Namespace of the control plane
    #[arg(long, value_name = "NAMESPACE", default_value = crate::cluster::DEFAULT_MESH_NAMESPACE)]
    pub mesh_namespace: String,
}

/// What is installed, and how.
#[derive(Clone, Debug, Args)]
pub struct ValuesArg {
    /// A value of the chart, as helm takes it: key=value, nested by dots; those of the gateway
    /// begin with `gateway.`; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// File of values; later ones win, --set wins over all; may be repeated
    #[arg(short = 'f', long = "values", value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Tag for this revision, which namespaces can be labelled with; may be repeated
    #[arg(long = "tag", value_name = "TAG")]
    pub tags: Vec<String>,
    /// First part of the images' names [default: mesh.local]
    #[arg(long, value_name = "HUB")]
    pub hub: Option<String>,
    /// Tag of the images [default: the version of this program]
    #[arg(long, value_name = "TAG")]
    pub image_tag: Option<String>,
    /// Print what would be applied, and do nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Return without waiting until everything serves
    #[arg(long)]
    pub no_wait: bool,
    /// How long to wait for each part
    #[arg(long, value_name = "DURATION", default_value = "3m", value_parser = parse_duration)]
    pub timeout: Duration,
    /// Wait until everything serves: so it is anyway
    #[arg(long, hide = true, conflicts_with = "no_wait")]
    pub wait: bool,
}

/// Whether there is to be a gateway.
#[derive(Clone, Copy, Debug, Args)]
pub struct GatewayArg {
    /// With an ingress gateway
    #[arg(long, overrides_with = "no_gateway")]
    pub gateway: bool,
    /// Without an ingress gateway
    #[arg(long)]
    pub no_gateway: bool,
}

/// `install`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:\n  \
    meshctl install                                   control plane and ingress gateway, in istio-system\n  \
    meshctl install --hub registry.example/mesh --image-tag 0.1.0\n  \
    meshctl install --no-gateway --set meshd.replicas=3 --set proxy.logLevel=debug\n  \
    meshctl install -f values.yaml --dry-run          what would be applied, as YAML\n  \
    meshctl install --set gateway.service.type=NodePort\n  \
    meshctl install --revision canary                 beside another revision, or beside Istio\n\n\
    It applies the Helm charts of deploy/charts; their values.yaml list all values. Doing it again\n\
    changes nothing. Each time only the values given then count; `upgrade` keeps those of before.\n\
    CRDs are made only where they are missing. Where Istio or another revision injects what is\n\
    labelled istio-injection=enabled, it goes on doing so.")]
pub struct InstallArgs {
    /// Name of the revision [default: mesh]
    #[arg(long, value_name = "NAME")]
    pub revision: Option<String>,
    /// What is installed.
    #[command(flatten)]
    pub values: ValuesArg,
    /// Whether there is to be a gateway.
    #[command(flatten)]
    pub gateway: GatewayArg,
    /// Which cluster.
    #[command(flatten)]
    pub place: PlaceArg,
    /// In which form.
    #[command(flatten)]
    pub output: OutputArg,
}

/// `upgrade`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:\n  \
    meshctl upgrade                                   the only revision, to the version of this program\n  \
    meshctl upgrade --set meshd.replicas=3            with one more value; the others stay as they were\n\n\
    Or step by step, with both versions running (canary):\n  \
    meshctl upgrade --revision v2                     a second control plane, with the values of the first\n  \
    kubectl label namespace test istio.io/rev=v2 --overwrite && kubectl rollout restart deployment -n test\n  \
    meshctl tag set default --revision v2             everything that names no revision, when its pods restart\n  \
    meshctl upgrade --revision v2 --gateway           the gateway, without losing a request\n  \
    meshctl uninstall --revision mesh                 the first one")]
pub struct UpgradeArgs {
    /// Name of the revision; a new one is installed beside the others
    #[arg(long, value_name = "NAME")]
    pub revision: Option<String>,
    /// With a new revision: whose values it begins with [default: the only one there is]
    #[arg(long, value_name = "NAME", requires = "revision")]
    pub from: Option<String>,
    /// Forget the values of before
    #[arg(long)]
    pub reset_values: bool,
    /// What is installed.
    #[command(flatten)]
    pub values: ValuesArg,
    /// Whether there is to be a gateway.
    #[command(flatten)]
    pub gateway: GatewayArg,
    /// Which cluster.
    #[command(flatten)]
    pub place: PlaceArg,
    /// In which form.
    #[command(flatten)]
    pub output: OutputArg,
}

/// `uninstall`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:\n  \
    meshctl uninstall                                 the only revision; keys, CRDs and configuration stay\n  \
    meshctl uninstall --revision canary --yes\n  \
    meshctl uninstall --purge                         all revisions, and everything that the mesh has made")]
pub struct UninstallArgs {
    /// Name of the revision [default: the only one; with --purge all]
    #[arg(long, value_name = "NAME")]
    pub revision: Option<String>,
    /// Also remove the authority's keys, the roots in all namespaces and the CRDs that meshctl made,
    /// with all configuration in them
    #[arg(long)]
    pub purge: bool,
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
    /// Which cluster.
    #[command(flatten)]
    pub place: PlaceArg,
    /// In which form.
    #[command(flatten)]
    pub output: OutputArg,
}

/// `tag`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:\n  \
    meshctl tag set prod --revision v1                then: kubectl label namespace shop istio.io/rev=prod\n  \
    meshctl tag set prod --revision v2                pods move when they restart; no label changes\n  \
    meshctl tag set default --revision v2             what is labelled istio-injection=enabled\n  \
    meshctl tag list\n  \
    meshctl tag remove prod")]
pub struct TagArgs {
    /// What to do.
    #[command(subcommand)]
    pub action: TagAction,
}

/// What to do with revision tags.
#[derive(Clone, Debug, Subcommand)]
pub enum TagAction {
    /// Let a tag stand for a revision.
    Set {
        /// The tag.
        tag: String,
        /// The revision.
        #[arg(long, value_name = "NAME")]
        revision: String,
        /// Which cluster.
        #[command(flatten)]
        place: PlaceArg,
        /// In which form.
        #[command(flatten)]
        output: OutputArg,
    },
    /// Show the tags, their revisions and the namespaces that use them.
    List {
        /// Which cluster.
        #[command(flatten)]
        place: PlaceArg,
        /// In which form.
        #[command(flatten)]
        output: OutputArg,
    },
    /// Remove a tag.
    Remove {
        /// The tag.
        tag: String,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
        /// Which cluster.
        #[command(flatten)]
        place: PlaceArg,
        /// In which form.
        #[command(flatten)]
        output: OutputArg,
    },
}

// === impl PlaceArg ===

impl PlaceArg {
    /// Which cluster they name.
    pub fn options(&self) -> ClusterOptions {
        ClusterOptions {
            kubeconfig: self.kubeconfig.clone(),
            context: self.context.clone(),
            namespace: None,
            mesh_namespace: Some(self.mesh_namespace.clone()),
        }
    }
}

// === impl GatewayArg ===

impl GatewayArg {
    /// What the user has said about it.
    pub fn asked(self) -> Option<bool> {
        match (self.gateway, self.no_gateway) {
            (_, true) => Some(false),
            (true, false) => Some(true),
            (false, false) => None,
        }
    }
}

// === impl ValuesArg ===

impl ValuesArg {
    /// How long to wait for pods, if at all.
    pub fn wait(&self) -> Option<Duration> {
        (!self.no_wait).then_some(self.timeout)
    }
}
