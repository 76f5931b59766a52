//! What the control thread serves for the pod: DNS and status.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::error;

use crate::admin::Admin;
use crate::dns::{DnsError, DnsListeners, DnsMetrics, Resolver};
use crate::hand_over::Sockets;
use crate::identity::AppIdentity;
use crate::pod_status::{PodStatus, Scraper, StatusError, StatusListeners};
use crate::settings::Settings;
use crate::workload_api::{WorkloadApiError, WorkloadListener};

/// Why a pod cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum PodError {
    /// The DNS server cannot be bound.
    #[error(transparent)]
    Dns(#[from] DnsError),
    /// The status server cannot be bound.
    #[error(transparent)]
    Status(#[from] StatusError),
    /// The socket for the application's identity cannot be bound.
    #[error(transparent)]
    WorkloadApi(#[from] WorkloadApiError),
}

/// Bound sockets.
pub(super) struct Pod {
    dns: DnsListeners,
    status: StatusListeners,
    workload_api: Option<WorkloadListener>,
    app: Option<AppIdentity>,
}

// === impl Pod ===

impl Pod {
    pub(super) fn bind(settings: &Settings, sockets: &Sockets) -> Result<Self, PodError> {
        let workload_api = settings.pod.workload_api.as_ref();
        let workload_api = workload_api.map(|asked| WorkloadListener::bind(asked, sockets));
        Ok(Self {
            dns: DnsListeners::bind(settings, sockets)?,
            status: StatusListeners::bind(settings, sockets)?,
            workload_api: workload_api.transpose()?,
            app: None,
        })
    }

    /// Gives the application this identity.
    pub(super) fn with_identity(self, app: Option<AppIdentity>) -> Self {
        Self { app, ..self }
    }

    /// Where DNS, status and readiness are served.
    pub(super) fn addresses(&self) -> PodAddresses {
        PodAddresses {
            dns: self.dns.address(),
            status: self.status.status(),
            readiness: self.status.readiness(),
        }
    }

    /// Serves until `end`; what it has begun goes on until the tasks are ended.
    pub(super) fn spawn(self, admin: &Admin, end: &CancellationToken, tasks: &mut JoinSet<()>) {
        if self.dns.address().is_some() {
            let metrics = admin.telemetry.register(DnsMetrics::register);
            let (store, control) = (admin.store.clone(), admin.control.clone());
            let resolver = Resolver::new(&admin.settings, &self.dns, store, control, metrics);
            tasks.spawn(self.dns.serve(resolver, end.clone()));
        }
        if let (Some(listener), Some(app)) = (self.workload_api, self.app) {
            let serving = listener.serve(
                app,
                admin.identity.clone(),
                admin.drain.subscribe(),
                end.clone(),
            );
            tasks.spawn(async move {
                if let Err(error) = serving.await {
                    error!(%error, "the application is no longer given its identity");
                }
            });
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
        let serving = self.status.serve(status, end.clone());
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
