//! The generations of an authority's keys in its directory.
//!
//! Before the first rotation the directory itself holds the keys. From then on `rotation.json`
//! says which generations there are, their keys stand in `generations/<number>/`, and `root.pem`
//! only tells others whom to trust. Writing `rotation.json` is what makes a step: all that must be
//! there is there before, and what is not needed any more is removed after.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use super::machine::RotationRecord;
use super::{RotationStore, StoreError};
use crate::authority::{AuthorityError, AuthorityMaterial, AuthorityOptions, Charge, Directory};
use crate::clock;
use crate::pem;
use crate::storage::{self, FileError, PUBLIC, SECRET};

const RECORD: &str = "rotation.json";
const GENERATIONS: &str = "generations";
const LOCK: &str = "rotation.lock";
const SECRETS: [&str; 3] = ["root.key", "intermediate.pem", "intermediate.key"];
const ROOTS: &str = "root.pem";

/// The directory of an authority.
#[derive(Debug)]
pub struct Generations {
    dir: PathBuf,
    // While keys are made that no record names yet: others must not take them for leftovers.
    making: Mutex<Option<File>>,
}

// === impl Generations ===

impl Generations {
    /// In this directory.
    pub fn new(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
            making: Mutex::new(None),
        }
    }

    fn lock(&self) -> Result<File, FileError> {
        let path = self.dir.join(LOCK);
        File::options()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(storage::io_error("open", &path))
    }

    /// What is written down; `None` before the first rotation.
    pub(super) fn record(&self) -> Result<Option<RotationRecord>, AuthorityError> {
        let path = self.dir.join(RECORD);
        let text = match storage::read(&path) {
            Ok(text) => text,
            Err(FileError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        serde_json::from_slice(&text)
            .map(Some)
            .map_err(|error| AuthorityError::Corrupt {
                entry: path.display().to_string(),
                why: error.to_string(),
                advice: "restore it: it says which keys sign",
            })
    }

    /// What the authority of this directory signs with and trusts; it is made if it is not there.
    pub(crate) fn charge(
        &self,
        options: &AuthorityOptions,
        now: SystemTime,
    ) -> Result<Charge, AuthorityError> {
        let Some(record) = self.record()? else {
            let directory = Directory::new(&self.dir);
            let material = directory.open(options, now)?;
            return Ok(Charge {
                directory: Some(Arc::new(directory)),
                ..Charge::new(material)
            });
        };
        let charge = self.charge_by(&record, options, now)?;
        // Whoever is making keys tidies up after that.
        let lock = self.lock()?;
        if lock.try_lock().is_ok() {
            self.tidy(&record, &charge)?;
        }
        Ok(charge)
    }

    fn charge_by(
        &self,
        record: &RotationRecord,
        options: &AuthorityOptions,
        now: SystemTime,
    ) -> Result<Charge, AuthorityError> {
        let duty = record.duty();
        let directory = Directory::new(&self.place(duty.signs));
        let material = directory.open(options, now)?;
        let (mut more_roots, mut more_jwt_keys) = (Vec::new(), Vec::new());
        for generation in duty.trusted {
            if generation != duty.signs {
                let other = Directory::new(&self.place(generation)).load(options)?;
                more_roots.extend(other.roots_der().iter().cloned());
                more_jwt_keys.push(other.jwt_public_key()?);
            }
        }
        Ok(Charge {
            material,
            more_roots,
            more_jwt_keys,
            former_jwt_keys: record.signed_tokens.clone(),
            renewal: duty.renewal,
            directory: Some(Arc::new(directory)),
        })
    }

    fn place(&self, generation: u64) -> PathBuf {
        self.dir.join(GENERATIONS).join(generation.to_string())
    }

    /// Makes the keys of the next generation, and gives those of now a place of their own.
    fn make(
        &self,
        next: u64,
        options: &AuthorityOptions,
        now: SystemTime,
    ) -> Result<AuthorityMaterial, AuthorityError> {
        // Of an attempt that could not be written down.
        *self.making() = None;
        let lock = self.lock()?;
        lock.lock()
            .map_err(storage::io_error("lock", &self.dir.join(LOCK)))?;
        *self.making() = Some(lock);
        if self.record()?.is_none() {
            let first = self.place(0);
            storage::private_directory(&first)?;
            for name in SECRETS {
                self.copy(name, &first, SECRET)?;
            }
            self.copy(ROOTS, &first, PUBLIC)?;
        }
        let place = self.place(next);
        // A rotation that was not written down was none.
        remove(&place)?;
        Directory::new(&place).open(options, now)
    }

    fn copy(&self, name: &str, to: &Path, mode: u32) -> Result<(), FileError> {
        let from = self.dir.join(name);
        if !from.exists() {
            return Ok(());
        }
        let content = zeroize::Zeroizing::new(storage::read(&from)?);
        storage::write_atomic(&to.join(name), &content, mode)
    }

    fn save(&self, record: &RotationRecord) -> Result<(), FileError> {
        let path = self.dir.join(RECORD);
        let text = serde_json::to_vec_pretty(record)
            .map_err(io::Error::from)
            .map_err(storage::io_error("encode", &path))?;
        storage::write_atomic(&path, &text, SECRET)?;
        *self.making() = None;
        Ok(())
    }

    fn making(&self) -> MutexGuard<'_, Option<File>> {
        self.making.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells others whom to trust, and removes what nothing needs any more.
    fn tidy(&self, record: &RotationRecord, charge: &Charge) -> Result<(), FileError> {
        let mut roots = charge.material.roots_der().to_vec();
        roots.extend(charge.more_roots.iter().cloned());
        let text = pem::certificates(&roots);
        let path = self.dir.join(ROOTS);
        if storage::read(&path).ok().as_deref() != Some(text.as_bytes()) {
            storage::write_atomic(&path, text.as_bytes(), PUBLIC)?;
        }
        for name in SECRETS {
            remove(&self.dir.join(name))?;
        }
        let needed: Vec<PathBuf> = std::iter::once(record.current)
            .chain(record.rotation.iter().map(|rotation| rotation.next))
            .map(|generation| self.place(generation))
            .collect();
        let all = self.dir.join(GENERATIONS);
        let entries = fs::read_dir(&all).map_err(storage::io_error("list", &all))?;
        for entry in entries.flatten() {
            if !needed.contains(&entry.path()) {
                remove(&entry.path())?;
            }
        }
        Ok(())
    }
}

fn remove(path: &Path) -> Result<(), FileError> {
    let removed = match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => Err(error),
    };
    removed.map_err(storage::io_error("remove", path))
}

#[tonic::async_trait]
impl RotationStore for Generations {
    async fn record(&self) -> Result<RotationRecord, StoreError> {
        Ok(self.record()?.unwrap_or_default())
    }

    async fn make(
        &self,
        next: u64,
        options: &AuthorityOptions,
    ) -> Result<AuthorityMaterial, StoreError> {
        Ok(self.make(next, options, clock::now())?)
    }

    async fn save(
        &self,
        _before: &RotationRecord,
        record: &RotationRecord,
        options: &AuthorityOptions,
    ) -> Result<Charge, StoreError> {
        self.save(record)?;
        Ok(self.charge_by(record, options, clock::now())?)
    }

    async fn tidy(&self, record: &RotationRecord, charge: &Charge) -> Result<(), StoreError> {
        Ok(self.tidy(record, charge)?)
    }
}
