//! What every worker sees.

use std::sync::Arc;
use std::time::Instant;

use mesh_api::{ResourceName, SpiffeId};
use mesh_proxy_core::{ClientInfo, Snapshot};
use tokio::sync::watch;

use crate::admission::Admission;
use crate::control::{NeedError, Store};
use crate::drain::Drain;
use crate::hand_over::Sockets;
use crate::identity::{Identity, IdentityHandle};
use crate::readiness::OpenPorts;
use crate::settings::Settings;
use crate::telemetry::Telemetry;
use crate::tls::{GatewayTls, Originator};
use crate::upstream::{HealthBoard, Limits};

/// What the control side gives to the data path. Kept in one `Arc`, the same for all workers.
pub struct Shared {
    /// The snapshot in force, the demands for more and the leases.
    pub store: Store,
    /// The workload's certificate and the roots to trust: TLS configurations by purpose.
    pub identity: IdentityHandle,
    /// TLS to servers outside of the mesh.
    pub originator: Originator,
    /// TLS that this gateway ends; nothing in a sidecar.
    pub gateway_tls: GatewayTls,
    /// Whether to go on.
    pub drain: Drain,
    /// How the proxy was started.
    pub settings: Arc<Settings>,
    /// Metrics and access log; `telemetry.recorder()` gives each worker its own shard.
    pub telemetry: Telemetry,
    /// What a process that replaces this one takes over.
    pub sockets: Sockets,
    /// What is under way toward destinations with limits.
    pub limits: Arc<Limits>,
    /// What is let in: the state of rates and of overload protection.
    pub admission: Admission,
    /// Endpoints that are checked actively.
    pub health: Arc<HealthBoard>,
    /// On how many workers a gateway's ports are open.
    pub open_ports: OpenPorts,
    /// Who this proxy is, for routes that match on the source.
    pub client: Arc<ClientInfo>,
}

// === impl Shared ===

impl Shared {
    /// The snapshot in force. Load once for each decision.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.store.load()
    }

    /// A token has named a key that is not among those of this RequestAuthentication.
    pub(crate) fn key_is_unknown(&self, policy: &Arc<str>) {
        self.store.key_is_unknown(policy);
    }

    /// Changes after every switch of the snapshot: long connections check authorization again
    /// and gateways open and close listeners.
    pub fn epoch(&self) -> watch::Receiver<u64> {
        self.store.epoch()
    }

    /// Subscribes to `name` and waits until a snapshot holds it.
    ///
    /// # Errors
    /// [`NeedError`] if it did not come in [`Settings::need_timeout`], if what came was
    /// refused, or if the proxy stops.
    pub async fn need(&self, name: &ResourceName) -> Result<Arc<Snapshot>, NeedError> {
        self.need_until(name, crate::clock::monotonic() + self.settings.need_timeout)
            .await
    }

    /// As [`Self::need`], with a deadline of the caller's.
    ///
    /// # Errors
    /// As [`Self::need`].
    pub async fn need_until(
        &self,
        name: &ResourceName,
        deadline: Instant,
    ) -> Result<Arc<Snapshot>, NeedError> {
        self.store.need(name, deadline).await
    }

    /// Renews the lease of a destination. Call it for every request or connection: it is a
    /// hash look-up and one relaxed load, and never blocks.
    pub fn touch(&self, name: &ResourceName) {
        self.store.touch(name);
    }
}

/// Who the proxy works for. Before the first certificate its identity is taken from its
/// settings, if an earlier snapshot tells the trust domain.
pub(crate) fn client_info(
    settings: &Settings,
    identity: Option<&Identity>,
    snapshot: &Snapshot,
) -> ClientInfo {
    let expected = || {
        let domain = snapshot
            .holds(&ResourceName::Mesh)
            .then(|| &snapshot.mesh().trust_domain)?;
        SpiffeId::new(
            domain,
            settings.workload.namespace(),
            &settings.service_account,
        )
        .ok()
    };
    ClientInfo {
        workload: settings.workload.clone(),
        identity: identity
            .map(|identity| identity.id().clone())
            .or_else(expected),
        labels: settings.labels.clone(),
        cluster: settings.cluster.clone(),
    }
}
