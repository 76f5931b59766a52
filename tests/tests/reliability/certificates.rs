//! A root, and SPIFFE certificates of it, as PEM files.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};

/// Signs for `cluster.local`, namespace `default`.
pub struct Authority {
    directory: PathBuf,
    issuer: Issuer<'static, KeyPair>,
}

// === impl Authority ===

impl Authority {
    pub fn new(directory: &Path) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let root = params.self_signed(&key).unwrap().pem();
        fs::write(directory.join("roots.pem"), root).unwrap();
        Self {
            directory: directory.to_owned(),
            issuer: Issuer::new(params, key),
        }
    }

    /// Writes a certificate with its key, in the place of the last one.
    pub fn certify(&self, account: &str) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        let id = format!("spiffe://cluster.local/ns/default/sa/{account}");
        params.subject_alt_names = vec![SanType::URI(id.as_str().try_into().unwrap())];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let leaf = params.signed_by(&key, &self.issuer).unwrap().pem();
        // One file, so that key and certificate change at once.
        let both = leaf + &key.serialize_pem();
        let fresh = self.directory.join("fresh.pem");
        fs::write(&fresh, both).unwrap();
        fs::rename(fresh, self.directory.join(format!("{account}.pem"))).unwrap();
    }
}
