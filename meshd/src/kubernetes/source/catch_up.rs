//! Waiting for everything that the API server has at one moment.
//!
//! Versions of different kinds cannot be compared, and a watch does not say that it is up to
//! date when nothing changes. So the names and versions of all objects are listed anew, as a
//! consistent read, and whoever asks waits until each watch has told of all that differs.

use std::sync::Arc;

use futures_util::future::join_all;
use kube::Client;
use tokio::sync::{Notify, mpsc, oneshot, watch as latest};

use super::kinds::{Role, Watched};
use super::served::{self, Served};
use super::table::{Inventory, Outstanding, Table};
use super::watch::{WatchId, inventory};
use crate::kubernetes::Cluster;
use crate::kubernetes::client::ClusterError;

/// Somebody waits until these are published.
pub(super) struct Ask {
    inventories: Vec<(WatchId, Inventory)>,
    done: oneshot::Sender<()>,
}

/// What somebody still waits for.
pub(super) struct Asked {
    outstanding: Vec<(WatchId, Outstanding)>,
    pub(super) done: oneshot::Sender<()>,
}

/// Waits for everything that the API server has. Cheap to clone.
#[derive(Clone)]
pub(crate) struct CatchUp {
    client: Client,
    watched: Arc<[Watched]>,
    served: latest::Receiver<Served>,
    hint: Arc<Notify>,
    ask: mpsc::Sender<Ask>,
}

// === impl CatchUp ===

impl CatchUp {
    pub(super) fn new(
        cluster: &Cluster,
        watched: &[Watched],
        served: latest::Receiver<Served>,
        hint: Arc<Notify>,
        ask: mpsc::Sender<Ask>,
    ) -> Self {
        Self {
            client: cluster.client.clone(),
            watched: watched.into(),
            served,
            hint,
            ask,
        }
    }

    /// Returns once everything that the API server had at the time of the call is published, as
    /// far as it may be read.
    ///
    /// # Errors
    /// If the API server cannot be asked.
    pub(crate) async fn catch_up(&self) -> Result<(), ClusterError> {
        let failed = |what: String| move |error: kube::Error| ClusterError::from_call(what, &error);
        let found = served::ask(&self.client)
            .await
            .map_err(failed("ask the API server which kinds it has".to_owned()))?;
        let mut served = self.served.clone();
        let up_to_date = served.wait_for(|served| {
            let current = found.is_within(served);
            if !current {
                self.hint.notify_one();
            }
            current
        });
        if up_to_date.await.is_err() {
            // The control plane stops; whoever waits is told otherwise.
            return std::future::pending().await;
        }
        let lists = self.watched.iter().enumerate().filter_map(|(id, watched)| {
            if watched.kind.role == Role::Definitions {
                return None;
            }
            let version = found.version(watched.kind)?;
            Some(async move { (id, inventory(&self.client, watched, version).await) })
        });
        let mut inventories = Vec::new();
        for (id, listed) in join_all(lists).await {
            match listed {
                Ok(inventory) => inventories.push((id, inventory)),
                // Its problem tells of it.
                Err(kube::Error::Api(status)) if status.is_forbidden() => {}
                Err(error) => {
                    let what = self.watched.get(id).map(Watched::words).unwrap_or_default();
                    return Err(failed(format!("list {what}"))(error));
                }
            }
        }
        let (done, published) = oneshot::channel();
        let asked = self.ask.send(Ask { inventories, done }).await.is_ok();
        if !asked || published.await.is_err() {
            return std::future::pending().await;
        }
        Ok(())
    }
}

impl std::fmt::Debug for CatchUp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CatchUp").finish_non_exhaustive()
    }
}

// === impl Asked ===

impl Asked {
    pub(super) fn new<'a>(ask: Ask, table: impl Fn(WatchId) -> Option<&'a Table>) -> Self {
        let outstanding = ask.inventories.into_iter().filter_map(|(id, inventory)| {
            let outstanding = table(id)?.outstanding(inventory);
            Some((id, outstanding))
        });
        Self {
            outstanding: outstanding.collect(),
            done: ask.done,
        }
    }

    /// Whether the watches have told everything by now.
    pub(super) fn has_come<'a>(&mut self, table: impl Fn(WatchId) -> Option<&'a Table>) -> bool {
        self.outstanding.retain_mut(|(id, outstanding)| {
            !table(*id).is_none_or(|table| outstanding.update(table))
        });
        self.outstanding.is_empty()
    }
}
