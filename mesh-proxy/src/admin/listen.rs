//! Sockets of the admin endpoint.

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener as StdUnixListener, UnixStream as StdUnixStream};
use std::path::{Path, PathBuf};

use axum::Router;
use tokio_util::sync::CancellationToken;

use super::{Admin, metrics_router, router};
use crate::net::{StdTcpListener, TcpListener, UnixListener};
use crate::settings::Settings;

/// Bound sockets of the admin endpoint.
#[derive(Debug, Default)]
pub struct AdminListeners {
    tcp: Option<StdTcpListener>,
    unix: Option<StdUnixListener>,
    metrics: Option<StdTcpListener>,
    path: Option<PathBuf>,
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
    /// Binds what `settings` ask for.
    ///
    /// # Errors
    /// The first address that cannot be bound.
    pub fn bind(settings: &Settings) -> Result<Self, AdminError> {
        let failed = |address: String| move |source| AdminError::Bind { address, source };
        let tcp = |address: Option<SocketAddr>| {
            address
                .map(|address| bind_tcp(address).map_err(failed(address.to_string())))
                .transpose()
        };
        let path = settings.admin_socket.clone();
        let unix = path
            .as_deref()
            .map(|path| bind_unix(path).map_err(failed(path.display().to_string())))
            .transpose()?;
        Ok(Self {
            tcp: tcp(settings.admin)?,
            unix,
            metrics: tcp(settings.metrics)?,
            path,
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

    /// Serves until `end`, then removes the Unix socket.
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
        } = self;
        let all = router(admin.clone());
        let result = tokio::try_join!(
            serve_tcp(tcp, all.clone(), end.clone()),
            serve_unix(unix, all, end.clone()),
            serve_tcp(metrics, metrics_router(admin), end),
        );
        if let Some(path) = path {
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

// A socket that a killed process left behind is taken over, one that is answered is not.
fn bind_unix(path: &Path) -> io::Result<StdUnixListener> {
    if StdUnixStream::connect(path).is_ok() {
        return Err(io::ErrorKind::AddrInUse.into());
    }
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = StdUnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
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
