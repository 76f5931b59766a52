//! In the place of an older process, until a newer one comes.

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::admin::Admin;
use crate::control::Cache;
use crate::hand_over::{HandOverError, Predecessor, Sockets, Successors, take_over};
use crate::settings::Settings;

/// The processes before and after this one.
pub(super) struct Replace {
    pub(super) predecessor: Option<Predecessor>,
    successors: Option<Successors>,
}

// === impl Replace ===

impl Replace {
    /// Takes over from the process that runs, if one does.
    ///
    /// # Errors
    /// If it does not hand over.
    pub(super) async fn take_over(
        settings: &Settings,
        sockets: &Sockets,
    ) -> Result<Self, HandOverError> {
        let predecessor = take_over(settings, sockets).await?;
        let successors = settings.hand_over.as_ref().and_then(|path| {
            let listening = Successors::listen(path, sockets, &settings.workload);
            listening
                // It serves all the same, as on a file system that is read only.
                .inspect_err(|error| {
                    let path = path.display();
                    warn!(%path, %error, "no other process can take over from this one");
                })
                .ok()
        });
        Ok(Self {
            predecessor,
            successors,
        })
    }

    /// Waits until this process can serve, if one serves in its place meanwhile. Whether it is
    /// to serve.
    pub(super) async fn turn(&self, admin: &Admin) -> bool {
        if self.predecessor.is_none() {
            return true;
        }
        tokio::select! {
            () = admin.readiness.wait_to_begin() => true,
            () = admin.quit.cancelled() => false,
        }
    }

    /// Lets others take over from now on. Then this process closes all that has the token, and
    /// leaves the files to its successor.
    pub(super) fn await_successor(
        self,
        admin: &Admin,
        end: &CancellationToken,
        tasks: &mut JoinSet<()>,
    ) {
        let drain = admin.drain.subscribe();
        if let Some(directory) = &admin.settings.state {
            let cache = Cache::new(directory, &admin.settings.workload);
            let (store, drain) = (admin.store.clone(), drain.clone());
            tasks.spawn(async move {
                tokio::select! {
                    () = cache.follow(store) => {}
                    () = drain.replaced() => {}
                }
            });
        }
        if let Some(successors) = self.successors {
            tasks.spawn(successors.serve(admin.drain.clone()));
        }
        let end = end.clone();
        tasks.spawn(async move {
            drain.replaced().await;
            end.cancel();
        });
    }
}
