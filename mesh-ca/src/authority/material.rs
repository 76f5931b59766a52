//! The keys and certificates of an authority, wherever they stand.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use mesh_api::SpiffeId;
use rcgen::Issuer;
use rustls::RootCertStore;
use rustls::server::WebPkiClientVerifier;
use rustls_pki_types::{CertificateDer, UnixTime};
use x509_parser::prelude::{FromDer, X509Certificate};
use zeroize::Zeroizing;

use super::certificates::{self, check_authority, is_for_key, is_signed_by, parse, validity};
use super::origin::{Layout, Origin, Part, Parts};
use super::revoked::Revoked;
use super::roots::{Roots, new_root};
use super::{AuthorityError, AuthorityOptions};
use crate::fingerprint::Fingerprint;
use crate::issue::{Issue, Lifetime, Signer, Validity};
use crate::pem;
use crate::secret_key::{KeyError, SecretKey};

/// Root certificates, the certificate that signs with its key, and what is between. Checked: they
/// belong together. Cheap to clone; keys are never printed.
#[derive(Clone)]
pub struct AuthorityMaterial {
    pub(super) origin: Origin,
    pub(super) roots: Roots,
    pub(super) key: SecretKey,
    // The certificate of `key`.
    pub(super) signer: Vec<u8>,
    // From the signer up to the one below a root; empty if the signer is a root itself.
    pub(super) chain: Vec<Vec<u8>>,
    // Vouches for what the signer signs.
    pub(super) anchor: Fingerprint,
    pub(super) revoked: Revoked,
    // Of the whole chain, its root included.
    pub(super) validity: Validity,
}

// === impl AuthorityMaterial ===

impl AuthorityMaterial {
    /// Makes a new root and an intermediate.
    ///
    /// # Errors
    /// If the operating system gives no randomness.
    pub fn generate(options: &AuthorityOptions, now: SystemTime) -> Result<Self, AuthorityError> {
        let origin = Origin::new_map("the new authority");
        let key = SecretKey::generate_of(options.key_type)?;
        let der = new_root(options, &key, now)?;
        let roots = Roots {
            ders: vec![der],
            key: Some(key),
        };
        let key = SecretKey::generate_of(options.key_type)?;
        let signer = roots.sign_intermediate(&origin, options, &key, now)?;
        Self::assemble(origin, roots, key, vec![signer], &[])
    }

    /// Reads a map, such as the data of a Kubernetes Secret. `place` names it in messages: "Secret
    /// istio-system/cacerts".
    ///
    /// # Errors
    /// If a part is missing, cannot be read, or does not belong to the others; the error names
    /// the key of the map. Expiry is [`Self::check`]'s matter.
    pub fn from_data(
        layout: Layout,
        data: &BTreeMap<String, Vec<u8>>,
        place: &str,
        options: &AuthorityOptions,
    ) -> Result<Self, AuthorityError> {
        let origin = Origin::map(layout, data, place);
        let parts = Parts::of_map(&origin, data);
        Self::from_parts(origin, &parts, options)
    }

    /// Reads the files of a directory.
    ///
    /// # Errors
    /// As [`Self::from_data`]; the error names the file. In our own layout, also if a key can be
    /// read by others than its owner.
    pub fn from_dir(
        layout: Layout,
        dir: &Path,
        options: &AuthorityOptions,
    ) -> Result<Self, AuthorityError> {
        let origin = Origin::directory(layout, dir);
        let parts = Parts::of_directory(&origin)?;
        Self::from_parts(origin, &parts, options)
    }

    pub(super) fn from_parts(
        origin: Origin,
        parts: &Parts,
        options: &AuthorityOptions,
    ) -> Result<Self, AuthorityError> {
        let roots = Roots::read(&origin, parts, options)?;
        let Some(signer) = &parts.signer else {
            let why = "it is the certificate that signs";
            return Err(origin.missing(Part::Signer, why));
        };
        let Some(key) = &parts.key else {
            let why = "it is the key of the certificate that signs; put it there, too";
            return Err(origin.missing(Part::Key, why));
        };
        let key = SecretKey::from_pem(key)
            .map_err(|error| origin.corrupt(Part::Key, error.to_string()))?;
        let signers = certificates::read(&origin, Part::Signer, signer)?;
        let above = match &parts.chain {
            // Some tools write an empty one where there is nothing between.
            Some(chain) if !chain.trim_ascii().is_empty() => {
                certificates::read(&origin, Part::Chain, chain)?
            }
            _ => Vec::new(),
        };
        let revoked = Revoked::read(&origin, parts)?;
        Ok(Self {
            revoked,
            ..Self::assemble(origin, roots, key, signers, &above)?
        })
    }

