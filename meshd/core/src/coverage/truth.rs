//! Whether a rule matches, as far as that can be told before there is a request. The meaning of
//! each field is that of the proxy's matcher.

use std::collections::BTreeSet;

use mesh_api::SpiffeId;
use mesh_api::v1::{
    AuthorizationAction, AuthorizationAttribute, AuthorizationCondition, AuthorizationOperation,
    AuthorizationRule, AuthorizationSource,
};

use crate::MeshSettings;

/// The local trust domain as Istio's policies may always call it.
const LOCAL: &str = "cluster.local";

/// Whether something holds for what a caller may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Truth {
    /// For nothing.
    Never,
    /// For some of it, or nobody can tell.
    Sometimes,
    /// For all of it.
    Always,
}

/// Who calls.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Peer<'a> {
    /// Somebody who proves nothing.
    Nobody,
    /// A workload with this identity.
    Known(&'a SpiffeId),
    /// Perhaps somebody with a certificate.
    Unknown,
}

/// Which port is called.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Called<'a> {
    /// This one.
    Port(u32),
    /// Any but these.
    Other(&'a BTreeSet<u32>),
}

/// One kind of call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call<'a> {
    pub(crate) peer: Peer<'a>,
    pub(crate) port: Called<'a>,
    /// Requests; else opaque bytes.
    pub(crate) http: bool,
    pub(crate) settings: &'a MeshSettings,
}

// === impl Truth ===

impl Truth {
    fn of(known: bool) -> Self {
        if known { Self::Always } else { Self::Never }
    }

    fn not(self) -> Self {
        match self {
            Self::Never => Self::Always,
            Self::Sometimes => Self::Sometimes,
            Self::Always => Self::Never,
        }
    }
}

fn any<T>(all: &[T], test: impl Fn(&T) -> Truth) -> Truth {
    all.iter().map(test).max().unwrap_or(Truth::Never)
}

/// A field and its `not` field.
fn field<T>(wanted: &[T], unwanted: &[T], test: impl Fn(&T) -> Truth + Copy) -> Truth {
    let wanted = if wanted.is_empty() {
        Truth::Always
    } else {
        any(wanted, test)
    };
    wanted.min(any(unwanted, test).not())
}

// === impl Call ===

impl Call<'_> {
    /// Whether a rule of a policy with this action matches.
    pub(crate) fn rule(&self, rule: &AuthorizationRule, action: AuthorizationAction) -> Truth {
        if !self.http && action == AuthorizationAction::Allow && !of_http(rule).is_empty() {
            return Truth::Never;
        }
        let from = if rule.from.is_empty() {
            Truth::Always
        } else {
            any(&rule.from, |source| self.source(source))
        };
        let to = if rule.to.is_empty() {
            Truth::Always
        } else {
            any(&rule.to, |operation| self.operation(operation))
        };
        let when = rule.when.iter().map(|condition| self.condition(condition));
        from.min(to).min(when.min().unwrap_or(Truth::Always))
    }

    fn source(&self, source: &AuthorizationSource) -> Truth {
        let mut truth = field(&source.principals, &source.not_principals, |pattern| {
            self.identity(|id| principal(pattern, id, self.settings))
        });
        truth = truth.min(field(
            &source.namespaces,
            &source.not_namespaces,
            |pattern| self.identity(|id| namespace(pattern, id.namespace())),
        ));
        truth = truth.min(field(
            &source.service_accounts,
            &source.not_service_accounts,
            |name| self.identity(|id| account(name, id)),
        ));
        truth = truth.min(field(
            &source.trust_domains,
            &source.not_trust_domains,
            |pattern| self.identity(|id| trust_domain(pattern, id, self.settings)),
        ));
        truth = truth.min(field(&source.ip_blocks, &source.not_ip_blocks, address));
        truth = truth.min(field(
            &source.remote_ip_blocks,
            &source.not_remote_ip_blocks,
            address,
        ));
        truth.min(self.of_request(
            &source.request_principals,
            &source.not_request_principals,
            false,
        ))
    }

    fn operation(&self, operation: &AuthorizationOperation) -> Truth {
        field(&operation.ports, &operation.not_ports, |port| {
            self.is(*port)
        })
        .min(self.of_request(&operation.hosts, &operation.not_hosts, false))
        .min(self.of_request(&operation.methods, &operation.not_methods, true))
        // CONNECT has no path, not even for `*`.
        .min(self.of_request(&operation.paths, &operation.not_paths, false))
    }

    fn condition(&self, condition: &AuthorizationCondition) -> Truth {
        let (values, not_values) = (&condition.values, &condition.not_values);
        match condition.attribute() {
            AuthorizationAttribute::SourcePrincipal => field(values, not_values, |pattern| {
                self.identity(|id| principal(pattern, id, self.settings))
            }),
            AuthorizationAttribute::SourceNamespace => field(values, not_values, |pattern| {
                self.identity(|id| namespace(pattern, id.namespace()))
            }),
            AuthorizationAttribute::SourceServiceAccount => field(values, not_values, |name| {
                self.identity(|id| account(name, id))
            }),
            AuthorizationAttribute::SourceTrustDomain => field(values, not_values, |pattern| {
                self.identity(|id| trust_domain(pattern, id, self.settings))
            }),
            AuthorizationAttribute::DestinationPort => field(values, not_values, |port| {
                port.parse().map_or(Truth::Never, |port| self.is(port))
            }),
            AuthorizationAttribute::SourceIp
            | AuthorizationAttribute::RemoteIp
            | AuthorizationAttribute::DestinationIp => field(values, not_values, address),
            AuthorizationAttribute::RequestHeader
            | AuthorizationAttribute::RequestPrincipal
            | AuthorizationAttribute::RequestAudiences
            | AuthorizationAttribute::RequestPresenter
            | AuthorizationAttribute::RequestClaim => self.of_request(values, not_values, false),
            AuthorizationAttribute::ConnectionSni | AuthorizationAttribute::Unspecified => {
                Truth::Sometimes
            }
        }
    }

    fn identity(&self, test: impl Fn(&SpiffeId) -> bool) -> Truth {
        match self.peer {
            Peer::Nobody => Truth::Never,
            Peer::Known(id) => Truth::of(test(id)),
            Peer::Unknown => Truth::Sometimes,
        }
    }

    fn is(&self, port: u32) -> Truth {
        match self.port {
            Called::Port(called) => Truth::of(called == port),
            Called::Other(known) if known.contains(&port) => Truth::Never,
            Called::Other(_) => Truth::Sometimes,
        }
    }

    /// A field that only requests have; `*` is true of those that every request has. On opaque
    /// connections it is dropped.
    fn of_request(&self, wanted: &[String], unwanted: &[String], always: bool) -> Truth {
        if !self.http {
            return Truth::Always;
        }
        field(wanted, unwanted, |pattern| {
            if always && pattern == "*" {
                Truth::Always
            } else {
                Truth::Sometimes
            }
        })
    }
}

