//! A root, and a SPIFFE certificate for each side, as PEM files.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};

/// Where the certificates are.
pub(crate) struct Certificates {
    directory: PathBuf,
}

/// One side of a pair.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Side {
    Client,
    Server,
}

/// Trust domain and namespace of both sides.
pub(crate) const PRINCIPALS: &str = "cluster.local/ns/default/sa";

// === impl Side ===

impl Side {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Server => "server",
        }
    }

    /// Its identity.
    pub(crate) fn identity(self) -> String {
        format!("spiffe://{PRINCIPALS}/{}", self.name())
    }
}

// === impl Certificates ===

impl Certificates {
    /// Makes them (ECDSA P-256).
    pub(crate) fn make(directory: &Path) -> anyhow::Result<Self> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(Vec::new())?;
        // Of another name than the leaves, which OpenSSL would take for their own issuers.
        params.distinguished_name.push(DnType::CommonName, "root");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let root = params.self_signed(&key)?.pem();
        let issuer = Issuer::new(params, key);
        let made = Self {
            directory: directory.to_owned(),
        };
        fs::write(made.roots(), &root)?;
        for side in [Side::Client, Side::Server] {
            let key = KeyPair::generate()?;
            let mut params = CertificateParams::new(Vec::new())?;
            params
                .distinguished_name
                .push(DnType::CommonName, side.name());
            params.subject_alt_names = vec![SanType::URI(side.identity().as_str().try_into()?)];
            params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
            params.extended_key_usages = vec![
                ExtendedKeyUsagePurpose::ServerAuth,
                ExtendedKeyUsagePurpose::ClientAuth,
            ];
            let leaf = params.signed_by(&key, &issuer)?.pem();
            fs::write(made.certificate(side), &leaf)?;
            fs::write(made.key(side), key.serialize_pem())?;
            fs::write(made.both(side), leaf + &key.serialize_pem())?;
        }
        Ok(made)
    }

    /// The root.
    pub(crate) fn roots(&self) -> PathBuf {
        self.directory.join("roots.pem")
    }

    /// A side's certificate.
    pub(crate) fn certificate(&self, side: Side) -> PathBuf {
        self.directory.join(format!("{}.crt", side.name()))
    }

    /// Its key.
    pub(crate) fn key(&self, side: Side) -> PathBuf {
        self.directory.join(format!("{}.key", side.name()))
    }

    /// Both in one file.
    pub(crate) fn both(&self, side: Side) -> PathBuf {
        self.directory.join(format!("{}.pem", side.name()))
    }
}
