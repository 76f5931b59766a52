//! Probes of the application.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;

use super::call::{CallError, application, way_to};
use super::{PodStatus, grpc_probe, http_probe};
use crate::net::{self, Dialer};
use crate::settings::{Check, Settings};

/// What came of a probe.
pub(super) struct Outcome {
    pub(super) status: StatusCode,
    pub(super) body: Bytes,
}

/// Makes the probe of this path.
pub(super) async fn make(
    State(status): State<PodStatus>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let Some(probe) = status.settings.pod.probes.get(uri.path()) else {
        let text = format!("no probe is declared for {}\n", uri.path());
        return (StatusCode::NOT_FOUND, text).into_response();
    };
    let work = async {
        match &probe.check {
            Check::Http(get) => http_probe::make(&status, get, &headers).await,
            Check::Tcp { host, port } => tcp(&status.settings, host.as_deref(), *port).await,
            Check::Grpc { port, service } => {
                grpc_probe::make(&status.settings, *port, service, &headers).await
            }
        }
    };
    let outcome = tokio::time::timeout(probe.timeout, work).await;
    match outcome.unwrap_or(Err(CallError::Timeout(probe.timeout))) {
        Ok(outcome) => (outcome.status, outcome.body).into_response(),
        Err(error) => {
            tracing::debug!(probe = uri.path(), %error, "probe of the application failed");
            let text = format!("{error}\n");
            (StatusCode::INTERNAL_SERVER_ERROR, text).into_response()
        }
    }
}

async fn tcp(settings: &Settings, host: Option<&str>, port: u16) -> Result<Outcome, CallError> {
    let (to, dialer) = target(settings, host, port).await?;
    // The whole probe has a deadline.
    net::connect(to, std::time::Duration::MAX, dialer).await?;
    Ok(Outcome {
        status: StatusCode::OK,
        body: Bytes::new(),
    })
}

/// Where a probe goes.
pub(super) async fn target(
    settings: &Settings,
    host: Option<&str>,
    port: u16,
) -> Result<(std::net::SocketAddr, Dialer), CallError> {
    let Some(host) = host else {
        let (ip, dialer) = application(settings);
        return Ok(((ip, port).into(), dialer));
    };
    let failed = |error| CallError::Name(host.to_owned(), error);
    let found = net::lookup(host, port).await.map_err(failed)?;
    let to = *found
        .first()
        .ok_or_else(|| failed(std::io::ErrorKind::NotFound.into()))?;
    Ok((to, way_to(settings, to.ip())))
}
