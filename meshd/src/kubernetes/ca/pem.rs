//! Certificates as text (RFC 7468), for ConfigMaps, Secrets and webhook configurations.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Certificates (DER) one after the other.
pub(crate) fn certificates(ders: &[Vec<u8>]) -> String {
    let mut text = String::new();
    for der in ders {
        text.push_str("-----BEGIN CERTIFICATE-----\n");
        let body = STANDARD.encode(der);
        let mut rest = body.as_str();
        while !rest.is_empty() {
            let (line, after) = rest.split_at_checked(64).unwrap_or((rest, ""));
            text.push_str(line);
            text.push('\n');
            rest = after;
        }
        text.push_str("-----END CERTIFICATE-----\n");
    }
    text
}
