//! The command line: what can be typed, and its help.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::netns;
use crate::state::Capture;

/// Runs a service mesh on this machine and explains what it does.
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
        meshctl analyze istio/                          check configuration before it is used"
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
    /// Wait until every proxy runs a revision of the configuration.
    Wait(WaitArgs),
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
    /// Run the certificate authority alone (mesh-ca).
    Ca {
        /// What to log: error, warn, info, debug, or a filter such as mesh_ca=debug
        #[arg(long, default_value = "info", value_name = "FILTER")]
        log: String,
        /// What the authority is to do.
        #[command(subcommand)]
        command: mesh_ca::Command,
    },
    /// Parts of meshctl that it starts itself.
    #[command(hide = true)]
    Internal(InternalArgs),
}

/// Which mesh.
#[derive(Clone, Debug, Args)]
pub struct StateArg {
    /// Directory of the mesh's state; meshes with different ones live side by side
    /// [default: $XDG_STATE_HOME/mesh or ~/.local/state/mesh]
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
}

/// In which form.
#[derive(Clone, Copy, Debug, Args)]
pub struct OutputArg {
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t = Output::Text, value_name = "FORM")]
    pub output: Output,
}

/// Forms of output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// `demo`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    meshctl demo                      open http://127.0.0.1:8080/productpage; Ctrl-C stops all of it\n  \
    meshctl demo --port 9000          the gateway on another port\n  \
    meshctl demo --check              a scripted tour that proves each feature; exit code 0 or 1\n\n\
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
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
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

/// `exec`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    meshctl exec productpage-v1 -- curl -s http://reviews:9080/reviews/0\n  \
    meshctl exec istio-system/client -- sh -c 'env | grep -i proxy'\n\n\
    The exit code is the command's.")]
pub struct ExecArgs {
    /// The workload: NAME, NAMESPACE/NAME, or an `app` label that only one workload has
    pub workload: String,
    /// The command and its arguments
    #[arg(last = true, required = true)]
    pub command: Vec<OsString>,
    /// Which mesh.
    #[command(flatten)]
    pub state: StateArg,
}

/// `status`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  meshctl status\n  meshctl status -o json | jq '.proxies[] | {name, revision: .own.revision}'"
)]
pub struct StatusArgs {
    /// Which mesh.
    #[command(flatten)]
    pub state: StateArg,
    /// In which form.
    #[command(flatten)]
    pub output: OutputArg,
}

/// `config`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    meshctl config reviews-v1\n  \
    meshctl config istio-ingressgateway -o json      everything, as the proxy holds it")]
pub struct ConfigArgs {
    /// The workload: NAME, NAMESPACE/NAME, or an `app` label that only one workload has
    pub workload: String,
    /// Which mesh.
    #[command(flatten)]
    pub state: StateArg,
    /// In which form.
    #[command(flatten)]
    pub output: OutputArg,
}

/// `down`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  meshctl down\n  meshctl down --state /tmp/bookinfo")]
pub struct DownArgs {
    /// Which mesh.
    #[command(flatten)]
    pub state: StateArg,
}

/// `explain`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    meshctl explain --from productpage-v1 http://reviews:9080/reviews/0\n  \
    meshctl explain --from productpage-v1 -H 'end-user: jason' http://reviews:9080/reviews/0\n  \
    meshctl explain --from istio-ingressgateway http://bookinfo.example:8080/productpage\n  \
    meshctl explain --from default/productpage-v1 --config istio/ --mesh mesh.yaml -X POST http://reviews:9080/\n\n\
    With --config no mesh has to run: the files are compiled and matched as meshd and the proxy\n\
    would. Workloads come from --mesh, or else from WorkloadEntry objects in the files.")]
pub struct ExplainArgs {
    /// Workload that sends the request
    #[arg(long, value_name = "WORKLOAD")]
    pub from: String,
    /// Compile these files and directories instead of asking a running mesh; may be repeated
    #[arg(long, value_name = "PATH")]
    pub config: Vec<PathBuf>,
    /// With --config: the mesh file that names the workloads
    #[arg(long, value_name = "MESH.yaml", requires = "config")]
    pub mesh: Option<PathBuf>,
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
    /// Where to, as the client writes it
    pub url: http::Uri,
    /// Which mesh.
    #[command(flatten)]
    pub state: StateArg,
    /// In which form.
    #[command(flatten)]
    pub output: OutputArg,
}

/// `analyze`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    meshctl analyze istio/\n  \
    meshctl analyze --mesh mesh.yaml istio/           knows the services of the mesh file, too\n  \
    meshctl analyze -o json istio/ | jq '.[] | select(.severity == \"error\")'\n\n\
    Exit code 1 if there is an error.")]
pub struct AnalyzeArgs {
    /// Files and directories
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// The mesh file whose services the configuration is for
    #[arg(long, value_name = "MESH.yaml")]
    pub mesh: Option<PathBuf>,
    /// In which form.
    #[command(flatten)]
    pub output: OutputArg,
}

/// `wait`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    meshctl wait                                  until every proxy runs the newest revision\n  \
    meshctl wait --revision 7 --timeout 5s")]
pub struct WaitArgs {
    /// The revision [default: the newest]
    #[arg(long, value_name = "N")]
    pub revision: Option<u64>,
    /// How long at most
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = parse_duration)]
    pub timeout: Duration,
    /// Which mesh.
    #[command(flatten)]
    pub state: StateArg,
    /// In which form.
    #[command(flatten)]
    pub output: OutputArg,
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

fn parse_header(text: &str) -> Result<(http::HeaderName, http::HeaderValue), String> {
    let (name, value) = text.split_once(':').ok_or("write it as 'name: value'")?;
    let name = name
        .trim()
        .parse()
        .map_err(|_| format!("`{}` is no header name", name.trim()))?;
    let value = value
        .trim()
        .parse()
        .map_err(|_| "the value has characters that no header may have".to_owned())?;
    Ok((name, value))
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is no duration: write 500ms, 30s, 5m or 1h");
    let split = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
    let (number, unit) = text.split_at(split);
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let milliseconds = match unit {
        "ms" => Some(1),
        "s" => Some(1000),
        "m" => Some(60_000),
        "h" => Some(3_600_000),
        _ => None,
    };
    let milliseconds = milliseconds
        .and_then(|unit| number.checked_mul(unit))
        .ok_or_else(wrong)?;
    Ok(Duration::from_millis(milliseconds))
}

#[cfg(test)]
mod tests;
