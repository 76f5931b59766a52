//! `x-forwarded-client-cert`: who called, told to the application in Envoy's form.

use std::fmt::Write as _;

use http::{HeaderMap, HeaderValue};
use mesh_api::SpiffeId;

use crate::http::headers::X_FORWARDED_CLIENT_CERT;
use crate::tls::PeerInfo;

/// What this hop adds: the caller's certificate; `None` if it has none.
pub(super) fn element(own: Option<&SpiffeId>, peer: Option<&PeerInfo>) -> Option<HeaderValue> {
    let peer = peer?;
    let mut text = String::with_capacity(256);
    if let Some(own) = own {
        text.push_str("By=");
        text.push_str(own.as_str());
        text.push(';');
    }
    if let Some(hash) = &peer.certificate_hash {
        text.push_str("Hash=");
        for byte in hash {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        text.push(';');
    }
    text.push_str("Subject=\"\"");
    if let Some(identity) = &peer.identity {
        text.push_str(";URI=");
        text.push_str(identity.as_str());
    }
    HeaderValue::from_str(&text).ok()
}

/// Adds this hop behind the earlier ones (Envoy: APPEND_FORWARD, as in Istio's sidecars). What a
/// caller without a certificate sends there is removed.
pub(super) fn append(headers: &mut HeaderMap, element: Option<&HeaderValue>) {
    let Some(element) = element else {
        headers.remove(X_FORWARDED_CLIENT_CERT);
        return;
    };
    if !headers.contains_key(X_FORWARDED_CLIENT_CERT) {
        headers.insert(X_FORWARDED_CLIENT_CERT, element.clone());
        return;
    }
    let earlier = headers
        .get_all(X_FORWARDED_CLIENT_CERT)
        .iter()
        .map(HeaderValue::as_bytes);
    let all: Vec<&[u8]> = earlier.chain([element.as_bytes()]).collect();
    if let Ok(value) = HeaderValue::from_bytes(&all.join(&b","[..])) {
        headers.insert(X_FORWARDED_CLIENT_CERT, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer() -> PeerInfo {
        PeerInfo {
            identity: "spiffe://cluster.local/ns/default/sa/web".parse().ok(),
            certificate_hash: Some([0xab; 32]),
            alpn: None,
            server_name: None,
        }
    }

    #[test]
    fn appends_behind_what_authenticated_callers_sent() {
        let own: SpiffeId = "spiffe://cluster.local/ns/default/sa/reviews"
            .parse()
            .unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(
            X_FORWARDED_CLIENT_CERT,
            HeaderValue::from_static("By=a;URI=b"),
        );
        append(&mut headers, element(Some(&own), Some(&peer())).as_ref());
        let want = format!(
            "By=a;URI=b,By={own};Hash={};Subject=\"\";URI=spiffe://cluster.local/ns/default/sa/web",
            "ab".repeat(32)
        );
        assert_eq!(headers.get(X_FORWARDED_CLIENT_CERT).unwrap(), want.as_str());
    }

    #[test]
    fn plain_text_callers_cannot_claim_a_certificate() {
        let mut headers = HeaderMap::new();
        headers.insert(
            X_FORWARDED_CLIENT_CERT,
            HeaderValue::from_static("By=a;URI=b"),
        );
        append(&mut headers, element(None, None).as_ref());
        assert!(headers.is_empty());
    }
}
