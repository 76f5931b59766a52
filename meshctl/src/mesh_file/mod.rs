//! MESH.yaml: which workloads a mesh on this machine has.

mod check;
mod names;
mod parse;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use mesh_api::v1::OutboundPolicy;
use mesh_api::{TrustDomain, WorkloadName};

pub use check::{RESERVED_PORTS, service_name};

/// A mesh as one person writes it down, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeshFile {
    /// Where it was read; working directories are relative to its folder.
    pub path: PathBuf,
    /// What messages call the mesh.
    pub name: String,
    /// Trust domain of all identities.
    pub trust_domain: TrustDomain,
    /// What happens to destinations that nobody declared (Istio: `outboundTrafficPolicy.mode`).
    pub outbound_policy: OutboundPolicy,
    /// Further settings of the mesh, JSON (Istio: MeshConfig); empty for none.
    pub mesh_config: String,
    /// Workloads, each with a sidecar, in the order of the file.
    pub workloads: Vec<Workload>,
    /// Ingress gateways, in the order of the file.
    pub gateways: Vec<Gateway>,
}

/// One workload: an application and its sidecar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workload {
    /// Unique in the mesh.
    pub name: WorkloadName,
    /// Service account: with the namespace, the workload's identity.
    pub service_account: String,
    /// Labels. `app` names the service that is made for it, `version` is what subsets use.
    pub labels: BTreeMap<String, String>,
    /// Ports that other workloads call.
    pub ports: Vec<Port>,
    /// The application, program first; empty if its user starts it.
    pub command: Vec<String>,
    /// More environment for the application.
    pub env: BTreeMap<String, String>,
    /// Working directory of the application.
    pub dir: PathBuf,
    /// Line of the workload in the file.
    pub line: u64,
}

/// A port that a workload serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// Its name. A prefix says what is spoken: `http`, `http2`, `grpc`, `tls`, `tcp` (Istio's
    /// protocol selection); any other name is detected.
    pub name: String,
    /// The number that other workloads call.
    pub number: u16,
    /// Explicit capture: the port of 127.0.0.1 where the application listens. Without it, a free
    /// one is chosen and told to the application as `PORT`.
    pub app_port: Option<u16>,
}

/// An ingress gateway: a proxy without application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gateway {
    /// Unique in the mesh.
    pub name: WorkloadName,
    /// Service account: with the namespace, the gateway's identity.
    pub service_account: String,
    /// Labels, matched by the `selector` of Gateway objects.
    pub labels: BTreeMap<String, String>,
    /// Which ports of this machine lead to which ports of Gateway objects.
    pub ports: Vec<GatewayPort>,
    /// Line of the gateway in the file.
    pub line: u64,
}

/// A port of this machine that leads to a port of a gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayPort {
    /// Its name, for messages.
    pub name: String,
    /// `servers[].port.number` in Gateway objects.
    pub number: u16,
    /// Where clients outside of the mesh connect.
    pub listen: SocketAddr,
}

/// One thing that is wrong with the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The file.
    pub path: PathBuf,
    /// Line, from 1; 0 if unknown.
    pub line: u64,
    /// Column, from 1; 0 if unknown.
    pub column: u64,
    /// What is wrong and what to do.
    pub message: String,
}

/// Why there is no mesh in a file.
#[derive(Debug, thiserror::Error)]
pub enum MeshFileError {
    /// It cannot be read.
    #[error("{path}: cannot read the mesh file: {source}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is wrong, in one place or several.
    #[error("{}", lines(.0))]
    Invalid(Vec<Mistake>),
}

// === impl MeshFile ===

impl MeshFile {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// If it cannot be read, or with everything that is wrong with it.
    pub fn read(path: &Path) -> Result<Self, MeshFileError> {
        let text = std::fs::read_to_string(path).map_err(|source| MeshFileError::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(path, &text)
    }

    /// Checks the text of a file.
    ///
    /// # Errors
    /// With everything that is wrong with it. A YAML or type error hides those after it.
    pub fn parse(path: &Path, text: &str) -> Result<Self, MeshFileError> {
        let raw =
            parse::parse(path, text).map_err(|mistake| MeshFileError::Invalid(vec![mistake]))?;
        check::check(path, raw).map_err(MeshFileError::Invalid)
    }
}

// === impl Mistake ===

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match (self.line, self.column) {
            (0, _) => write!(f, "{path}: error: {}", self.message),
            (line, column) => write!(f, "{path}:{line}:{column}: error: {}", self.message),
        }
    }
}

fn lines(mistakes: &[Mistake]) -> String {
    mistakes
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("\n")
}

#[cfg(test)]
mod tests;
