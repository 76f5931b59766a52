//! The authority: it signs with its material, and knows which roots to trust.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use mesh_api::TrustDomain;
use rcgen::Issuer;
use tokio::sync::watch;

use crate::clock;
use crate::issue::{Issue, Issued, Refusal};
use crate::jwt::{FormerJwtKey, JwtPublicKey};
use crate::ledger::Ledger;
use crate::rotation::Generations;
use crate::secret_key::{KeyError, KeyType, SecretKey};
use crate::storage::FileError;

mod certificates;
mod directory;
mod fence;
mod jwt;
mod material;
#[cfg(test)]
mod material_tests;
mod origin;
mod own;
mod revoked;
mod roots;
#[cfg(test)]
mod tests;

pub use fence::Fence;
pub use material::AuthorityMaterial;
pub use origin::Layout;

pub(crate) use directory::Directory;
use jwt::JwtKeys;
use roots::union;

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
    /// Kind of the keys that are made for it; those that are read may be of any.
    pub key_type: KeyType,
    /// Life of a JWT-SVID: 5 minutes.
    pub jwt_ttl: Duration,
    /// Life of a new intermediate: 1 year. It is renewed, with the same key, when a third is left.
    pub intermediate_life: Duration,
}

/// Why an authority cannot be opened. An entry is a file, or a key of a map.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// A file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// An entry does not hold what it should.
    #[error("{entry} is damaged: {why}; {advice}")]
    Corrupt {
        /// The entry.
        entry: String,
        /// What is wrong with it.
        why: String,
        /// What to do.
        advice: &'static str,
    },
    /// Two entries do not belong together.
    #[error("{entry} does not belong to {other}: {why}")]
    Mismatch {
        /// The entry.
        entry: String,
        /// The other one.
        other: String,
        /// In which way.
        why: String,
    },
    /// An entry is not there, and cannot be made.
    #[error("{entry} is missing: {why}")]
    Missing {
        /// The entry.
        entry: String,
        /// Why it cannot be made.
        why: &'static str,
    },
    /// A certificate has expired.
    #[error("the certificate in {entry} has expired")]
    Expired {
        /// The entry.
        entry: String,
    },
    /// The authority is of another trust domain.
    #[error(
        "{entry} is of the trust domain `{found}`, not `{wanted}`: give that one, or another directory"
    )]
    TrustDomain {
        /// The entry.
        entry: String,
        /// What it is of.
        found: String,
        /// What was asked for.
        wanted: TrustDomain,
    },
    /// A key cannot be made or used.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// A certificate authority. Shared between threads; issuing takes no lock. What it signs with and
/// what it trusts can change while it serves.
pub struct Authority {
    options: AuthorityOptions,
    state: ArcSwap<State>,
    changes: watch::Sender<u64>,
    // Where certificates of servers in this process are written down.
    ledger: OnceLock<Arc<Ledger>>,
    // Absent if nobody else can retire its keys.
    fence: OnceLock<Arc<Fence>>,
}

struct State {
    material: AuthorityMaterial,
    issuer: Issuer<'static, SecretKey>,
    // Those of the material first.
    trusted: Arc<Vec<Vec<u8>>>,
    // Tells proxies to renew at once when it changes.
    renewal: Arc<str>,
    // Where renewed intermediates are stored; whoever gave the material does so otherwise.
    directory: Option<Arc<Directory>>,
    jwt: JwtKeys,
}

/// What an authority is to sign with and trust.
#[derive(Debug, Clone)]
pub struct Charge {
    /// What signs.
    pub material: AuthorityMaterial,
    /// Roots to trust besides those of the material, DER.
    pub more_roots: Vec<Vec<u8>>,
    /// Keys of tokens to be known besides that of the material.
    pub more_jwt_keys: Vec<JwtPublicKey>,
    /// Keys that have signed tokens which may still be good.
    pub former_jwt_keys: Vec<FormerJwtKey>,
    /// Tells proxies to renew their certificates at once when it changes; empty if they need not.
    pub renewal: String,
    // Where the material is stored.
    pub(crate) directory: Option<Arc<Directory>>,
}

// === impl AuthorityOptions ===

