//! The command line, for the binary here and for programs that carry it along.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use mesh_api::{TrustDomain, WorkloadName};
use tokio_util::sync::CancellationToken;

use crate::app::{App, BuildError, RunError, Settings};
use crate::authority::{Authority, AuthorityError, AuthorityOptions};
use crate::binding::{InvalidLabels, collect_labels, parse_label};
use crate::clock;
use crate::duration::parse_duration;
use crate::listen::{ListenAddress, forbid_core_files, raise_descriptor_limit};
use crate::pem;
use crate::secret_key::KeyType;
use crate::storage::FileError;
use crate::tokens::{JoinClaims, JoinTokens};

/// How to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum OutputFormat {
    /// For people and shells.
    #[default]
    Text,
    /// One JSON object.
    Json,
}

/// Subcommands of `mesh-ca`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Creates an authority, or checks one that is there
    #[command(
        after_help = "Examples:\n  mesh-ca init --dir ./ca\n  mesh-ca init --dir ./ca --trust-domain example.org -o json"
    )]
    Init(InitArgs),
    /// Makes a join token for one workload
    #[command(
        after_help = "Examples:\n  mesh-ca token --dir ./ca --workload default/reviews-v1 --service-account reviews\n  mesh-ca token --dir ./ca --workload default/web --service-account web --ttl 10m > web.token\n  mesh-ca token --dir ./ca --workload default/web --label app=web --label version=v1"
    )]
    Token(TokenArgs),
    /// Serves certificates over gRPC and TLS
    #[command(
        after_help = "Examples:\n  mesh-ca serve --dir ./ca --listen 127.0.0.1:15012\n  mesh-ca serve --dir ./ca --listen unix:///run/mesh/ca.sock --listen 0.0.0.0:15012 --dns-name ca.example.org\n  mesh-ca serve --dir ./ca --cacerts /etc/cacerts --listen 0.0.0.0:15012"
    )]
    Serve(ServeArgs),
}

/// Arguments of `init`.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// Directory of keys and certificates
    #[arg(long, value_name = "DIR")]
    pub dir: PathBuf,
    /// Trust domain that it certifies
    #[arg(long, default_value = "cluster.local", value_name = "NAME")]
    pub trust_domain: TrustDomain,
    /// Kind of the keys that are made
    #[arg(long, default_value = "p256", value_name = "KIND")]
    pub key_type: KeyType,
    /// Output format
    #[arg(short, long, default_value = "text", value_name = "FORMAT")]
    pub output: OutputFormat,
}

