//! Whether a private key is that of a certificate, as far as that can be told by comparing what
//! stands in both: proxies find out the rest.

use rustls_pki_types::PrivateKeyDer;

/// What cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    Certificate,
    Key,
}

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const OBJECT: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
const CONTEXT_0: u8 = 0xa0;
const CONTEXT_1: u8 = 0xa1;

/// 1.2.840.113549.1.1.1 and 1.2.840.10045.2.1.
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];

/// What a public key is told by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PublicKey<'d> {
    /// Modulus.
    Rsa(&'d [u8]),
    /// Point; absent if a private key does not tell it.
    Ec(Option<&'d [u8]>),
    /// Of another kind.
    Other,
}

/// Whether the key is that of the certificate, or may be.
pub(super) fn belongs(certificate: &[u8], key: &PrivateKeyDer<'_>) -> Result<bool, Unreadable> {
    let public = public_key(certificate).ok_or(Unreadable::Certificate)?;
    let own = match key {
        PrivateKeyDer::Pkcs1(key) => pkcs1(key.secret_pkcs1_der()),
        PrivateKeyDer::Sec1(key) => sec1(key.secret_sec1_der()),
        PrivateKeyDer::Pkcs8(key) => pkcs8(key.secret_pkcs8_der()),
        _ => None,
    };
    Ok(match (public, own.ok_or(Unreadable::Key)?) {
        (PublicKey::Rsa(one), PublicKey::Rsa(other)) => one == other,
        (PublicKey::Ec(Some(one)), PublicKey::Ec(Some(other))) => one == other,
        (PublicKey::Ec(_), PublicKey::Ec(_)) | (PublicKey::Other, PublicKey::Other) => true,
        _ => false,
    })
}

/// The public key of a certificate (RFC 5280 section 4.1); `None` if it cannot be read.
pub(super) fn public_key(certificate: &[u8]) -> Option<PublicKey<'_>> {
    let mut signed = Der(Der(certificate).take(SEQUENCE)?);
    let mut body = Der(signed.take(SEQUENCE)?);
    body.skip_if(CONTEXT_0)?;
    body.take(INTEGER)?;
    // Signature algorithm, issuer, validity, subject.
    for _ in 0..4 {
        body.take(SEQUENCE)?;
    }
    let mut info = Der(body.take(SEQUENCE)?);
    let algorithm = Der(info.take(SEQUENCE)?).take(OBJECT)?;
    let bits = bit_string(info.take(BIT_STRING)?)?;
    Some(match algorithm {
        RSA => PublicKey::Rsa(Der(Der(bits).take(SEQUENCE)?).take(INTEGER)?),
        EC => PublicKey::Ec(Some(bits)),
        _ => PublicKey::Other,
    })
}

/// RFC 8017 appendix A.1.2.
fn pkcs1(key: &[u8]) -> Option<PublicKey<'_>> {
    let mut fields = Der(Der(key).take(SEQUENCE)?);
    fields.take(INTEGER)?;
    Some(PublicKey::Rsa(fields.take(INTEGER)?))
}

/// RFC 5915 section 3.
fn sec1(key: &[u8]) -> Option<PublicKey<'_>> {
    let mut fields = Der(Der(key).take(SEQUENCE)?);
    fields.take(INTEGER)?;
    fields.take(OCTET_STRING)?;
    fields.skip_if(CONTEXT_0)?;
    if fields.0.is_empty() {
        return Some(PublicKey::Ec(None));
    }
    let bits = bit_string(Der(fields.take(CONTEXT_1)?).take(BIT_STRING)?)?;
    Some(PublicKey::Ec(Some(bits)))
}

/// RFC 5958 section 2.
fn pkcs8(key: &[u8]) -> Option<PublicKey<'_>> {
    let mut fields = Der(Der(key).take(SEQUENCE)?);
    fields.take(INTEGER)?;
    let algorithm = Der(fields.take(SEQUENCE)?).take(OBJECT)?;
    let inner = fields.take(OCTET_STRING)?;
    match algorithm {
        RSA => pkcs1(inner),
        EC => sec1(inner),
        _ => Some(PublicKey::Other),
    }
}

/// The bytes of a bit string without a rest.
fn bit_string(content: &[u8]) -> Option<&[u8]> {
    match content.split_first()? {
        (0, bytes) => Some(bytes),
        _ => None,
    }
}

/// A sequence of DER values.
struct Der<'d>(&'d [u8]);

// === impl Der ===

impl<'d> Der<'d> {
    /// The content of the next value, which must have this tag.
    fn take(&mut self, tag: u8) -> Option<&'d [u8]> {
        let (found, rest) = self.0.split_first()?;
        let (first, mut rest) = rest.split_first()?;
        let mut length = usize::from(*first);
        if length >= 0x80 {
            let (bytes, after) = rest.split_at_checked(length & 0x7f)?;
            if bytes.is_empty() || bytes.len() > 4 {
                return None;
            }
            length = bytes
                .iter()
                .fold(0, |length, byte| (length << 8) | usize::from(*byte));
            rest = after;
        }
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        (*found == tag).then_some(content)
    }

    /// Steps over the next value if it has this tag.
    fn skip_if(&mut self, tag: u8) -> Option<()> {
        if self.0.first() == Some(&tag) {
            self.take(tag)?;
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_have_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = public_key(&bytes);
            let _ = pkcs1(&bytes);
            let _ = sec1(&bytes);
            let _ = pkcs8(&bytes);
        }
    }
}
