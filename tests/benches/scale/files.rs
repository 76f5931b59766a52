//! Objects in files, one for each service.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::objects;
use crate::source::Arguments;
use crate::topology::Topology;

/// A directory of configuration.
pub(crate) struct Files {
    directory: PathBuf,
    // On the same file system, and not looked at by anybody.
    beside: PathBuf,
}

// === impl Files ===

impl Files {
    /// Writes the objects.
    pub(crate) fn write(root: &Path, topology: &Topology) -> anyhow::Result<Self> {
        let files = Self {
            directory: root.join("config"),
            beside: root.join("new.yaml"),
        };
        fs::create_dir(&files.directory)
            .with_context(|| format!("cannot create {}", files.directory.display()))?;
        for service in 0..topology.services {
            files.change(topology, service, None)?;
        }
        Ok(files)
    }

    pub(crate) fn arguments(&self) -> Arguments {
        vec!["--config".into(), self.directory.clone()]
    }

    /// Replaces the file of a service, whole, as editors and tools do.
    pub(crate) fn change(
        &self,
        topology: &Topology,
        service: usize,
        unready: Option<usize>,
    ) -> anyhow::Result<()> {
        let pods = topology.pods_of(service);
        let objects = std::iter::once(objects::service(topology, service))
            .chain(pods.map(|pod| objects::pod(topology, pod)))
            .chain(std::iter::once(objects::slice(topology, service, unready)));
        let mut text = String::new();
        for object in objects {
            // JSON is YAML.
            writeln!(text, "---\n{object:#}")?;
        }
        let name = format!("{}.yaml", Topology::service_name(service));
        let path = self.directory.join(name);
        fs::write(&self.beside, text)
            .and_then(|()| fs::rename(&self.beside, &path))
            .with_context(|| format!("cannot write {}", path.display()))
    }
}
