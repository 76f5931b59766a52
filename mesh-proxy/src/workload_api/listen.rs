//! The socket.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener as StdUnixListener, UnixStream as StdUnixStream};
use std::path::{Path, PathBuf};

use tokio::sync::oneshot;
use tokio::task::LocalSet;
use tokio_util::sync::CancellationToken;

use super::connections;
use crate::drain::Drain;
use crate::hand_over::{Offered, Sockets};
use crate::identity::{AppIdentity, IdentityHandle};
use crate::runtime;
use crate::settings::{Users, WorkloadApiSettings};

/// The bound socket.
pub(crate) struct WorkloadListener {
    listener: StdUnixListener,
    users: Users,
    offered: Offered,
}

/// Why the workload API cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum WorkloadApiError {
    /// The socket cannot be bound.
    #[error("--workload-api: cannot listen on {path}: {source}")]
    Bind {
        /// The path.
        path: PathBuf,
        /// What the kernel says.
        source: io::Error,
    },
    /// It ended.
    #[error("workload API: {0}")]
    Serve(#[from] io::Error),
}

// === impl WorkloadListener ===

impl WorkloadListener {
    /// Binds what `settings` ask for, or takes it over.
    ///
    /// # Errors
    /// If the path cannot be bound.
    pub(crate) fn bind(
        settings: &WorkloadApiSettings,
        sockets: &Sockets,
    ) -> Result<Self, WorkloadApiError> {
        let path = &settings.path;
        let opened = sockets.unix("workload-api", || bind(path, &settings.users));
        let (listener, offered) = opened.map_err(|source| WorkloadApiError::Bind {
            path: path.clone(),
            source,
        })?;
        Ok(Self {
            listener,
            users: settings.users.clone(),
            offered,
        })
    }

    /// Serves until `end`, on a thread of its own: connections of our HTTP/2 stay on theirs.
    pub(crate) async fn serve(
        self,
        app: AppIdentity,
        own: IdentityHandle,
        drain: Drain,
        end: CancellationToken,
    ) -> Result<(), WorkloadApiError> {
        let offered = self.offered;
        let (listener, users) = (self.listener, self.users);
        let (done, ended) = oneshot::channel();
        std::thread::Builder::new()
            .name("workload-api".to_owned())
            .spawn(move || {
                let served = runtime::single_threaded().and_then(|runtime| {
                    let serving = connections::serve(listener, users, app, own, drain);
                    LocalSet::new().block_on(&runtime, async {
                        tokio::select! {
                            served = serving => served,
                            () = end.cancelled() => Ok(()),
                        }
                    })
                });
                // The receiver may be gone: then nobody waits.
                let _ = done.send(served);
            })?;
        let served = ended.await.unwrap_or(Ok(()));
        drop(offered);
        Ok(served?)
    }
}

// A socket that a killed process left behind is taken over, one that is answered is not.
fn bind(path: &Path, users: &Users) -> io::Result<StdUnixListener> {
    if StdUnixStream::connect(path).is_ok() {
        return Err(io::ErrorKind::AddrInUse.into());
    }
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = StdUnixListener::bind(path)?;
    // The kernel says who connects; the file lets them try.
    let mode = if users.is_own() { 0o600 } else { 0o666 };
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}
