//! Join tokens for a whole deployment at once, as files.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, chown};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use mesh_api::{TrustDomain, WorkloadName};
use mesh_ca::{
    Authority, AuthorityOptions, JoinClaims, JoinTokens, collect_labels, parse_duration,
    parse_label,
};

use crate::clock;

/// Arguments of `tokens`.
#[derive(Debug, Args)]
pub struct TokensArgs {
    /// State directory of the control plane; its authority is made if it is not there yet
    #[arg(long, env = "MESHD_STATE_DIR", value_name = "DIR")]
    pub state_dir: PathBuf,
    /// Directory of the authority's keys and certificates [default: ca in the state directory]
    #[arg(long, value_name = "DIR")]
    pub ca_dir: Option<PathBuf>,
    /// Trust domain of the mesh, where the authority is made
    #[arg(
        long,
        env = "MESHD_TRUST_DOMAIN",
        default_value = "cluster.local",
        value_name = "NAME"
    )]
    pub trust_domain: TrustDomain,
    /// Where to write: root-cert.pem, and a directory NAMESPACE.NAME with the file `token` for
    /// each workload
    #[arg(long, value_name = "DIR")]
    pub into: PathBuf,
    /// How long the tokens are good; they may be used more than once, as a container starts more
    /// than once
    #[arg(long, default_value = "90d", value_parser = parse_duration, value_name = "TIME")]
    pub ttl: Duration,
    /// User number that the tokens are to belong to, if not the one that runs this
    #[arg(long, value_name = "UID")]
    pub owner: Option<u32>,
    /// The workloads that may join, each with its service account [default: default] and the labels
    /// that it may register itself with, where workloads do
    #[arg(
        required = true,
        value_name = "NAMESPACE/NAME[=SERVICE-ACCOUNT][:KEY=VALUE,…]"
    )]
    pub workloads: Vec<Joining>,
}

/// A workload, its service account and its labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joining {
    workload: WorkloadName,
    service_account: String,
    labels: BTreeMap<String, String>,
}

