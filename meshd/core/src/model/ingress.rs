//! Ingress and IngressClass of Kubernetes.

use mesh_api::v1::Origin;

use super::{Meta, PathMatch};

/// An Ingress.
#[derive(Debug)]
pub(crate) struct Ingress {
    pub(crate) meta: Meta,
    /// `spec.ingressClassName`.
    pub(crate) class: Option<String>,
    pub(crate) default_backend: Option<Backend>,
    pub(crate) rules: Vec<IngressRule>,
    pub(crate) tls: Vec<IngressTls>,
}

/// One of `rules`.
#[derive(Debug)]
pub(crate) struct IngressRule {
    /// Exact, `*.suffix`, or `*` for none.
    pub(crate) host: String,
    pub(crate) paths: Vec<IngressPath>,
}

/// One of `http.paths` of a rule.
#[derive(Debug)]
pub(crate) struct IngressPath {
    pub(crate) path: PathMatch,
    pub(crate) backend: Backend,
    pub(crate) origin: Origin,
}

/// A `backend`.
#[derive(Clone, Debug)]
pub(crate) struct Backend {
    /// In the namespace of the Ingress.
    pub(crate) service: String,
    pub(crate) port: BackendPort,
    pub(crate) origin: Origin,
}

/// `service.port` of a backend.
#[derive(Clone, Debug)]
pub(crate) enum BackendPort {
    Number(u16),
    Name(String),
}

/// One of `tls`.
#[derive(Debug)]
pub(crate) struct IngressTls {
    /// Empty is all.
    pub(crate) hosts: Vec<String>,
    pub(crate) secret: String,
    pub(crate) origin: Origin,
}

/// An IngressClass.
#[derive(Debug)]
pub(crate) struct IngressClass {
    pub(crate) meta: Meta,
    pub(crate) controller: String,
}
