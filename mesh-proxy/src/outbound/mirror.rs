//! Copies of requests; nobody waits for them, and their answers are thrown away.

use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::header::HOST;
use http::request::Parts;
use http::{HeaderValue, Request};
use http_body_util::BodyExt as _;
use mesh_api::Hostname;
use mesh_proxy_core::balance::Want;
use mesh_proxy_core::ir::Cluster;

use super::Call;
use super::forward::version;
use crate::clock;
use crate::http::headers::{Hop, X_MESH_PEER};
use crate::http::{BodySource, RequestBody, Version, wire};
use crate::tls::Alpn;
use crate::upstream::{Asked, DialError, Lease, Pick, Secure};
use crate::worker::Worker;

// A copy is worth no more than this.
const LONGEST: Duration = Duration::from_secs(30);

// Copies that one worker has under way; more are not made.
const MOST: usize = 256;

/// One copy on its way.
struct Copy {
    worker: Rc<Worker>,
    cluster: Arc<Cluster>,
    host: Hostname,
    port: u16,
    version: Version,
    head: Parts,
    body: RequestBody,
}

/// Sends a copy of a request that is about to be sent.
pub(super) fn send(worker: &Rc<Worker>, cluster: &Arc<Cluster>, call: &Call) {
    if worker.mirrors.get() >= MOST {
        tracing::debug!(cluster = %cluster.id, "too many mirrored requests under way");
        return;
    }
    worker.mirrors.set(worker.mirrors.get() + 1);
    let counted = Counted(Rc::clone(worker));
    let mut head = call.parts.clone();
    shadow(&mut head);
    let copy = Copy {
        worker: Rc::clone(worker),
        cluster: Arc::clone(cluster),
        host: call.host.clone(),
        port: call.port,
        version: version(cluster, false, call, false),
        head,
        body: call
            .body
            .as_ref()
            .map_or(RequestBody::Empty, BodySource::mirror),
    };
    worker.tasks.spawn_local(async move {
        let _counted = counted;
        let id = copy.cluster.id.clone();
        match tokio::time::timeout(LONGEST, copy.send()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, cluster = %id, "mirror failed"),
            Err(_) => tracing::debug!(cluster = %id, "mirror took too long"),
        }
    });
}

struct Counted(Rc<Worker>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.mirrors.set(self.0.mirrors.get().saturating_sub(1));
    }
}

// Envoy marks copies: `-shadow` behind the host, before the port.
fn shadow(head: &mut Parts) {
    let authority = match head.uri.authority() {
        Some(authority) => authority.as_str().to_owned(),
        None => match head.headers.get(HOST).and_then(|host| host.to_str().ok()) {
            Some(host) => host.to_owned(),
            None => return,
        },
    };
    let host = mesh_proxy_core::filter::without_port(&authority);
    let port = authority.get(host.len()..).unwrap_or_default();
    if let Ok(value) = HeaderValue::try_from(format!("{host}-shadow{port}")) {
        mesh_proxy_core::filter::set_authority(head, &value);
    }
}

// === impl Copy ===

impl Copy {
    async fn send(self) -> Result<(), Box<dyn std::error::Error>> {
        let Self {
            worker,
            cluster,
            host,
            port,
            version,
            mut head,
            body,
        } = self;
        let target = worker.upstreams.target(&cluster).await?;
        let allowed = target.admit().map_err(DialError::Limit)?;
        let turn = match version {
            Version::Http1 => allowed.turn().await.map_err(DialError::Limit)?,
            Version::Http2 => None,
        };
        let began = clock::monotonic();
        let Pick {
            member,
            mut tracking,
        } = {
            let mut rng = worker.rng.borrow_mut();
            let asked = Asked {
                host: &host,
                port,
                want: Want::default(),
            };
            target.pick(asked, &mut *rng, began)?
        };
        tracking.hold(turn);
        tracking.hold(allowed.into_count());
        match worker
            .own_header
            .as_ref()
            .filter(|_| matches!(member.secure, Secure::Mesh { .. }))
        {
            Some(own) => head.headers.insert(X_MESH_PEER, own.clone()),
            None => head.headers.remove(X_MESH_PEER),
        };
        wire::to_wire(&mut head, version, &Hop::default());
        let lease: Lease = match member.pool.checkout(version, false) {
            Some(lease) => lease,
            None => {
                let alpn = if version == Version::Http2 {
                    Alpn::Http2
                } else {
                    Alpn::Http1
                };
                let connector = worker.upstreams.connector();
                let stream = connector
                    .endpoint(&member, alpn, cluster.connect_timeout)
                    .await?;
                member.pool.begin(stream, version)
            }
        };
        let begun = lease.begin(Request::from_parts(head, body));
        let mut waiting = begun.map_err(|failed| failed.error)?;
        let response = poll_fn(|cx| waiting.poll_answer(cx)).await;
        let response = response.map_err(|failed| failed.error)?;
        let latency = clock::monotonic().duration_since(began);
        tracking.answered(
            mesh_proxy_core::balance::Outcome::of_status(response.status()),
            latency,
        );
        let mut rest = response.into_body();
        while let Some(frame) = rest.frame().await {
            frame?;
        }
        lease.release();
        tracking.finished();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_are_marked() {
        for (host, want) in [
            ("reviews", "reviews-shadow"),
            ("reviews:9080", "reviews-shadow:9080"),
            ("[::1]:80", "[::1]-shadow:80"),
        ] {
            let mut head = Request::get("/")
                .header("host", host)
                .body(())
                .unwrap()
                .into_parts()
                .0;
            shadow(&mut head);
            assert_eq!(head.headers.get("host").unwrap(), want);
        }
    }
}
