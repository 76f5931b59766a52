//! The workload's certificate: where it comes from, when it is renewed, and what TLS is made
//! of it. With an authority the private key is generated here and leaves neither the process nor
//! this module.

mod app;
mod authority;
mod files;
mod fixed;
mod issuance;
mod jwt;
mod manager;
mod report;
mod schedule;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwapOption;
use mesh_api::SpiffeId;
use mesh_proxy_core::ir::TrustBundle;
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, ServerConfig};
use rustls_pki_types::CertificateDer;
use tokio::sync::watch;
use zeroize::Zeroizing;

use crate::tls::{Alpn, Expect, MeshTls, Revoked, Trust};

pub use app::{AppIdentity, AppSvid};
pub use authority::{CaError, Hint};
pub use files::IdentityFileError;
pub use issuance::IssuanceError;
pub use manager::{Manager, RotateError, RotateHandle};

pub(crate) use app::AppManager;
pub(crate) use files::FilesManager;

/// The current identity. Cheap to clone; swapped on renewal and when the roots change.
#[derive(Clone)]
pub struct IdentityHandle {
    current: Arc<ArcSwapOption<Identity>>,
    generation: watch::Receiver<u64>,
}

/// The writer's side of an [`IdentityHandle`].
pub(crate) struct Publisher {
    current: Arc<ArcSwapOption<Identity>>,
    generation: watch::Sender<u64>,
}

/// One certificate with one set of roots.
pub struct Identity {
    svid: Arc<Svid>,
    tls: MeshTls,
    roots_der: Vec<Vec<u8>>,
}

/// Whom an identity trusts, and whom not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Trusted {
    /// Roots of the own trust domain, DER.
    pub(crate) roots_der: Vec<Vec<u8>>,
    /// Its names.
    pub(crate) domains: Vec<String>,
    /// Other trust domains.
    pub(crate) federated: Vec<TrustBundle>,
    /// Revocation lists, DER.
    pub(crate) crls_der: Vec<Vec<u8>>,
}

/// A certificate with its key.
pub(crate) struct Svid {
    pub(crate) id: SpiffeId,
    pub(crate) serial: String,
    pub(crate) not_before: SystemTime,
    pub(crate) not_after: SystemTime,
    pub(crate) key: Arc<CertifiedKey>,
    pub(crate) roots_der: Vec<Vec<u8>>,
    /// The key as it is given to the application; never the proxy's own.
    pub(crate) exported: Option<Zeroizing<Vec<u8>>>,
}

// === impl IdentityHandle ===

impl IdentityHandle {
    pub(crate) fn channel() -> (Publisher, Self) {
        let (sender, receiver) = watch::channel(0);
        let current = Arc::new(ArcSwapOption::empty());
        let publisher = Publisher {
            current: Arc::clone(&current),
            generation: sender,
        };
        (
            publisher,
            Self {
                current,
                generation: receiver,
            },
        )
    }

    /// The certificate and roots in force; `None` before the first certificate. Load it for
    /// each handshake.
    pub fn current(&self) -> Option<Arc<Identity>> {
        self.current.load_full()
    }

    /// Changes after each renewal and each change of the roots. A pool may close its idle
    /// connections then; what runs may go on.
    pub fn generation(&self) -> watch::Receiver<u64> {
        let mut generation = self.generation.clone();
        generation.mark_unchanged();
        generation
    }

    /// Waits for the first certificate. `None` if the proxy stops before.
    pub async fn wait(&self) -> Option<Arc<Identity>> {
        let mut generation = self.generation();
        loop {
            if let Some(identity) = self.current() {
                return Some(identity);
            }
            generation.changed().await.ok()?;
        }
    }
}

// === impl Publisher ===

impl Publisher {
    pub(crate) fn publish(&self, identity: Identity) {
        self.current.store(Some(Arc::new(identity)));
        self.generation.send_modify(|generation| *generation += 1);
    }
}

// === impl Identity ===

impl Identity {
    pub(crate) fn new(svid: Arc<Svid>, trusted: Trusted) -> Result<Self, rustls::Error> {
        let Trusted {
            roots_der,
            domains,
            federated,
            crls_der,
        } = trusted;
        let store =
            |ders: &[Vec<u8>]| Arc::new(crate::tls::root_store(ders.iter().map(Vec::as_slice)));
        let trust = Arc::new(Trust {
            roots: store(&roots_der),
            domains,
            federated: federated
                .iter()
                .map(|bundle| (bundle.trust_domain.to_string(), store(&bundle.roots_der)))
                .collect(),
            revoked: Revoked::read(crls_der.iter().map(Vec::as_slice)),
        });
        let tls = MeshTls::new(Arc::clone(&svid.key), trust)?;
        Ok(Self {
            svid,
            tls,
            roots_der,
        })
    }

    /// The workload's identity.
    pub fn id(&self) -> &SpiffeId {
        &self.svid.id
    }

    /// Serial number of the certificate, hexadecimal.
    pub fn serial(&self) -> &str {
        &self.svid.serial
    }

    /// When the certificate became valid.
    pub fn not_before(&self) -> SystemTime {
        self.svid.not_before
    }

    /// When it expires.
    pub fn not_after(&self) -> SystemTime {
        self.svid.not_after
    }

    /// The certificate, then the intermediates.
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.svid.key.cert
    }

    /// The roots that peers are checked against, DER.
    pub fn roots_der(&self) -> &[Vec<u8>] {
        &self.roots_der
    }

    /// TLS for the server side of the mesh's mutual TLS.
    pub fn server(&self) -> Arc<ServerConfig> {
        self.tls.server()
    }

    /// TLS for the server side of HBONE.
    pub fn hbone(&self) -> Arc<ServerConfig> {
        self.tls.hbone()
    }

    /// TLS for the client side. Cached for each pair of arguments.
    ///
    /// # Errors
    /// If rustls refuses the parts.
    pub fn client(&self, alpn: Alpn, expect: &Expect) -> Result<Arc<ClientConfig>, rustls::Error> {
        self.tls.client(alpn, expect)
    }

    /// The same for connections to one endpoint, with the sessions that can be resumed there.
    ///
    /// # Errors
    /// If rustls refuses the parts.
    pub fn client_to(
        &self,
        alpn: Alpn,
        expect: &Expect,
        endpoint: Option<SocketAddr>,
    ) -> Result<Arc<ClientConfig>, rustls::Error> {
        self.tls.client_to(alpn, expect, endpoint)
    }

    pub(crate) fn svid(&self) -> &Arc<Svid> {
        &self.svid
    }
}

// No key in any output.
impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("id", &self.svid.id)
            .field("serial", &self.svid.serial)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Svid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Svid")
            .field("id", &self.id)
            .field("serial", &self.serial)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
