//! Arguments of the commands that ask a mesh, on this machine or in a cluster.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::selection::{MeshArg, OutputArg};
use super::value::{parse_duration, parse_header};

/// `exec`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    meshctl exec productpage-v1 -- curl -s http://reviews:9080/reviews/0\n  \
    meshctl exec istio-system/client -- sh -c 'env | grep -i proxy'\n  \
    meshctl exec --context kind-kind deploy/productpage-v1 -- sh      in the pod's application container\n\n\
    The exit code is the command's.")]
pub struct ExecArgs {
    /// The workload: NAME, NAMESPACE/NAME, or an `app` label that only one workload has; in a
    /// cluster a pod, deploy/NAME or an `app` label
    pub workload: String,
    /// The command and its arguments
    #[arg(last = true, required = true)]
    pub command: Vec<OsString>,
    /// Cluster: another container of the pod than the application's
    #[arg(short, long, value_name = "NAME")]
    pub container: Option<String>,
    /// Which mesh.
    #[command(flatten)]
    pub mesh: MeshArg,
}

/// `status`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    meshctl status\n  \
    meshctl status --context kind-kind -n default      proxies of one namespace of a cluster\n  \
    meshctl status -o json | jq '.proxies[] | {name, revision: .own.revision}'\n\n\
    In a cluster each proxy is connected to one replica of the control plane, and each replica\n\
    counts its own revisions; replicas agree if the digests of what they publish are the same.")]
pub struct StatusArgs {
    /// Which mesh.
    #[command(flatten)]
    pub mesh: MeshArg,
    /// In which form.
    #[command(flatten)]
    pub output: OutputArg,
}

/// `config`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    meshctl config reviews-v1\n  \
    meshctl config --context kind-kind deploy/reviews-v1\n  \
    meshctl config istio-ingressgateway -o json      everything, as the proxy holds it")]
pub struct ConfigArgs {
    /// The workload: NAME, NAMESPACE/NAME, or an `app` label that only one workload has; in a
    /// cluster a pod, deploy/NAME or an `app` label
    pub workload: String,
    /// Which mesh.
    #[command(flatten)]
    pub mesh: MeshArg,
    /// In which form.
    #[command(flatten)]
    pub output: OutputArg,
}

/// `explain`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    meshctl explain --from productpage-v1 http://reviews:9080/reviews/0\n  \
    meshctl explain --from productpage-v1 -H 'end-user: jason' http://reviews:9080/reviews/0\n  \
    meshctl explain --from istio-ingressgateway http://bookinfo.example:8080/productpage\n  \
    meshctl explain --context kind-kind --from deploy/productpage-v1 http://reviews:9080/\n  \
    meshctl explain --from default/productpage-v1 --config istio/ --mesh mesh.yaml -X POST http://reviews:9080/\n  \
    meshctl explain --from productpage-v1 --config bookinfo.yaml http://reviews:9080/reviews/0\n\n\
    With --config no mesh has to run: the files are compiled and matched as meshd and the proxy\n\
    would. Workloads come from --mesh, or else from the WorkloadEntry objects and the\n\
    Deployments, StatefulSets and DaemonSets in the files.")]
pub struct ExplainArgs {
    /// Workload that sends the request
    #[arg(long, value_name = "WORKLOAD")]
    pub from: String,
    /// Compile these files and directories instead of asking a running mesh; may be repeated
    #[arg(long, value_name = "PATH")]
    pub config: Vec<PathBuf>,
    /// With --config: the mesh file that names the workloads
    #[arg(long = "mesh", value_name = "MESH.yaml", requires = "config")]
    pub mesh_file: Option<PathBuf>,
    /// Method
    #[arg(
        short = 'X',
        long = "request",
        default_value = "GET",
        value_name = "METHOD"
    )]
    pub method: http::Method,
    /// Header; may be repeated
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = parse_header)]
    pub headers: Vec<(http::HeaderName, http::HeaderValue)>,
    /// Claim of the request's token, as if the token had been verified: `sub=me`, or JSON as in
    /// `groups=["a","b"]`; may be given more than once
    #[arg(long = "claim", value_name = "NAME=VALUE", value_parser = parse_claim)]
    pub claims: Vec<(String, serde_json::Value)>,
    /// Where to, as the client writes it
    pub url: http::Uri,
    /// Which mesh.
    #[command(flatten)]
    pub mesh: MeshArg,
    /// In which form.
    #[command(flatten)]
    pub output: OutputArg,
}

