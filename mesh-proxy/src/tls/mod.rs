//! TLS: the mesh's mutual TLS between sidecars, TLS that gateways end, TLS to servers outside of
//! the mesh, and the connections to the control plane.
//!
//! All configurations name their crypto provider (aws-lc-rs), speak TLS 1.3 and, for Istio
//! peers and foreign servers, TLS 1.2. Sessions are resumed only among configurations of one
//! certificate and one set of roots, because each pair has its own configurations and those
//! their own session stores.

mod control;
mod gateway;
mod handshake;
mod leaf;
mod mesh;
mod origination;
mod revoked;
mod session;
mod stream;
mod verify;

use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

pub use control::{control_client, control_roots};
pub use gateway::{ClientCertificate, GatewayTls, GatewayTlsError, Serving};
pub(crate) use handshake::takes_still;
pub use handshake::{PeerInfo, TlsError, accept, connect};
pub use leaf::{Leaf, LeafError};
pub use mesh::{Alpn, Expect, MeshTls, Trust};
pub use origination::{ClientCredential, Origination, OriginationError, Originator};
pub use revoked::Revoked;
pub use stream::TlsStream;

/// Why roots cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RootsError {
    /// The file cannot be read, or is no PEM.
    #[error("roots in {path}: {source}")]
    File {
        /// The file.
        path: String,
        /// What is wrong.
        source: rustls_pki_types::pem::Error,
    },
    /// There is no certificate that can be a root.
    #[error("{0} holds no certificate that can be a root")]
    Empty(String),
}

/// Reads the certificates of a PEM file.
///
/// # Errors
/// If the file cannot be read or holds no certificate.
pub fn read_certificates(
    path: &std::path::Path,
) -> Result<Vec<CertificateDer<'static>>, RootsError> {
    let name = || path.display().to_string();
    let failed = |source| RootsError::File {
        path: name(),
        source,
    };
    let certificates = CertificateDer::pem_file_iter(path).map_err(failed)?;
    let certificates = certificates
        .collect::<Result<Vec<_>, _>>()
        .map_err(failed)?;
    if certificates.is_empty() {
        Err(RootsError::Empty(name()))
    } else {
        Ok(certificates)
    }
}

/// A store of those of `roots` that can be roots.
pub fn root_store<'a>(roots: impl IntoIterator<Item = &'a [u8]>) -> RootCertStore {
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(roots.into_iter().map(CertificateDer::from_slice));
    store
}

pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

#[cfg(test)]
mod tests;
