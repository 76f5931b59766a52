//! Accepted connections: which transport, and who may.

use std::sync::Arc;

use http::request::Parts;
use http::uri::{PathAndQuery, Uri};
use mesh_api::Hostname;

use crate::authz::path::normalise;
use crate::authz::{self, Caller, PolicySet, RequestAttributes, Verdict};
use crate::detect::Detected;
use crate::ir::{MtlsMode, Origin, Protocol};
use crate::reason::Reason;
use crate::route::RequestView;
use crate::snapshot::Snapshot;

/// How a workload's port is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboundPortPlan {
    /// The port.
    pub port: u16,
    /// Which peers it accepts.
    pub mtls: MtlsMode,
    /// PeerAuthentication that says so.
    pub mtls_origin: Option<Arc<Origin>>,
    /// What is spoken on it.
    pub protocol: Protocol,
    /// The service in front of it, with that service's port.
    pub service: Option<(Hostname, u16)>,
}

/// What to do with an accepted connection's transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accept {
    /// Terminate the mesh's mutual TLS; the client must prove an identity.
    Terminate,
    /// Go on in plain text.
    Plaintext,
    /// Pass the TLS bytes to the workload as they are.
    Passthrough,
    /// Reset it.
    Refuse(Reason),
}

/// How a port is served. Absent before the first inbound configuration: refuse.
pub fn inbound_connection(snapshot: &Snapshot, port: u16) -> Option<InboundPortPlan> {
    let inbound = snapshot.inbound()?;
    Some(match inbound.ports.get(&port) {
        Some(declared) => InboundPortPlan {
            port,
            mtls: declared.mtls,
            mtls_origin: declared.mtls_origin.clone(),
            protocol: declared.protocol,
            service: declared.service.clone(),
        },
        None => InboundPortPlan {
            port,
            mtls: inbound.default_mtls,
            mtls_origin: inbound.mtls_origin.clone(),
            protocol: Protocol::Auto,
            service: None,
        },
    })
}

/// Decides about the transport (Istio: PeerAuthentication).
///
/// | | mesh TLS | foreign TLS | anything else |
/// |---|---|---|---|
/// | STRICT | terminate | terminate: its certificate decides | refuse |
/// | PERMISSIVE | terminate | pass through | plain text |
/// | DISABLE | refuse | pass through | plain text |
///
/// `detected` must be known: [`Detected::NeedMore`] counts as plain text, for a client that sends
/// nothing.
pub fn inbound_transport(mode: MtlsMode, detected: &Detected) -> Accept {
    match (mode, detected) {
        (MtlsMode::Strict, Detected::Tls(_)) => Accept::Terminate,
        (MtlsMode::Strict, _) => Accept::Refuse(Reason::PlaintextRefused),
        (MtlsMode::Permissive, Detected::Tls(hello)) if hello.is_mesh() => Accept::Terminate,
        (MtlsMode::Disable, Detected::Tls(hello)) if hello.is_mesh() => {
            Accept::Refuse(Reason::MutualTlsDisabled)
        }
        (MtlsMode::Permissive | MtlsMode::Disable, Detected::Tls(_)) => Accept::Passthrough,
        (MtlsMode::Permissive | MtlsMode::Disable, _) => Accept::Plaintext,
    }
}

/// Whether a sidecar's workload may get a connection of opaque bytes.
pub fn inbound_tcp(snapshot: &Snapshot, caller: &Caller<'_>) -> Verdict {
    authorize(
        snapshot,
        snapshot.inbound().map(|inbound| &inbound.policies),
        caller,
        None,
        &mut (),
    )
}

/// Whether a sidecar's workload may get a request.
pub fn inbound_http(snapshot: &Snapshot, caller: &Caller<'_>, request: &Parts) -> Verdict {
    authorize(
        snapshot,
        snapshot.inbound().map(|inbound| &inbound.policies),
        caller,
        Some(request),
        &mut (),
    )
}

pub(crate) fn authorize(
    snapshot: &Snapshot,
    policies: Option<&PolicySet>,
    caller: &Caller<'_>,
    request: Option<&Parts>,
    observe: &mut impl authz::Observe,
) -> Verdict {
    let Some(policies) = policies else {
        return Verdict {
            allowed: false,
            by: None,
            reason: Some(Reason::NotConfigured),
        };
    };
    if policies.is_empty() {
        return Verdict {
            allowed: true,
            by: None,
            reason: None,
        };
    }
    let Some(parts) = request else {
        return authz::decide(policies, snapshot.mesh(), caller, None, observe);
    };
    let view = RequestView::new(parts);
    let attributes = RequestAttributes {
        host: view.authority(),
        method: view.method(),
        path: view.path(),
        headers: &parts.headers,
    };
    authz::decide(
        policies,
        snapshot.mesh(),
        caller,
        Some(&attributes),
        observe,
    )
}

/// Brings the path of a request into the normal form that policies compare, so that the workload
/// gets what was allowed (Istio: pathNormalization).
pub fn normalise_path(parts: &mut Parts) {
    let std::borrow::Cow::Owned(path) = normalise(parts.uri.path()) else {
        return;
    };
    let whole = match parts.uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path,
    };
    if let Ok(new) = PathAndQuery::try_from(whole) {
        set_path(parts, new);
    }
}

pub(super) fn set_path(parts: &mut Parts, path: PathAndQuery) {
    let mut uri = std::mem::take(&mut parts.uri).into_parts();
    // Scheme and authority stand together or not at all, as before.
    uri.path_and_query = Some(path);
    parts.uri = Uri::from_parts(uri).unwrap_or_default();
}
