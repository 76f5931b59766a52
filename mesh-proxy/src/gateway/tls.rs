//! TLS at a gateway: which server, the handshake, and what is inside.

use std::rc::Rc;

use mesh_proxy_core::Reason;
use mesh_proxy_core::detect::Detected;
use mesh_proxy_core::ir::{Inside, TlsServer};
use mesh_proxy_core::plan;
use tokio::io::AsyncWriteExt as _;

use super::arrived::{Arrived, Ended, OverTls};
use super::{HANDSHAKE, http, tcp};
use crate::detect::{First, first_bytes};
use crate::http::{HEAD_TIMEOUT, Version};
use crate::net::Stream;
use crate::telemetry::{TlsResult, TlsSide};
use crate::tls::{self, Alpn, Serving};

// Fatal alerts (RFC 8446 section 6) before the connection is closed, so that the client can say
// why.
const HANDSHAKE_FAILURE: u8 = 40;
const UNRECOGNIZED_NAME: u8 = 112;

/// Serves a connection that begins with a ClientHello.
pub(super) async fn serve(mut arrived: Arrived, stream: Stream, sni: Option<String>) {
    arrived.over = Some(OverTls { sni, ended: None });
    let snapshot = arrived.worker.shared.snapshot();
    let Some(server) = plan::gateway_server(&snapshot, &arrived.point()).cloned() else {
        return refuse(&arrived, stream, UNRECOGNIZED_NAME, Reason::RouteNotFound).await;
    };
    let Some(termination) = server.termination.clone() else {
        return tcp::serve(Rc::new(arrived), stream).await;
    };
    let shared = &arrived.worker.shared;
    let Serving { config, trouble } =
        shared
            .gateway_tls
            .serving(&server, &snapshot, shared.identity.current());
    if let Some(error) = &trouble {
        tracing::debug!(%error, listener = %arrived.listener, "a server of TLS has a trouble");
    }
    let Some(config) = config else {
        return refuse(&arrived, stream, HANDSHAKE_FAILURE, Reason::NoCertificate).await;
    };
    let result = Box::pin(tls::accept(stream, config, HANDSHAKE)).await;
    let accepted = result.map_err(|error| error.to_string());
    let accepted = accepted.and_then(|(stream, peer)| {
        let certificate = stream.get_ref().1.peer_certificates();
        let certificate = certificate.and_then(<[_]>::first);
        let ended = Ended::new(termination, certificate.map(|der| &**der), peer.identity)?;
        Ok((stream, peer.alpn, ended))
    });
    let outcome = if accepted.is_ok() {
        TlsResult::Ok
    } else {
        TlsResult::Failed
    };
    shared.telemetry.stages.handshake(TlsSide::Server, outcome);
    match accepted {
        Ok((stream, told, ended)) => {
            if let Some(over) = &mut arrived.over {
                over.ended = Some(ended);
            }
            Box::pin(inner(arrived, stream.into(), &server, told)).await;
        }
        Err(error) => {
            tracing::debug!(error, remote = %arrived.remote, "TLS handshake of a client failed");
        }
    }
}

async fn inner(arrived: Arrived, mut stream: Stream, server: &TlsServer, told: Option<Alpn>) {
    if matches!(server.inside, Inside::Tcp(_)) {
        return tcp::serve(Rc::new(arrived), stream).await;
    }
    let version = match told {
        Some(Alpn::Http1) => Version::Http1,
        Some(Alpn::Http2) => Version::Http2,
        Some(Alpn::Tcp | Alpn::Hbone) | None => {
            match first_bytes(&mut stream, HEAD_TIMEOUT).await {
                Ok(First::Client(Detected::Http2)) => Version::Http2,
                // What is no HTTP gets HTTP's answer.
                Ok(First::Client(_)) => Version::Http1,
                Ok(First::Closed | First::Silent) | Err(_) => return,
            }
        }
    };
    Box::pin(http::serve(Rc::new(arrived), stream, version)).await;
}

/// Says by an alert that there is no server, or that it cannot serve.
async fn refuse(arrived: &Arrived, mut stream: Stream, alert: u8, reason: Reason) {
    // Record type alert, version TLS 1.2 as in all records, two bytes, level fatal.
    let record = [21, 3, 3, 0, 2, 2, alert];
    // A client that is gone need not be told.
    let _ = tokio::time::timeout(HANDSHAKE, stream.write_all(&record)).await;
    tcp::carriage(arrived, &stream)
        .refuse_in_order(stream, reason)
        .await;
}