    /// Checks that the parts belong together. `signers` begins with the certificate that signs;
    /// what follows it, and `above`, may stand between it and a root, in any order.
    pub(super) fn assemble(
        origin: Origin,
        roots: Roots,
        key: SecretKey,
        mut signers: Vec<Vec<u8>>,
        above: &[Vec<u8>],
    ) -> Result<Self, AuthorityError> {
        if signers.is_empty() {
            return Err(origin.corrupt(Part::Signer, "it holds no certificate in PEM"));
        }
        let signer = signers.remove(0);
        let certificate = parse(&origin, Part::Signer, &signer)?;
        if !is_for_key(&certificate, key.public_key()) {
            let why = "the certificate is for another key";
            return Err(origin.mismatch(Part::Signer, Part::Key, why));
        }
        let (chain, root) = path(&origin, &signer, &signers, above, &roots.ders)?;
        let mut window = validity(&parse(&origin, Part::Roots, &root)?);
        for der in std::iter::once(&signer).chain(&chain) {
            let certificate = parse(&origin, Part::Signer, der)?;
            check_authority(&origin, Part::Signer, &certificate)?;
            let own = validity(&certificate);
            window.not_before = window.not_before.max(own.not_before);
            window.not_after = window.not_after.min(own.not_after);
        }
        Ok(Self {
            origin,
            roots,
            key,
            signer,
            chain,
            anchor: Fingerprint::of(&root),
            revoked: Revoked::default(),
            validity: window,
        })
    }

    /// Checks that nothing has expired, and that peers will take what it signs: a probe is
    /// signed, and verified as peers do it.
    ///
    /// # Errors
    /// [`AuthorityError::Expired`], or `Corrupt` if peers would refuse it.
    pub fn check(&self, options: &AuthorityOptions, now: SystemTime) -> Result<(), AuthorityError> {
        let mut signers = std::iter::once(&self.signer).chain(&self.chain);
        if signers.any(|der| certificates::has_expired(der, now)) {
            return Err(self.origin.expired(Part::Signer));
        }
        if self.validity.not_after <= now {
            return Err(self.origin.expired(Part::Roots));
        }
        self.probe(options, now).map_err(|why| {
            let why = format!("peers would refuse what it signs: {why}");
            self.origin.corrupt(Part::Signer, why)
        })
    }

    fn probe(&self, options: &AuthorityOptions, now: SystemTime) -> Result<(), String> {
        let text = |error: &dyn fmt::Display| error.to_string();
        let identity = SpiffeId::new(&options.trust_domain, "istio-system", "meshd")
            .map_err(|error| text(&error))?;
        let key = SecretKey::generate().map_err(|error| text(&error))?;
        let request = Issue {
            identity,
            csr_der: key.certificate_request().map_err(|error| text(&error))?,
            ttl: None,
            dns_names: Vec::new(),
            binding: None,
        };
        let issuer = self.issuer().map_err(|error| text(&error))?;
        let (leaf, _) = self
            .signing(&issuer, options, &options.lifetime())
            .sign(&request, now, [1; 16])
            .map_err(|error| text(&error))?;
        let mut store = RootCertStore::empty();
        for root in &self.roots.ders {
            store
                .add(CertificateDer::from(root.as_slice()))
                .map_err(|error| format!("a root cannot be used: {error}"))?;
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(store), provider)
            .build()
            .map_err(|error| text(&error))?;
        let between: Vec<_> = self
            .chain
            .iter()
            .map(|der| CertificateDer::from(der.as_slice()))
            .collect();
        let since = now
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        verifier
            .verify_client_cert(
                &CertificateDer::from(leaf),
                &between,
                UnixTime::since_unix_epoch(since),
            )
            .map(|_| ())
            .map_err(|error| text(&error))
    }

    /// The same with a new intermediate for the same key, if less than a third of its life is
    /// left and the root key is here; `None` if nothing is due, or the root has no more time to
    /// give. Whoever keeps the material stores what comes back.
    ///
    /// # Errors
    /// If it is due and the root key is not here, or the root has expired.
    pub fn renewed(
        &self,
        options: &AuthorityOptions,
        now: SystemTime,
    ) -> Result<Option<Self>, AuthorityError> {
        if self.origin.layout() != Layout::Mesh || !is_due(&self.validity, now) {
            return Ok(None);
        }
        let signer = self
            .roots
            .sign_intermediate(&self.origin, options, &self.key, now)?;
        let renewed = Self {
            revoked: self.revoked.clone(),
            ..Self::assemble(
                self.origin.clone(),
                self.roots.clone(),
                self.key.clone(),
                vec![signer],
                &[],
            )?
        };
        Ok((renewed.validity.not_after > self.validity.not_after).then_some(renewed))
    }

    /// The parts in our own layout, PEM, for [`Self::from_data`] with [`Layout::Mesh`]. They are
    /// secrets.
    ///
    /// # Errors
    /// If a key cannot be encoded.
    pub fn to_data(&self) -> Result<BTreeMap<String, Zeroizing<Vec<u8>>>, KeyError> {
        let origin = Origin::new_map("");
        let mut data = BTreeMap::new();
        let mut put = |part, pem: Zeroizing<String>| {
            if let Some(name) = origin.name(part) {
                data.insert(name.to_owned(), Zeroizing::new(pem.as_bytes().to_vec()));
            }
        };
        put(Part::Roots, pem::certificates(&self.roots.ders));
        if let Some(key) = &self.roots.key {
            put(Part::RootKey, key.to_pem()?);
        }
        put(Part::Signer, self.signer_pem());
        put(Part::Key, self.key.to_pem()?);
        if !self.revoked.lists.is_empty() {
            put(Part::Crl, self.revoked.to_pem());
        }
        Ok(data)
    }

