//! Answers that the proxy makes up.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName};
use http::{HeaderMap, HeaderValue, StatusCode};

use crate::reason::{Reason, ResponseFlags};

/// Header of every answer that the mesh made up: its reason.
pub const REASON_HEADER: HeaderName = HeaderName::from_static("x-mesh-reason");

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// An answer without any upstream. `x-mesh-reason` is among the headers.
#[derive(Clone, Debug)]
pub struct LocalResponse {
    /// Status code.
    pub status: StatusCode,
    /// Header fields.
    pub headers: HeaderMap,
    /// Body, may be empty.
    pub body: Bytes,
    /// Why.
    pub reason: Reason,
    /// Envoy's flags.
    pub flags: ResponseFlags,
}

// === impl LocalResponse ===

impl LocalResponse {
    /// The answer to a request that was refused or failed: the reason's status and flags, one
    /// line of text. A gRPC client (see [`is_grpc`](super::is_grpc)) gets it as a gRPC status.
    pub fn failure(reason: Reason, detail: &str, grpc: bool) -> Self {
        let text = if detail.is_empty() {
            format!("{reason}\n")
        } else {
            format!("{reason}: {detail}\n")
        };
        Self::new(reason, reason.status(), text.into(), grpc)
    }

    /// An answer with a status of its own. A body without a type is plain text.
    pub fn new(reason: Reason, status: StatusCode, body: Bytes, grpc: bool) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(REASON_HEADER, HeaderValue::from_static(reason.as_str()));
        let mut response = Self {
            status,
            headers,
            body,
            reason,
            flags: reason.flags(),
        };
        if grpc {
            let message = String::from_utf8_lossy(&response.body)
                .trim_end()
                .to_owned();
            response.set_grpc(grpc_status(status), &message);
        } else if !response.body.is_empty() {
            response
                .headers
                .insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        }
        response
    }

    /// A gRPC status in the headers, without a body (gRPC's Trailers-Only).
    pub fn grpc(reason: Reason, status: u32, message: &str) -> Self {
        let mut response = Self::new(reason, StatusCode::OK, Bytes::new(), false);
        response.set_grpc(status, message);
        response
    }

    /// The same as the end of a gRPC answer that has begun; none if it is no answer of gRPC.
    pub fn into_trailers(mut self) -> Option<HeaderMap> {
        self.headers.remove(CONTENT_TYPE);
        self.headers
            .contains_key(GRPC_STATUS)
            .then_some(self.headers)
    }

    fn set_grpc(&mut self, status: u32, message: &str) {
        self.status = StatusCode::OK;
        self.body = Bytes::new();
        self.headers
            .insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        self.headers.insert(GRPC_STATUS, HeaderValue::from(status));
        if let Ok(message) = HeaderValue::try_from(percent_encode(message)) {
            self.headers.insert(GRPC_MESSAGE, message);
        }
    }
}

/// gRPC's mapping of HTTP statuses (`doc/http-grpc-status-mapping.md`).
fn grpc_status(status: StatusCode) -> u32 {
    match status.as_u16() {
        200 => 0,
        400 => 13,
        401 => 16,
        403 => 7,
        404 => 12,
        429 | 502 | 503 | 504 => 14,
        _ => 2,
    }
}

/// gRPC's encoding of messages: printable ASCII stays, but for `%`.
fn percent_encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'%' => out.push_str("%25"),
            b' '..=b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}
