//! What callers may send.

use std::net::IpAddr;
use std::sync::Arc;

use http::Request;
use http::request::Parts;
use mesh_proxy_core::authz::Token;
use rand::prelude::*;
use rand::rngs::SmallRng;
use serde_json::json;

/// A request or a connection, and from where.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) source: IpAddr,
    /// Absent: opaque bytes.
    pub(crate) parts: Option<Parts>,
    /// In words.
    pub(crate) text: String,
}

/// Some requests.
pub(crate) fn requests(rng: &mut SmallRng) -> Vec<Call> {
    (0..12).map(|_| request(rng)).collect()
}

/// Some connections.
pub(crate) fn connections() -> Vec<Call> {
    ADDRESSES
        .iter()
        .map(|source| Call {
            source: source.parse().unwrap(),
            parts: None,
            text: format!("opaque bytes from {source}"),
        })
        .collect()
}

const ADDRESSES: [&str; 3] = ["10.0.0.7", "192.0.2.7", "203.0.113.7"];

fn request(rng: &mut SmallRng) -> Call {
    let mut pick = |from: &[&'static str]| *from.choose(&mut *rng).unwrap();
    let source = pick(&ADDRESSES);
    let (method, path) = (
        pick(&["GET", "POST", "PUT"]),
        pick(&["/", "/a", "/a/x", "/b/x"]),
    );
    let host = pick(&["a", "b.example", "c"]);
    let (header, token) = (pick(&["", "1", "2"]), pick(&["", "x", "y"]));
    let forwarded = pick(&["", "192.0.2.9"]);
    let mut builder = Request::builder().method(method).uri(path);
    builder = builder.header("host", host);
    for (name, value) in [("x-a", header), ("x-forwarded-for", forwarded)] {
        if !value.is_empty() {
            builder = builder.header(name, value);
        }
    }
    let (mut parts, ()) = builder.body(()).unwrap().into_parts();
    if !token.is_empty() {
        let claims = json!({ "iss": "iss", "sub": "one", "g": token });
        let claims = claims.as_object().unwrap().clone();
        parts
            .extensions
            .insert(Arc::new(Token::new(claims, Vec::new())));
    }
    Call {
        source: source.parse().unwrap(),
        parts: Some(parts),
        text: format!(
            "{method} {path} of {host} from {source}, x-a `{header}`, token `{token}`, x-forwarded-for `{forwarded}`"
        ),
    }
}
