//! What a control plane needs to know.

use std::path::PathBuf;
use std::time::Duration;

use mesh_api::TrustDomain;
use mesh_ca::listen::ListenAddress;
use mesh_ca::{AuthorityOptions, KeyType};
use meshd_core::MeshSettings;

use crate::authority::ExternalAuthority;
use crate::bundles::BundleServing;
use crate::kubernetes::KubernetesSettings;

/// Everything that a control plane is told at its start.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Files and directories of configuration; directories are read with all below them.
    pub config: Vec<PathBuf>,
    /// Directory for what must outlive the process. Made if it is not there.
    pub state_dir: PathBuf,
    /// Where discovery and certificates are served, over TLS.
    pub discovery: Vec<ListenAddress>,
    /// Where the operator's HTTP interface is served.
    pub admin: Vec<ListenAddress>,
    /// Where metrics and probes are served, and nothing else of the operator's interface.
    pub monitoring: Vec<ListenAddress>,
    /// Mesh-wide settings. The roots in it are replaced by those of the authority.
    pub mesh: MeshSettings,
    /// Who certifies.
    pub authority: AuthoritySettings,
    /// Further DNS names of this server, besides `meshd` and `localhost`.
    pub dns_names: Vec<String>,
    /// File with mesh-wide settings, YAML (Istio: MeshConfig); it counts more than `mesh`. Without
    /// a cluster it is followed when it changes.
    pub mesh_config: Option<PathBuf>,
    /// How the bundle of this trust domain is served to others, if it is.
    pub bundle: Option<BundleServing>,
    /// Whether workloads may say themselves where they are.
    pub registration: SelfRegistration,
    /// The cluster that configuration is read from too, if there is one.
    pub kubernetes: Option<KubernetesSettings>,
}

/// Whether workloads may say themselves where they are, and so become endpoints of services.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SelfRegistration {
    /// None may: all of them are declared, as in a cluster.
    Never,
    /// Whose certificate says which workload it is, with the labels that it grants.
    #[default]
    Granted,
    /// Those too whose certificate does not say that, with whatever labels they give: each can
    /// then become an endpoint of every service in its namespace. For an authority that cannot
    /// write it into its certificates.
    Trusted,
}

/// Who certifies.
#[derive(Debug, Clone)]
pub enum AuthoritySettings {
    /// This process.
    Own {
        /// Directory of keys and certificates; `ca` in the state directory if it is not given.
        dir: Option<PathBuf>,
        /// Kind of the keys that are made for it.
        key_type: KeyType,
        /// Life of a certificate whose caller asks for none.
        default_ttl: Duration,
        /// Longest life of a certificate.
        max_ttl: Duration,
    },
    /// Another server.
    External(ExternalAuthority),
}

// === impl Settings ===

impl Settings {
    /// A control plane on Unix sockets in its state directory, with its own authority.
    pub fn new(state_dir: PathBuf) -> Self {
        Self {
            config: Vec::new(),
            discovery: vec![ListenAddress::Unix(state_dir.join("meshd.sock"))],
            admin: vec![ListenAddress::Unix(state_dir.join("meshd-admin.sock"))],
            monitoring: Vec::new(),
            state_dir,
            mesh: MeshSettings::default(),
            authority: AuthoritySettings::default(),
            dns_names: Vec::new(),
            mesh_config: None,
            bundle: None,
            registration: SelfRegistration::default(),
            kubernetes: None,
        }
    }

    /// The trust domain of the mesh.
    pub fn trust_domain(&self) -> &TrustDomain {
        &self.mesh.trust_domain
    }
}

impl Default for AuthoritySettings {
    fn default() -> Self {
        let AuthorityOptions {
            key_type,
            default_ttl,
            max_ttl,
            ..
        } = AuthorityOptions::default();
        Self::Own {
            dir: None,
            key_type,
            default_ttl,
            max_ttl,
        }
    }
}
