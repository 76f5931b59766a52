//! Who gives the proxy its configuration and its certificate.

use std::path::PathBuf;
use std::sync::Arc;

use super::parse::Reader;
use super::{ControlAddress, SettingError, Settings, SettingsSource};

/// Who gives the proxy its configuration and its certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Provider {
    /// A control plane, with its certificate authority.
    ControlPlane(Arc<ControlPlane>),
    /// Files, read again when they change; nobody is called.
    Files(StaticFiles),
}

/// A control plane, with its certificate authority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlPlane {
    /// Where discovery is served.
    pub address: ControlAddress,
    /// Where the certificate authority is.
    pub ca: ControlAddress,
    /// DNS name in the certificates of both.
    pub name: String,
    /// PEM file with the roots to trust for both at the start.
    pub roots: PathBuf,
    /// File with the join token for the first certificate.
    pub token: Option<PathBuf>,
}

/// Configuration and certificate as files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaticFiles {
    /// YAML or JSON with the resources of `proto/mesh/v1/resource.proto`.
    pub resources: PathBuf,
    /// The workload's certificate; without one nothing but plain text is spoken.
    pub identity: Option<IdentityFiles>,
}

/// A certificate as PEM files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityFiles {
    /// The chain: the leaf with its one SPIFFE ID first.
    pub certificate: PathBuf,
    /// Its key in PKCS #8, PKCS #1 or SEC 1 form.
    pub private_key: PathBuf,
    /// Roots that peers are checked against, besides those of the resource `mesh/default`.
    pub roots: PathBuf,
}

// === impl Settings ===

impl Settings {
    /// The control plane, if there is one.
    pub fn control_plane(&self) -> Option<&Arc<ControlPlane>> {
        match &self.provider {
            Provider::ControlPlane(plane) => Some(plane),
            Provider::Files(_) => None,
        }
    }
}

// === impl Reader ===

impl Reader {
    pub(super) fn provider(&mut self, source: &SettingsSource) -> Option<Provider> {
        match &source.resources {
            Some(resources) => self.files(resources, source).map(Provider::Files),
            None => self.plane(source).map(Arc::new).map(Provider::ControlPlane),
        }
    }

    fn plane(&mut self, source: &SettingsSource) -> Option<ControlPlane> {
        let address: Option<ControlAddress> = self.required(
            "control",
            source.control.as_deref(),
            "where the control plane is; or give --resources",
        );
        let ca = self.optional("ca", source.ca.as_deref());
        let roots = self.required(
            "roots",
            source.roots.as_deref(),
            "the roots to trust, a PEM file",
        );
        if source.certificate.is_some() || source.private_key.is_some() {
            self.errors.push(SettingError::Conflict(
                "--certificate and --private-key go with --resources: a control plane certifies \
                 keys that never leave the proxy",
            ));
        }
        let name = self.control_name(source.control_name.as_deref());
        let address = address?;
        Some(ControlPlane {
            ca: ca.unwrap_or_else(|| address.clone()),
            address,
            name,
            roots: roots?,
            token: source.token.clone().map(Into::into),
        })
    }

    fn files(&mut self, resources: &str, source: &SettingsSource) -> Option<StaticFiles> {
        let of_control_planes = [
            source.control.is_some(),
            source.ca.is_some(),
            source.control_name.is_some(),
            source.token.is_some(),
            source.state.is_some(),
            source.certificate_ttl.is_some(),
            source.register,
        ];
        if of_control_planes.contains(&true) {
            self.errors.push(SettingError::Conflict(
                "--resources stands in for a control plane: --control, --ca, --control-name, \
                 --token, --state, --certificate-ttl and --register have no meaning with it",
            ));
        }
        let identity = match (&source.certificate, &source.private_key, &source.roots) {
            (None, None, None) => None,
            (Some(certificate), Some(private_key), Some(roots)) => Some(IdentityFiles {
                certificate: certificate.into(),
                private_key: private_key.into(),
                roots: roots.into(),
            }),
            _ => {
                self.errors.push(SettingError::Conflict(
                    "--certificate, --private-key and --roots are given together, or not at all",
                ));
                return None;
            }
        };
        Some(StaticFiles {
            resources: resources.into(),
            identity,
        })
    }
}
