//! Admission webhooks: sidecar injection (`/inject`) and validation (`/validate`).
//!
//! ```text
//! API server ──► server (TLS) ──► review ──► injection  ──► meshd_core::inject
//!                                       └──► validation ──► meshd_core::Store
//! ca_bundle: lets the API server trust our certificate
//! ```
//!
//! Everything that is refused says why, in the words of the compiler. What cannot be decided is
//! refused: a pod without its proxy would be outside of every policy.

mod ca_bundle;
mod inject_file;
mod injection;
mod metrics;
mod native;
mod review;
mod server;
mod validation;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use mesh_ca::listen::{Access, BoundAddress, ListenAddress, ListenError, Listener};
use mesh_ca::tls::{Incoming, IncomingOptions, ServerTls, TlsError};
use mesh_ca::{Authority, RenewError, ServerName, keep_renewed};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use self::inject_file::InjectFile;
use self::injection::Injector;
use self::server::Webhooks;
use super::Cluster;
use crate::publish::Published;

pub(crate) use self::metrics::WebhookMetrics;

/// How long webhooks are served on at the end: the API server hears late that this replica is
/// gone, and a pod whose webhook does not answer is refused.
const LINGER: Duration = Duration::from_secs(2);

/// Why webhooks cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// Nobody listens.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// There is no certificate for the server.
    #[error(transparent)]
    Certificate(#[from] RenewError),
    /// Another process certifies.
    #[error(
        "admission webhooks need the certificate authority in this process; leave out --ca, or --webhook"
    )]
    NoAuthority,
}

/// The webhooks' server: bound, with a certificate.
pub(crate) struct Server {
    listener: Listener,
    address: BoundAddress,
    tls: ServerTls,
    name: ServerName,
    renew_at: SystemTime,
    authority: Arc<Authority>,
}

/// What the webhooks need from the rest of the control plane.
pub(crate) struct Links {
    /// Knows the labels of namespaces, and ProxyConfigs.
    pub(crate) published: watch::Receiver<Arc<Published>>,
    pub(crate) metrics: Arc<WebhookMetrics>,
    pub(crate) shutdown: CancellationToken,
}

// === impl Server ===

impl Server {
    /// Listens. The authority certifies the server as `name`, and is what the API server has to
    /// trust.
    ///
    /// # Errors
    /// If the address is taken, or there is no certificate.
    pub(crate) async fn bind(
        address: &ListenAddress,
        authority: Option<&Arc<Authority>>,
        name: ServerName,
    ) -> Result<Self, WebhookError> {
        let authority = Arc::clone(authority.ok_or(WebhookError::NoAuthority)?);
        let tls = ServerTls::without_client_certificates()?;
        let renew_at = name.present(&authority, &tls)?;
        let listener = Listener::bind(address, Access::Anybody).await?;
        let bound = listener.address().map_err(|source| ListenError::Io {
            address: address.clone(),
            source,
        })?;
        Ok(Self {
            listener,
            address: bound,
            tls,
            name,
            renew_at,
            authority,
        })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> &BoundAddress {
        &self.address
    }

    /// Serves: in `chores` what may be dropped at the end, in `last_words` what ends by itself
    /// after the shutdown.
    pub(crate) fn start(
        self,
        cluster: &Cluster,
        links: Links,
        chores: &mut JoinSet<()>,
        last_words: &mut JoinSet<()>,
    ) {
        let (file, settings) = InjectFile::open(&cluster.settings);
        if let Some(file) = file {
            chores.spawn(file.follow());
        }
        let webhooks = Webhooks {
            injector: Injector {
                settings,
                published: links.published,
                native: native::follow(cluster.client.clone(), chores),
            },
            metrics: Arc::clone(&links.metrics),
        };
        chores.spawn(ca_bundle::keep(
            cluster.clone(),
            Arc::clone(&self.authority),
            links.metrics,
        ));
        let incoming = Incoming::new(self.listener, self.tls.clone(), IncomingOptions::default());
        chores.spawn(keep_renewed(
            self.name,
            self.authority,
            self.tls,
            self.renew_at,
        ));
        let shutdown = links.shutdown;
        let stop = async move {
            shutdown.cancelled().await;
            sleep(LINGER).await;
        };
        last_words.spawn(server::serve(incoming, self.address, webhooks, stop));
    }
}

#[cfg(test)]
#[cfg(feature = "cluster")]
mod cluster_tests;
#[cfg(test)]
mod tests;