/// Arguments of `token`.
#[derive(Debug, Args)]
pub struct TokenArgs {
    /// Directory of keys and certificates
    #[arg(long, value_name = "DIR")]
    pub dir: PathBuf,
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

/// Arguments of `serve`.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Directory of keys and certificates
    #[arg(long, value_name = "DIR")]
    pub dir: PathBuf,
    /// Directory with the authority's keys in the layout of Istio's cacerts (root-cert.pem,
    /// ca-cert.pem, ca-key.pem, cert-chain.pem), instead of those in --dir
    #[arg(long, value_name = "DIR")]
    pub cacerts: Option<PathBuf>,
    /// Where to listen: host:port or unix:///path; may be given more than once
    #[arg(long, default_value = "127.0.0.1:15012", value_name = "ADDRESS")]
    pub listen: Vec<ListenAddress>,
    /// Trust domain that it certifies
    #[arg(long, default_value = "cluster.local", value_name = "NAME")]
    pub trust_domain: TrustDomain,
    /// Life of a certificate whose caller asks for none
    #[arg(long, default_value = "24h", value_parser = parse_duration, value_name = "TIME")]
    pub default_ttl: Duration,
    /// Longest life of a certificate
    #[arg(long, default_value = "90d", value_parser = parse_duration, value_name = "TIME")]
    pub max_ttl: Duration,
    /// A further DNS name of this server, for its own certificate; may be given more than once
    #[arg(long = "dns-name", value_name = "NAME")]
    pub dns_names: Vec<String>,
    /// Let a crash leave a core file, which holds the authority's keys
    #[arg(long, env = "MESH_CA_CORE_FILES")]
    pub core_files: bool,
    /// Kind of the keys that are made here
    #[arg(long, default_value = "p256", value_name = "KIND")]
    pub key_type: KeyType,
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The authority cannot be opened.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// A file of the authority cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// The labels of a token do not go together.
    #[error(transparent)]
    Labels(#[from] InvalidLabels),
    /// An argument does not fit.
    #[error("{0}")]
    Argument(String),
    /// The server cannot start.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The server failed.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The result cannot be printed.
    #[error("cannot print the result: {0}")]
    Print(#[from] std::io::Error),
}

// === impl Command ===

impl Command {
    /// Runs the command; `serve` until `shutdown`.
    ///
    /// # Errors
    /// A [`CommandError`] in words for the user.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), CommandError> {
        match self {
            Self::Init(args) => args.run(&mut std::io::stdout()),
            Self::Token(args) => args.run(&mut std::io::stdout()),
            Self::Serve(args) => {
                raise_descriptor_limit();
                if !args.core_files {
                    forbid_core_files();
                }
                args.run(shutdown).await
            }
        }
    }
}

// === impl InitArgs ===

impl InitArgs {
    /// Creates or checks the authority and prints what it is.
    ///
    /// # Errors
    /// If it cannot be opened, or `out` cannot be written.
    pub fn run(&self, out: &mut impl Write) -> Result<(), CommandError> {
        let options = AuthorityOptions {
            trust_domain: self.trust_domain.clone(),
            key_type: self.key_type,
            ..AuthorityOptions::default()
        };
        let authority = Authority::open(&self.dir, &options)?;
        JoinTokens::open(&self.dir)?;
        let root = self.dir.join("root.pem");
        match self.output {
            OutputFormat::Text => {
                writeln!(
                    out,
                    "authority of {} in {}",
                    authority.trust_domain(),
                    self.dir.display()
                )?;
                writeln!(
                    out,
                    "give {} to everybody who is to trust it",
                    root.display()
                )?;
            }
            OutputFormat::Json => {
                let roots: String = authority
                    .roots_der()
                    .iter()
                    .map(|der| pem::encode("CERTIFICATE", der).to_string())
                    .collect();
                let object = serde_json::json!({
                    "dir": self.dir,
                    "trustDomain": authority.trust_domain().as_str(),
                    "rootFile": root,
                    "roots": roots,
                });
                writeln!(out, "{object}")?;
            }
        }
        Ok(())
    }
}

// === impl TokenArgs ===

impl TokenArgs {
    /// Makes a token and prints it.
    ///
    /// # Errors
    /// If the directory holds no authority, or `out` cannot be written.
    pub fn run(&self, out: &mut impl Write) -> Result<(), CommandError> {
        if !self.dir.join("root.pem").exists() {
            let dir = self.dir.display();
            return Err(CommandError::Argument(format!(
                "there is no authority in {dir}: make one with `mesh-ca init --dir {dir}`, or give the right --dir"
            )));
        }
        // The namespace of a service account is that of its workload.
        WorkloadName::new(self.workload.namespace(), &self.service_account).map_err(|_| {
            CommandError::Argument(format!(
                "`{}` is no name of a service account",
                self.service_account
            ))
        })?;
        let expires = clock::now() + self.ttl;
        let claims = JoinClaims {
            workload: self.workload.clone(),
            service_account: self.service_account.clone(),
            labels: collect_labels(self.labels.iter().cloned())?,
            expires,
            single_use: !self.reusable,
        };
        let token = JoinTokens::open(&self.dir)?.mint(&claims)?;
        match self.output {
            OutputFormat::Text => writeln!(out, "{token}")?,
            OutputFormat::Json => {
                let object = serde_json::json!({
                    "token": token,
                    "workload": claims.workload.to_string(),
                    "serviceAccount": claims.service_account,
                    "labels": claims.labels,
                    "expires": clock::unix_seconds(expires),
                    "singleUse": claims.single_use,
                });
                writeln!(out, "{object}")?;
            }
        }
        Ok(())
    }
}

// === impl ServeArgs ===

impl ServeArgs {
    /// Serves until `shutdown`.
    ///
    /// # Errors
    /// If the server cannot start, or fails.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), CommandError> {
        let bound = App::build(self.into()).await?;
        for address in &bound.addresses {
            tracing::info!(%address, "the certificate authority listens");
        }
        Ok(bound.run(shutdown).await?)
    }
}

impl From<ServeArgs> for Settings {
    fn from(args: ServeArgs) -> Self {
        Self {
            dir: args.dir,
            cacerts: args.cacerts,
            listen: args.listen,
            authority: AuthorityOptions {
                trust_domain: args.trust_domain,
                default_ttl: args.default_ttl,
                max_ttl: args.max_ttl,
                key_type: args.key_type,
                ..AuthorityOptions::default()
            },
            dns_names: args.dns_names,
        }
    }
}
