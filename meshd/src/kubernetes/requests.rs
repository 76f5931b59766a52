//! What this process asks of the API server, counted as roles name it: verb, group and resource.
//! So operators see what the control plane does, and that its roles grant that and no more.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use axum::http::{Method, Request, Response};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use kube::client::Body;
use tower::Service;

use crate::metrics::Writer;

/// Code of a request that was not answered.
const UNANSWERED: &str = "error";

/// A request, in the words of a role.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ApiRequest {
    /// As in `rules[].verbs`.
    pub(crate) verb: &'static str,
    /// As in `rules[].apiGroups`: empty for the core group.
    pub(crate) group: String,
    /// As in `rules[].resources`: with `/` and the subresource if it is about one. Empty if the
    /// path names no resource, as those that tell which kinds there are.
    pub(crate) resource: String,
    /// Whether it is about one namespace only.
    pub(crate) namespaced: bool,
}

/// Counts requests. Names of objects and namespaces are not kept: there are as many counters as
/// the program has kinds of requests.
#[derive(Debug, Default)]
pub(crate) struct ApiRequests {
    counts: Mutex<BTreeMap<(ApiRequest, String), u64>>,
}

/// A client's service that is counted.
#[derive(Debug, Clone)]
pub(crate) struct Counted<S> {
    inner: S,
    requests: Arc<ApiRequests>,
}

// === impl ApiRequest ===

impl ApiRequest {
    /// What the API server makes of a method, a path below its address, and a query (Kubernetes:
    /// `RequestInfoFactory.NewRequestInfo`).
    pub(crate) fn parse(method: &Method, path: &str, query: Option<&str>) -> Self {
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let (group, mut parts) = match parts.as_slice() {
            ["api", _version, rest @ ..] if !rest.is_empty() => ("", rest),
            ["apis", group, _version, rest @ ..] if !rest.is_empty() => (*group, rest),
            _ => return Self::of_no_resource(method),
        };
        let mut namespaced = false;
        // Of a namespace itself these are parts.
        if let ["namespaces", _, rest @ ..] = parts
            && !matches!(rest, [] | ["status" | "finalize", ..])
        {
            namespaced = true;
            parts = rest;
        }
        let named = parts.len() > 1;
        let resource = match parts {
            [resource, _, subresource, ..] => format!("{resource}/{subresource}"),
            [resource, ..] => (*resource).to_owned(),
            [] => String::new(),
        };
        Self {
            verb: verb(method, named, query),
            group: group.to_owned(),
            resource,
            namespaced,
        }
    }

    fn of_no_resource(method: &Method) -> Self {
        Self {
            verb: verb(method, true, None),
            group: String::new(),
            resource: String::new(),
            namespaced: false,
        }
    }
}

fn verb(method: &Method, named: bool, query: Option<&str>) -> &'static str {
    match (method.as_str(), named) {
        ("POST", _) => "create",
        ("PUT", _) => "update",
        ("PATCH", _) => "patch",
        ("DELETE", true) => "delete",
        ("DELETE", false) => "deletecollection",
        (_, true) => "get",
        (_, false) if watches(query) => "watch",
        _ => "list",
    }
}

fn watches(query: Option<&str>) -> bool {
    let mut pairs = query.unwrap_or_default().split('&');
    pairs.any(|pair| matches!(pair, "watch=true" | "watch=1" | "watch"))
}

// === impl ApiRequests ===

impl ApiRequests {
    fn count(&self, request: ApiRequest, code: &str) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry((request, code.to_owned())).or_default() += 1;
    }

    /// Writes the counters.
    pub(crate) fn encode(&self, writer: &mut Writer<'_>) -> fmt::Result {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let samples: Vec<_> = counts
            .iter()
            .map(|((request, code), count)| {
                let scope = match request.namespaced {
                    true => "namespace",
                    false => "cluster",
                };
                let labels = [
                    ("verb", request.verb),
                    ("group", request.group.as_str()),
                    ("resource", request.resource.as_str()),
                    ("scope", scope),
                    ("code", code.as_str()),
                ];
                (labels, *count)
            })
            .collect();
        writer.counter_of(
            "mesh_kubernetes_requests",
            "Requests to the API server, as roles name them, by the HTTP status of the answer",
            &samples,
        )
    }
}

// === impl Counted ===

impl<S> Counted<S> {
    pub(crate) fn new(inner: S, requests: Arc<ApiRequests>) -> Self {
        Self { inner, requests }
    }
}

