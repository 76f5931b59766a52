//! Calls of the workload: accept → detect → route → balance → connect → relay.

mod bound;
mod forward;
mod http;
mod mirror;
mod passthrough;
mod tcp;

use std::net::SocketAddr;
use std::rc::Rc;

use mesh_api::{Hostname, ResourceName};
use mesh_proxy_core::detect::Detected;
use mesh_proxy_core::ir::Protocol;
use mesh_proxy_core::labels::Reporter;
use mesh_proxy_core::plan::{self, AddressPlan, Step};
use mesh_proxy_core::{Reason, Snapshot};

use crate::clock;
use crate::control::NeedError;
use crate::detect::{First, Race, first_bytes, race};
use crate::http::Version;
use crate::net::{self, Stream};
use crate::shared::Shared;
use crate::socks;
use crate::upstream::Carriage;
use crate::worker::Worker;

pub use bound::bound;
pub(crate) use forward::{Call, act};
pub(crate) use tcp::{asked, endpoint};

/// Where a connection was going before the proxy took it.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// Host as the client wrote it, or the address as text.
    pub(crate) host: Hostname,
    /// Port.
    pub(crate) port: u16,
    /// Original destination, for captured connections.
    pub(crate) original: Option<SocketAddr>,
}

/// Serves one connection to the explicit proxy: SOCKS5 or HTTP, told apart by the first byte.
pub async fn explicit(worker: Rc<Worker>, mut stream: Stream) {
    let timeout = crate::http::HEAD_TIMEOUT;
    if !matches!(tokio::time::timeout(timeout, stream.fill()).await, Ok(Ok(count)) if count > 0) {
        return;
    }
    if stream.unread().first() == Some(&socks::VERSION) {
        return Box::pin(socks(worker, stream)).await;
    }
    // The explicit proxy has no opaque clients: what is no HTTP gets HTTP's answer.
    let version = match first_bytes(&mut stream, timeout).await {
        Ok(First::Client(Detected::Http2)) => Version::Http2,
        Ok(First::Client(_)) => Version::Http1,
        Ok(First::Closed | First::Silent) | Err(_) => return,
    };
    Box::pin(http::serve(worker, stream, version, None)).await;
}

/// Serves one captured connection.
pub async fn transparent(worker: Rc<Worker>, stream: Stream) {
    let original = match stream.tcp().map(net::original_destination) {
        Some(Ok(Some(original))) => SocketAddr::new(original.ip().to_canonical(), original.port()),
        // Made to the listener itself: relaying it would come back here.
        _ => return net::reset(stream),
    };
    let Ok(host) = original.ip().to_string().parse() else {
        return net::reset(stream);
    };
    let target = Target {
        host,
        port: original.port(),
        original: Some(original),
    };
    Box::pin(tunnel(worker, stream, target)).await;
}

async fn socks(worker: Rc<Worker>, mut stream: Stream) {
    let (host, port) = match socks::accept(&mut stream, crate::http::HEAD_TIMEOUT).await {
        Ok(wish) => wish,
        Err(error) => {
            tracing::debug!(%error, "SOCKS handshake failed");
            return;
        }
    };
    let target = Target {
        original: socks::as_address(&host, port),
        host,
        port,
    };
    let name = ResourceName::destination(&target.host, port);
    let decided = decide(&worker.shared, |snapshot| {
        plan::outbound_destination(snapshot, &name)
    })
    .await;
    if let Err(reason) = decided {
        let _ = socks::reply(&mut stream, socks::Reply::GeneralFailure).await;
        let carriage = Carriage::begin(&worker, Reporter::Source, &stream);
        return carriage.refused(reason, "");
    }
    if socks::reply(&mut stream, socks::Reply::Succeeded)
        .await
        .is_ok()
    {
        Box::pin(tunnel(worker, stream, target)).await;
    }
}

