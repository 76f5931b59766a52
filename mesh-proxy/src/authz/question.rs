//! The question over HTTP (Istio: envoyExtAuthzHttp): the request's own method, host and path;
//! 200 allows, everything else denies.

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST};
use http::request::Parts;
use http::{HeaderValue, Request, StatusCode, Uri};
use mesh_proxy_core::authz::{Authorizer, HttpQuestion};

use super::ask::{Answer, AskError, Denied, Edits, Question, Whole};

/// The question about a request.
pub(super) fn new(http: &HttpQuestion, parts: &Parts, body: Bytes) -> Question {
    let mut head = Request::new(()).into_parts().0;
    head.method = parts.method.clone();
    head.headers = http.headers(&parts.headers);
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    head.uri = format!("{}{path}", http.path_prefix)
        .parse()
        .unwrap_or_else(|_| Uri::from_static("/"));
    let host = match parts.uri.authority() {
        Some(authority) => HeaderValue::try_from(authority.as_str()).ok(),
        None => parts.headers.get(HOST).cloned(),
    };
    if let Some(host) = host {
        head.headers.insert(HOST, host);
    }
    head.headers.insert(CONTENT_LENGTH, body.len().into());
    Question {
        head,
        body,
        http2: false,
    }
}

/// What an answer means (Envoy: an error of the server counts as one that could not be asked).
pub(super) fn answer(authorizer: &Authorizer, answer: Whole) -> Result<Answer, AskError> {
    let headers = &answer.head.headers;
    match answer.head.status {
        StatusCode::OK => Ok(Answer::Allowed(Edits {
            set: authorizer.for_workload(headers),
            to_client: authorizer.for_client(headers),
            ..Edits::default()
        })),
        status if status.is_server_error() => Err(AskError::Status(status)),
        status => Ok(Answer::Denied(Denied {
            status,
            headers: authorizer.for_denied(headers),
            body: answer.body,
        })),
    }
}
