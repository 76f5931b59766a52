//! Accepted connections: which transport, and who may.

use std::net::IpAddr;
use std::sync::Arc;

use http::HeaderMap;
use http::request::Parts;
use http::uri::{PathAndQuery, Uri};
use mesh_api::Hostname;
use smallvec::SmallVec;

use crate::authz::{self, Asked, Caller, PolicySet, RequestAttributes, Token, Verdict};
use crate::detect::Detected;
use crate::ir::{MtlsMode, Origin, Protocol, RequestChecks, TlsServer};
use crate::reason::Reason;
use crate::route::RequestView;
use crate::snapshot::Snapshot;

/// How a workload's port is served.
#[derive(Clone, Debug)]
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
    /// TLS that ends here, for callers outside of the mesh.
    pub tls: Option<Arc<TlsServer>>,
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
            tls: declared.tls.clone(),
        },
        None => InboundPortPlan {
            port,
            mtls: inbound.default_mtls,
            mtls_origin: inbound.mtls_origin.clone(),
            protocol: Protocol::Auto,
            service: None,
            tls: None,
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

/// Which external authorizers a sidecar has to ask about a request, or about a connection of
/// opaque bytes. They come before [`inbound_http`] and [`inbound_tcp`].
pub fn inbound_ask(
    snapshot: &Snapshot,
    caller: &Caller<'_>,
    request: Option<&Parts>,
) -> SmallVec<[Asked; 1]> {
    let policies = snapshot.inbound().map(|inbound| &inbound.policies);
    ask(snapshot, policies, caller, request, &mut ())
}

/// What is asked of requests besides authorization policies; absent before the configuration.
pub fn request_checks(snapshot: &Snapshot) -> Option<&Arc<RequestChecks>> {
    let inbound = snapshot.inbound().map(|inbound| &inbound.checks);
    inbound.or_else(|| snapshot.gateway().map(|gateway| &gateway.checks))
}

pub(crate) fn ask(
    snapshot: &Snapshot,
    policies: Option<&PolicySet>,
    caller: &Caller<'_>,
    request: Option<&Parts>,
    observe: &mut impl authz::Observe,
) -> SmallVec<[Asked; 1]> {
    match policies {
        Some(policies) if !policies.custom().is_empty() => {
            with_attributes(snapshot, caller, request, |attributes| {
                authz::ask(policies, snapshot.mesh(), caller, attributes, observe)
            })
        }
        _ => SmallVec::new(),
    }
}

pub(crate) fn authorize(
    snapshot: &Snapshot,
    policies: Option<&PolicySet>,
    caller: &Caller<'_>,
    request: Option<&Parts>,
    observe: &mut impl authz::Observe,
) -> Verdict {
    let Some(policies) = policies else {
        return Verdict::denied(Reason::NotConfigured, None);
    };
    if policies.is_empty() {
        return Verdict::allowed(None);
    }
    with_attributes(snapshot, caller, request, |attributes| {
        authz::decide(policies, snapshot.mesh(), caller, attributes, observe)
    })
}

fn with_attributes<T>(
    snapshot: &Snapshot,
    caller: &Caller<'_>,
    request: Option<&Parts>,
    look: impl FnOnce(Option<&RequestAttributes<'_>>) -> T,
) -> T {
    let Some(parts) = request else {
        return look(None);
    };
    let view = RequestView::in_form(parts, snapshot.mesh().path_form);
    let token = parts.extensions.get::<Arc<Token>>();
    look(Some(&RequestAttributes {
        host: view.authority(),
        method: view.method(),
        path: view.path(),
        headers: &parts.headers,
        client: told_client(snapshot, caller, &parts.headers),
        token: token.map(|token| &**token),
    }))
}

/// The client as the proxies before a sidecar tell: the last address of X-Forwarded-For, which
/// the gateway has put there (Istio: `remote.ip` on sidecars). Only who proved to be of the mesh
/// is believed. A gateway knows its client itself.
fn told_client(snapshot: &Snapshot, caller: &Caller<'_>, headers: &HeaderMap) -> Option<IpAddr> {
    snapshot.inbound()?;
    caller.identity?;
    let last = headers.get_all("x-forwarded-for").iter().next_back()?;
    let address = last.to_str().ok()?.rsplit(',').next()?.trim();
    address.parse().ok()
}

/// Brings the path of a request into the normal form that policies compare, so that the workload
/// gets what was allowed (Istio: pathNormalization).
pub fn normalise_path(snapshot: &Snapshot, parts: &mut Parts) {
    let form = snapshot.mesh().path_form;
    let std::borrow::Cow::Owned(path) = form.apply(parts.uri.path()) else {
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

/// Sets query parameters and leaves others out. Names and values are taken as they are; what
/// cannot stand in a query changes nothing.
pub fn set_params(parts: &mut Parts, set: &[(String, String)], without: &[String]) {
    let gone = |name: &str| {
        without.iter().any(|gone| gone == name) || set.iter().any(|(known, _)| known == name)
    };
    let query = parts.uri.query().unwrap_or_default();
    let mut pairs: Vec<String> = query
        .split('&')
        .filter(|pair| !pair.is_empty() && !gone(pair.split('=').next().unwrap_or_default()))
        .map(str::to_owned)
        .collect();
    pairs.extend(set.iter().map(|(name, value)| format!("{name}={value}")));
    let path = parts.uri.path();
    let whole = if pairs.is_empty() {
        path.to_owned()
    } else {
        format!("{path}?{}", pairs.join("&"))
    };
    if let Ok(new) = PathAndQuery::try_from(whole) {
        set_path(parts, new);
    }
}

pub(crate) fn set_path(parts: &mut Parts, path: PathAndQuery) {
    let mut uri = std::mem::take(&mut parts.uri).into_parts();
    // Scheme and authority stand together or not at all, as before.
    uri.path_and_query = Some(path);
    parts.uri = Uri::from_parts(uri).unwrap_or_default();
}