impl Default for AuthorityOptions {
    fn default() -> Self {
        Self {
            trust_domain: TrustDomain::default(),
            default_ttl: DAY,
            max_ttl: 90 * DAY,
            clock_skew: Duration::from_secs(120),
            key_type: KeyType::default(),
            jwt_ttl: Duration::from_secs(300),
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
        let charge = Generations::new(dir).charge(options, now)?;
        charge.material.check(options, now)?;
        Ok(Self {
            options: options.clone(),
            state: ArcSwap::from_pointee(State::new(charge)?),
            changes: watch::Sender::new(0),
            ledger: OnceLock::new(),
            fence: OnceLock::new(),
        })
    }

    /// An authority whose material somebody else keeps: who gives it stores what
    /// [`AuthorityMaterial::renewed`] makes, and says what has changed by [`Self::adopt`].
    ///
    /// # Errors
    /// As [`AuthorityMaterial::check`].
    pub fn from_material(
        material: AuthorityMaterial,
        options: &AuthorityOptions,
    ) -> Result<Self, AuthorityError> {
        Self::from_material_at(material, options, clock::now())
    }

    /// [`Authority::from_material`] at a given time.
    ///
    /// # Errors
    /// As `from_material`.
    pub fn from_material_at(
        material: AuthorityMaterial,
        options: &AuthorityOptions,
        now: SystemTime,
    ) -> Result<Self, AuthorityError> {
        material.check(options, now)?;
        Ok(Self {
            options: options.clone(),
            state: ArcSwap::from_pointee(State::new(Charge::new(material))?),
            changes: watch::Sender::new(0),
            ledger: OnceLock::new(),
            fence: OnceLock::new(),
        })
    }

    /// Signs with this and trusts this from now on, and nothing else.
    ///
    /// # Errors
    /// As [`AuthorityMaterial::check`]. What was there before stays then.
    pub fn take_charge(&self, charge: Charge, now: SystemTime) -> Result<(), AuthorityError> {
        charge.material.check(&self.options, now)?;
        self.publish(State::new(charge)?);
        Ok(())
    }

    /// Issues a leaf for an identity that the caller has already authenticated.
    ///
    /// # Errors
    /// A [`Refusal`]; nothing was issued.
    pub fn issue(&self, request: &Issue, now: SystemTime) -> Result<Issued, Refusal> {
        self.check_fence()?;
        self.issue_leaf(request, now)
    }

    fn issue_leaf(&self, request: &Issue, now: SystemTime) -> Result<Issued, Refusal> {
        let mut serial = clock::random::<16>().map_err(|_| Refusal::Internal)?;
        // Positive and of full length, so that it is written in one way only.
        if let Some(first) = serial.first_mut() {
            *first = *first & 0x3f | 0x40;
        }
        let state = self.state.load();
        let lifetime = self.options.lifetime();
        let signer = state
            .material
            .signing(&state.issuer, &self.options, &lifetime);
        let (leaf, validity) = signer.sign(request, now, serial)?;
        let mut chain_der = vec![leaf];
        chain_der.extend(state.material.chain.iter().cloned());
        Ok(Issued {
            root: state.material.anchor,
            chain_der,
            not_before: validity.not_before,
            not_after: validity.not_after,
            serial: serial.iter().map(|byte| format!("{byte:02x}")).collect(),
        })
    }

    /// Signs with this material from now on. Its roots are trusted besides those that were
    /// trusted before, since what they signed is still in use.
    ///
    /// # Errors
    /// As [`AuthorityMaterial::check`]. What was there before stays then.
    pub fn adopt(
        &self,
        material: AuthorityMaterial,
        now: SystemTime,
    ) -> Result<(), AuthorityError> {
        material.check(&self.options, now)?;
        let before = self.state.load_full();
        self.publish(State::new(Charge {
            material,
            more_jwt_keys: Vec::new(),
            ..before.charge()
        })?);
        Ok(())
    }

    /// Reads a directory in the layout of Istio's `cacerts`. The first time after a change its
    /// roots are trusted, the next time it is signed by. Returns whether something has changed.
    ///
    /// # Errors
    /// As [`AuthorityMaterial::from_dir`] and [`AuthorityMaterial::check`]. What was there before
    /// stays then.
    pub fn reload(&self, dir: &Path, now: SystemTime) -> Result<bool, AuthorityError> {
        let material = AuthorityMaterial::from_dir(Layout::Cacerts, dir, &self.options)?;
        if material == self.material() {
            return Ok(false);
        }
        material.check(&self.options, now)?;
        let trusted = self.roots_der();
        let new = union(&trusted, material.roots_der());
        match new.len() > trusted.len() {
            true => {
                self.trust(&new);
                self.expect(&material)?;
            }
            false => self.adopt(material, now)?,
        }
        Ok(true)
    }

    /// Trusts these roots (DER) besides those of its own material, and no others.
    pub fn trust(&self, roots: &[Vec<u8>]) {
        let before = self.state.load_full();
        let trusted = union(before.material.roots_der(), roots);
        let charge = Charge {
            more_roots: roots.to_vec(),
            ..before.charge()
        };
        if trusted != *before.trusted
            && let Ok(state) = State::new(charge)
        {
            self.publish(state);
        }
    }

    fn publish(&self, mut state: State) {
        self.keep_former_keys(&mut state);
        self.state.store(Arc::new(state));
        self.changes.send_modify(|number| *number += 1);
    }

    /// Renews the intermediate in its directory, with the same key, if less than a third of its
    /// life is left, or takes over one that another process has renewed. Returns whether it did.
    /// A server calls this now and then; [`crate::keep_renewed`] does. An authority that is not in
    /// a directory is renewed by who keeps its material.
    ///
    /// # Errors
    /// If it is due and the root key is not there or the file cannot be written. The old
    /// intermediate stays in use.
    pub fn renew_intermediate_if_due(&self, now: SystemTime) -> Result<bool, AuthorityError> {
        let current = self.state.load_full();
        let Some(directory) = &current.directory else {
            return Ok(false);
        };
        if !material::is_due(&current.material.validity, now) {
            return Ok(false);
        }
        let stored = directory.load(&self.options)?;
        let next = match stored.renewed(&self.options, now)? {
            Some(renewed) => {
                directory.store(&renewed)?;
                renewed
            }
            None if stored == current.material => return Ok(false),
            None => stored,
        };
        self.adopt(next, now)?;
        Ok(true)
    }

    /// All roots to trust, DER; those of its own material first.
    pub fn roots_der(&self) -> Arc<Vec<Vec<u8>>> {
        Arc::clone(&self.state.load().trusted)
    }

    /// Tells proxies to renew their certificates at once when it changes; empty if they need not.
    pub fn renewal(&self) -> Arc<str> {
        Arc::clone(&self.state.load().renewal)
    }

    /// How it issues.
    pub fn options(&self) -> &AuthorityOptions {
        &self.options
    }

    /// Whether a certificate of this serial number was revoked.
    pub fn is_revoked(&self, serial: &str) -> bool {
        self.state.load().material.revoked.contains(serial)
    }

    /// Revokes a certificate: whoever checks revocation lists takes it no more, and neither does
    /// this authority.
    ///
    /// # Errors
    /// If it is no serial number, or cannot be stored.
    pub fn revoke(&self, serial: &str, now: SystemTime) -> Result<(), AuthorityError> {
        let before = self.state.load_full();
        let material = before.material.revoking(serial, &self.options, now)?;
        if let Some(directory) = &before.directory {
            directory.store_revoked(&material)?;
        }
        self.adopt(material, now)
    }

    /// What it signs with.
    pub fn material(&self) -> AuthorityMaterial {
        self.state.load().material.clone()
    }

    /// Counts how often its certificate or its roots have changed.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// What it certifies.
    pub fn trust_domain(&self) -> &TrustDomain {
        &self.options.trust_domain
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority")
            .field("material", &self.state.load().material)
            .field("trust_domain", &self.options.trust_domain.as_str())
            .finish_non_exhaustive()
    }
}

// === impl State ===

impl State {
    fn new(charge: Charge) -> Result<Self, AuthorityError> {
        let Charge {
            material,
            more_roots,
            more_jwt_keys,
            former_jwt_keys,
            renewal,
            directory,
        } = charge;
        Ok(Self {
            jwt: JwtKeys::new(&material, more_jwt_keys, former_jwt_keys)?,
            issuer: material.issuer()?,
            trusted: Arc::new(union(material.roots_der(), &more_roots)),
            renewal: renewal.into(),
            directory,
            material,
        })
    }
}

// === impl Charge ===

impl Charge {
    /// This material, and nothing besides.
    pub fn new(material: AuthorityMaterial) -> Self {
        Self {
            material,
            more_roots: Vec::new(),
            more_jwt_keys: Vec::new(),
            former_jwt_keys: Vec::new(),
            renewal: String::new(),
            directory: None,
        }
    }
}
