//! What goes wrong with a cluster, and what to do then.

use std::path::PathBuf;

use kube::config::KubeconfigError;

use super::Cluster;

/// Why the cluster did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// No such kubeconfig or context.
    #[error("cannot use {}: {}; name another one with --kubeconfig FILE or --context NAME", config(file.as_ref(), context.as_ref()), chain(source))]
    Config {
        /// The file that was named.
        file: Option<PathBuf>,
        /// The context that was named.
        context: Option<String>,
        /// Why.
        source: Box<KubeconfigError>,
    },
    /// Its credentials are not usable.
    #[error("cannot use the credentials of context `{context}`: {}", chain(source))]
    Client {
        /// The context.
        context: String,
        /// Why.
        source: Box<kube::Error>,
    },
    /// Nobody answers.
    #[error("cannot reach the API server of context `{context}` at {server}: {cause}")]
    Unreachable {
        /// The context.
        context: String,
        /// Its URL.
        server: String,
        /// Why.
        cause: String,
    },
    /// Not allowed.
    #[error(
        "context `{}` may not {} {} {}: give its user that permission, for example with `kubectl create role`; the API server says: {}", .0.context, .0.verb, .0.resource, .0.place, .0.message
    )]
    Forbidden(Box<Refusal>),
    /// The API server refuses, for another reason.
    #[error("cannot {} {} {} (context `{}`): {}", .0.verb, .0.resource, .0.place, .0.context, .0.message)]
    Refused(Box<Refusal>),
    /// A container is not there to run a command.
    #[error(
        "{place} (context `{context}`) does not run now: {why}; `kubectl describe pod` tells more"
    )]
    NotRunning {
        /// The context.
        context: String,
        /// Which container.
        place: String,
        /// Why.
        why: String,
    },
    /// A document that is no object.
    #[error("no Kubernetes object: {0}")]
    Document(String),
    /// The kind is not served.
    #[error(
        "the cluster of context `{context}` does not know {kind}: are the mesh's CRDs installed? `meshctl install` does that"
    )]
    UnknownKind {
        /// The context.
        context: String,
        /// `apiVersion, kind`.
        kind: String,
    },
}

/// What the API server did not do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The context.
    pub context: String,
    /// Verb of RBAC.
    pub verb: &'static str,
    /// Resource of RBAC.
    pub resource: String,
    /// `in namespace x`, or `in the cluster`.
    pub place: String,
    /// HTTP status code; 0 if there is none.
    pub code: u16,
    /// The API server's own words.
    pub message: String,
}

/// What was tried.
#[derive(Clone, Copy, Debug)]
pub(super) struct Doing<'a> {
    pub(super) verb: &'static str,
    pub(super) resource: &'a str,
    pub(super) namespace: Option<&'a str>,
}

// === impl ClusterError ===

impl ClusterError {
    pub(super) fn new(cluster: &Cluster, doing: Doing<'_>, error: kube::Error) -> Self {
        let refusal = |code: u16, message: String| {
            Box::new(Refusal {
                context: cluster.context().to_owned(),
                verb: doing.verb,
                resource: doing.resource.to_owned(),
                place: doing.namespace.map_or_else(
                    || "in the cluster".to_owned(),
                    |namespace| format!("in namespace {namespace}"),
                ),
                code,
                message,
            })
        };
        match error {
            kube::Error::Api(status) if status.code == 401 => Self::Refused(refusal(
                status.code,
                format!(
                    "{}: the credentials of the context are not valid (any more)",
                    status.message
                ),
            )),
            kube::Error::Api(status) if status.is_forbidden() && rbac(&status.message) => {
                Self::Forbidden(refusal(status.code, status.message))
            }
            kube::Error::Api(status) => Self::Refused(refusal(status.code, status.message)),
            error @ (kube::Error::HyperError(_) | kube::Error::Service(_)) => Self::Unreachable {
                context: cluster.context().to_owned(),
                server: cluster.server().to_owned(),
                cause: chain(&error),
            },
            error => {
                // The upgrade of exec and port-forward loses the API server's words.
                let message = chain(&error);
                if message.contains("403") {
                    Self::Forbidden(refusal(403, message))
                } else {
                    Self::Refused(refusal(0, message))
                }
            }
        }
    }

    /// Whether there is no such object.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.code == 404)
    }

    /// Whether a permission is missing.
    pub fn is_forbidden(&self) -> bool {
        matches!(self, Self::Forbidden(_))
    }
}

/// Webhooks, quotas and admission policies answer 403, too.
fn rbac(message: &str) -> bool {
    message.contains("cannot ") && !message.contains("admission webhook")
}

fn config(file: Option<&PathBuf>, context: Option<&String>) -> String {
    let file = file.map_or_else(
        || "the kubeconfig".to_owned(),
        |file| format!("the kubeconfig {}", file.display()),
    );
    context.map_or_else(
        || file.clone(),
        |context| format!("context `{context}` of {file}"),
    )
}

/// An error with its causes, each once.
pub(super) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let told = cause.to_string();
        if !text.contains(&told) {
            text = format!("{text}: {told}");
        }
        next = cause.source();
    }
    text
}
