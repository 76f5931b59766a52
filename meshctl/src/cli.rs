//! The command line: what can be typed, and its help.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::netns;
use crate::state::Capture;

mod ask;
mod ca;
mod inject;
mod install;
mod policy;
mod selection;
mod value;

use value::parse_duration;

pub use ask::{
    AnalyzeArgs, BugReportArgs, ConfigArgs, DashboardArgs, ExecArgs, ExplainArgs, Page, StatusArgs,
    WaitArgs,
};
pub use ca::{CaCommand, CaRevokeArgs, CaRotateArgs, CaStatusArgs};
pub use inject::{InjectArgs, InjectForm};
pub use install::{
    GatewayArg, InstallArgs, PlaceArg, TagAction, TagArgs, UninstallArgs, UpgradeArgs, ValuesArg,
};
pub use policy::{CoverageOutput, FailOn, PolicyArgs, PolicyCommand, PolicyCoverageArgs};
pub use selection::{ClusterArg, MeshArg, Output, OutputArg, StateArg};

/// Runs a service mesh on this machine, and explains what it does there and in a cluster.
#[derive(Debug, Parser)]
#[command(
    name = "meshctl",
    version,
    disable_help_subcommand = true,
    after_help = "Examples:\n  \
        meshctl demo                                    the Bookinfo sample with traffic and a live table\n  \
        meshctl up mesh.yaml --config istio/            your own workloads, your own Istio configuration\n  \
        meshctl exec productpage-v1 -- curl http://reviews:9080/reviews/0\n  \
        meshctl explain --from productpage-v1 http://reviews:9080/reviews/0\n  \
        meshctl analyze istio/                          check configuration before it is used\n  \
        meshctl status --context kind-kind              the mesh of a Kubernetes cluster"
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the Bookinfo sample: six workloads with sidecars, a gateway, traffic, a live table.
    Demo(DemoArgs),
    /// Run the workloads of a mesh file, each with its sidecar.
    Up(UpArgs),
    /// Run a command as a workload: through its sidecar, with its identity.
    Exec(ExecArgs),
    /// Show the proxies, the revision each runs, certificates, refusals and problems.
    Status(StatusArgs),
    /// Show the configuration that a workload's proxy runs.
    Config(ConfigArgs),
    /// Stop the mesh of a state directory.
    Down(DownArgs),
    /// Say what would happen to a request, and why, without sending it.
    Explain(ExplainArgs),
    /// Check configuration files and report every problem with its place.
    Analyze(AnalyzeArgs),
    /// Show which policy decides about each source, destination and port.
    Policy(PolicyArgs),
    /// Wait until every proxy runs a revision of the configuration.
    Wait(WaitArgs),
    /// Open a page of the mesh on a port of this machine.
    Dashboard(DashboardArgs),
    /// Collect what is needed to find out what is wrong into an archive.
    BugReport(BugReportArgs),
    /// Install the control plane and an ingress gateway in a Kubernetes cluster.
    Install(InstallArgs),
    /// Upgrade what is installed in a cluster, in place or to a new revision beside it.
    Upgrade(UpgradeArgs),
    /// Remove the mesh, or one revision of it, from a cluster.
    Uninstall(UninstallArgs),
    /// Set, list and remove revision tags: names that namespaces choose a revision by.
    Tag(TagArgs),
    /// Put sidecars into the pods of files, without a cluster.
    Inject(InjectArgs),
    /// Print a join token for a workload of a running mesh.
    Token(TokenArgs),
    /// Print the completion script of a shell.
    Completions(CompletionsArgs),
    /// Run a sample application.
    Sample(SampleArgs),
    /// Run the control plane (meshd).
    #[command(name = "control-plane")]
    ControlPlane {
        /// What to log: error, warn, info, debug, or a filter such as meshd=debug
        #[arg(long, default_value = "info", value_name = "FILTER")]
        log: String,
        /// What the control plane is to do.
        #[command(subcommand)]
        command: meshd::Command,
    },
    /// Run a proxy, or install its capture rules (mesh-proxy).
    Proxy {
        /// What the proxy is to do.
        #[command(subcommand)]
        command: mesh_proxy::Command,
    },
    /// Show and rotate the certificate authority of a mesh, or run one alone (mesh-ca).
    Ca {
        /// What to log: error, warn, info, debug, or a filter such as mesh_ca=debug
        #[arg(long, default_value = "info", value_name = "FILTER")]
        log: String,
        /// What to do with it.
        #[command(subcommand)]
        command: CaCommand,
    },
    /// Parts of meshctl that it starts itself.
    #[command(hide = true)]
    Internal(InternalArgs),
}

/// `demo`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    meshctl demo                      open http://127.0.0.1:8080/productpage; Ctrl-C stops all of it\n  \
    meshctl demo --port 9000          the gateway on another port\n  \
    meshctl demo --check              a scripted tour that proves each feature; exit code 0 or 1\n  \
    meshctl demo --check --context kind-kind -n default     the tour of a Bookinfo in a cluster\n  \
    meshctl demo --check --compose deploy/compose           and of one under docker-compose\n  \
    meshctl demo --context kind-kind                        who calls whom in a cluster\n\n\
    While it runs, change the files in the directory `config` that it names, or from another terminal:\n  \
    meshctl exec productpage-v1 -- curl http://reviews:9080/reviews/0\n  \
    meshctl status")]