/// Fields of a rule that only HTTP has.
pub(crate) fn of_http(rule: &AuthorizationRule) -> BTreeSet<&'static str> {
    let mut fields = BTreeSet::new();
    for source in &rule.from {
        if !(source.request_principals.is_empty() && source.not_request_principals.is_empty()) {
            fields.insert("requestPrincipals");
        }
    }
    for operation in &rule.to {
        for (name, lists) in [
            ("hosts", [&operation.hosts, &operation.not_hosts]),
            ("methods", [&operation.methods, &operation.not_methods]),
            ("paths", [&operation.paths, &operation.not_paths]),
        ] {
            if lists.iter().any(|list| !list.is_empty()) {
                fields.insert(name);
            }
        }
    }
    for condition in &rule.when {
        match condition.attribute() {
            AuthorizationAttribute::RequestHeader => fields.insert("request.headers"),
            AuthorizationAttribute::RequestPrincipal
            | AuthorizationAttribute::RequestAudiences
            | AuthorizationAttribute::RequestPresenter
            | AuthorizationAttribute::RequestClaim => fields.insert("request.auth"),
            _ => false,
        };
    }
    fields
}

/// Addresses of callers are not known beforehand.
fn address(_: &String) -> Truth {
    Truth::Sometimes
}

fn glob(pattern: &str, value: &str) -> bool {
    if pattern == "*" {
        !value.is_empty()
    } else if let Some(suffix) = pattern.strip_prefix('*') {
        value.ends_with(suffix)
    } else if let Some(prefix) = pattern.strip_suffix('*') {
        value.starts_with(prefix)
    } else {
        pattern == value
    }
}

/// Names of the mesh's own trust domain.
fn own(settings: &MeshSettings) -> impl Iterator<Item = &str> {
    let aliases = settings.trust_domain_aliases.iter();
    std::iter::once(&settings.trust_domain)
        .chain(aliases)
        .map(mesh_api::TrustDomain::as_str)
}

/// A name of the mesh's own trust domain stands for all of them, as in what proxies get.
fn principal(written: &str, id: &SpiffeId, settings: &MeshSettings) -> bool {
    let whole = id.principal();
    let tail = whole.split_once('/').map_or("", |(_, tail)| tail);
    let is_ours = || own(settings).any(|name| name == id.trust_domain());
    let is_full = written.split('/').count() == 5;
    match written.split_once('/') {
        Some((domain, rest)) if domain == LOCAL || own(settings).any(|name| name == domain) => {
            let holds = match rest.strip_suffix('*') {
                _ if is_full => glob(rest, tail),
                Some(prefix) => tail.starts_with(prefix),
                None => tail == rest,
            };
            holds && is_ours()
        }
        Some((domain, rest)) if is_full && domain != "*" => {
            let names_own = glob(domain, LOCAL) || own(settings).any(|name| glob(domain, name));
            names_own && is_ours() && glob(rest, tail)
                || (!names_own || domain.contains('*')) && glob(written, whole)
        }
        _ => glob(written, whole),
    }
}

/// A namespace with `*` anywhere.
fn namespace(pattern: &str, value: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else {
        return pattern == value;
    };
    let Some(mut left) = value.strip_prefix(first) else {
        return false;
    };
    let mut pieces: Vec<&str> = rest.split('*').collect();
    let last = pieces.pop().unwrap_or_default();
    for piece in pieces {
        let Some((_, after)) = left.split_once(piece) else {
            return false;
        };
        left = after;
    }
    left.ends_with(last)
}

fn account(name: &str, id: &SpiffeId) -> bool {
    name.split_once('/') == Some((id.namespace(), id.service_account()))
}

fn trust_domain(pattern: &str, id: &SpiffeId, settings: &MeshSettings) -> bool {
    let domain = id.trust_domain();
    glob(pattern, domain)
        || own(settings).any(|name| name == domain)
            && (glob(pattern, LOCAL) || own(settings).any(|name| glob(pattern, name)))
}
