//! Arguments of `policy`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::selection::MeshArg;

/// `policy`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    meshctl policy coverage                       who may call whom, and which policy says so\n  \
    meshctl policy coverage --unprotected         where nothing decides")]
pub struct PolicyArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: PolicyCommand,
}

/// What to do with policies.
#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// List every source, destination and port, and which policy decides there
    Coverage(PolicyCoverageArgs),
}

/// `policy coverage`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    meshctl policy coverage\n  \
    meshctl policy coverage --workload reviews --from productpage\n  \
    meshctl policy coverage --unprotected --fail-on unprotected istio/      in CI, from files\n  \
    meshctl policy coverage --context kind-kind -n shop -o json | jq '.rows[] | select(.transport == \"plaintext\")'\n\n\
    Sources with the same outcome share a row. PORT is the workload's own port, as policies see it;\n\
    `other` is every port that no Service declares, which whoever knows the workload's address may\n\
    call. `(no identity)` is whoever comes without a certificate of the mesh. RESULT:\n  \
    allowed      an ALLOW policy allows everything\n  \
    denied       nothing gets through\n  \
    depends      on the request, or on what an authorizer answers\n  \
    unprotected  no policy decides: everything gets through\n  \
    unenforced   there is no proxy on the way: whatever policies say, everything gets through")]
pub struct PolicyCoverageArgs {
    /// Compile these files and directories instead of asking a running mesh
    #[arg(value_name = "PATH", conflicts_with_all = ["context", "kubeconfig", "in_cluster", "state"])]
    pub paths: Vec<PathBuf>,
    /// With paths: the mesh file that names the workloads
    #[arg(long = "mesh", value_name = "MESH.yaml", requires = "paths")]
    pub mesh_file: Option<PathBuf>,
    /// Only this destination: NAME, NAMESPACE/NAME or its `app` label
    #[arg(long, value_name = "WORKLOAD")]
    pub workload: Option<String>,
    /// Only sources whose identity ends like this at a slash: productpage, default/sa/productpage
    #[arg(long, value_name = "IDENTITY")]
    pub from: Option<String>,
    /// Only where nothing decides
    #[arg(long)]
    pub unprotected: bool,
    /// Exit with 1 if there is such a row; may be repeated
    #[arg(long, value_enum, value_name = "WHAT", value_delimiter = ',')]
    pub fail_on: Vec<FailOn>,
    /// Which mesh; with --namespace only destinations there.
    #[command(flatten)]
    pub mesh: MeshArg,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t = CoverageOutput::Text, value_name = "FORM")]
    pub output: CoverageOutput,
}

/// What makes the command fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FailOn {
    /// Nothing decides: there is no policy, or no proxy.
    Unprotected,
    /// No proxy is on the way.
    Unenforced,
    /// Anything gets through without TLS.
    Plaintext,
}

/// Forms of output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CoverageOutput {
    /// For people.
    Text,
    /// For programs.
    Json,
    /// The same as YAML.
    Yaml,
}
