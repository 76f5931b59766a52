//! `mesh.json`: what runs, for the other commands.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use mesh_api::{InvalidWorkloadName, WorkloadName};
use serde::{Deserialize, Serialize};

use super::{StateDir, StateLock};

/// How applications' traffic reaches their sidecars.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Capture {
    /// Applications are told to use the sidecar as their HTTP or SOCKS proxy. Needs no privilege.
    Explicit,
    /// Each workload has a network namespace whose connections are redirected. Needs root or
    /// unprivileged user namespaces, iproute2, and nftables or iptables.
    Transparent,
}

/// A running mesh.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MeshRecord {
    /// Process of `up` or `demo`.
    pub pid: u32,
    /// The mesh file, absolute; empty for the embedded sample.
    pub mesh: PathBuf,
    /// Configuration files and directories, absolute.
    pub config: Vec<PathBuf>,
    /// How traffic is captured.
    pub capture: Capture,
    /// Trust domain of all identities.
    pub trust_domain: String,
    /// Socket of the control plane's admin endpoint.
    pub control_plane_admin: PathBuf,
    /// Process of the control plane, if it runs now.
    pub control_plane_pid: Option<u32>,
    /// Workloads and gateways.
    pub workloads: Vec<WorkloadRecord>,
}

/// What kind of proxy stands for a workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WorkloadKind {
    /// Beside an application.
    Sidecar,
    /// Alone.
    Gateway,
}

/// One running workload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadRecord {
    /// `<namespace>/<name>`.
    pub name: String,
    /// Sidecar or gateway.
    pub kind: WorkloadKind,
    /// Service account.
    pub service_account: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Address that other workloads call.
    pub address: IpAddr,
    /// Ports.
    pub ports: Vec<PortRecord>,
    /// Explicit capture: the HTTP and SOCKS proxy of the application.
    pub explicit_proxy: Option<SocketAddr>,
    /// Socket of the proxy's admin endpoint.
    pub admin: PathBuf,
    /// The application's output; none for gateways and applications that the user starts.
    pub log: Option<PathBuf>,
    /// Process of the proxy, if it runs now.
    pub proxy_pid: Option<u32>,
    /// Process of the application, if it runs now.
    pub app_pid: Option<u32>,
    /// Transparent capture: the workload's network namespace.
    pub netns: Option<PathBuf>,
    /// Transparent capture: the file that its processes see as `/etc/hosts`.
    pub hosts: Option<PathBuf>,
}

/// One port of a running workload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PortRecord {
    /// Name; empty for gateways.
    pub name: String,
    /// Number that others call (workloads) or that Gateway objects open (gateways).
    pub port: u16,
    /// Where the application listens (workloads), or where clients outside connect (gateways).
    pub listen: SocketAddr,
}

/// Why a record cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// Nothing runs.
    #[error("no mesh runs in {dir}: start one with `meshctl demo` or `meshctl up MESH.yaml`, or name its directory with --state DIR", dir = dir.display())]
    NotRunning {
        /// The state directory.
        dir: PathBuf,
    },
    /// It starts and is not there yet.
    #[error("the mesh in {dir} is still starting: wait for its line `ready`", dir = dir.display())]
    Starting {
        /// The state directory.
        dir: PathBuf,
    },
    /// It cannot be read or written.
    #[error("cannot access {path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is no record of this version.
    #[error("{path} is no record of a mesh of this version: {source}", path = path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// No such workload.
    #[error("no workload is called `{name}`; the mesh has {known}")]
    NoWorkload {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// The short name fits several.
    #[error("`{name}` fits several workloads, {candidates}: name one of them in full")]
    Ambiguous {
        /// What was asked for.
        name: String,
        /// What fits.
        candidates: String,
    },
}

// === impl MeshRecord ===

