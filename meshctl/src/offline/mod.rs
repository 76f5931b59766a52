//! The mesh without processes: configuration files compiled and matched in this process, by the
//! same code that the control plane and the proxies run.

mod manifests;
mod model;

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use meshd::{Configuration, SourceError, read_configuration};
use meshd_core::{MeshSettings, Store, World};

use crate::mesh_file::{MeshFile, MeshFileError};
use crate::state::{StateDir, StateError};
use crate::{placement, world};

pub use model::{Model, ModelError};

/// Name of the objects that follow from a mesh file, in messages.
const DERIVED: &str = "workloads of ";

/// What cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum OfflineError {
    /// A file.
    #[error(transparent)]
    Files(#[from] SourceError),
    /// The mesh file.
    #[error(transparent)]
    Mesh(#[from] MeshFileError),
    /// The state directory that stands in for a real one.
    #[error(transparent)]
    State(#[from] StateError),
}

/// The texts of all files, found and read as the control plane does, with the objects that
/// follow from the mesh file.
///
/// # Errors
/// If one of the paths is not there.
pub fn files(
    paths: &[impl AsRef<Path>],
    mesh: Option<&MeshFile>,
) -> Result<Configuration, OfflineError> {
    let mut configuration = read_configuration(paths)?;
    if let Some(mesh) = mesh {
        let name = format!("{DERIVED}{}", mesh.path.display());
        configuration.files.push((name, derived(mesh)?));
    }
    Ok(configuration)
}

/// Adds the workloads that Kubernetes manifests among the files would run.
pub fn with_manifests(mut configuration: Configuration) -> Configuration {
    let entries = manifests::workload_entries(&configuration.files);
    if !entries.is_empty() {
        let name = format!("{DERIVED}the manifests");
        configuration.files.push((name, entries));
    }
    configuration
}

/// What the control plane would make of files, and how many problems it would tell of. Without a
/// mesh file Kubernetes manifests among them say which workloads there are.
///
/// # Errors
/// If one of the paths is not there.
pub fn world(
    paths: &[impl AsRef<Path>],
    mesh: Option<&Path>,
) -> Result<(World, usize), OfflineError> {
    let mesh = mesh.map(MeshFile::read).transpose()?;
    let mut read = files(paths, mesh.as_ref())?;
    if mesh.is_none() {
        read = with_manifests(read);
    }
    let mut store = Store::new();
    for (path, text) in &read.files {
        store.set_file(path, text);
    }
    let settings = mesh.as_ref().map_or_else(MeshSettings::default, settings);
    let world = store.world(&settings);
    let problems = read.problems.len() + world.problems().len();
    Ok((world, problems))
}

/// The settings of the control plane of a mesh file.
pub fn settings(mesh: &MeshFile) -> MeshSettings {
    let settings = MeshSettings {
        trust_domain: mesh.trust_domain.clone(),
        outbound_policy: mesh.outbound_policy,
        ..MeshSettings::default()
    };
    // It was checked with the file.
    meshd::read_mesh_config(&mesh.mesh_config, &settings).unwrap_or(settings)
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
