//! Revocation lists of the mesh's authorities.

use std::collections::HashSet;

use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::revocation_list::CertificateRevocationList;

/// What is revoked: issuer (its name, DER) and serial number. The lists come from the control
/// plane, as the roots do; who could forge them could name roots of his own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Revoked(HashSet<(Vec<u8>, Vec<u8>)>);

// === impl Revoked ===

impl Revoked {
    /// Reads the lists. One that cannot be read is told and left out: the others still hold.
    pub fn read<'a>(lists: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut revoked = HashSet::new();
        for der in lists {
            match CertificateRevocationList::from_der(der) {
                Ok((_, list)) => {
                    let issuer = list.issuer().as_raw();
                    revoked.extend(
                        list.iter_revoked_certificates()
                            .map(|entry| (issuer.to_vec(), entry.raw_serial().to_vec())),
                    );
                }
                Err(error) => tracing::error!(%error, "a revocation list cannot be read"),
            }
        }
        Self(revoked)
    }

    /// Whether a certificate of a chain is revoked.
    pub fn holds<'a>(&self, chain: impl IntoIterator<Item = &'a [u8]>) -> bool {
        !self.0.is_empty() && chain.into_iter().any(|der| self.holds_one(der))
    }

    fn holds_one(&self, der: &[u8]) -> bool {
        X509Certificate::from_der(der).is_ok_and(|(_, certificate)| {
            self.0.contains(&(
                certificate.issuer().as_raw().to_vec(),
                certificate.raw_serial().to_vec(),
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_revoke_nothing(list in prop::collection::vec(any::<u8>(), 0..300), certificate in prop::collection::vec(any::<u8>(), 0..300)) {
            let revoked = Revoked::read([list.as_slice()]);
            prop_assert!(!revoked.holds([certificate.as_slice()]));
        }
    }
}
