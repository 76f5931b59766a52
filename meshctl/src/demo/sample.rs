//! The sample's files, and where they are put.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use crate::file;
use crate::mesh_file::{MeshFile, MeshFileError};

const MESH: &str = include_str!("../../../samples/bookinfo/mesh.yaml");

macro_rules! files {
    ($dir:literal: $($name:literal),* $(,)?) => {
        [$(($name, include_str!(concat!("../../../samples/bookinfo/config/", $dir, "/", $name)))),*]
    };
}

const BASE: [(&str, &str); 2] = files!("base": "gateway.yaml", "subsets.yaml");

const TOUR: [(&str, &str); 9] = files!("tour":
    "10-reviews-all-v1.yaml",
    "20-reviews-50-50-v1-v3.yaml",
    "30-reviews-jason-v2.yaml",
    "40-ratings-delay-jason.yaml",
    "41-ratings-abort-jason.yaml",
    "50-timeout-retry.yaml",
    "60-mirror.yaml",
    "70-mtls-strict.yaml",
    "80-authz.yaml",
);

/// Says in a directory that this program has made it and may make it anew.
const MARKER: &str = ".made-by-meshctl-demo";

/// The sample in a state directory.
#[derive(Clone, Debug)]
pub struct Sample {
    /// The mesh, with the gateway on the port that was asked for.
    pub mesh: MeshFile,
    /// The live configuration; to be changed by whoever tries things out.
    pub config: PathBuf,
    /// The tour's configuration, to be copied from.
    pub tour: PathBuf,
}

/// Why the sample cannot be laid out.
#[derive(Debug, thiserror::Error)]
pub enum SampleError {
    /// The embedded mesh file, which a test has read.
    #[error(transparent)]
    Mesh(#[from] MeshFileError),
    /// A directory with something of somebody else's.
    #[error("{path} was not made by `meshctl demo`, so it is left alone: give another state directory with --state DIR", path = path.display())]
    Foreign {
        /// The directory.
        path: PathBuf,
    },
    /// A file.
    #[error("cannot write {path}: {source}", path = path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

// === impl Sample ===

impl Sample {
    /// Writes the configuration into a state directory, in place of that of an earlier demo.
    ///
    /// # Errors
    /// If there is something else in its place, or it cannot be written.
    pub fn lay_out(state: &Path, gateway_port: u16) -> Result<Self, SampleError> {
        let mut mesh = MeshFile::parse(Path::new("samples/bookinfo/mesh.yaml"), MESH)?;
        for port in mesh
            .gateways
            .iter_mut()
            .flat_map(|gateway| &mut gateway.ports)
        {
            port.listen.set_port(gateway_port);
        }
        for workload in &mut mesh.workloads {
            workload.dir = state.to_owned();
        }
        let (config, tour) = (state.join("config"), state.join("tour"));
        fill(&config, &BASE)?;
        fill(&tour, &TOUR)?;
        Ok(Self { mesh, config, tour })
    }

    /// The texts of the base configuration.
    pub fn base() -> impl Iterator<Item = &'static str> {
        BASE.iter().map(|(_, text)| *text)
    }

    /// The text of a step's configuration.
    pub fn step(name: &str) -> Option<&'static str> {
        TOUR.iter()
            .find(|(file, _)| *file == name)
            .map(|(_, text)| *text)
    }
}

fn fill(dir: &Path, files: &[(&str, &str)]) -> Result<(), SampleError> {
    let marker = dir.join(MARKER);
    if dir.exists() {
        if !marker.exists() {
            return Err(SampleError::Foreign {
                path: dir.to_owned(),
            });
        }
        fs::remove_dir_all(dir).map_err(|source| SampleError::Write {
            path: dir.to_owned(),
            source,
        })?;
    }
    let made = fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir);
    made.map_err(|source| SampleError::Write {
        path: dir.to_owned(),
        source,
    })?;
    for (name, text) in files.iter().chain(&[(MARKER, "")]) {
        let path = dir.join(name);
        file::replace(&path, text.as_bytes())
            .map_err(|source| SampleError::Write { path, source })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn embeds_every_file_of_the_sample() {
        for (dir, embedded) in [("base", BASE.as_slice()), ("tour", TOUR.as_slice())] {
            let path = Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("../samples/bookinfo/config")
                .join(dir);
            let mut names = fs::read_dir(path)
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect::<Vec<_>>();
            names.sort();
            assert_eq!(
                names,
                embedded.iter().map(|(name, _)| *name).collect::<Vec<_>>()
            );
        }
    }

    #[test]
    fn lays_out_again_but_never_over_foreign_files() {
        let dir = tempfile::tempdir().unwrap();
        let sample = Sample::lay_out(dir.path(), 12345).unwrap();
        assert_eq!(sample.mesh.gateways[0].ports[0].listen.port(), 12345);
        fs::write(sample.config.join("mine.yaml"), "x").unwrap();
        Sample::lay_out(dir.path(), 8080).unwrap();
        assert!(!sample.config.join("mine.yaml").exists());

        fs::remove_file(sample.config.join(MARKER)).unwrap();
        let error = Sample::lay_out(dir.path(), 8080).unwrap_err().to_string();
        assert!(error.contains("--state DIR"), "{error}");
    }
}
