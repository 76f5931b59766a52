//! One mesh per state directory.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use super::StateDir;

/// The right to run a mesh in a state directory, held until it is dropped or the process ends
/// in whatever way.
#[derive(Debug)]
pub struct StateLock {
    _file: Flock<File>,
}

/// Why the lock was not taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process has it.
    #[error(
        "a mesh runs in {dir} already{owner}: stop it with `meshctl down --state {dir}`, or give this one another directory with --state DIR",
        dir = dir.display(), owner = pid.map(|pid| format!(" (process {pid})")).unwrap_or_default()
    )]
    Held {
        /// The state directory.
        dir: PathBuf,
        /// Process that has it, as far as it wrote that down.
        pid: Option<u32>,
    },
    /// The lock file cannot be opened or locked.
    #[error("cannot lock {path}: {source}", path = path.display())]
    Io {
        /// The lock file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

// === impl StateLock ===

impl StateLock {
    /// Takes the lock of an existing state directory and writes this process's id in it.
    ///
    /// # Errors
    /// If another process holds it, with that process's id.
    pub fn take(state: &StateDir) -> Result<Self, LockError> {
        let path = state.lock_file();
        let failed = |source: io::Error| LockError::Io {
            path: path.clone(),
            source,
        };
        let mut options = OpenOptions::new();
        options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600);
        let file = options.open(&path).map_err(failed)?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(mut file) => {
                file.set_len(0).map_err(failed)?;
                file.rewind().map_err(failed)?;
                file.write_all(std::process::id().to_string().as_bytes())
                    .map_err(failed)?;
                Ok(Self { _file: file })
            }
            Err((mut file, Errno::EWOULDBLOCK)) => {
                let mut text = String::new();
                // The owner may be between truncating and writing; the answer is the same.
                let _ = file.read_to_string(&mut text);
                Err(LockError::Held {
                    dir: state.root().to_owned(),
                    pid: text.trim().parse().ok(),
                })
            }
            Err((_, errno)) => Err(failed(errno.into())),
        }
    }

    /// Who holds the lock, if anybody does. `Some(None)`: somebody who has not written its id.
    pub fn holder(state: &StateDir) -> Option<Option<u32>> {
        if !state.lock_file().exists() {
            return None;
        }
        match Self::take(state) {
            Err(LockError::Held { pid, .. }) => Some(pid),
            Ok(_) | Err(LockError::Io { .. }) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_mesh_per_directory() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::find(Some(dir.path())).unwrap();
        state.create().unwrap();
        assert_eq!(StateLock::holder(&state), None);

        let first = StateLock::take(&state).unwrap();
        let error = StateLock::take(&state).unwrap_err();
        assert!(
            matches!(error, LockError::Held { pid: Some(pid), .. } if pid == std::process::id())
        );
        let text = error.to_string();
        assert!(
            text.contains("--state DIR") && text.contains("meshctl down"),
            "{text}"
        );
        assert_eq!(StateLock::holder(&state), Some(Some(std::process::id())));

        drop(first);
        StateLock::take(&state).unwrap();
    }

    #[test]
    fn two_directories_do_not_meet() {
        let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let states = [a.path(), b.path()].map(|path| StateDir::find(Some(path)).unwrap());
        let _locks = states.map(|state| {
            state.create().unwrap();
            StateLock::take(&state).unwrap()
        });
    }
}
