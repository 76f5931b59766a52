//! The mesh without processes: configuration files compiled and matched in this process, by the
//! same code that the control plane and the proxies run.

mod files;
mod model;

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use meshd_core::MeshSettings;

use crate::mesh_file::{MeshFile, MeshFileError};
use crate::state::{StateDir, StateError};
use crate::{placement, world};

pub use files::{FilesError, read};
pub use model::{Model, ModelError};

/// Name of the objects that follow from a mesh file, in messages.
const DERIVED: &str = "workloads of ";

/// What cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum OfflineError {
    /// A file.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// The mesh file.
    #[error(transparent)]
    Mesh(#[from] MeshFileError),
    /// The state directory that stands in for a real one.
    #[error(transparent)]
    State(#[from] StateError),
}

/// The texts of all files, with the objects that follow from the mesh file.
///
/// # Errors
/// If one cannot be read.
pub fn files(
    paths: &[impl AsRef<Path>],
    mesh: Option<&MeshFile>,
) -> Result<Vec<(String, String)>, OfflineError> {
    let mut files = read(paths)?;
    if let Some(mesh) = mesh {
        files.push((format!("{DERIVED}{}", mesh.path.display()), derived(mesh)?));
    }
    Ok(files)
}

/// The settings of the control plane of a mesh file.
pub fn settings(mesh: &MeshFile) -> MeshSettings {
    MeshSettings {
        trust_domain: mesh.trust_domain.clone(),
        outbound_policy: mesh.outbound_policy,
        ..MeshSettings::default()
    }
}

/// The derived objects, with addresses that no process has.
fn derived(mesh: &MeshFile) -> Result<String, StateError> {
    let nowhere = StateDir::find(Some(Path::new("/")))?;
    let first = u32::from(Ipv4Addr::new(127, 64, 0, 2));
    let count = mesh.workloads.len() + mesh.gateways.len();
    let hosts = (first..)
        .take(count)
        .map(|bits| IpAddr::V4(Ipv4Addr::from(bits)))
        .collect::<Vec<_>>();
    let records = placement::transparent(mesh, &nowhere, &hosts);
    let entries = records
        .iter()
        .map(|record| world::workload_entry(record, world::Health::Healthy));
    Ok(entries
        .chain([world::services(&records)])
        .collect::<Vec<_>>()
        .join("---\n"))
}
