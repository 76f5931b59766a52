//! Building responses.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use serde_json::{Value, json};

pub(crate) type Reply = Response<Full<Bytes>>;

/// The page needs no script and nothing from elsewhere, so it may have none.
const PAGE_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; \
     form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

pub(crate) fn json(status: StatusCode, value: &Value) -> Reply {
    with_body(status, "application/json", value.to_string())
}

pub(crate) fn error(status: StatusCode, message: &str) -> Reply {
    json(status, &json!({ "error": message }))
}

pub(crate) fn text(text: &'static str) -> Reply {
    with_body(StatusCode::OK, "text/plain; charset=utf-8", text)
}

pub(crate) fn html(page: String) -> Reply {
    let reply = with_body(StatusCode::OK, "text/html; charset=utf-8", page);
    let reply = with_header(
        reply,
        header::CACHE_CONTROL,
        HeaderValue::from_static("no-store"),
    );
    with_header(
        reply,
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(PAGE_POLICY),
    )
}

pub(crate) fn redirect(to: &'static str) -> Reply {
    let reply = with_body(StatusCode::FOUND, "text/plain; charset=utf-8", "");
    with_header(reply, header::LOCATION, HeaderValue::from_static(to))
}

pub(crate) fn not_found() -> Reply {
    error(StatusCode::NOT_FOUND, "not found")
}

pub(crate) fn method_not_allowed(allowed: &'static str) -> Reply {
    let reply = error(StatusCode::METHOD_NOT_ALLOWED, "method not allowed");
    with_header(reply, header::ALLOW, HeaderValue::from_static(allowed))
}

pub(crate) fn with_header(mut reply: Reply, name: HeaderName, value: HeaderValue) -> Reply {
    reply.headers_mut().insert(name, value);
    reply
}

fn with_body(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Reply {
    let mut reply = Response::new(Full::new(body.into()));
    *reply.status_mut() = status;
    with_header(reply, header::CONTENT_TYPE, HeaderValue::from_static(kind))
}
