//! Header fields that belong to one hop, and those that a proxy adds.

use http::header::{CONNECTION, CONTENT_LENGTH, HOST, HeaderName, TE, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderValue, Version};
use rand::Rng;

/// Why the proxy answered by itself: a [`mesh_proxy_core::Reason`].
pub const X_MESH_REASON: HeaderName = HeaderName::from_static("x-mesh-reason");
/// Set by a server's sidecar on answers to requests that never reached the application.
pub const X_MESH_UNPROCESSED: HeaderName = HeaderName::from_static("x-mesh-unprocessed");
/// Who calls, or who answered: see [`super::peer`].
pub const X_MESH_PEER: HeaderName = HeaderName::from_static("x-mesh-peer");
/// Identifies a request in all logs on its way.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Addresses that a request came through.
pub const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// `http` or `https`, as the first client spoke it.
pub const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// Certificates of the peers that a request came through, in Envoy's form.
pub const X_FORWARDED_CLIENT_CERT: HeaderName = HeaderName::from_static("x-forwarded-client-cert");

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// What the removed fields of a message said.
#[derive(Debug, Default)]
pub struct Hop {
    /// The sender takes trailers (`TE: trailers`).
    pub trailers: bool,
    /// The protocol that the sender wants to go on with.
    pub upgrade: Option<HeaderValue>,
}

/// Removes the fields that are meant for this hop only (RFC 9110 section 7.6.1): `Connection`
/// and what it names, and those that always are.
pub fn take_hop_by_hop(headers: &mut HeaderMap) -> Hop {
    let mut hop = Hop::default();
    if headers.contains_key(CONNECTION) {
        let mut upgrades = false;
        let mut named: Vec<HeaderName> = Vec::new();
        for option in headers
            .get_all(CONNECTION)
            .iter()
            .filter_map(|v| v.to_str().ok())
            .flat_map(|v| v.split(','))
        {
            let option = option.trim();
            if option.eq_ignore_ascii_case("upgrade") {
                upgrades = true;
            } else if let Ok(name) = option.parse::<HeaderName>()
                && may_be_named(&name)
            {
                named.push(name);
            }
        }
        hop.trailers = takes_trailers(headers);
        if upgrades {
            // Through a tunnel of HTTP/2, requests would pass that nobody looks at; the upgrade to
            // it is obsolete (RFC 9113 section 3.1).
            hop.upgrade = headers
                .get(UPGRADE)
                .filter(|protocol| !offers_http2(protocol))
                .cloned();
        }
        for name in named {
            headers.remove(name);
        }
        headers.remove(CONNECTION);
    } else {
        hop.trailers = takes_trailers(headers);
    }
    for name in [TE, UPGRADE, TRANSFER_ENCODING, KEEP_ALIVE, PROXY_CONNECTION] {
        headers.remove(name);
    }
    hop
}

// A client must not be able to remove by `Connection` what the proxy itself or the framing
// relies on.
fn may_be_named(name: &HeaderName) -> bool {
    *name != HOST
        && *name != CONTENT_LENGTH
        && *name != TE
        && *name != X_FORWARDED_FOR
        && *name != X_FORWARDED_CLIENT_CERT
}

fn offers_http2(protocols: &HeaderValue) -> bool {
    let mut tokens = protocols.as_bytes().split(|byte| *byte == b',');
    tokens.any(|token| token.trim_ascii().to_ascii_lowercase().starts_with(b"h2"))
}

fn takes_trailers(headers: &HeaderMap) -> bool {
    headers
        .get_all(TE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|token| token.trim().eq_ignore_ascii_case("trailers"))
}

/// Tells the next hop what [`Hop`] kept.
pub fn put_hop_by_hop(headers: &mut HeaderMap, hop: &Hop, version: Version) {
    let http1 = version < Version::HTTP_2;
    if hop.trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
        if http1 {
            headers.append(CONNECTION, HeaderValue::from_static("TE"));
        }
    }
    if let Some(protocol) = hop.upgrade.as_ref().filter(|_| http1) {
        headers.insert(UPGRADE, protocol.clone());
        headers.append(CONNECTION, HeaderValue::from_static("upgrade"));
    }
}

