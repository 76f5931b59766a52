//! An authority in a directory of its own.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::material::AuthorityMaterial;
use super::origin::{Layout, Origin, Part, Parts};
use super::roots::{Roots, new_root};
use super::{AuthorityError, AuthorityOptions};
use crate::pem;
use crate::secret_key::SecretKey;
use crate::storage::{self, PUBLIC, SECRET};

/// A directory in our own layout.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
}

// === impl Directory ===

impl Directory {
    pub(crate) fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
        }
    }

    /// What is there; what is missing is made, and an intermediate that is due is renewed.
    pub(crate) fn open(
        &self,
        options: &AuthorityOptions,
        now: SystemTime,
    ) -> Result<AuthorityMaterial, AuthorityError> {
        storage::private_directory(&self.path)?;
        // Two processes that begin at the same time must not make two roots.
        let lock = self.path.join("lock");
        let file = File::options()
            .create(true)
            .append(true)
            .open(&lock)
            .and_then(|file| file.lock().map(|()| file))
            .map_err(storage::io_error("lock", &lock))?;
        self.complete(options, now)?;
        let material = self.load(options)?;
        let material = match material.renewed(options, now) {
            Ok(None) => material,
            Ok(Some(renewed)) => {
                self.store(&renewed)?;
                renewed
            }
            Err(error) => {
                // It still has time: two thirds of its life at first. If not, that is said below.
                tracing::warn!(%error, "the intermediate certificate of the authority cannot be renewed yet");
                material
            }
        };
        drop(file);
        Ok(material)
    }

    pub(crate) fn load(
        &self,
        options: &AuthorityOptions,
    ) -> Result<AuthorityMaterial, AuthorityError> {
        AuthorityMaterial::from_dir(Layout::Mesh, &self.path, options)
    }

    /// Makes what is missing. A key alone is the trace of a first start that was interrupted.
    fn complete(&self, options: &AuthorityOptions, now: SystemTime) -> Result<(), AuthorityError> {
        let origin = Origin::directory(Layout::Mesh, &self.path);
        let mut parts = Parts::of_directory(&origin)?;
        if parts.roots.is_none() {
            if parts.signer.is_some() || parts.key.is_some() {
                let why = "an intermediate is there, and without its root nobody can check what it signs; restore it";
                return Err(origin.missing(Part::Roots, why));
            }
            let key = self.key(&origin, Part::RootKey, parts.root_key.as_deref(), options)?;
            let root = new_root(options, &key, now)?;
            self.write(
                &origin,
                Part::Roots,
                pem::certificates(&[root]).as_bytes(),
                PUBLIC,
            )?;
            parts = Parts::of_directory(&origin)?;
        }
        match (&parts.signer, &parts.key) {
            (Some(_), Some(_)) => Ok(()),
            (Some(_), None) => {
                let why = "its certificate is there; restore it, or remove intermediate.pem, too";
                Err(origin.missing(Part::Key, why))
            }
            (None, key) => {
                let roots = Roots::read(&origin, &parts, options)?;
                let key = self.key(&origin, Part::Key, key.as_deref(), options)?;
                let signer = roots.sign_intermediate(&origin, options, &key, now)?;
                let pem = pem::certificates(&[signer]);
                self.write(&origin, Part::Signer, pem.as_bytes(), PUBLIC)
            }
        }
    }

    /// Writes the certificates of a renewed intermediate.
    pub(super) fn store(&self, material: &AuthorityMaterial) -> Result<(), AuthorityError> {
        let origin = Origin::directory(Layout::Mesh, &self.path);
        let pem = material.signer_pem();
        self.write(&origin, Part::Signer, pem.as_bytes(), PUBLIC)
    }

    /// Writes the revocation lists.
    pub(super) fn store_revoked(&self, material: &AuthorityMaterial) -> Result<(), AuthorityError> {
        let origin = Origin::directory(Layout::Mesh, &self.path);
        let pem = material.revoked.to_pem();
        self.write(&origin, Part::Crl, pem.as_bytes(), PUBLIC)
    }

    /// The key that is there, or a new one.
    fn key(
        &self,
        origin: &Origin,
        part: Part,
        pem: Option<&Vec<u8>>,
        options: &AuthorityOptions,
    ) -> Result<SecretKey, AuthorityError> {
        if let Some(pem) = pem {
            return SecretKey::from_pem(pem)
                .map_err(|error| origin.corrupt(part, error.to_string()));
        }
        let key = SecretKey::generate_of(options.key_type)?;
        self.write(origin, part, key.to_pem()?.as_bytes(), SECRET)?;
        Ok(key)
    }

    fn write(
        &self,
        origin: &Origin,
        part: Part,
        content: &[u8],
        mode: u32,
    ) -> Result<(), AuthorityError> {
        let name = origin.name(part).unwrap_or_default();
        Ok(storage::write_atomic(&self.path.join(name), content, mode)?)
    }
}
