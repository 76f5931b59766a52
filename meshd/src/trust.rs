//! What the authority says that proxies are to trust and do: its part of the mesh-wide settings.

use mesh_ca::Authority;
use meshd_core::MeshSettings;

use crate::clock;

/// Roots, revocation lists, and the call to renew.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Trust {
    /// The roots, DER.
    pub(crate) roots_der: Vec<Vec<u8>>,
    /// Revocation lists, DER.
    pub(crate) crls_der: Vec<Vec<u8>>,
    /// Changes whenever all proxies are to renew their certificates at once.
    pub(crate) renewal: String,
    /// Keys that verify JWT-SVIDs, a JSON Web Key Set; empty if unknown.
    pub(crate) jwks: String,
}

// === impl Trust ===

impl Trust {
    /// What this authority says now.
    pub(crate) fn of(authority: &Authority) -> Self {
        Self {
            roots_der: authority.roots_der().to_vec(),
            crls_der: authority.material().crls_der().to_vec(),
            renewal: authority.renewal().to_string(),
            jwks: authority.jwks(clock::now()),
        }
    }

    /// Only roots and keys.
    pub(crate) fn in_roots(roots_der: Vec<Vec<u8>>, jwks: String) -> Self {
        Self {
            roots_der,
            jwks,
            ..Self::default()
        }
    }

    /// Takes the authority's part out of the settings.
    pub(crate) fn take(settings: &mut MeshSettings) -> Self {
        Self {
            roots_der: std::mem::take(&mut settings.roots_der),
            crls_der: std::mem::take(&mut settings.crls_der),
            renewal: std::mem::take(&mut settings.renew_certificates),
            jwks: std::mem::take(&mut settings.jwks),
        }
    }

    /// Puts it in.
    pub(crate) fn put(self, settings: &mut MeshSettings) {
        settings.roots_der = self.roots_der;
        settings.crls_der = self.crls_der;
        settings.renew_certificates = self.renewal;
        settings.jwks = self.jwks;
    }
}
