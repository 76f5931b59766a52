//! Certificates and keys, from a Secret or from files.

use std::time::SystemTime;

use mesh_proxy_core::ir::{Credential, ServerTlsFiles};
use rustls::RootCertStore;
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};

use super::GatewayTlsError;
use crate::tls::root_store;

/// What a server of TLS is made of.
pub(super) struct Material {
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: PrivateKeyDer<'static>,
    pub(super) client_roots: RootCertStore,
    pub(super) client_crls: Vec<CertificateRevocationListDer<'static>>,
}

// === impl Material ===

impl Material {
    pub(super) fn of_credential(credential: &Credential) -> Result<Self, GatewayTlsError> {
        let key = PrivateKeyDer::try_from(credential.private_key.clone())
            .map_err(|_| GatewayTlsError::Key)?;
        let chain = &credential.certificate_chain;
        Ok(Self {
            chain: chain.iter().cloned().map(CertificateDer::from).collect(),
            key,
            client_roots: root_store(credential.client_roots.iter().map(Vec::as_slice)),
            client_crls: credential
                .client_crls
                .iter()
                .cloned()
                .map(CertificateRevocationListDer::from)
                .collect(),
        })
    }

    pub(super) fn of_files(files: &ServerTlsFiles) -> Result<Self, GatewayTlsError> {
        let key = PrivateKeyDer::from_pem_file(&files.private_key)
            .map_err(|source| failed(&files.private_key, source))?;
        let chain: Vec<CertificateDer<'static>> = all(&files.certificate)?;
        if chain.is_empty() {
            return Err(failed(&files.certificate, pem::Error::NoItemsFound));
        }
        let client_roots: Vec<CertificateDer<'static>> = match &files.client_roots {
            Some(path) => all(path)?,
            None => Vec::new(),
        };
        Ok(Self {
            chain,
            key,
            client_roots: root_store(client_roots.iter().map(AsRef::as_ref)),
            client_crls: match &files.client_crl {
                Some(path) => all(path)?,
                None => Vec::new(),
            },
        })
    }
}

fn all<T: PemObject>(path: &str) -> Result<Vec<T>, GatewayTlsError> {
    T::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|source| failed(path, source))
}

fn failed(path: &str, source: pem::Error) -> GatewayTlsError {
    GatewayTlsError::File {
        path: path.to_owned(),
        source,
    }
}

/// When the files were last changed; `None` for one that is not there.
pub(super) fn stamps(files: &ServerTlsFiles) -> Vec<Option<SystemTime>> {
    let optional = [&files.client_roots, &files.client_crl];
    [&files.certificate, &files.private_key]
        .into_iter()
        .chain(optional.into_iter().flatten())
        .map(|path| {
            std::fs::metadata(path)
                .and_then(|data| data.modified())
                .ok()
        })
        .collect()
}
