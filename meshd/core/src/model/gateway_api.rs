//! Routes, gateways and grants of the Kubernetes Gateway API (gateway.networking.k8s.io).

use mesh_api::v1::{Cors, HeaderEdits, HttpMatch, Origin, Redirect, TlsServerMode};

use super::{Meta, PathMatch, Retries};
use crate::yaml::Labels;

/// The API group.
pub(crate) const GATEWAY_API: &str = "gateway.networking.k8s.io";

/// An HTTPRoute or a GRPCRoute.
#[derive(Debug)]
pub(crate) struct ApiRoute {
    pub(crate) meta: Meta,
    pub(crate) parents: Vec<ParentRef>,
    /// Lower case; none are those of the parent.
    pub(crate) hostnames: Vec<String>,
    pub(crate) rules: Vec<ApiRule>,
}

/// One of `parentRefs`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ParentRef {
    pub(crate) reference: Reference,
    pub(crate) section: Option<String>,
    pub(crate) port: Option<u16>,
    pub(crate) origin: Origin,
}

/// Names another object. What is absent was not written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reference {
    pub(crate) group: Option<String>,
    pub(crate) kind: Option<String>,
    pub(crate) namespace: Option<String>,
    pub(crate) name: String,
}

/// One of `rules`.
#[derive(Debug)]
pub(crate) struct ApiRule {
    pub(crate) name: String,
    pub(crate) origin: Origin,
    /// Not empty.
    pub(crate) cases: Vec<ApiCase>,
    pub(crate) filters: ApiFilters,
    pub(crate) backends: Vec<ApiBackend>,
    pub(crate) timeout_ms: Option<u64>,
    pub(crate) retries: Retries,
    /// Time for each try where `retries` say nothing.
    pub(crate) per_try_timeout_ms: u64,
}

/// One of `matches`.
#[derive(Clone, Debug)]
pub(crate) struct ApiCase {
    pub(crate) path: PathMatch,
    /// All but the path.
    pub(crate) wire: HttpMatch,
}

/// `filters` of a rule or of a backend.
#[derive(Clone, Debug, Default)]
pub(crate) struct ApiFilters {
    pub(crate) headers: HeaderEdits,
    pub(crate) cors: Option<Cors>,
    /// Without its path.
    pub(crate) redirect: Option<Redirect>,
    /// Of a redirect or of a rewrite.
    pub(crate) path: Option<PathModifier>,
    /// Of a rewrite.
    pub(crate) authority: String,
    /// With their share in millionths.
    pub(crate) mirrors: Vec<(ApiBackend, u32)>,
    /// Why requests cannot be treated as asked for: they are answered with an error.
    pub(crate) unusable: Option<String>,
}

/// `path` of a redirect or of a rewrite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PathModifier {
    Full(String),
    /// Replaces the matched prefix; a slash at the end changes nothing.
    Prefix(String),
}

/// One of `backendRefs`.
#[derive(Clone, Debug)]
pub(crate) struct ApiBackend {
    pub(crate) reference: Reference,
    pub(crate) port: Option<u16>,
    pub(crate) weight: u32,
    pub(crate) filters: ApiFilters,
    pub(crate) origin: Origin,
}

/// A Gateway of the Gateway API.
#[derive(Debug)]
pub(crate) struct ApiGateway {
    pub(crate) meta: Meta,
    pub(crate) class: String,
    pub(crate) listeners: Vec<Listener>,
    /// `spec.addresses`: type and value.
    pub(crate) addresses: Vec<(String, String)>,
    /// `infrastructure.parametersRef` is there, which only a gateway that is deployed can follow.
    pub(crate) has_parameters: bool,
}

/// One of `listeners`.
#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) name: String,
    /// Lower case; `*` for none.
    pub(crate) hostname: String,
    pub(crate) port: u16,
    pub(crate) protocol: String,
    pub(crate) tls: Option<ListenerTls>,
    pub(crate) from: FromNamespaces,
    /// Group and kind; none are all that the protocol has.
    pub(crate) kinds: Vec<(String, String)>,
    pub(crate) origin: Origin,
}

/// `tls` of a listener.
#[derive(Debug)]
pub(crate) struct ListenerTls {
    pub(crate) mode: TlsServerMode,
    pub(crate) certificates: Vec<Reference>,
    /// What of it cannot be done.
    pub(crate) unsupported: Option<String>,
}

/// `allowedRoutes.namespaces` of a listener.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum FromNamespaces {
    Same,
    All,
    None,
    Selector(LabelSelector),
}

/// A label selector of Kubernetes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct LabelSelector {
    pub(crate) labels: Labels,
    pub(crate) expressions: Vec<Expression>,
}

/// One of `matchExpressions`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Expression {
    pub(crate) key: String,
    pub(crate) operator: Operator,
    pub(crate) values: Vec<String>,
}

/// `operator` of an expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    In,
    NotIn,
    Exists,
    DoesNotExist,
}

/// A GatewayClass.
#[derive(Debug)]
pub(crate) struct GatewayClass {
    pub(crate) meta: Meta,
    pub(crate) controller: String,
    pub(crate) has_parameters: bool,
}

/// A ReferenceGrant.
#[derive(Debug)]
pub(crate) struct ReferenceGrant {
    pub(crate) meta: Meta,
    pub(crate) from: Vec<GrantFrom>,
    pub(crate) to: Vec<GrantTo>,
}

/// One of `from`.
#[derive(Debug)]
pub(crate) struct GrantFrom {
    pub(crate) group: String,
    pub(crate) kind: String,
    pub(crate) namespace: String,
}

/// One of `to`.
#[derive(Debug)]
pub(crate) struct GrantTo {
    pub(crate) group: String,
    pub(crate) kind: String,
    /// Absent is any.
    pub(crate) name: Option<String>,
}

// === impl Reference ===

impl Reference {
    /// Group and kind, with what they are when they are not written. `core` is another name of
    /// the core group.
    pub(crate) fn group_kind<'a>(&'a self, default: (&'a str, &'a str)) -> (&'a str, &'a str) {
        let group = self.group.as_deref().unwrap_or(default.0);
        let group = if group == "core" { "" } else { group };
        (group, self.kind.as_deref().unwrap_or(default.1))
    }

    /// The namespace, which is by default that of the object that refers.
    pub(crate) fn namespace<'a>(&'a self, own: &'a str) -> &'a str {
        self.namespace.as_deref().unwrap_or(own)
    }
}

// === impl ParentRef ===

impl ParentRef {
    /// Whether it names a Gateway of the Gateway API.
    pub(crate) fn is_gateway(&self) -> bool {
        self.reference.group_kind((GATEWAY_API, "Gateway")) == (GATEWAY_API, "Gateway")
    }

    /// Whether it names a Service: a route for the mesh.
    pub(crate) fn is_service(&self) -> bool {
        self.reference.group_kind((GATEWAY_API, "Gateway")) == ("", "Service")
    }
}

// === impl LabelSelector ===

impl LabelSelector {
    /// Whether an object with these labels is selected (Kubernetes: an absent key is in no list,
    /// and outside of every one).
    pub(crate) fn selects(&self, labels: &Labels) -> bool {
        super::selects(&self.labels, labels)
            && self.expressions.iter().all(|expression| {
                let value = labels.get(&expression.key);
                let listed = value.is_some_and(|value| expression.values.contains(value));
                match expression.operator {
                    Operator::In => listed,
                    Operator::NotIn => !listed,
                    Operator::Exists => value.is_some(),
                    Operator::DoesNotExist => value.is_none(),
                }
            })
    }
}
