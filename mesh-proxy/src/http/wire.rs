//! The form of a message on its next connection: HTTP/1.1 or HTTP/2.

use http::header::{COOKIE, HOST, TRAILER};
use http::request::Parts;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Method, Uri, response};
use mesh_proxy_core::filter::is_grpc;

use super::Version;
use super::headers::{Hop, put_hop_by_hop, take_hop_by_hop};

/// Gives a request the form of the version that the next hop speaks: the authority moves between
/// the target and the Host field (RFC 9112 section 3.2, RFC 9113 section 8.3.1).
pub fn to_wire(parts: &mut Parts, version: Version, hop: &Hop) {
    match version {
        Version::Http1 => to_http1(parts),
        Version::Http2 => to_http2(parts),
    }
    put_hop_by_hop(&mut parts.headers, hop, parts.version);
}

fn to_http1(parts: &mut Parts) {
    if let Some(authority) = parts.uri.authority() {
        // The target wins over the field.
        if let Ok(host) = HeaderValue::from_str(host_and_port(authority)) {
            parts.headers.insert(HOST, host);
        }
        let path = parts
            .uri
            .path_and_query()
            .cloned()
            .unwrap_or_else(|| PathAndQuery::from_static("/"));
        parts.uri = Uri::from(path);
    }
    if parts.version == http::Version::HTTP_2 {
        join_cookies(parts);
    }
    parts.version = http::Version::HTTP_11;
}

/// Gives a request HTTP/2's form but for its hop-by-hop fields.
pub(crate) fn to_http2(parts: &mut Parts) {
    parts.version = http::Version::HTTP_2;
    if parts.method == Method::CONNECT {
        return;
    }
    let host = parts.headers.remove(HOST);
    if parts.uri.authority().is_none()
        && let Some(authority) = host.and_then(|host| Authority::try_from(host.as_bytes()).ok())
    {
        let mut uri = std::mem::take(&mut parts.uri).into_parts();
        uri.authority = Some(authority);
        uri.scheme = Some(Scheme::HTTP);
        uri.path_and_query
            .get_or_insert_with(|| PathAndQuery::from_static("/"));
        parts.uri = Uri::from_parts(uri).unwrap_or_default();
    }
}

// Userinfo has no place in Host (RFC 9110 section 7.2).
fn host_and_port(authority: &Authority) -> &str {
    let text = authority.as_str();
    text.rsplit_once('@').map_or(text, |(_, host)| host)
}

// RFC 9113 section 8.2.3: one field in HTTP/1.
fn join_cookies(parts: &mut Parts) {
    let mut cookies = parts.headers.get_all(COOKIE).iter();
    if cookies.next().is_none() || cookies.next().is_none() {
        return;
    }
    let all: Vec<&[u8]> = parts
        .headers
        .get_all(COOKIE)
        .iter()
        .map(HeaderValue::as_bytes)
        .collect();
    if let Ok(joined) = HeaderValue::from_bytes(&all.join(&b"; "[..])) {
        parts.headers.insert(COOKIE, joined);
    }
}

// What a gRPC server may put behind its body. HTTP/1.1 wants trailers to be named before.
const GRPC_TRAILERS: HeaderValue =
    HeaderValue::from_static("grpc-status, grpc-message, grpc-status-details-bin");

/// Gives a response the form of the connection to the client. Returns whether the server goes
/// on as something else than HTTP.
pub fn from_wire(parts: &mut response::Parts, client: http::Version) -> bool {
    let switching = parts.status == http::StatusCode::SWITCHING_PROTOCOLS;
    let hop = take_hop_by_hop(&mut parts.headers);
    let from_http2 = parts.version == http::Version::HTTP_2;
    if switching {
        put_hop_by_hop(&mut parts.headers, &hop, http::Version::HTTP_11);
    }
    if from_http2
        && client < http::Version::HTTP_2
        && is_grpc(&parts.headers)
        && !parts.headers.contains_key(TRAILER)
    {
        parts.headers.insert(TRAILER, GRPC_TRAILERS);
    }
    // The framing toward the client is this proxy's own, whatever the server spoke.
    parts.version = if client < http::Version::HTTP_2 {
        http::Version::HTTP_11
    } else {
        http::Version::HTTP_2
    };
    switching
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn parts(build: http::request::Builder) -> Parts {
        build.body(()).unwrap().into_parts().0
    }

    #[test]
    fn http2_becomes_http1() {
        let mut two = parts(
            Request::get("http://u@reviews:9080/a?b=c")
                .version(http::Version::HTTP_2)
                .header("cookie", "a=1")
                .header("cookie", "b=2"),
        );
        to_wire(&mut two, Version::Http1, &Hop::default());
        assert_eq!(two.uri, "/a?b=c");
        assert_eq!(two.headers.get("host").unwrap(), "reviews:9080");
        assert_eq!(two.headers.get("cookie").unwrap(), "a=1; b=2");
        assert_eq!(two.version, http::Version::HTTP_11);
    }

    #[test]
    fn http1_becomes_http2() {
        let mut one = parts(Request::get("/a?b=c").header("host", "reviews:9080"));
        let hop = Hop {
            trailers: true,
            upgrade: None,
        };
        to_wire(&mut one, Version::Http2, &hop);
        assert_eq!(one.uri, "http://reviews:9080/a?b=c");
        assert!(one.headers.get("host").is_none() && one.headers.get("connection").is_none());
        assert_eq!(one.headers.get("te").unwrap(), "trailers");
    }

    #[test]
    fn options_for_the_whole_server_stays() {
        let mut options = parts(Request::options("*").header("host", "reviews"));
        to_wire(&mut options, Version::Http1, &Hop::default());
        assert_eq!(options.uri, "*");
    }
}
