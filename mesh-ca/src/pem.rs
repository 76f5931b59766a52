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

/// The first private key in a text, DER: PKCS#8, SEC1 or PKCS#1. Nothing of it is left in memory
/// when it is dropped, as parsers for everything leave it.
pub(crate) fn private_key(text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    const LABELS: [&[u8]; 3] = [b"PRIVATE KEY", b"EC PRIVATE KEY", b"RSA PRIVATE KEY"];
    let marked = |line: &[u8], word: &[u8]| {
        let rest = line.strip_prefix(b"-----")?.strip_prefix(word)?;
        let label = rest.strip_suffix(b"-----")?;
        LABELS.iter().position(|known| *known == label)
    };
    let mut lines = text
        .split(|octet| matches!(octet, b'\n' | b'\r'))
        .map(<[u8]>::trim_ascii);
    let label = lines.find_map(|line| marked(line, b"BEGIN "))?;
    // Room for all of it at once: growing buffers would leave copies behind.
    let mut body = Zeroizing::new(Vec::with_capacity(text.len()));
    for line in lines {
        if marked(line, b"END ") == Some(label) {
            let mut der = Zeroizing::new(Vec::with_capacity(body.len()));
            STANDARD.decode_vec(&*body, &mut der).ok()?;
            return Some(der);
        }
        body.extend_from_slice(line);
    }
    None
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