pub struct DemoArgs {
    /// Run the scripted tour, print PASS or FAIL for each step, and stop
    #[arg(long)]
    pub check: bool,
    /// Port of the gateway on 127.0.0.1 [default: 8080; with --check a free one]
    #[arg(long, value_name = "PORT")]
    pub port: Option<u16>,
    /// How applications' traffic reaches their sidecars
    #[arg(long, value_enum, default_value_t = Capture::Explicit, value_name = "HOW")]
    pub capture: Capture,
    /// Directory of the mesh's state [default: the user's; with --check a temporary one]
    #[arg(long, value_name = "DIR", conflicts_with_all = ["context", "kubeconfig", "in_cluster", "compose"])]
    pub state: Option<PathBuf>,
    /// A Bookinfo that runs under docker-compose: the directory of its compose file
    #[arg(long, value_name = "DIR", conflicts_with_all = ["context", "kubeconfig", "in_cluster"])]
    pub compose: Option<PathBuf>,
    /// Cluster and docker-compose: address of the gateway [default: found]
    #[arg(long, value_name = "HOST:PORT")]
    pub gateway: Option<String>,
    /// A Bookinfo that runs in a cluster.
    #[command(flatten)]
    pub cluster: ClusterArg,
}

/// `up`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    meshctl up mesh.yaml --config istio/\n  \
    meshctl up samples/bookinfo/mesh.yaml --config samples/bookinfo/config --state /tmp/bookinfo\n\n\
    The mesh file names workloads and gateways:\n  \
    workloads:\n  \
    - name: reviews-v1\n    \
      serviceAccount: bookinfo-reviews\n    \
      labels: {app: reviews, version: v1}\n    \
      ports: [{name: http, port: 9080}]\n    \
      command: [./reviews]            # told PORT and HOST, calls others through http_proxy\n  \
    gateways:\n  \
    - name: istio-ingressgateway\n    \
      labels: {istio: ingressgateway}\n    \
      ports: [{port: 8080, listen: 127.0.0.1:8080}]\n\n\
    It runs in the foreground, prints a line beginning with `ready` once everything serves, and\n\
    reads configuration again whenever it changes. Ctrl-C, SIGTERM or `meshctl down` stop it.")]
pub struct UpArgs {
    /// The mesh file
    #[arg(value_name = "MESH.yaml")]
    pub mesh: PathBuf,
    /// File or directory of Istio and Kubernetes objects, watched; may be repeated
    #[arg(long, value_name = "PATH")]
    pub config: Vec<PathBuf>,
    /// How applications' traffic reaches their sidecars
    #[arg(long, value_enum, default_value_t = Capture::Explicit, value_name = "HOW")]
    pub capture: Capture,
    /// Which mesh.
    #[command(flatten)]
    pub state: StateArg,
}

/// `down`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  meshctl down\n  meshctl down --state /tmp/bookinfo")]
pub struct DownArgs {
    /// Which mesh.
    #[command(flatten)]
    pub state: StateArg,
}

/// `token`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  meshctl token reviews-v1 --ttl 10m > token")]
pub struct TokenArgs {
    /// The workload: NAME, NAMESPACE/NAME, or an `app` label that only one workload has
    pub workload: String,
    /// How long it is valid
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = parse_duration)]
    pub ttl: Duration,
    /// May be used more than once
    #[arg(long)]
    pub reusable: bool,
    /// Which mesh.
    #[command(flatten)]
    pub state: StateArg,
}

/// `completions`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  source <(meshctl completions bash)\n  meshctl completions fish > ~/.config/fish/completions/meshctl.fish"
)]
pub struct CompletionsArgs {
    /// The shell
    pub shell: clap_complete::Shell,
}

/// `sample`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  meshctl sample bookinfo reviews --version v2 --port 9080")]
pub struct SampleArgs {
    /// Which one.
    #[command(subcommand)]
    pub sample: Sample,
}

/// Sample applications.
#[derive(Debug, Subcommand)]
pub enum Sample {
    /// One service of Bookinfo.
    Bookinfo(bookinfo::Command),
}

/// `internal`.
#[derive(Debug, Args)]
pub struct InternalArgs {
    /// Which part.
    #[command(subcommand)]
    pub part: Internal,
}

/// Parts that meshctl starts itself.
#[derive(Debug, Subcommand)]
pub enum Internal {
    /// Runs an application and ends with it.
    Guard {
        /// Seconds between SIGTERM and SIGKILL.
        #[arg(long, default_value_t = 8)]
        grace: u64,
        /// The application.
        #[arg(last = true, required = true)]
        command: Vec<OsString>,
    },
    /// Becomes an application.
    Leaf {
        /// The application.
        #[arg(last = true, required = true)]
        command: Vec<OsString>,
    },
    /// Becomes a program in a workload's namespaces.
    Enter(netns::Enter),
    /// Sends requests from inside a workload's namespaces: one JSON line each on standard input,
    /// one for each answer on standard output.
    Caller,
}

#[cfg(test)]
mod tests;
