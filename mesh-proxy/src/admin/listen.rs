//! Sockets of the admin endpoint.

use std::io;
use std::net::SocketAddr;
use std::os::unix::net::UnixListener as StdUnixListener;
use std::path::PathBuf;

use axum::Router;
use tokio_util::sync::CancellationToken;

use super::{Admin, metrics_router, router};
use crate::hand_over::{Offered, Sockets};
use crate::net::{self, StdTcpListener, TcpListener, UnixListener};
use crate::settings::Settings;

/// Bound sockets of the admin endpoint.
#[derive(Default)]
pub struct AdminListeners {
    tcp: Option<StdTcpListener>,
    unix: Option<StdUnixListener>,
    metrics: Option<StdTcpListener>,
    path: Option<PathBuf>,
    offered: Vec<Offered>,
}

/// Why the admin endpoint cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// An address cannot be bound.
    #[error("admin endpoint: cannot listen on {address}: {source}")]
    Bind {
        /// The address or path.
        address: String,
        /// What the kernel says.
        source: io::Error,
    },
    /// It ended.
    #[error("admin endpoint: {0}")]
    Serve(#[from] io::Error),
}

// === impl AdminListeners ===

impl AdminListeners {
    /// Binds what `settings` ask for, or takes it over.
    ///
    /// # Errors
    /// The first address that cannot be bound.
    pub fn bind(settings: &Settings, sockets: &Sockets) -> Result<Self, AdminError> {
        let failed = |address: String| move |source| AdminError::Bind { address, source };
        let mut offered = Vec::new();
        let mut tcp = |role, address: Option<SocketAddr>| {
            let Some(address) = address else {
                return Ok::<_, AdminError>(None);
            };
            let opened = sockets.tcp(role, address, bind_tcp);
            let (listener, offer) = opened.map_err(failed(address.to_string()))?;
            offered.push(offer);
            Ok(Some(listener))
        };
        let (all, metrics) = (
            tcp("admin", settings.admin)?,
            tcp("metrics", settings.metrics)?,
        );
        let path = settings.admin_socket.clone();
        let unix = match &path {
            None => None,
            Some(path) => {
                let opened = sockets.unix("admin-socket", || net::bind_unix(path, 0o600));
                let (listener, offer) = opened.map_err(failed(path.display().to_string()))?;
                offered.push(offer);
                Some(listener)
            }
        };
        Ok(Self {
            tcp: all,
            unix,
            metrics,
            path,
            offered,
        })
    }

    /// Where the TCP endpoint listens.
    pub fn address(&self) -> Option<SocketAddr> {
        self.tcp
            .as_ref()
            .and_then(|listener| listener.local_addr().ok())
    }

    /// Where the metrics endpoint listens.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics
            .as_ref()
            .and_then(|listener| listener.local_addr().ok())
    }

    /// Serves until `end`, then removes the Unix socket, unless another process has it now.
    pub(crate) async fn serve(
        self,
        admin: Admin,
        end: CancellationToken,
    ) -> Result<(), AdminError> {
        let Self {
            tcp,
            unix,
            metrics,
            path,
            offered,
        } = self;
        let drain = admin.drain.subscribe();
        let all = router(admin.clone());
        let result = tokio::try_join!(
            serve_tcp(tcp, all.clone(), end.clone()),
            serve_unix(unix, all, end.clone()),
            serve_tcp(metrics, metrics_router(admin), end),
        );
        drop(offered);
        if let Some(path) = path.filter(|_| !drain.is_replaced()) {
            // It may be gone already with its directory.
            let _ = std::fs::remove_file(path);
        }
        result?;
        Ok(())
    }
}

fn bind_tcp(address: SocketAddr) -> io::Result<StdTcpListener> {
    let listener = StdTcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

async fn serve_tcp(
    listener: Option<StdTcpListener>,
    router: Router,
    end: CancellationToken,
) -> io::Result<()> {
    let Some(listener) = listener else {
        return Ok(());
    };
    let listener = TcpListener::from_std(listener)?;
    tokio::select! {
        result = async { axum::serve(listener, router).await } => result,
        () = end.cancelled() => Ok(()),
    }
}

async fn serve_unix(
    listener: Option<StdUnixListener>,
    router: Router,
    end: CancellationToken,
) -> io::Result<()> {
    let Some(listener) = listener else {
        return Ok(());
    };
    let listener = UnixListener::from_std(listener)?;
    tokio::select! {
        result = async { axum::serve(listener, router).await } => result,
        () = end.cancelled() => Ok(()),
    }
}
