//! Where a redirect points (Istio: HTTPRedirect).

use std::borrow::Cow;

use super::without_port;
use crate::ir::{HttpMatch, Redirect};
use crate::route::RequestView;

/// The Location. The query is kept unless the new path brings one. A port that is the scheme's
/// own (80 and http, 443 and https) is left out.
///
/// `port` is the one that the request came in on.
pub fn location(
    redirect: &Redirect,
    matched: Option<&HttpMatch>,
    request: &RequestView<'_>,
    port: u16,
) -> String {
    let scheme = redirect.scheme.as_deref().unwrap_or(request.scheme());
    let named = redirect.port.or(redirect.port_from_request.then_some(port));
    let default = |port: u16| matches!((scheme, port), ("http", 80) | ("https", 443));
    let authority = match (&redirect.authority, named) {
        (Some(authority), None) => authority,
        (Some(authority), Some(_)) => without_port(authority),
        (None, Some(_)) => without_port(request.authority()),
        // With another scheme, the port of the old one would be a wrong one.
        (None, None) if scheme != request.scheme() && is_default_of(request) => {
            without_port(request.authority())
        }
        (None, None) => request.authority(),
    };
    let port = named
        .filter(|port| !default(*port))
        .map(|port| format!(":{port}"))
        .unwrap_or_default();
    let path = path(redirect, matched, request);
    let query = request.query().filter(|_| !path.contains('?'));
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    format!("{scheme}://{authority}{port}{path}{query}")
}

/// The Location on https of a request in plain text (Istio: tls.httpsRedirect).
pub fn https_location(request: &RequestView<'_>) -> String {
    let query = request
        .query()
        .map(|query| format!("?{query}"))
        .unwrap_or_default();
    format!(
        "https://{}{}{query}",
        without_port(request.authority()),
        request.path()
    )
}

fn is_default_of(request: &RequestView<'_>) -> bool {
    let default = if request.scheme() == "https" {
        ":443"
    } else {
        ":80"
    };
    request.authority().ends_with(default)
}

fn path<'a>(
    redirect: &'a Redirect,
    matched: Option<&HttpMatch>,
    request: &'a RequestView<'_>,
) -> Cow<'a, str> {
    match (&redirect.uri, &redirect.uri_prefix) {
        (Some(uri), _) => Cow::Borrowed(uri),
        (None, Some(prefix)) => Cow::Owned(super::rewrite::replace_prefix(
            prefix,
            matched,
            request.path(),
        )),
        (None, None) => Cow::Borrowed(request.path()),
    }
}
