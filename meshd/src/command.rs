//! The command line, for the binary here and for programs that carry it along.

mod federation;
mod kubernetes;

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use mesh_api::v1::OutboundPolicy;
use mesh_api::{TrustDomain, WorkloadName};
use mesh_ca::listen::{ListenAddress, forbid_core_files, raise_descriptor_limit};
use mesh_ca::{KeyType, OutputFormat, parse_duration, parse_label};
use meshd_core::{IngressSettings, MeshSettings};
use tokio_util::sync::CancellationToken;

use crate::app::{App, BuildError, RunError};
use crate::authority::ExternalAuthority;
use crate::logging::LogControl;
use crate::settings::{AuthoritySettings, SelfRegistration, Settings};
use crate::tokens::{TokensArgs, TokensError};

pub use federation::BundleArgs;
pub use kubernetes::KubernetesArgs;

/// Subcommands of `meshd`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Runs the control plane
    #[command(
        after_help = "Examples:\n  meshd run --config ./config --state-dir ./state\n  meshd run --config ./config --state-dir ./state --listen 127.0.0.1:15012 --admin 127.0.0.1:15014\n  meshd run --kubernetes --state-dir /var/lib/mesh --listen 0.0.0.0:15012 --admin 127.0.0.1:15000 --monitoring 0.0.0.0:15014\n  meshd run --config ./config --state-dir ./state --ca https://ca:15012 --ca-roots root.pem --ca-token token"
    )]
    Run(Box<RunArgs>),
    /// Makes a join token for one workload
    #[command(
        after_help = "Examples:\n  meshd token --state-dir ./state --workload default/reviews-v1 --service-account reviews\n  meshd token --state-dir ./state --workload default/web --label app=web --label version=v1 -o json"
    )]
    Token(TokenArgs),
    /// Makes join tokens for several workloads, a file each, and the roots to trust
    #[command(
        after_help = "Examples:\n  meshd tokens --state-dir ./state --into ./join default/reviews-v1=bookinfo-reviews:app=reviews,version=v1 default/web\n\nIt can run before the control plane has ever started."
    )]
    Tokens(TokensArgs),
    /// Prints the definitions of Istio's kinds that the mesh reads, for clusters without Istio
    #[command(after_help = "Examples:\n  meshd crds | kubectl apply --server-side -f -")]
    Crds,
}

