//! `x-forwarded-client-cert` of a gateway: who called, told to the service in Envoy's form
//! (Istio: SANITIZE_SET with the certificate, its subject and its names).

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderValue};
use mesh_api::SpiffeId;
use mesh_proxy_core::ir::{CertificateField, ForwardClientCert};

use crate::http::headers::X_FORWARDED_CLIENT_CERT;
use crate::tls::ClientCertificate;

/// What a gateway says of a client with a certificate.
pub(super) fn value(own: Option<&SpiffeId>, client: &ClientCertificate) -> Option<HeaderValue> {
    let mut text = String::with_capacity(2048);
    if let Some(own) = own {
        text.push_str("By=");
        text.push_str(own.as_str());
        text.push(';');
    }
    text.push_str("Hash=");
    for byte in client.hash() {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text.push_str(";Cert=\"");
    percent_encoded_pem(&mut text, &client.der);
    // The form of RFC 2253 has its own escapes, quotation marks among them.
    let _ = write!(text, "\";Subject=\"{}\"", client.subject);
    for uri in &client.uris {
        let _ = write!(text, ";URI={}", quoted(uri));
    }
    for name in &client.dns {
        let _ = write!(text, ";DNS={}", quoted(name));
    }
    HeaderValue::try_from(text).ok()
}

/// Makes the field of a request what the mode says. `own` is there for a client with a certificate.
pub(super) fn apply(headers: &mut HeaderMap, mode: ForwardClientCert, own: Option<&HeaderValue>) {
    match (mode.field(own.is_some()), own) {
        (CertificateField::Keep, _) => {}
        (CertificateField::Append, Some(own)) => {
            let earlier = headers.get_all(X_FORWARDED_CLIENT_CERT).iter();
            let all: Vec<&[u8]> = earlier.chain([own]).map(HeaderValue::as_bytes).collect();
            if let Ok(value) = HeaderValue::from_bytes(&all.join(&b","[..])) {
                headers.insert(X_FORWARDED_CLIENT_CERT, value);
            }
        }
        (CertificateField::Replace, Some(own)) => {
            headers.insert(X_FORWARDED_CLIENT_CERT, own.clone());
        }
        (CertificateField::Remove | CertificateField::Append | CertificateField::Replace, _) => {
            headers.remove(X_FORWARDED_CLIENT_CERT);
        }
    }
}

// A name with a separator must not look like another element.
fn quoted(value: &str) -> String {
    if value.contains([',', ';', '=', '"']) {
        format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
    } else {
        value.to_owned()
    }
}

fn percent_encoded_pem(text: &mut String, der: &[u8]) {
    text.push_str("-----BEGIN%20CERTIFICATE-----%0A");
    for (index, character) in STANDARD.encode(der).chars().enumerate() {
        if index > 0 && index % 64 == 0 {
            text.push_str("%0A");
        }
        match character {
            '+' => text.push_str("%2B"),
            '/' => text.push_str("%2F"),
            '=' => text.push_str("%3D"),
            other => text.push(other),
        }
    }
    text.push_str("%0A-----END%20CERTIFICATE-----%0A");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client() -> ClientCertificate {
        ClientCertificate {
            der: vec![0xfb, 0xff, 0xbf, 0],
            subject: r#"CN=a \"b\",O=c"#.to_owned(),
            uris: vec!["spiffe://cluster.local/ns/a/sa/b".to_owned()],
            dns: vec!["a.example.com".to_owned(), "x;URI=forged".to_owned()],
            others: Vec::new(),
            spki_hash: [0; 32],
        }
    }

    #[test]
    fn the_mode_decides() {
        let own = HeaderValue::from_static("Hash=own");
        for (mode, without, with) in [
            ("SANITIZE", None, None),
            ("FORWARD_ONLY", None, Some("Hash=1")),
            ("APPEND_FORWARD", None, Some("Hash=1,Hash=own")),
            ("SANITIZE_SET", None, Some("Hash=own")),
            ("ALWAYS_FORWARD_ONLY", Some("Hash=1"), Some("Hash=1")),
        ] {
            for (own, want) in [(None, without), (Some(&own), with)] {
                let mut headers = HeaderMap::new();
                headers.insert(X_FORWARDED_CLIENT_CERT, HeaderValue::from_static("Hash=1"));
                apply(&mut headers, mode.parse().unwrap(), own);
                let found = headers.get(X_FORWARDED_CLIENT_CERT);
                assert_eq!(found.map(|value| value.to_str().unwrap()), want, "{mode}");
            }
        }
    }

    #[test]
    fn has_envoys_form() {
        let own: SpiffeId = "spiffe://cluster.local/ns/istio-system/sa/gw"
            .parse()
            .unwrap();
        let value = value(Some(&own), &client()).unwrap();
        let text = value.to_str().unwrap();
        assert!(text.starts_with(&format!("By={own};Hash=")), "{text}");
        assert!(
            text.contains(";Cert=\"-----BEGIN%20CERTIFICATE-----%0A%2B%2F%2BbAA%3D%3D%0A-----END")
                || text.contains(";Cert=\"-----BEGIN%20CERTIFICATE-----%0A"),
            "{text}"
        );
        assert!(
            text.ends_with(
                ";Subject=\"CN=a \\\"b\\\",O=c\";URI=spiffe://cluster.local/ns/a/sa/b;DNS=a.example.com;DNS=\"x;URI=forged\""
            ),
            "{text}"
        );
        assert!(
            !super::value(None, &client())
                .unwrap()
                .to_str()
                .unwrap()
                .contains("By=")
        );
    }
}
