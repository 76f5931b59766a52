//! Who calls, told to the called workload's sidecar.
//!
//! The mesh's certificates name a service account; metrics name workloads. The client's sidecar
//! therefore sends its labels in `x-mesh-peer`, and only to mesh peers over mutual TLS. The
//! server's sidecar believes them only there, and never for a decision: they are labels in
//! metrics and logs, and the namespace and the identity come from the certificate.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderValue;
use mesh_api::SpiffeId;
use mesh_proxy_core::labels::{PeerLabels, UNKNOWN};

// Labels of Kubernetes objects are at most 63 bytes, names 253.
const LONGEST: usize = 2048;
const SEPARATOR: char = ';';

/// The header's value for these labels.
pub fn encode(labels: &PeerLabels) -> Option<HeaderValue> {
    let fields = [
        &labels.workload,
        &labels.namespace,
        &labels.app,
        &labels.version,
        &labels.cluster,
        &labels.canonical_service,
        &labels.canonical_revision,
    ];
    let known = |field: &Arc<str>| {
        if **field == *UNKNOWN {
            String::new()
        } else {
            field.replace(SEPARATOR, "")
        }
    };
    let text = fields.map(known).join(";");
    HeaderValue::from_str(&URL_SAFE_NO_PAD.encode(text)).ok()
}

/// The labels that an authenticated peer sent; what it did not send, or sent in a form that
/// cannot be read, is unknown.
pub fn decode(value: Option<&HeaderValue>, identity: &SpiffeId) -> Arc<PeerLabels> {
    let text = value
        .map(HeaderValue::as_bytes)
        .filter(|bytes| bytes.len() <= LONGEST)
        .and_then(|bytes| URL_SAFE_NO_PAD.decode(bytes).ok())
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .filter(|text| !text.contains(char::is_control))
        .unwrap_or_default();
    let mut fields = text.split(SEPARATOR);
    let mut field = || -> Arc<str> {
        fields
            .next()
            .filter(|field| !field.is_empty())
            .unwrap_or(UNKNOWN)
            .into()
    };
    let (workload, _namespace) = (field(), field());
    Arc::new(PeerLabels {
        workload,
        app: field(),
        version: field(),
        cluster: field(),
        canonical_service: field(),
        canonical_revision: field(),
        ..PeerLabels::of_identity(identity)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_pass_but_identity_does_not() {
        let identity: SpiffeId = "spiffe://cluster.local/ns/default/sa/reviews"
            .parse()
            .unwrap();
        let forged: SpiffeId = "spiffe://cluster.local/ns/forged/sa/forged"
            .parse()
            .unwrap();
        let sent = PeerLabels {
            workload: "reviews-v1".into(),
            app: "reviews".into(),
            version: "v1;x".into(),
            ..PeerLabels::of_identity(&forged)
        };
        let value = encode(&sent).unwrap();
        let peer = decode(Some(&value), &identity);
        assert_eq!(
            (&*peer.workload, &*peer.app, &*peer.version),
            ("reviews-v1", "reviews", "v1x")
        );
        assert_eq!(
            (&*peer.namespace, &*peer.principal, &*peer.cluster),
            ("default", identity.as_str(), UNKNOWN)
        );
    }

    #[test]
    fn garbage_is_unknown() {
        let identity: SpiffeId = "spiffe://cluster.local/ns/default/sa/reviews"
            .parse()
            .unwrap();
        for value in [
            None,
            Some(HeaderValue::from_static("%%%")),
            HeaderValue::from_bytes(&[b'A'; 4000]).ok(),
        ] {
            let peer = decode(value.as_ref(), &identity);
            assert_eq!((&*peer.workload, &*peer.namespace), (UNKNOWN, "default"));
        }
    }
}