/// Arguments of `run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// File or directory of configuration (*.yaml, *.yml, *.json); may be given more than once
    #[arg(long, env = "MESHD_CONFIG", value_delimiter = ',', value_name = "PATH")]
    pub config: Vec<PathBuf>,
    /// Directory for what must outlive the process
    #[arg(long, env = "MESHD_STATE_DIR", value_name = "DIR")]
    pub state_dir: PathBuf,
    /// Where to serve discovery and certificates over TLS: host:port or unix:///path; may be given
    /// more than once [default: meshd.sock in the state directory]
    #[arg(
        long,
        env = "MESHD_LISTEN",
        value_delimiter = ',',
        value_name = "ADDRESS"
    )]
    pub listen: Vec<ListenAddress>,
    /// Where to serve the operator's HTTP interface; may be given more than once
    /// [default: meshd-admin.sock in the state directory]
    #[arg(
        long,
        env = "MESHD_ADMIN",
        value_delimiter = ',',
        value_name = "ADDRESS"
    )]
    pub admin: Vec<ListenAddress>,
    /// Where to serve metrics and probes only, for Prometheus and the kubelet; may be given more
    /// than once
    #[arg(
        long,
        env = "MESHD_MONITORING",
        value_delimiter = ',',
        value_name = "ADDRESS"
    )]
    pub monitoring: Vec<ListenAddress>,
    /// Trust domain of the mesh
    #[arg(
        long,
        env = "MESHD_TRUST_DOMAIN",
        default_value = "cluster.local",
        value_name = "NAME"
    )]
    pub trust_domain: TrustDomain,
    /// Another name of the same trust domain; may be given more than once
    #[arg(long = "trust-domain-alias", value_name = "NAME")]
    pub trust_domain_aliases: Vec<TrustDomain>,
    /// Namespace whose policies hold for the whole mesh [default: that of --namespace, which is
    /// istio-system]
    #[arg(long, env = "MESHD_ROOT_NAMESPACE", value_name = "NAME")]
    pub root_namespace: Option<String>,
    /// Suffix of the names of services
    #[arg(long, default_value = "cluster.local", value_name = "DOMAIN")]
    pub cluster_domain: String,
    /// What happens to destinations that nobody declared
    #[arg(long, default_value = "ALLOW_ANY", value_name = "POLICY")]
    pub outbound_policy: OutboundMode,
    /// File with mesh-wide settings, YAML (Istio: MeshConfig), such as extensionProviders and
    /// caCertificates; it counts more than the options here, and is followed when it changes
    #[arg(long, value_name = "FILE")]
    pub mesh_config: Option<PathBuf>,
    /// Do not give addresses to services that have none
    #[arg(long)]
    pub no_allocate_addresses: bool,
    /// Call workloads through HBONE if they say that they take it, also those that take mutual TLS
    /// on their own ports (Istio: PILOT_PREFER_SENDING_HBONE)
    #[arg(long, env = "PILOT_PREFER_SENDING_HBONE", action = clap::ArgAction::SetTrue, value_parser = clap::builder::FalseyValueParser::new())]
    pub prefer_hbone: bool,
    /// Directory of the authority's keys and certificates [default: ca in the state directory]
    #[arg(long, conflicts_with = "ca", value_name = "DIR")]
    pub ca_dir: Option<PathBuf>,
    /// Life of a certificate whose caller asks for none
    #[arg(long, default_value = "24h", value_parser = parse_duration, value_name = "TIME")]
    pub certificate_ttl: Duration,
    /// Longest life of a certificate
    #[arg(long, default_value = "90d", value_parser = parse_duration, value_name = "TIME")]
    pub max_certificate_ttl: Duration,
    /// Certificate authority in another process, instead of one in this
    #[arg(
        long,
        requires = "ca_roots",
        requires = "ca_token",
        value_name = "ADDRESS"
    )]
    pub ca: Option<ListenAddress>,
    /// File with the roots to trust that authority by, PEM
    #[arg(long, requires = "ca", value_name = "FILE")]
    pub ca_roots: Option<PathBuf>,
    /// File with a join token of that authority for the service account meshd in istio-system. It
    /// must be good at every start: make it with --reusable
    #[arg(long, requires = "ca", value_name = "FILE")]
    pub ca_token: Option<PathBuf>,
    /// A further DNS name of this server, for its certificate; may be given more than once
    #[arg(long = "dns-name", value_name = "NAME")]
    pub dns_names: Vec<String>,
    /// What other trust domains need.
    #[command(flatten)]
    pub bundle: BundleArgs,
    /// What a cluster needs.
    #[command(flatten)]
    pub kubernetes: KubernetesArgs,
    /// Print a line `ready {json}` on stdout once everything is bound
    #[arg(long)]
    pub print_ready: bool,
    /// Kind of the keys that are made for the authority
    #[arg(
        long,
        env = "MESHD_CA_KEY_TYPE",
        conflicts_with = "ca",
        default_value = "p256",
        value_name = "KIND"
    )]
    pub ca_key_type: KeyType,
    /// Let no workload register itself as an endpoint, which none may in a cluster: for meshes
    /// whose files declare all of them
    #[arg(long, env = "MESHD_NO_REGISTRATION")]
    pub no_registration: bool,
    /// Let workloads register themselves by certificates that do not say which workload they are
    /// of, with whatever labels they give: each can then become an endpoint of every service in its
    /// namespace. For an authority of your own that cannot say it; ours does, of who joins by a
    /// token
    #[arg(
        long,
        env = "MESHD_TRUST_REGISTRATIONS",
        conflicts_with = "no_registration"
    )]
    pub trust_registrations: bool,
    /// Let a crash leave a core file, which holds the authority's keys
    #[arg(long, env = "MESHD_CORE_FILES")]
    pub core_files: bool,
}