    /// The roots to trust, DER.
    pub fn roots_der(&self) -> &[Vec<u8>] {
        &self.roots.ders
    }

    /// Revocation lists, DER.
    pub fn crls_der(&self) -> &[Vec<u8>] {
        &self.revoked.lists
    }

    /// The root that vouches for what it signs.
    pub fn anchor(&self) -> Fingerprint {
        self.anchor
    }

    /// When its chain expires.
    pub fn not_after(&self) -> SystemTime {
        self.validity.not_after
    }

    pub(super) fn signer_pem(&self) -> Zeroizing<String> {
        match self.chain.is_empty() {
            true => pem::certificates(std::slice::from_ref(&self.signer)),
            false => pem::certificates(&self.chain),
        }
    }

    pub(super) fn issuer(&self) -> Result<Issuer<'static, SecretKey>, AuthorityError> {
        let der = CertificateDer::from(self.signer.as_slice());
        Issuer::from_ca_cert_der(&der, self.key.clone())
            .map_err(|error| self.origin.corrupt(Part::Signer, error.to_string()))
    }

    pub(super) fn signing<'a>(
        &self,
        issuer: &'a Issuer<'static, SecretKey>,
        options: &'a AuthorityOptions,
        lifetime: &'a Lifetime,
    ) -> Signer<'a> {
        Signer {
            issuer,
            validity: self.validity,
            trust_domain: options.trust_domain.as_str(),
            lifetime,
        }
    }
}

impl PartialEq for AuthorityMaterial {
    /// Whether both sign with the same certificate, trust the same roots and revoke the same.
    fn eq(&self, other: &Self) -> bool {
        let Self { roots, chain, .. } = self;
        self.signer == other.signer
            && *chain == other.chain
            && roots.ders == other.roots.ders
            && self.revoked.lists == other.revoked.lists
    }
}

impl fmt::Debug for AuthorityMaterial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthorityMaterial")
            .field("origin", &self.origin.to_string())
            .field("roots", &self.roots.ders.len())
            .finish_non_exhaustive()
    }
}

impl fmt::Display for AuthorityMaterial {
    /// Where it comes from.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.origin.fmt(f)
    }
}

pub(super) fn is_due(validity: &Validity, now: SystemTime) -> bool {
    let life = validity
        .not_after
        .duration_since(validity.not_before)
        .unwrap_or_default();
    let left = validity.not_after.duration_since(now).unwrap_or_default();
    left <= life / 3
}

/// From the signer up to the certificate below a root, and that root. For a signer that is a root
/// itself nothing is between.
fn path(
    origin: &Origin,
    signer: &[u8],
    followers: &[Vec<u8>],
    above: &[Vec<u8>],
    roots: &[Vec<u8>],
) -> Result<(Vec<Vec<u8>>, Vec<u8>), AuthorityError> {
    let mut chain = Vec::new();
    let mut current = signer.to_vec();
    let root = loop {
        if roots.contains(&current) {
            break current;
        }
        let root = roots.iter().find(|root| is_signed_by(&current, root));
        let pool = followers.iter().chain(above);
        let next = pool
            .filter(|der| !chain.contains(*der) && **der != current)
            .find(|der| is_signed_by(&current, der))
            .cloned();
        chain.push(current);
        match (root, next) {
            (Some(root), _) => break root.clone(),
            (None, Some(next)) => current = next,
            (None, None) => return Err(not_rooted(origin, &chain, above)),
        }
    };
    let used = |der: &Vec<u8>| chain.contains(der) || roots.contains(der) || der == signer;
    if !above.is_empty() && !above.iter().any(used) {
        let why = "none of its certificates stands above it";
        return Err(origin.mismatch(Part::Chain, Part::Signer, why));
    }
    Ok((chain, root))
}

fn not_rooted(origin: &Origin, chain: &[Vec<u8>], above: &[Vec<u8>]) -> AuthorityError {
    let last = chain.last().map(Vec::as_slice).unwrap_or_default();
    let part = match above.is_empty() {
        true => Part::Signer,
        false => Part::Chain,
    };
    let why = match X509Certificate::from_der(last) {
        Ok((_, certificate)) => format!(
            "no root there has signed it: `{}` is signed by `{}`",
            certificate.subject(),
            certificate.issuer()
        ),
        Err(_) => "no root there has signed it".to_owned(),
    };
    origin.mismatch(part, Part::Roots, why)
}

// === impl AuthorityOptions ===

impl AuthorityOptions {
    pub(super) fn lifetime(&self) -> Lifetime {
        Lifetime {
            default: self.default_ttl,
            longest: self.max_ttl,
            clock_skew: self.clock_skew,
        }
    }
}
