//! What the control plane is told of the proxy's mutual TLS.

use std::time::SystemTime;

use aws_lc_rs::digest::{SHA256, digest};
use mesh_api::v1;
use rustls::RootCertStore;
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::server::ParsedCertificate;
use rustls_pki_types::{CertificateDer, UnixTime};

use super::Identity;
use crate::clock;
use crate::tls::{provider, root_store};

// === impl Identity ===

impl Identity {
    /// Whom it trusts, what it presents, and which of the trusted roots vouch for that.
    pub fn report(&self) -> v1::IdentityReport {
        let mut report = v1::IdentityReport {
            serial: self.serial().to_owned(),
            not_after: clock::unix_seconds(self.not_after()),
            ..v1::IdentityReport::default()
        };
        for root in self.roots_der() {
            let store = root_store([root.as_slice()]);
            if store.is_empty() {
                continue;
            }
            let print = digest(&SHA256, root).as_ref().to_vec();
            if vouches(&store, self.chain()) {
                report.vouching_roots.push(print.clone());
            }
            report.trusted_roots.push(print);
        }
        report
    }
}

// As a peer checks it that trusts nothing else.
fn vouches(store: &RootCertStore, chain: &[CertificateDer<'static>]) -> bool {
    let Some((leaf, between)) = chain.split_first() else {
        return false;
    };
    let Ok(leaf) = ParsedCertificate::try_from(leaf) else {
        return false;
    };
    let now = clock::wall()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    verify_server_cert_signed_by_trust_anchor(
        &leaf,
        store,
        between,
        UnixTime::since_unix_epoch(now),
        provider().signature_verification_algorithms.all,
    )
    .is_ok()
}
