//! Going on over HTTP/2 (RFC 7540 section 3.2).

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::header::{CONNECTION, HeaderName, UPGRADE};
use http::{HeaderValue, Version, request};

/// Agrees.
pub(super) const SWITCHING: &[u8] =
    b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n";

const HTTP2_SETTINGS: HeaderName = HeaderName::from_static("http2-settings");

/// The settings of a client that asks for HTTP/2 and says so as it must.
pub(super) fn http2_settings(parts: &request::Parts) -> Option<Vec<u8>> {
    let upgrade = parts.headers.get(UPGRADE)?.to_str().ok()?;
    let mut protocols = upgrade.split(',').map(str::trim);
    if parts.version != Version::HTTP_11 || !protocols.any(|protocol| protocol == "h2c") {
        return None;
    }
    let mut named = parts.headers.get_all(CONNECTION).iter();
    let names = |value: &HeaderValue| {
        let text = value.to_str().unwrap_or_default();
        text.split(',')
            .any(|name| name.trim().eq_ignore_ascii_case(HTTP2_SETTINGS.as_str()))
    };
    let mut settings = parts.headers.get_all(HTTP2_SETTINGS).iter();
    let (Some(only), None) = (settings.next(), settings.next()) else {
        return None;
    };
    named.any(names).then_some(())?;
    let octets = BASE64_URL_SAFE_NO_PAD.decode(only.as_bytes()).ok()?;
    octets.len().is_multiple_of(6).then_some(octets)
}