impl<S, B> Service<Request<Body>> for Counted<S>
where
    S: Service<Request<Body>, Response = Response<B>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let uri = request.uri();
        let asked = ApiRequest::parse(request.method(), uri.path(), uri.query());
        let requests = Arc::clone(&self.requests);
        let answer = self.inner.call(request);
        async move {
            let answer = answer.await;
            match &answer {
                Ok(response) => requests.count(asked, response.status().as_str()),
                Err(_) => requests.count(asked, UNANSWERED),
            }
            answer
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    /// Method, path, and what the API server makes of it: verb, group, resource, namespaced.
    type Case = (
        &'static str,
        &'static str,
        (&'static str, &'static str, &'static str, bool),
    );

    const CASES: [Case; 22] = [
        ("GET", "/api/v1/pods", ("list", "", "pods", false)),
        (
            "GET",
            "/api/v1/pods?limit=500&watch=true",
            ("watch", "", "pods", false),
        ),
        (
            "GET",
            "/api/v1/pods?watch=1&x=y",
            ("watch", "", "pods", false),
        ),
        (
            "GET",
            "/api/v1/pods?watch=false",
            ("list", "", "pods", false),
        ),
        (
            "GET",
            "/api/v1/namespaces/shop/pods/a",
            ("get", "", "pods", true),
        ),
        (
            "HEAD",
            "/api/v1/namespaces/shop/pods/a",
            ("get", "", "pods", true),
        ),
        (
            "GET",
            "/api/v1/namespaces/shop/secrets?fieldSelector=metadata.name%3Da",
            ("list", "", "secrets", true),
        ),
        (
            "GET",
            "/api/v1/namespaces",
            ("list", "", "namespaces", false),
        ),
        (
            "GET",
            "/api/v1/namespaces/shop",
            ("get", "", "namespaces", false),
        ),
        (
            "PATCH",
            "/api/v1/namespaces/shop/status",
            ("patch", "", "namespaces/status", false),
        ),
        (
            "POST",
            "/api/v1/namespaces/shop/configmaps?",
            ("create", "", "configmaps", true),
        ),
        (
            "PUT",
            "/api/v1/namespaces/shop/secrets/a",
            ("update", "", "secrets", true),
        ),
        (
            "DELETE",
            "/api/v1/namespaces/shop/secrets/a",
            ("delete", "", "secrets", true),
        ),
        (
            "DELETE",
            "/api/v1/namespaces/shop/secrets",
            ("deletecollection", "", "secrets", true),
        ),
        (
            "POST",
            "/apis/authentication.k8s.io/v1/tokenreviews",
            ("create", "authentication.k8s.io", "tokenreviews", false),
        ),
        (
            "PATCH",
            "/apis/networking.istio.io/v1/namespaces/shop/gateways/a/status?fieldManager=meshd",
            ("patch", "networking.istio.io", "gateways/status", true),
        ),
        (
            "GET",
            "/apis/networking.istio.io/v1/gateways",
            ("list", "networking.istio.io", "gateways", false),
        ),
        // The name of an object is no flag.
        (
            "GET",
            "/api/v1/namespaces/shop/pods/status",
            ("get", "", "pods", true),
        ),
        ("GET", "/apis", ("get", "", "", false)),
        (
            "GET",
            "/apis/networking.istio.io/v1",
            ("get", "", "", false),
        ),
        ("GET", "/version", ("get", "", "", false)),
        ("GET", "/", ("get", "", "", false)),
    ];

    #[test]
    fn names_requests_as_roles_do() {
        for (method, uri, (verb, group, resource, namespaced)) in CASES {
            let (path, query) = match uri.split_once('?') {
                Some((path, query)) => (path, Some(query)),
                None => (uri, None),
            };
            let want = ApiRequest {
                verb,
                group: group.to_owned(),
                resource: resource.to_owned(),
                namespaced,
            };
            let method: Method = method.parse().unwrap();
            assert_eq!(
                ApiRequest::parse(&method, path, query),
                want,
                "{method} {uri}"
            );
        }
    }

    #[tokio::test]
    async fn counts_by_the_answer_and_not_by_the_object() {
        let requests = Arc::new(ApiRequests::default());
        let refuses = tower::service_fn(|request: Request<Body>| async move {
            let code = if request.uri().path().ends_with('b') {
                403
            } else {
                200
            };
            Ok::<_, Infallible>(Response::builder().status(code).body(()).unwrap())
        });
        let mut counted = Counted::new(refuses, Arc::clone(&requests));
        for name in ["a", "b", "c"] {
            let uri = format!("/api/v1/namespaces/shop-{name}/secrets/{name}");
            let request = Request::get(uri).body(Body::empty()).unwrap();
            counted.call(request).await.unwrap();
        }
        let counts = requests.counts.lock().unwrap();
        let found: Vec<_> = counts
            .iter()
            .map(|((request, code), count)| (request.resource.as_str(), code.as_str(), *count))
            .collect();
        assert_eq!(found, [("secrets", "200", 2), ("secrets", "403", 1)]);
    }
}