/// `analyze`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    meshctl analyze istio/\n  \
    meshctl analyze --mesh mesh.yaml istio/           knows the services of the mesh file, too\n  \
    meshctl analyze --context kind-kind istio/        as they would be among what the cluster has\n  \
    meshctl analyze --context kind-kind -A            what is wrong with what the cluster has\n  \
    meshctl analyze -o json istio/ | jq '.[] | select(.severity == \"error\")'\n\n\
    Exit code 1 if there is an error.")]
pub struct AnalyzeArgs {
    /// Files and directories; without any the live configuration of the mesh
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// The mesh file whose services the configuration is for
    #[arg(long = "mesh", value_name = "MESH.yaml", requires = "paths", conflicts_with_all = ["context", "kubeconfig", "in_cluster"])]
    pub mesh_file: Option<PathBuf>,
    /// Cluster, without paths: problems of all namespaces, not of one
    #[arg(short = 'A', long)]
    pub all_namespaces: bool,
    /// Which mesh.
    #[command(flatten)]
    pub mesh: MeshArg,
    /// In which form.
    #[command(flatten)]
    pub output: OutputArg,
}

/// `wait`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    meshctl wait                                  until every proxy runs the newest revision\n  \
    meshctl wait --context kind-kind              until every proxy of the cluster runs what its\n                                                \
    API server has\n  \
    meshctl wait --revision 7 --timeout 5s")]
pub struct WaitArgs {
    /// The revision, on this machine [default: the newest]
    #[arg(long, value_name = "N", conflicts_with_all = ["context", "kubeconfig", "in_cluster"])]
    pub revision: Option<u64>,
    /// How long at most
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = parse_duration)]
    pub timeout: Duration,
    /// Which mesh.
    #[command(flatten)]
    pub mesh: MeshArg,
    /// In which form.
    #[command(flatten)]
    pub output: OutputArg,
}

/// `dashboard`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    meshctl dashboard                                  the control plane's page\n  \
    meshctl dashboard proxy productpage-v1 --port 9000\n  \
    meshctl dashboard --context kind-kind grafana\n\n\
    Prints an address on this machine and hands connections to it on until Ctrl-C.")]
pub struct DashboardArgs {
    /// Whose page
    #[arg(value_enum, default_value_t = Page::Meshd)]
    pub page: Page,
    /// With `proxy`: the workload
    #[arg(required_if_eq("page", "proxy"))]
    pub workload: Option<String>,
    /// Port on this machine [default: a free one]
    #[arg(long, value_name = "PORT")]
    pub port: Option<u16>,
    /// Which mesh.
    #[command(flatten)]
    pub mesh: MeshArg,
}

/// Pages of a mesh.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Page {
    /// The control plane.
    Meshd,
    /// The proxy of a workload.
    Proxy,
    /// Prometheus, in the control plane's namespace.
    Prometheus,
    /// Grafana, in the control plane's namespace.
    Grafana,
    /// Jaeger, in the control plane's namespace.
    Jaeger,
}

/// `bug-report`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    meshctl bug-report\n  \
    meshctl bug-report --context kind-kind --workload deploy/reviews-v1 -o reviews.tar.gz\n\n\
    The archive has versions, status, problems, proxies' configurations and logs, and events of\n\
    the cluster. Keys, tokens and passwords are taken out of it; look at it before you pass it on.")]
pub struct BugReportArgs {
    /// Where to write it
    #[arg(
        short = 'o',
        long = "file",
        value_name = "FILE.tar.gz",
        default_value = "mesh-bug-report.tar.gz"
    )]
    pub file: PathBuf,
    /// A workload whose proxy is looked at closely; may be repeated [default: some that are in
    /// trouble, then others]
    #[arg(long, value_name = "WORKLOAD")]
    pub workload: Vec<String>,
    /// How long at most
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = parse_duration)]
    pub timeout: Duration,
    /// Which mesh.
    #[command(flatten)]
    pub mesh: MeshArg,
}

// Texts need no quotes; what is JSON is taken as such.
fn parse_claim(text: &str) -> Result<(String, serde_json::Value), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => {
            let value = serde_json::from_str(value).unwrap_or_else(|_| value.into());
            Ok((name.to_owned(), value))
        }
        _ => Err("write NAME=VALUE".to_owned()),
    }
}
