//! Writes the status of Ingresses, a little at a time, while this replica leads.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::networking::v1::Ingress;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use meshd_core::ObjectKey;
use serde_json::json;
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

use super::ingress::{Due, Fact, Name, Picture};
use super::writer::{ANSWER, PACE, RETRY};
use crate::kubernetes::client::words;
use crate::kubernetes::leader::Leadership;
use crate::kubernetes::metrics::ClusterMetrics;
use crate::kubernetes::{Cluster, ClusterHandle, MANAGER};
use crate::publish::Published;

/// What the source tells: what an object means now, or that it is gone.
pub(crate) type Seen = (ObjectKey, Option<Fact>);

/// Follows where gateways are reached, and lets the Ingresses that they serve say so.
pub(crate) struct IngressWriter {
    client: Client,
    inputs: mpsc::UnboundedReceiver<Seen>,
    published: watch::Receiver<Arc<Published>>,
    leadership: Leadership,
    metrics: Arc<ClusterMetrics>,
    picture: Picture,
    due: BTreeMap<Name, Due>,
    /// What is due has to be found out anew.
    stale: bool,
}

// === impl IngressWriter ===

impl IngressWriter {
    /// A writer, and where to tell it of objects.
    pub(crate) fn new(
        cluster: &Cluster,
        published: watch::Receiver<Arc<Published>>,
        leadership: Leadership,
        metrics: Arc<ClusterMetrics>,
    ) -> (Self, mpsc::UnboundedSender<Seen>) {
        let (sender, inputs) = mpsc::unbounded_channel();
        let writer = Self {
            client: cluster.client.clone(),
            inputs,
            published,
            leadership,
            metrics,
            picture: Picture::default(),
            due: BTreeMap::new(),
            stale: true,
        };
        (writer, sender)
    }

    /// Writes until the source ends. Only once everything is known: before, the gateway's Service
    /// would seem to be missing.
    pub(crate) async fn run(mut self, cluster: ClusterHandle) {
        let mut pause = PACE;
        let mut office = self.leadership.watch();
        let mut synced = false;
        loop {
            let work =
                synced && self.leadership.is_leader() && (self.stale || !self.due.is_empty());
            tokio::select! {
                seen = self.inputs.recv() => match seen {
                    Some(seen) => self.take(seen),
                    None => return,
                },
                changed = self.published.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    self.stale = true;
                }
                Ok(()) = office.changed() => self.stale = true,
                () = cluster.synced(), if !synced => synced = true,
                () = sleep(pause), if work => pause = self.work().await,
            }
        }
    }

    fn take(&mut self, (key, fact): Seen) {
        self.stale |= match fact {
            Some(fact) => self.picture.take(&key, fact),
            None => self.picture.gone(&key),
        };
    }

    /// Writes one status, if there is one to be written, and says when to go on.
    async fn work(&mut self) -> std::time::Duration {
        if std::mem::take(&mut self.stale) {
            let published = self.published.borrow_and_update().clone();
            self.due = self.picture.due(&published.world);
        }
        let Some((name, due)) = self.due.pop_first() else {
            return PACE;
        };
        let Some(taken) = self.apply(&name, &due).await else {
            self.metrics.wrote_status(false);
            self.stale = true;
            return RETRY;
        };
        self.metrics.wrote_status(taken);
        self.picture.done(&name, due, taken);
        PACE
    }

    /// Whether the API server takes it; nothing if it may later.
    async fn apply(&self, name: &Name, due: &Due) -> Option<bool> {
        let (namespace, name) = name;
        let api: Api<Ingress> = Api::namespaced(self.client.clone(), namespace);
        let patch = json!({
            "apiVersion": "networking.k8s.io/v1",
            "kind": "Ingress",
            // So that an object of the same name that came meanwhile is left alone.
            "metadata": { "name": name, "namespace": namespace, "uid": due.uid },
            "status": due.status(),
        });
        // The class says whose it is; who served it before has left its addresses.
        let params = PatchParams::apply(MANAGER).force();
        let patch = Patch::Apply(&patch);
        match timeout(ANSWER, api.patch_status(name, &params, &patch)).await {
            Ok(Ok(_)) => Some(true),
            Ok(Err(kube::Error::Api(status)))
                if status.is_not_found() || status.is_conflict() || status.is_invalid() =>
            {
                tracing::debug!(namespace, name, reason = %status.message, "the status of an Ingress is refused");
                Some(false)
            }
            Ok(Err(error)) => {
                tracing::warn!(namespace, name, reason = %words(&error), "cannot write the status of an Ingress; trying again");
                None
            }
            Err(_) => None,
        }
    }
}
