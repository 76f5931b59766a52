//! Changes of the live configuration, followed until every proxy runs them.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mesh_api::v1::{ControlPlaneStatus, ProblemList};
use meshd_core::{MeshSettings, ProblemLine, Store};
use tokio::time::Instant;

use crate::call::{Admin, AdminError};
use crate::file;
use meshd::{SourceError, read_configuration};

const PATIENCE: Duration = Duration::from_secs(15);
const PAUSE: Duration = Duration::from_millis(10);

/// A directory that a running control plane watches.
#[derive(Debug)]
pub struct LiveConfig {
    dir: PathBuf,
    /// Everything the control plane reads.
    sources: Vec<PathBuf>,
    settings: MeshSettings,
    admin: Admin,
    proxies: u32,
}

/// Why a change is not in force.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// A file cannot be written or removed.
    #[error("cannot change {path}: {source}", path = path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The files cannot be read.
    #[error(transparent)]
    Read(#[from] SourceError),
    /// The control plane does not answer.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// It takes too long.
    #[error(
        "not in force everywhere after {PATIENCE:?}: revision {revision} runs on {current} of {connected} connected proxies, {proxies} were expected{problems}"
    )]
    Late {
        /// Newest revision.
        revision: u64,
        /// Proxies that run it.
        current: u32,
        /// Proxies that are connected.
        connected: u32,
        /// Proxies that the mesh has.
        proxies: u32,
        /// Problems of the configuration, one a line.
        problems: String,
    },
}

// === impl LiveConfig ===

impl LiveConfig {
    /// `dir` is to be changed; `sources` (with it) are what the control plane reads, `settings`
    /// what it was started with.
    pub fn new(
        dir: &Path,
        sources: Vec<PathBuf>,
        settings: MeshSettings,
        admin: Admin,
        proxies: u32,
    ) -> Self {
        Self {
            dir: dir.to_owned(),
            sources,
            settings,
            admin,
            proxies,
        }
    }

    /// Writes (or, without text, removes) files and waits until every proxy runs exactly what
    /// all files say together. No clock decides that: the content's digest does.
    ///
    /// # Errors
    /// If a file cannot be changed, or the change does not come into force.
    pub async fn apply(
        &self,
        changes: &[(&str, Option<&str>)],
    ) -> Result<ControlPlaneStatus, ApplyError> {
        for (name, text) in changes {
            self.write(name, *text)?;
        }
        self.settle().await
    }

    /// Writes or removes a file without waiting.
    ///
    /// # Errors
    /// If it cannot be changed.
    pub fn write(&self, name: &str, text: Option<&str>) -> Result<(), ApplyError> {
        let path = self.dir.join(name);
        let changed = match text {
            Some(text) => file::replace(&path, text.as_bytes()),
            None => match std::fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            },
        };
        changed.map_err(|source| ApplyError::Write { path, source })
    }

    /// Waits until every proxy is connected and runs what the files say now.
    ///
    /// # Errors
    /// If that does not come to be.
    pub async fn settle(&self) -> Result<ControlPlaneStatus, ApplyError> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            // The health of an application may change the files at any time.
            let wanted = self.digest()?;
            let status = self.admin.get::<ControlPlaneStatus>("/v1/status").await;
            if let Ok(status) = &status
                && status.digest == wanted
                && status.connected == self.proxies
                && status.current == status.connected
            {
                return Ok(status.clone());
            }
            if Instant::now() >= deadline {
                let status = status?;
                let problems = self
                    .admin
                    .get::<ProblemList>("/v1/problems")
                    .await?
                    .problems;
                let problems = problems
                    .iter()
                    .map(|problem| format!("\n{}", ProblemLine(problem)))
                    .collect();
                return Err(ApplyError::Late {
                    revision: status.revision,
                    current: status.current,
                    connected: status.connected,
                    proxies: self.proxies,
                    problems,
                });
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// The control plane's admin endpoint.
    pub fn admin(&self) -> &Admin {
        &self.admin
    }

    fn digest(&self) -> Result<String, SourceError> {
        let mut store = Store::new();
        for (path, text) in read_configuration(&self.sources)?.files {
            store.set_file(&path, &text);
        }
        Ok(store.world(&self.settings).digest().to_owned())
    }
}
