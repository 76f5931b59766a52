//! What the control thread serves for the pod: DNS and status.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::error;

use crate::admin::Admin;
use crate::dns::{DnsError, DnsListeners, DnsMetrics, Resolver};
use crate::pod_status::{PodStatus, Scraper, StatusError, StatusListeners};
use crate::settings::Settings;

/// Why a pod cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum PodError {
    /// The DNS server cannot be bound.
    #[error(transparent)]
    Dns(#[from] DnsError),
    /// The status server cannot be bound.
    #[error(transparent)]
    Status(#[from] StatusError),
}

/// Bound sockets.
pub(super) struct Pod {
    dns: DnsListeners,
    status: StatusListeners,
}

// === impl Pod ===

impl Pod {
    pub(super) fn bind(settings: &Settings) -> Result<Self, PodError> {
        Ok(Self {
            dns: DnsListeners::bind(settings)?,
            status: StatusListeners::bind(settings)?,
        })
    }

    /// Where DNS, status and readiness are served.
    pub(super) fn addresses(&self) -> PodAddresses {
        PodAddresses {
            dns: self.dns.address(),
            status: self.status.status(),
            readiness: self.status.readiness(),
        }
    }

    /// Serves until the tasks are ended.
    pub(super) fn spawn(self, admin: &Admin, tasks: &mut JoinSet<()>) {
        if self.dns.address().is_some() {
            let metrics = admin.telemetry.register(DnsMetrics::register);
            let (store, control) = (admin.store.clone(), admin.control.clone());
            let resolver = Resolver::new(&admin.settings, &self.dns, store, control, metrics);
            tasks.spawn(self.dns.serve(resolver));
        }
        if self.status.status().is_none() && self.status.readiness().is_none() {
            return;
        }
        let status = PodStatus {
            own_port: self.status.status().map(|address| address.port()),
            settings: Arc::clone(&admin.settings),
            telemetry: admin.telemetry.clone(),
            readiness: admin.readiness.clone(),
            drain: admin.drain.clone(),
            quit: admin.quit.clone(),
            scraper: Arc::new(admin.telemetry.register(Scraper::register)),
            originator: Arc::default(),
        };
        let serving = self.status.serve(status, CancellationToken::new());
        tasks.spawn(async move {
            if let Err(error) = serving.await {
                error!(%error, "probes and metrics of the pod are no longer answered");
            }
        });
    }
}

/// Where a pod is served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PodAddresses {
    /// DNS, over UDP and TCP.
    pub dns: Option<SocketAddr>,
    /// Merged metrics and probes.
    pub status: Option<SocketAddr>,
    /// Readiness alone.
    pub readiness: Option<SocketAddr>,
}