/// Serves what comes through a connection to a known destination: requests by their host, TLS by
/// its server name, other bytes by the destination.
pub(crate) async fn tunnel(worker: Rc<Worker>, mut stream: Stream, target: Target) {
    let name = ResourceName::destination(&target.host, target.port);
    let plan = match decide(&worker.shared, |snapshot| {
        plan::outbound_destination(snapshot, &name)
    })
    .await
    {
        Ok(plan) => plan,
        Err(reason) => {
            let carriage = Carriage::begin(&worker, Reporter::Source, &stream);
            return carriage.refuse(stream, reason, "");
        }
    };
    worker.shared.touch(&name);
    if plan.protocol == Protocol::Tcp {
        return Box::pin(tcp::serve(worker, stream, target, plan, None)).await;
    }
    let detected = match Box::pin(first(&worker, &mut stream, &target, &plan)).await {
        Opening::Client(detected) => detected,
        Opening::Server(server) => return Box::pin(tcp::carry(worker, stream, server)).await,
        Opening::Silent => return Box::pin(tcp::serve(worker, stream, target, plan, None)).await,
        Opening::Ended => return,
    };
    match detected {
        Detected::Http1 if plan.protocol != Protocol::Tls => {
            Box::pin(http::serve(worker, stream, Version::Http1, Some(target))).await;
        }
        Detected::Http2 if plan.protocol != Protocol::Tls => {
            Box::pin(http::serve(worker, stream, Version::Http2, Some(target))).await;
        }
        Detected::Tls(hello) => Box::pin(tcp::serve(worker, stream, target, plan, hello.sni)).await,
        _ if plan.protocol.is_http() => {
            Box::pin(http::serve(worker, stream, Version::Http1, Some(target))).await;
        }
        _ => Box::pin(tcp::serve(worker, stream, target, plan, None)).await,
    }
}

enum Opening {
    Client(Detected),
    Server(tcp::Reached),
    Silent,
    Ended,
}

async fn first(
    worker: &Rc<Worker>,
    stream: &mut Stream,
    target: &Target,
    plan: &AddressPlan,
) -> Opening {
    let timeout = worker.shared.settings.detect_timeout;
    // A server may speak first only where opaque bytes may be spoken.
    if plan.protocol == Protocol::Auto {
        let reached = std::cell::RefCell::new(None);
        let client = (stream.peer_addr(), target.original.or(stream.local_addr()));
        let dial = async {
            let reaching = Box::pin(tcp::reach(worker, target, plan, (None, client)));
            let (facts, server) = reaching.await?.into_parts();
            *reached.borrow_mut() = Some(facts);
            Ok::<_, tcp::Unreachable>(server)
        };
        let patience = worker.outbound_habits.patience(&plan.name);
        // Requests, and TLS by its server name, may go elsewhere.
        let raced = race(stream, (patience, timeout), |_| false, dial).await;
        if let Some(speaker) = raced.as_ref().ok().and_then(|raced| raced.speaker(stream)) {
            worker.outbound_habits.learn(&plan.name, speaker);
        }
        return match raced {
            Ok(Race::First(first)) => opening(first),
            Ok(Race::Client(_, server) | Race::Server(server)) => match reached.into_inner() {
                Some(facts) => Opening::Server(tcp::Reached::from_parts(facts, server)),
                None => Opening::Ended,
            },
            // The failure is met again, and recorded, when the bytes are to be carried.
            Ok(Race::Failed(_)) => Opening::Silent,
            Err(_) => Opening::Ended,
        };
    }
    match first_bytes(stream, timeout).await {
        Ok(first) => opening(first),
        Err(_) => Opening::Ended,
    }
}

fn opening(first: First) -> Opening {
    match first {
        First::Client(detected) => Opening::Client(detected),
        First::Closed => Opening::Ended,
        First::Silent => Opening::Silent,
    }
}

/// Asks again until nothing is missing, within the settings' time.
pub(crate) async fn decide<T>(
    shared: &Shared,
    plan: impl FnMut(&Snapshot) -> Step<T>,
) -> Result<T, Reason> {
    let mut plan = plan;
    let mut snapshot = shared.snapshot();
    let mut deadline = None;
    loop {
        let missing = match plan(&snapshot) {
            Step::Ready(decision) => return Ok(decision),
            Step::Need(missing) => missing,
        };
        let until =
            *deadline.get_or_insert_with(|| clock::monotonic() + shared.settings.need_timeout);
        shared.telemetry.stages.waits.inc();
        snapshot = shared
            .need_until(&missing, until)
            .await
            .map_err(|error| match error {
                NeedError::Deadline(_) => Reason::ConfigurationTimeout,
                NeedError::Refused { .. } => Reason::ConfigurationRefused,
                NeedError::Stopped => Reason::Draining,
            })?;
    }
}
