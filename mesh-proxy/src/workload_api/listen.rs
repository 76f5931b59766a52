//! The socket.

use std::io;
use std::os::unix::net::UnixListener as StdUnixListener;
use std::path::PathBuf;

use tokio::sync::oneshot;
use tokio::task::LocalSet;
use tokio_util::sync::CancellationToken;

use super::connections;
use crate::drain::Drain;
use crate::hand_over::{Offered, Sockets};
use crate::identity::{AppIdentity, IdentityHandle};
use crate::settings::{Users, WorkloadApiSettings};
use crate::{net, runtime};

/// The bound socket.
pub(crate) struct WorkloadListener {
    listener: StdUnixListener,
    users: Users,
    path: PathBuf,
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
        let opened = sockets.unix("workload-api", || {
            // The kernel says who connects; the file lets them try.
            let mode = if settings.users.is_own() {
                0o600
            } else {
                0o666
            };
            net::bind_unix(path, mode)
        });
        let (listener, offered) = opened.map_err(|source| WorkloadApiError::Bind {
            path: path.clone(),
            source,
        })?;
        Ok(Self {
            listener,
            users: settings.users.clone(),
            path: path.clone(),
            offered,
        })
    }

    /// Serves until `end`, then removes the socket, unless another process has it now. It runs on
    /// a thread of its own: connections of our HTTP/2 stay on theirs.
    pub(crate) async fn serve(
        self,
        app: AppIdentity,
        own: IdentityHandle,
        drain: Drain,
        end: CancellationToken,
    ) -> Result<(), WorkloadApiError> {
        let (offered, path) = (self.offered, self.path);
        let replaced = drain.clone();
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
        if !replaced.is_replaced() {
            // It may be gone already with its directory.
            let _ = std::fs::remove_file(path);
        }
        Ok(served?)
    }
}