/// What happens to destinations that nobody declared (Istio: outboundTrafficPolicy.mode).
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OutboundMode {
    /// Passed to where they were going
    #[value(name = "ALLOW_ANY")]
    AllowAny,
    /// Refused
    #[value(name = "REGISTRY_ONLY")]
    RegistryOnly,
}

/// Arguments of `token`.
#[derive(Debug, Args)]
pub struct TokenArgs {
    /// State directory of the control plane
    #[arg(long, env = "MESHD_STATE_DIR", value_name = "DIR")]
    pub state_dir: PathBuf,
    /// Directory of the authority's keys and certificates [default: ca in the state directory]
    #[arg(long, value_name = "DIR")]
    pub ca_dir: Option<PathBuf>,
    /// The workload that may join
    #[arg(long, value_name = "NAMESPACE/NAME")]
    pub workload: WorkloadName,
    /// Its service account, in the namespace of the workload
    #[arg(long, default_value = "default", value_name = "NAME")]
    pub service_account: String,
    /// A label that the workload may register itself with, where workloads do; may be given more
    /// than once
    #[arg(long = "label", value_parser = parse_label, value_name = "KEY=VALUE")]
    pub labels: Vec<(String, String)>,
    /// How long the token is good
    #[arg(long, default_value = "1h", value_parser = parse_duration, value_name = "TIME")]
    pub ttl: Duration,
    /// Good for any number of joins, not for one key only
    #[arg(long)]
    pub reusable: bool,
    /// Output format
    #[arg(short, long, default_value = "text", value_name = "FORMAT")]
    pub output: OutputFormat,
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The control plane cannot start.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The control plane failed.
    #[error(transparent)]
    Run(#[from] RunError),
    /// No token was made.
    #[error(transparent)]
    Token(#[from] mesh_ca::CommandError),
    /// The tokens are not there.
    #[error(transparent)]
    Tokens(#[from] TokensError),
    /// The result cannot be printed.
    #[error("cannot print the result: {0}")]
    Print(#[from] std::io::Error),
}

// === impl Command ===

impl Command {
    /// Runs the command; `run` until `shutdown`.
    ///
    /// # Errors
    /// A [`CommandError`] in words for the user.
    pub async fn run(
        self,
        log: Option<LogControl>,
        shutdown: CancellationToken,
    ) -> Result<(), CommandError> {
        match self {
            Self::Run(args) => {
                raise_descriptor_limit();
                if !args.core_files {
                    forbid_core_files();
                }
                args.run(log, shutdown).await
            }
            Self::Token(args) => args.run(&mut std::io::stdout()),
            Self::Tokens(args) => Ok(args.run(&mut std::io::stdout())?),
            Self::Crds => {
                let yaml = crate::kubernetes::crds_yaml().map_err(std::io::Error::from)?;
                std::io::stdout().write_all(yaml.as_bytes())?;
                Ok(())
            }
        }
    }
}

// === impl RunArgs ===

impl RunArgs {
    /// Runs the control plane until `shutdown`.
    ///
    /// # Errors
    /// If it cannot start, or fails.
    pub async fn run(
        self,
        log: Option<LogControl>,
        shutdown: CancellationToken,
    ) -> Result<(), CommandError> {
        let print_ready = self.print_ready;
        let mut bound = Box::pin(App::build(self.into())).await?;
        if let Some(log) = log {
            bound = bound.with_log_control(log);
        }
        for address in &bound.discovery_addrs {
            tracing::info!(%address, "discovery listens");
        }
        for address in &bound.admin_addrs {
            tracing::info!(%address, "the operator's interface listens");
        }
        if let Some(address) = &bound.bundle_addr {
            tracing::info!(%address, "the bundle of the trust domain is served");
        }
        if print_ready {
            let texts = |addresses: &[mesh_ca::listen::BoundAddress]| -> Vec<String> {
                addresses.iter().map(ToString::to_string).collect()
            };
            let line = serde_json::json!({
                "discovery": texts(&bound.discovery_addrs),
                "admin": texts(&bound.admin_addrs),
                "bundle": bound.bundle_addr.as_ref().map(ToString::to_string),
                "revision": bound.published().borrow().revision,
            });
            let mut out = std::io::stdout().lock();
            writeln!(out, "ready {line}")?;
            out.flush()?;
        }
        Ok(Box::pin(bound.run(shutdown)).await?)
    }
}

impl From<RunArgs> for Settings {
    fn from(args: RunArgs) -> Self {
        let defaults = Self::new(args.state_dir);
        let root_namespace = args
            .root_namespace
            .unwrap_or_else(|| args.kubernetes.namespace.clone());
        let external = args.ca.zip(args.ca_roots).zip(args.ca_token);
        Self {
            config: args.config,
            discovery: if args.listen.is_empty() {
                defaults.discovery
            } else {
                args.listen
            },
            admin: if args.admin.is_empty() {
                defaults.admin
            } else {
                args.admin
            },
            monitoring: args.monitoring,
            state_dir: defaults.state_dir,
            mesh_config: args.mesh_config,
            bundle: args.bundle.into(),
            registration: match (args.no_registration, args.trust_registrations) {
                _ if args.kubernetes.enabled => SelfRegistration::Never,
                (true, _) => SelfRegistration::Never,
                (false, true) => SelfRegistration::Trusted,
                (false, false) => SelfRegistration::Granted,
            },
            mesh: MeshSettings {
                cluster_name: args.kubernetes.cluster_name.clone(),
                trust_domain: args.trust_domain,
                trust_domain_aliases: args.trust_domain_aliases,
                root_namespace,
                cluster_domain: args.cluster_domain,
                outbound_policy: args.outbound_policy.into(),
                roots_der: Vec::new(),
                allocate_addresses: !args.no_allocate_addresses,
                declared_workloads_only: args.kubernetes.enabled,
                prefer_hbone: args.prefer_hbone,
                ingress: IngressSettings::default(),
                ..defaults.mesh
            },
            authority: match external {
                Some(((address, roots), token)) => AuthoritySettings::External(ExternalAuthority {
                    address,
                    roots,
                    token,
                }),
                None => AuthoritySettings::Own {
                    dir: args.ca_dir,
                    key_type: args.ca_key_type,
                    default_ttl: args.certificate_ttl,
                    max_ttl: args.max_certificate_ttl,
                },
            },
            dns_names: args.dns_names,
            kubernetes: args.kubernetes.into(),
        }
    }
}

impl From<OutboundMode> for OutboundPolicy {
    fn from(mode: OutboundMode) -> Self {
        match mode {
            OutboundMode::AllowAny => Self::AllowAny,
            OutboundMode::RegistryOnly => Self::RegistryOnly,
        }
    }
}

// === impl TokenArgs ===

impl TokenArgs {
    /// Makes a token and prints it.
    ///
    /// # Errors
    /// If there is no authority, or `out` cannot be written.
    pub fn run(self, out: &mut impl Write) -> Result<(), CommandError> {
        let args = mesh_ca::TokenArgs {
            dir: self.ca_dir.unwrap_or_else(|| self.state_dir.join("ca")),
            workload: self.workload,
            service_account: self.service_account,
            labels: self.labels,
            ttl: self.ttl,
            reusable: self.reusable,
            output: self.output,
        };
        Ok(args.run(out)?)
    }
}