/// Why the tokens are not there.
#[derive(Debug, thiserror::Error)]
pub enum TokensError {
    /// A file cannot be written.
    #[error("cannot write {path}: {source}", path = path.display())]
    Write {
        /// The file or directory.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// There is no authority and none can be made.
    #[error(transparent)]
    Authority(#[from] mesh_ca::AuthorityError),
    /// The key of the tokens cannot be used.
    #[error(transparent)]
    Tokens(#[from] mesh_ca::FileError),
}

// === impl Joining ===

impl FromStr for Joining {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // Neither name has a colon.
        let (names, labels) = match text.split_once(':') {
            Some((names, labels)) => (names, labels.split(',').map(parse_label).collect()),
            None => (text, Ok(Vec::new())),
        };
        let labels = labels
            .and_then(collect_labels)
            .map_err(|error| error.to_string())?;
        let (workload, service_account) = names.split_once('=').unwrap_or((names, "default"));
        let workload: WorkloadName = workload
            .parse()
            .map_err(|error: mesh_api::InvalidWorkloadName| error.to_string())?;
        // The namespace of a service account is that of its workload.
        WorkloadName::new(workload.namespace(), service_account)
            .map_err(|_| format!("`{service_account}` is no name of a service account"))?;
        Ok(Self {
            workload,
            service_account: service_account.to_owned(),
            labels,
        })
    }
}

// === impl TokensArgs ===

impl TokensArgs {
    /// Writes all files. What was there is replaced: an older token stays good until it expires.
    ///
    /// # Errors
    /// If a file cannot be written, or the authority cannot be opened.
    pub fn run(&self, out: &mut impl Write) -> Result<(), TokensError> {
        let ca = self
            .ca_dir
            .clone()
            .unwrap_or_else(|| self.state_dir.join("ca"));
        directory(&self.state_dir, 0o700)?;
        let options = AuthorityOptions {
            trust_domain: self.trust_domain.clone(),
            ..AuthorityOptions::default()
        };
        let authority = Authority::open(&ca, &options)?;
        let tokens = JoinTokens::open(&ca)?;
        directory(&self.into, 0o755)?;
        let root = ca.join("root.pem");
        let roots = fs::read(&root).map_err(|source| TokensError::Write { path: root, source })?;
        write(&self.into.join("root-cert.pem"), &roots, 0o644)?;
        for joining in &self.workloads {
            let token = tokens.mint(&JoinClaims {
                workload: joining.workload.clone(),
                service_account: joining.service_account.clone(),
                expires: clock::now() + self.ttl,
                single_use: false,
                labels: joining.labels.clone(),
            })?;
            let name = joining.workload.to_string().replace('/', ".");
            let dir = self.into.join(name);
            directory(&dir, 0o700)?;
            let file = dir.join("token");
            write(&file, token.as_bytes(), 0o600)?;
            if let Some(owner) = self.owner {
                for path in [&file, &dir] {
                    chown(path, Some(owner), None).map_err(|source| TokensError::Write {
                        path: path.clone(),
                        source,
                    })?;
                }
            }
        }
        let told = writeln!(
            out,
            "{} tokens of {} in {}",
            self.workloads.len(),
            authority.trust_domain(),
            self.into.display()
        );
        told.map_err(|source| TokensError::Write {
            path: "standard output".into(),
            source,
        })
    }
}

fn directory(path: &Path, mode: u32) -> Result<(), TokensError> {
    DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(path)
        .map_err(|source| TokensError::Write {
            path: path.to_owned(),
            source,
        })
}

fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<(), TokensError> {
    let neighbour = path.with_extension("new");
    let written = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .open(&neighbour)
        .and_then(|mut file| file.write_all(bytes))
        .and_then(|()| fs::rename(&neighbour, path));
    written.map_err(|source| TokensError::Write {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn each_workload_gets_a_token_of_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state");
        let into = dir.path().join("join");
        let args = TokensArgs {
            state_dir: state.clone(),
            ca_dir: None,
            trust_domain: TrustDomain::default(),
            into: into.clone(),
            ttl: Duration::from_secs(60),
            owner: None,
            workloads: vec![
                "default/reviews-v1=bookinfo-reviews:app=reviews,version=v1"
                    .parse()
                    .unwrap(),
                "default/web".parse().unwrap(),
                "default/api:app=api".parse().unwrap(),
            ],
        };
        let mut out = Vec::new();
        args.run(&mut out).unwrap();
        args.run(&mut out).unwrap();
        let read = |name: &str| fs::read_to_string(into.join(name)).unwrap();
        assert!(read("root-cert.pem").starts_with("-----BEGIN CERTIFICATE-----"));
        let tokens = JoinTokens::open(&state.join("ca")).unwrap();
        for (name, account, labels) in [
            (
                "default.reviews-v1",
                "bookinfo-reviews",
                &["app=reviews", "version=v1"][..],
            ),
            ("default.web", "default", &[]),
            ("default.api", "default", &["app=api"]),
        ] {
            let token = into.join(name).join("token");
            let mode = fs::metadata(&token).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
            let claims = tokens
                .verify(&fs::read_to_string(token).unwrap(), clock::now())
                .unwrap();
            assert_eq!(claims.service_account, account);
            assert!(!claims.single_use);
            let granted = claims.labels.iter().map(|(k, v)| format!("{k}={v}"));
            assert_eq!(granted.collect::<Vec<_>>(), labels);
        }
    }

    #[test]
    fn what_is_no_workload_is_refused() {
        for text in [
            "reviews",
            "default/reviews=",
            "default/reviews=A B",
            "",
            "default/reviews:",
            "default/reviews:app",
            "default/reviews:app=a,app=b",
            "default/reviews:app=a:b=reviews,",
        ] {
            assert!(text.parse::<Joining>().is_err(), "{text}");
        }
    }
}
