//! The authority: a root and an intermediate on disk.

use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use mesh_api::TrustDomain;
use rcgen::Issuer;

use crate::clock;
use crate::issue::{Issue, Issued, Lifetime, Refusal, Signer, Validity};
use crate::secret_key::{KeyError, SecretKey};
use crate::storage::{self, FileError};

mod chain;
#[cfg(test)]
mod tests;

const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How an authority issues. All of it can change between two starts except the trust domain.
#[derive(Debug, Clone)]
pub struct AuthorityOptions {
    /// What it certifies.
    pub trust_domain: TrustDomain,
    /// Life of a leaf whose caller does not ask for one: 24 hours.
    pub default_ttl: Duration,
    /// Longest life of a leaf, whatever the caller asks for: 90 days.
    pub max_ttl: Duration,
    /// How far a peer's clock may be behind ours: 2 minutes.
    pub clock_skew: Duration,
    /// Life of a new root: 10 years.
    pub root_life: Duration,
    /// Life of a new intermediate: 1 year. It is renewed, with the same key, when a third is left.
    pub intermediate_life: Duration,
}

/// Why an authority cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// A file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file does not hold what it should.
    #[error(
        "{path} is damaged: {why}; restore it, or move the directory away to begin with a new authority"
    )]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Two files do not belong together.
    #[error("{path} does not belong to {other}: {why}")]
    Mismatch {
        /// The file.
        path: PathBuf,
        /// The other one.
        other: PathBuf,
        /// In which way.
        why: &'static str,
    },
    /// A file is not there, and cannot be made.
    #[error("{path} is missing: {why}")]
    Missing {
        /// The file.
        path: PathBuf,
        /// Why it cannot be made.
        why: &'static str,
    },
    /// A certificate has expired.
    #[error("the certificate in {path} has expired")]
    Expired {
        /// The file.
        path: PathBuf,
    },
    /// The authority is of another trust domain.
    #[error(
        "{path} is of the trust domain `{found}`, not `{wanted}`: give that one, or another directory"
    )]
    TrustDomain {
        /// The file.
        path: PathBuf,
        /// What it is of.
        found: String,
        /// What was asked for.
        wanted: TrustDomain,
    },
    /// A key cannot be made or used.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// A certificate authority. Shared between threads; issuing takes no lock.
pub struct Authority {
    dir: PathBuf,
    options: AuthorityOptions,
    roots: Vec<Vec<u8>>,
    intermediate: ArcSwap<Intermediate>,
}

struct Intermediate {
    issuer: Issuer<'static, SecretKey>,
    // The intermediate, then what is between it and the root.
    chain: Vec<Vec<u8>>,
    validity: Validity,
}

// === impl AuthorityOptions ===

impl Default for AuthorityOptions {
    fn default() -> Self {
        Self {
            trust_domain: TrustDomain::default(),
            default_ttl: DAY,
            max_ttl: 90 * DAY,
            clock_skew: Duration::from_secs(120),
            root_life: 3650 * DAY,
            intermediate_life: 365 * DAY,
        }
    }
}

// === impl Authority ===

impl Authority {
    /// Opens the authority in `dir`, or creates it: `root.pem`, `root.key`, `intermediate.pem`,
    /// `intermediate.key`. `root.pem` may hold further roots to trust. `root.key` may be kept
    /// elsewhere, as long as no intermediate has to be made.
    ///
    /// # Errors
    /// If a file cannot be read or written, is damaged, has expired, does not belong to the
    /// others, or if a key can be read by others than its owner.
    pub fn open(dir: &Path, options: &AuthorityOptions) -> Result<Self, AuthorityError> {
        Self::open_at(dir, options, clock::now())
    }

    /// [`Authority::open`] at a given time.
    ///
    /// # Errors
    /// As `open`.
    pub fn open_at(
        dir: &Path,
        options: &AuthorityOptions,
        now: SystemTime,
    ) -> Result<Self, AuthorityError> {
        storage::private_directory(dir)?;
        // Two processes that begin at the same time must not make two roots.
        let lock = dir.join("lock");
        let file = File::options()
            .create(true)
            .append(true)
            .open(&lock)
            .and_then(|file| file.lock().map(|()| file))
            .map_err(storage::io_error("lock", &lock))?;
        let files = chain::Files::new(dir);
        let root = files.open_root(options, now)?;
        let intermediate = files.open_intermediate(options, &root, now)?;
        drop(file);
        let authority = Self {
            dir: dir.to_owned(),
            options: options.clone(),
            roots: root.into_iter().map(|root| root.der).collect(),
            intermediate: ArcSwap::from_pointee(intermediate),
        };
        if let Err(error) = authority.renew_intermediate_if_due(now) {
            // It still has time: two thirds of its life at first.
            tracing::warn!(%error, "the intermediate certificate of the authority cannot be renewed yet");
        }
        Ok(authority)
    }

    /// Issues a leaf for an identity that the caller has already authenticated.
    ///
    /// # Errors
    /// A [`Refusal`]; nothing was issued.
    pub fn issue(&self, request: &Issue, now: SystemTime) -> Result<Issued, Refusal> {
        let serial = clock::random::<16>().map_err(|_| Refusal::Internal)?;
        let intermediate = self.intermediate.load();
        let lifetime = Lifetime {
            default: self.options.default_ttl,
            longest: self.options.max_ttl,
            clock_skew: self.options.clock_skew,
        };
        let signer = Signer {
            issuer: &intermediate.issuer,
            validity: intermediate.validity,
            trust_domain: self.options.trust_domain.as_str(),
            lifetime: &lifetime,
        };
        let (leaf, validity) = signer.sign(request, now, serial)?;
        let mut chain_der = vec![leaf];
        chain_der.extend(intermediate.chain.iter().cloned());
        Ok(Issued {
            chain_der,
            not_before: validity.not_before,
            not_after: validity.not_after,
            serial: serial.iter().map(|byte| format!("{byte:02x}")).collect(),
        })
    }

    /// Renews the intermediate, with the same key, if less than a third of its life is left.
    /// Returns whether it did. A server calls this now and then; [`crate::keep_renewed`] does.
    ///
    /// # Errors
    /// If it is due and the root key is not there or the file cannot be written. The old
    /// intermediate stays in use.
    pub fn renew_intermediate_if_due(&self, now: SystemTime) -> Result<bool, AuthorityError> {
        let current = self.intermediate.load();
        let validity = current.validity;
        let life = validity
            .not_after
            .duration_since(validity.not_before)
            .unwrap_or_default();
        let left = validity.not_after.duration_since(now).unwrap_or_default();
        if left > life / 3 {
            return Ok(false);
        }
        let files = chain::Files::new(&self.dir);
        let root = files.open_root(&self.options, now)?;
        let renewed =
            files.make_intermediate(&self.options, &root, current.issuer.key().clone(), now)?;
        // A root that is about to expire itself cannot give a longer life.
        if renewed.validity.not_after <= validity.not_after {
            return Ok(false);
        }
        files.store_intermediate(&renewed)?;
        self.intermediate.store(Arc::new(renewed));
        Ok(true)
    }

    /// All roots to trust, DER.
    pub fn roots_der(&self) -> &[Vec<u8>] {
        &self.roots
    }

    /// What it certifies.
    pub fn trust_domain(&self) -> &TrustDomain {
        &self.options.trust_domain
    }

    /// Where its files are.
    pub fn dir(&self) -> &Path {
        &self.dir
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority")
            .field("dir", &self.dir)
            .field("trust_domain", &self.options.trust_domain.as_str())
            .finish_non_exhaustive()
    }
}