/// Gives the request an identifier (UUID version 4) unless it has one.
pub fn ensure_request_id(headers: &mut HeaderMap, rng: &mut impl Rng) {
    if headers.contains_key(X_REQUEST_ID) {
        return;
    }
    let mut text = [b'-'; 36];
    let mut random = rng
        .next_u64()
        .to_be_bytes()
        .into_iter()
        .chain(rng.next_u64().to_be_bytes());
    let mut at = 0;
    for index in 0..16 {
        let mut byte = random.next().unwrap_or_default();
        // RFC 9562 section 5.4: version 4, variant 10.
        match index {
            6 => byte = byte & 0x0f | 0x40,
            8 => byte = byte & 0x3f | 0x80,
            _ => {}
        }
        if matches!(index, 4 | 6 | 8 | 10) {
            at += 1;
        }
        for nibble in [byte >> 4, byte & 0x0f] {
            if let Some(slot) = text.get_mut(at) {
                *slot = char::from_digit(nibble.into(), 16).unwrap_or('0') as u8;
            }
            at += 1;
        }
    }
    if let Ok(value) = HeaderValue::from_bytes(&text) {
        headers.insert(X_REQUEST_ID, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand::rngs::SmallRng;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in lines {
            map.append(*name, HeaderValue::from_static(value));
        }
        map
    }

    #[test]
    fn removes_what_belongs_to_the_hop() {
        let mut map = headers(&[
            ("connection", "keep-alive, X-One, host"),
            ("connection", "x-two, content-length, x-forwarded-for"),
            ("x-one", "1"),
            ("x-two", "2"),
            ("x-three", "3"),
            ("host", "a"),
            ("x-forwarded-for", "1.2.3.4"),
            ("content-length", "3"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "close"),
            ("te", "gzip, Trailers"),
            ("upgrade", "websocket"),
        ]);
        let hop = take_hop_by_hop(&mut map);
        assert!(hop.trailers);
        assert!(hop.upgrade.is_none(), "upgrade was not named in Connection");
        let mut names: Vec<_> = map.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(
            names,
            ["content-length", "host", "x-forwarded-for", "x-three"]
        );
    }

    #[test]
    fn no_tunnel_of_http2_is_asked_for() {
        for protocol in ["h2c", "websocket, H2C"] {
            let mut map = headers(&[
                ("connection", "Upgrade, HTTP2-Settings"),
                ("http2-settings", "x"),
            ]);
            map.insert(UPGRADE, HeaderValue::from_static(protocol));
            assert!(take_hop_by_hop(&mut map).upgrade.is_none());
            assert!(map.is_empty());
        }
    }

    #[test]
    fn upgrades_are_told_to_the_next_hop() {
        let mut map = headers(&[("connection", "Upgrade"), ("upgrade", "websocket")]);
        let hop = take_hop_by_hop(&mut map);
        assert!(map.is_empty());
        put_hop_by_hop(&mut map, &hop, Version::HTTP_11);
        assert_eq!(map.get("upgrade").unwrap(), "websocket");
        assert_eq!(map.get("connection").unwrap(), "upgrade");
        let mut two = HeaderMap::new();
        put_hop_by_hop(&mut two, &hop, Version::HTTP_2);
        assert!(two.is_empty());
    }

    #[test]
    fn request_ids_are_uuids_and_stay() {
        let mut rng = SmallRng::seed_from_u64(7);
        let mut map = HeaderMap::new();
        ensure_request_id(&mut map, &mut rng);
        let id = map.get(X_REQUEST_ID).unwrap().to_str().unwrap().to_owned();
        assert_eq!(id.len(), 36);
        let parts: Vec<_> = id.split('-').map(str::len).collect();
        assert_eq!(parts, [8, 4, 4, 4, 12]);
        assert_eq!(id.as_bytes()[14], b'4');
        ensure_request_id(&mut map, &mut rng);
        assert_eq!(map.get(X_REQUEST_ID).unwrap(), id.as_str());
    }
}
