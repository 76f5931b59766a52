//! Sockets of the status server.

use std::io;
use std::net::SocketAddr;

use axum::Router;
use tokio_util::sync::CancellationToken;

use super::{PodStatus, readiness_router, router};
use crate::hand_over::{Offered, Sockets};
use crate::net::{StdTcpListener, TcpListener};
use crate::settings::Settings;

/// Bound sockets of the status server.
#[derive(Default)]
pub struct StatusListeners {
    status: Option<StdTcpListener>,
    readiness: Option<StdTcpListener>,
    offered: Vec<Offered>,
}

/// Why the status server cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum StatusError {
    /// An address cannot be bound.
    #[error("--{option}: cannot listen on {address}: {source}")]
    Bind {
        /// The option that asks for it.
        option: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the kernel says.
        source: io::Error,
    },
    /// It ended.
    #[error("status server: {0}")]
    Serve(#[from] io::Error),
}

// === impl StatusListeners ===

impl StatusListeners {
    /// Binds what `settings` ask for, or takes it over.
    ///
    /// # Errors
    /// The first address that cannot be bound.
    pub fn bind(settings: &Settings, sockets: &Sockets) -> Result<Self, StatusError> {
        let mut offered = Vec::new();
        let mut open = |option, address: Option<SocketAddr>| {
            let Some(address) = address else {
                return Ok::<_, StatusError>(None);
            };
            let failed = |source| StatusError::Bind {
                option,
                address,
                source,
            };
            let (listener, offer) = sockets.tcp(option, address, bind).map_err(failed)?;
            offered.push(offer);
            Ok(Some(listener))
        };
        let (status, readiness) = (
            open("status", settings.pod.status)?,
            open("readiness", settings.pod.readiness)?,
        );
        Ok(Self {
            status,
            readiness,
            offered,
        })
    }

    /// Where the status server listens.
    pub fn status(&self) -> Option<SocketAddr> {
        address(self.status.as_ref())
    }

    /// Where readiness alone is served.
    pub fn readiness(&self) -> Option<SocketAddr> {
        address(self.readiness.as_ref())
    }

    /// Serves until `end`.
    pub(crate) async fn serve(
        self,
        status: PodStatus,
        end: CancellationToken,
    ) -> Result<(), StatusError> {
        let _offered = self.offered;
        tokio::try_join!(
            serve(self.status, router(status.clone()), end.clone()),
            serve(self.readiness, readiness_router(status), end),
        )?;
        Ok(())
    }
}

fn address(listener: Option<&StdTcpListener>) -> Option<SocketAddr> {
    listener.and_then(|listener| listener.local_addr().ok())
}

fn bind(address: SocketAddr) -> io::Result<StdTcpListener> {
    let listener = StdTcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

async fn serve(
    listener: Option<StdTcpListener>,
    router: Router,
    end: CancellationToken,
) -> io::Result<()> {
    let Some(listener) = listener else {
        return Ok(());
    };
    let listener = TcpListener::from_std(listener)?;
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    tokio::select! {
        result = async { axum::serve(listener, service).await } => result,
        () = end.cancelled() => Ok(()),
    }
}
