//! The state directory of a mesh: its layout, its lock, and the record of what runs.

mod lock;
mod record;

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use mesh_api::WorkloadName;

pub use lock::{LockError, StateLock};
pub use record::{Capture, MeshRecord, PortRecord, RecordError, WorkloadKind, WorkloadRecord};

/// Longest path that fits `sockaddr_un.sun_path` with its final zero (unix(7)).
const LONGEST_SOCKET_PATH: usize = 107;

/// Where everything of one mesh lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateDir {
    root: PathBuf,
}

/// Why a state directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// No default: neither `--state` nor a home directory.
    #[error(
        "there is no home directory to keep the mesh's state in: give a directory with --state DIR"
    )]
    NoHome,
    /// It cannot be made.
    #[error("cannot create the state directory {path}: {source}; give another with --state DIR", path = path.display())]
    Create {
        /// What was to be created.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The path of a socket in it does not fit a Unix socket address.
    #[error(
        "the state directory's path is too long: {path} has {length} bytes, and a Unix socket's path may have 107; give a shorter one with --state DIR",
        path = path.display(), length = path.as_os_str().len()
    )]
    TooLong {
        /// The path.
        path: PathBuf,
    },
}

// === impl StateDir ===

impl StateDir {
    /// The directory given, or the user's default: `$XDG_STATE_HOME/mesh`, else
    /// `~/.local/state/mesh` (XDG Base Directory Specification).
    ///
    /// # Errors
    /// If none is given and the user has no home.
    pub fn find(given: Option<&Path>) -> Result<Self, StateError> {
        let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        if let Some(path) = given {
            return Ok(Self {
                root: absolute(path),
            });
        }
        let set = |name| {
            std::env::var_os(name)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        };
        let root = match set("XDG_STATE_HOME") {
            Some(home) if home.is_absolute() => home.join("mesh"),
            _ => set("HOME")
                .ok_or(StateError::NoHome)?
                .join(".local/state/mesh"),
        };
        Ok(Self {
            root: absolute(&root),
        })
    }

    /// Makes the directories, readable only by the user.
    ///
    /// # Errors
    /// If one cannot be made.
    pub fn create(&self) -> Result<(), StateError> {
        for dir in [
            self.root.clone(),
            self.world(),
            self.logs(),
            self.proxies(),
            self.bin(),
        ] {
            let result = fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&dir);
            result.map_err(|source| StateError::Create { path: dir, source })?;
        }
        let closed = fs::set_permissions(&self.root, fs::Permissions::from_mode(0o700));
        closed.map_err(|source| StateError::Create {
            path: self.root.clone(),
            source,
        })
    }

    /// Checks that the sockets of these workloads can be bound.
    ///
    /// # Errors
    /// If a path is too long for a socket address.
    pub fn check_sockets<'a>(
        &self,
        workloads: impl IntoIterator<Item = &'a WorkloadName>,
    ) -> Result<(), StateError> {
        let proxies = workloads
            .into_iter()
            .map(|workload| self.proxy_admin_socket(workload));
        for path in proxies.chain([
            self.control_plane_socket(),
            self.control_plane_admin_socket(),
        ]) {
            if path.as_os_str().len() > LONGEST_SOCKET_PATH {
                return Err(StateError::TooLong { path });
            }
        }
        Ok(())
    }

    /// The directory itself, absolute.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Held while the mesh runs.
    pub fn lock_file(&self) -> PathBuf {
        self.root.join("lock")
    }

    /// What runs; there while it serves.
    pub fn record_file(&self) -> PathBuf {
        self.root.join("mesh.json")
    }

    /// Root, intermediate and keys of the certificate authority.
    pub fn ca(&self) -> PathBuf {
        self.root.join("ca")
    }

    /// Objects derived from MESH.yaml, read by the control plane.
    pub fn world(&self) -> PathBuf {
        self.root.join("world")
    }

    /// Settings of the mesh from MESH.yaml, read by the control plane.
    pub fn mesh_config(&self) -> PathBuf {
        self.root.join("mesh-config.json")
    }

    /// Output of applications and of the control plane.
    pub fn logs(&self) -> PathBuf {
        self.root.join("logs")
    }

    /// Programs put in front of the applications' PATH.
    pub fn bin(&self) -> PathBuf {
        self.root.join("bin")
    }

    /// Discovery and certificates.
    pub fn control_plane_socket(&self) -> PathBuf {
        self.root.join("meshd.sock")
    }

    /// The control plane's admin endpoint.
    pub fn control_plane_admin_socket(&self) -> PathBuf {
        self.root.join("meshd-admin.sock")
    }

    /// The directories of all proxies.
    pub fn proxies(&self) -> PathBuf {
        self.root.join("proxies")
    }

    /// What belongs to one proxy.
    pub fn proxy(&self, workload: &WorkloadName) -> PathBuf {
        self.proxies().join(file_name(workload))
    }

    /// One proxy's admin endpoint.
    pub fn proxy_admin_socket(&self, workload: &WorkloadName) -> PathBuf {
        self.proxy(workload).join("admin.sock")
    }

    /// An application's output.
    pub fn app_log(&self, workload: &WorkloadName) -> PathBuf {
        self.logs().join(format!("{}.log", file_name(workload)))
    }
}

/// `<namespace>.<name>`.
pub fn file_name(workload: &WorkloadName) -> String {
    format!("{}.{}", workload.namespace(), workload.name())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn creates_a_closed_directory() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::find(Some(&dir.path().join("a/b"))).unwrap();
        state.create().unwrap();
        state.create().unwrap();
        assert_eq!(
            fs::metadata(state.root()).unwrap().permissions().mode() & 0o777,
            0o700
        );
        assert!(state.world().is_dir());
    }

    #[test]
    fn refuses_paths_that_no_socket_fits() {
        let workload: WorkloadName = "default/reviews-v1".parse().unwrap();
        let short = StateDir::find(Some(Path::new("/tmp/mesh"))).unwrap();
        short.check_sockets([&workload]).unwrap();
        let long = StateDir::find(Some(&Path::new("/tmp").join("x".repeat(80)))).unwrap();
        let error = long.check_sockets([&workload]).unwrap_err().to_string();
        assert!(
            error.contains("--state DIR") && error.contains("107"),
            "{error}"
        );
    }

    #[test]
    fn refuses_a_file_in_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, "").unwrap();
        let error = StateDir::find(Some(&path))
            .unwrap()
            .create()
            .unwrap_err()
            .to_string();
        assert!(error.contains("--state DIR"), "{error}");
    }
}