impl MeshRecord {
    /// The record of the mesh that runs in a state directory now.
    ///
    /// # Errors
    /// If none does; a record left behind by a killed process does not count.
    pub fn of_running(state: &StateDir) -> Result<Self, RecordError> {
        let dir = || state.root().to_owned();
        if StateLock::holder(state).is_none() {
            return Err(RecordError::NotRunning { dir: dir() });
        }
        Self::read(&state.record_file()).map_err(|error| match error {
            RecordError::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                RecordError::Starting { dir: dir() }
            }
            error => error,
        })
    }

    fn read(path: &Path) -> Result<Self, RecordError> {
        let text = std::fs::read_to_string(path).map_err(|source| RecordError::Io {
            path: path.to_owned(),
            source,
        })?;
        serde_json::from_str(&text).map_err(|source| RecordError::Format {
            path: path.to_owned(),
            source,
        })
    }

    /// Replaces the record in one step.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write(&self, state: &StateDir) -> Result<(), RecordError> {
        let path = state.record_file();
        let mut text =
            serde_json::to_string_pretty(self).map_err(|source| RecordError::Format {
                path: path.clone(),
                source,
            })?;
        text.push('\n');
        crate::file::replace(&path, text.as_bytes())
            .map_err(|source| RecordError::Io { path, source })
    }

    /// The workload of a full name, or of a name without namespace if it is the only one; `app`
    /// and `app-version` of labels count as names when no workload is called so.
    ///
    /// # Errors
    /// If none or several fit.
    pub fn workload(&self, name: &str) -> Result<&WorkloadRecord, RecordError> {
        if let Some(exact) = self.workloads.iter().find(|w| w.name == name) {
            return Ok(exact);
        }
        let by_name = |w: &&WorkloadRecord| {
            w.name
                .split_once('/')
                .is_some_and(|(_, short)| short == name)
        };
        let by_app = |w: &&WorkloadRecord| w.labels.get("app").is_some_and(|app| app == name);
        let mut fitting = self.workloads.iter().filter(by_name).collect::<Vec<_>>();
        if fitting.is_empty() {
            fitting = self.workloads.iter().filter(by_app).collect();
        }
        match fitting.as_slice() {
            [one] => Ok(one),
            [] => Err(RecordError::NoWorkload {
                name: name.to_owned(),
                known: names(self.workloads.iter()),
            }),
            several => Err(RecordError::Ambiguous {
                name: name.to_owned(),
                candidates: names(several.iter().copied()),
            }),
        }
    }
}

fn names<'a>(workloads: impl Iterator<Item = &'a WorkloadRecord>) -> String {
    workloads
        .map(|w| w.name.as_str())
        .collect::<Vec<_>>()
        .join(", ")
}

// === impl WorkloadRecord ===

impl WorkloadRecord {
    /// The parsed name.
    ///
    /// # Errors
    /// If the record holds none, which only a foreign hand can make happen.
    pub fn workload_name(&self) -> Result<WorkloadName, InvalidWorkloadName> {
        self.name.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workload(name: &str, app: &str) -> WorkloadRecord {
        WorkloadRecord {
            name: name.to_owned(),
            kind: WorkloadKind::Sidecar,
            service_account: "default".to_owned(),
            labels: BTreeMap::from([("app".to_owned(), app.to_owned())]),
            address: "127.64.0.2".parse().unwrap(),
            ports: vec![],
            explicit_proxy: None,
            admin: PathBuf::from("/a"),
            log: None,
            proxy_pid: None,
            app_pid: None,
            netns: None,
            hosts: None,
        }
    }

    fn record() -> MeshRecord {
        MeshRecord {
            pid: 1,
            mesh: PathBuf::new(),
            config: vec![],
            capture: Capture::Explicit,
            trust_domain: "cluster.local".to_owned(),
            control_plane_admin: PathBuf::from("/m"),
            control_plane_pid: None,
            workloads: vec![
                workload("default/reviews-v1", "reviews"),
                workload("default/reviews-v2", "reviews"),
                workload("default/client", "client-app"),
                workload("other/client", "client-app"),
                workload("default/ratings-v1", "ratings"),
            ],
        }
    }

    #[test]
    fn finds_workloads_by_any_clear_name() {
        let record = record();
        for (asked, found) in [
            ("default/reviews-v1", "default/reviews-v1"),
            ("reviews-v2", "default/reviews-v2"),
            ("ratings", "default/ratings-v1"),
            ("other/client", "other/client"),
        ] {
            assert_eq!(record.workload(asked).unwrap().name, found);
        }
        for (asked, part) in [
            ("reviews", "default/reviews-v1, default/reviews-v2"),
            ("client", "default/client, other/client"),
            ("nobody", "no workload is called `nobody`"),
        ] {
            let error = record.workload(asked).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn only_a_locked_record_counts() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::find(Some(dir.path())).unwrap();
        state.create().unwrap();
        assert!(matches!(
            MeshRecord::of_running(&state),
            Err(RecordError::NotRunning { .. })
        ));
        let lock = StateLock::take(&state).unwrap();
        assert!(matches!(
            MeshRecord::of_running(&state),
            Err(RecordError::Starting { .. })
        ));
        record().write(&state).unwrap();
        assert_eq!(MeshRecord::of_running(&state).unwrap(), record());
        drop(lock);
        assert!(matches!(
            MeshRecord::of_running(&state),
            Err(RecordError::NotRunning { .. })
        ));
    }
}
