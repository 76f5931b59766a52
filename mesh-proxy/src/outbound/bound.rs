//! Calls of the workload on listeners that a Sidecar asks for.

use std::rc::Rc;

use mesh_proxy_core::detect::Detected;
use mesh_proxy_core::ir::EgressListener;

use super::{Target, http, tunnel};
use crate::detect::{First, first_bytes};
use crate::http::{HEAD_TIMEOUT, Version};
use crate::net::Stream;
use crate::worker::Worker;

/// Serves one connection: opaque bytes go to the listener's service, requests to their hosts at
/// the listener's port.
pub async fn bound(worker: Rc<Worker>, mut stream: Stream, listener: Rc<EgressListener>) {
    if let Some((host, port)) = &listener.service {
        let target = Target {
            host: host.clone(),
            port: *port,
            original: None,
        };
        return tunnel(worker, stream, target).await;
    }
    let version = match first_bytes(&mut stream, HEAD_TIMEOUT).await {
        Ok(First::Client(Detected::Http2)) => Version::Http2,
        // What is no HTTP gets HTTP's answer.
        Ok(First::Client(_)) => Version::Http1,
        Ok(First::Closed | First::Silent) | Err(_) => return,
    };
    let host = listener.address().map(|address| address.ip().to_string());
    // On a Unix socket requests name their ports, too.
    let target = host.and_then(|host| {
        Some(Target {
            host: host.parse().ok()?,
            port: listener.port,
            original: None,
        })
    });
    http::serve(worker, stream, version, target).await;
}
