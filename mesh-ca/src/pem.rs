//! Textual encoding (RFC 7468).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// Encodes DER under a label. The text is wiped when it is dropped, since it may be a key.
pub(crate) fn encode(label: &str, der: &[u8]) -> Zeroizing<String> {
    let body = Zeroizing::new(STANDARD.encode(der));
    // Room for all of it at once: a growing string would leave copies behind.
    let mut pem = Zeroizing::new(String::with_capacity(
        body.len() + body.len() / 64 + 2 * label.len() + 64,
    ));
    for part in ["-----BEGIN ", label, "-----\n"] {
        pem.push_str(part);
    }
    let mut rest = body.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at_checked(64).unwrap_or((rest, ""));
        pem.push_str(line);
        pem.push('\n');
        rest = after;
    }
    for part in ["-----END ", label, "-----\n"] {
        pem.push_str(part);
    }
    pem
}

/// Certificates (DER) one after the other.
pub(crate) fn certificates(ders: &[Vec<u8>]) -> Zeroizing<String> {
    let parts: Vec<_> = ders.iter().map(|der| encode("CERTIFICATE", der)).collect();
    let mut pem = Zeroizing::new(String::with_capacity(parts.iter().map(|p| p.len()).sum()));
    for part in &parts {
        pem.push_str(part);
    }
    pem
}
