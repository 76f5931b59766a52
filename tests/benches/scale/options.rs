//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::ensure;
use clap::Parser;
use mesh_ca::listen::raise_descriptor_limit;
use mesh_ca::parse_duration;
use mesh_tests::harness::Harness;
use nix::sys::resource::{Resource, getrlimit};

/// Descriptors besides one for each proxy.
const OWN_DESCRIPTORS: u64 = 256;

/// Measures how the control plane scales
#[derive(Debug, Parser)]
#[command(
    name = "cargo bench -p mesh-tests --bench scale --",
    after_help = "Examples:\n  \
        cargo bench -p mesh-tests --bench scale\n  \
        cargo bench -p mesh-tests --bench scale -- --services 100 --pods 500\n  \
        cargo bench -p mesh-tests --bench scale -- --json > scale.json\n  \
        KUBECONFIG=~/.kube/config cargo bench -p mesh-tests --bench scale -- --kubernetes\n\n\
        With --kubernetes it makes namespaces of its own, with objects only: no pod runs. They\n\
        are removed at the end, also after Ctrl-C."
)]
pub(crate) struct Options {
    /// Put the objects into the API server that KUBECONFIG names, instead of files
    #[arg(long)]
    pub(crate) kubernetes: bool,
    /// Services
    #[arg(long, default_value_t = 1_000, value_name = "N")]
    pub(crate) services: usize,
    /// Pods, shared out among the services
    #[arg(long, default_value_t = 5_000, value_name = "N")]
    pub(crate) pods: usize,
    /// Simulated proxies, each of a pod [default: one for every pod]
    #[arg(long, value_name = "N")]
    proxies: Option<usize>,
    /// Services that a proxy calls, and so subscribes to: one that all call, others of its own
    #[arg(long, default_value_t = 10, value_name = "N")]
    pub(crate) destinations: usize,
    /// Changes of each kind
    #[arg(long, default_value_t = 20, value_name = "N")]
    pub(crate) changes: usize,
    /// Threads for the simulated proxies
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub(crate) client_threads: usize,
    /// Do not restart the control plane under all proxies
    #[arg(long)]
    pub(crate) no_restart: bool,
    /// Longest that one step may take
    #[arg(long, default_value = "5m", value_parser = parse_duration, value_name = "TIME")]
    pub(crate) limit: Duration,
    /// Binary to measure [default: built from this source in this profile]
    #[arg(long, value_name = "FILE")]
    pub(crate) meshd: Option<PathBuf>,
    /// What meshd logs, into a file
    #[arg(long, default_value = "info,kube_client=off", value_name = "FILTER")]
    pub(crate) meshd_log: String,
    /// Leave the files and the log there, and say where
    #[arg(long)]
    pub(crate) keep: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// What cargo says.
    #[command(flatten)]
    pub(crate) harness: Harness,
}

// === impl Options ===

impl Options {
    /// Number of proxies.
    pub(crate) fn proxies(&self) -> usize {
        self.proxies.unwrap_or(self.pods)
    }

    /// Raises the limit of descriptors, and says what cannot be done.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        ensure!(
            self.destinations >= 1 && self.destinations < self.services,
            "--services must be at least one more than --destinations: nobody calls the last one"
        );
        ensure!(
            self.pods >= self.services,
            "--pods must be at least --services: the endpoints that change are pods"
        );
        ensure!(
            (1..=self.pods).contains(&self.proxies()),
            "--proxies must be between 1 and the number of pods"
        );
        ensure!(
            self.client_threads >= 1,
            "--client-threads must be at least 1"
        );
        ensure!(self.changes >= 1, "--changes must be at least 1");
        raise_descriptor_limit();
        let (soft, _) = getrlimit(Resource::RLIMIT_NOFILE)?;
        let needed = u64::try_from(self.proxies())? + OWN_DESCRIPTORS;
        ensure!(
            soft >= needed,
            "{needed} open files are needed, here and in meshd, but the hard limit is {soft}: \
             raise it (ulimit -Hn, as root), or give a smaller --proxies"
        );
        Ok(())
    }
}
