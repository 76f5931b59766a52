//! The files of an authority, and the checks that they belong together.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use mesh_api::TrustDomain;
use rcgen::{Certificate, Issuer};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::time::ASN1Time;

use super::{AuthorityError, AuthorityOptions, HOUR, Intermediate};
use crate::issue::{Validity, authority_profile};
use crate::pem;
use crate::secret_key::{KeyError, SecretKey};
use crate::storage::{self, PUBLIC, SECRET};

pub(super) struct Files {
    root_pem: PathBuf,
    root_key: PathBuf,
    intermediate_pem: PathBuf,
    intermediate_key: PathBuf,
}

/// A trusted root.
pub(super) struct Root {
    pub(super) der: Vec<u8>,
    validity: Validity,
}

// === impl Files ===

impl Files {
    pub(super) fn new(dir: &Path) -> Self {
        Self {
            root_pem: dir.join("root.pem"),
            root_key: dir.join("root.key"),
            intermediate_pem: dir.join("intermediate.pem"),
            intermediate_key: dir.join("intermediate.key"),
        }
    }

    /// All roots; the first one is ours. Makes one in an empty directory.
    pub(super) fn open_root(
        &self,
        options: &AuthorityOptions,
        now: SystemTime,
    ) -> Result<Vec<Root>, AuthorityError> {
        if !self.root_pem.exists() {
            if self.intermediate_pem.exists() || self.intermediate_key.exists() {
                let why = "an intermediate is there, and without its root nobody can check what it signs; restore it";
                return Err(AuthorityError::Missing {
                    path: self.root_pem.clone(),
                    why,
                });
            }
            // A key alone is the trace of a first start that was interrupted.
            let key = match self.root_key.exists() {
                true => read_key(&self.root_key)?,
                false => make_key(&self.root_key)?,
            };
            let validity = Validity {
                not_before: now - HOUR,
                not_after: now + options.root_life,
            };
            let params = authority_profile(&options.trust_domain, "mesh root", 1, validity)
                .map_err(|_| KeyError::Library("describe a root"))?;
            let root = params
                .self_signed(&key)
                .map_err(|_| KeyError::Library("sign a root"))?;
            storage::write_atomic(&self.root_pem, root.pem().as_bytes(), PUBLIC)?;
        }
        let mut roots = Vec::new();
        for der in read_certificates(&self.root_pem)? {
            let certificate = parse(&self.root_pem, &der)?;
            check_authority(&self.root_pem, &certificate, now)?;
            if certificate.verify_signature(None).is_err() {
                return Err(corrupt(&self.root_pem, "a root is not signed by itself"));
            }
            roots.push(Root {
                validity: validity(&certificate),
                der: der.to_vec(),
            });
        }
        if let Some(root) = roots.first() {
            check_trust_domain(
                &self.root_pem,
                &parse(&self.root_pem, &root.der)?,
                &options.trust_domain,
            )?;
        }
        if self.root_key.exists() {
            self.root_signing_key(&roots)?;
        }
        Ok(roots)
    }

    /// The intermediate that signs. Makes one if there is none.
    pub(super) fn open_intermediate(
        &self,
        options: &AuthorityOptions,
        roots: &[Root],
        now: SystemTime,
    ) -> Result<Intermediate, AuthorityError> {
        let (pem, key) = (
            self.intermediate_pem.exists(),
            self.intermediate_key.exists(),
        );
        if pem && !key {
            let why = "its certificate is there; restore it, or remove intermediate.pem, too";
            return Err(AuthorityError::Missing {
                path: self.intermediate_key.clone(),
                why,
            });
        }
        if !pem {
            let key = match key {
                true => read_key(&self.intermediate_key)?,
                false => make_key(&self.intermediate_key)?,
            };
            let made = self.make_intermediate(options, roots, key, now)?;
            self.store_intermediate(&made)?;
        }
        let key = read_key(&self.intermediate_key)?;
        let chain = read_certificates(&self.intermediate_pem)?;
        let loaded = self.load_intermediate(&chain, roots, key, now);
        match loaded {
            // The server was off when it was to be renewed.
            Err(AuthorityError::Expired { .. }) if self.root_key.exists() => {
                let made =
                    self.make_intermediate(options, roots, read_key(&self.intermediate_key)?, now)?;
                self.store_intermediate(&made)?;
                Ok(made)
            }
            other => other,
        }
    }

    fn load_intermediate(
        &self,
        chain: &[CertificateDer<'static>],
        roots: &[Root],
        key: SecretKey,
        now: SystemTime,
    ) -> Result<Intermediate, AuthorityError> {
        let path = &self.intermediate_pem;
        let parsed = chain
            .iter()
            .map(|der| parse(path, der))
            .collect::<Result<Vec<_>, _>>()?;
        let Some((first, last)) = parsed.first().zip(parsed.last()) else {
            return Err(corrupt(path, "it holds no certificate in PEM"));
        };
        if first.public_key().subject_public_key.data.as_ref() != key.public_key() {
            return Err(AuthorityError::Mismatch {
                path: path.clone(),
                other: self.intermediate_key.clone(),
                why: "the certificate is for another key",
            });
        }
        let mut window = Validity {
            not_before: SystemTime::UNIX_EPOCH,
            not_after: SystemTime::UNIX_EPOCH,
        };
        for (n, certificate) in parsed.iter().enumerate() {
            check_authority(path, certificate, now)?;
            let own = validity(certificate);
            window.not_before = window.not_before.max(own.not_before);
            window.not_after = if n == 0 {
                own.not_after
            } else {
                window.not_after.min(own.not_after)
            };
            if let Some(above) = parsed.get(n + 1)
                && certificate
                    .verify_signature(Some(above.public_key()))
                    .is_err()
            {
                return Err(corrupt(
                    path,
                    "its certificates are no chain: each must be signed by the next",
                ));
            }
        }
        let root = roots.iter().find(|root| {
            X509Certificate::from_der(&root.der)
                .is_ok_and(|(_, root)| last.verify_signature(Some(root.public_key())).is_ok())
        });
        let Some(root) = root else {
            return Err(AuthorityError::Mismatch {
                path: path.clone(),
                other: self.root_pem.clone(),
                why: "no root there has signed it",
            });
        };
        window.not_before = window.not_before.max(root.validity.not_before);
        window.not_after = window.not_after.min(root.validity.not_after);
        let der = chain
            .first()
            .ok_or_else(|| corrupt(path, "it holds no certificate in PEM"))?;
        let issuer = Issuer::from_ca_cert_der(der, key)
            .map_err(|error| corrupt(path, &error.to_string()))?;
        Ok(Intermediate {
            issuer,
            chain: chain.iter().map(|der| der.to_vec()).collect(),
            validity: window,
        })
    }

    /// Signs a new intermediate by the root.
    pub(super) fn make_intermediate(
        &self,
        options: &AuthorityOptions,
        roots: &[Root],
        key: SecretKey,
        now: SystemTime,
    ) -> Result<Intermediate, AuthorityError> {
        if !self.root_key.exists() {
            let why = "an intermediate must be signed; put the key of root.pem there for that time";
            return Err(AuthorityError::Missing {
                path: self.root_key.clone(),
                why,
            });
        }
        let (root, root_key) = self.root_signing_key(roots)?;
        let validity = Validity {
            not_before: (now - HOUR).max(root.validity.not_before),
            not_after: (now + options.intermediate_life).min(root.validity.not_after),
        };
        let signed: Result<Certificate, rcgen::Error> = (|| {
            let issuer =
                Issuer::from_ca_cert_der(&CertificateDer::from(root.der.as_slice()), root_key)?;
            authority_profile(&options.trust_domain, "mesh intermediate", 0, validity)?
                .signed_by(&key, &issuer)
        })();
        let signed = signed.map_err(|_| KeyError::Library("sign an intermediate"))?;
        self.load_intermediate(&[signed.der().clone()], roots, key, now)
    }

    pub(super) fn store_intermediate(
        &self,
        intermediate: &Intermediate,
    ) -> Result<(), AuthorityError> {
        let pem: String = intermediate
            .chain
            .iter()
            .map(|der| pem::encode("CERTIFICATE", der).to_string())
            .collect();
        Ok(storage::write_atomic(
            &self.intermediate_pem,
            pem.as_bytes(),
            PUBLIC,
        )?)
    }

    fn root_signing_key<'a>(
        &self,
        roots: &'a [Root],
    ) -> Result<(&'a Root, SecretKey), AuthorityError> {
        let key = read_key(&self.root_key)?;
        let root = roots
            .first()
            .ok_or_else(|| corrupt(&self.root_pem, "it holds no certificate in PEM"))?;
        if parse(&self.root_pem, &root.der)?
            .public_key()
            .subject_public_key
            .data
            .as_ref()
            != key.public_key()
        {
            return Err(AuthorityError::Mismatch {
                path: self.root_pem.clone(),
                other: self.root_key.clone(),
                why: "the first certificate is for another key",
            });
        }
        Ok((root, key))
    }
}

fn corrupt(path: &Path, why: &str) -> AuthorityError {
    AuthorityError::Corrupt {
        path: path.to_owned(),
        why: why.to_owned(),
    }
}

fn make_key(path: &Path) -> Result<SecretKey, AuthorityError> {
    let key = SecretKey::generate()?;
    storage::write_atomic(path, key.to_pem()?.as_bytes(), SECRET)?;
    Ok(key)
}

fn read_key(path: &Path) -> Result<SecretKey, AuthorityError> {
    let pem = storage::read_secret(path)?;
    SecretKey::from_pem(&pem).map_err(|error| corrupt(path, &error.to_string()))
}

fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, AuthorityError> {
    let pem = storage::read(path)?;
    let certificates = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| corrupt(path, &error.to_string()))?;
    match certificates.is_empty() {
        true => Err(corrupt(path, "it holds no certificate in PEM")),
        false => Ok(certificates),
    }
}

fn parse<'a>(path: &Path, der: &'a [u8]) -> Result<X509Certificate<'a>, AuthorityError> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        Ok(_) => Err(corrupt(path, "bytes follow a certificate")),
        Err(error) => Err(corrupt(
            path,
            &format!("a certificate cannot be read: {error}"),
        )),
    }
}

fn check_authority(
    path: &Path,
    certificate: &X509Certificate<'_>,
    now: SystemTime,
) -> Result<(), AuthorityError> {
    if !certificate.is_ca() {
        return Err(corrupt(path, "a certificate is none of an authority"));
    }
    match ASN1Time::from_timestamp(crate::clock::unix_seconds(now)) {
        Ok(now) if certificate.validity().not_after <= now => Err(AuthorityError::Expired {
            path: path.to_owned(),
        }),
        _ => Ok(()),
    }
}

fn check_trust_domain(
    path: &Path,
    certificate: &X509Certificate<'_>,
    wanted: &TrustDomain,
) -> Result<(), AuthorityError> {
    use x509_parser::extensions::GeneralName;
    let names = certificate
        .subject_alternative_name()
        .map_err(|error| corrupt(path, &error.to_string()))?;
    for name in names.iter().flat_map(|names| &names.value.general_names) {
        // A root that somebody else made need not name its trust domain.
        if let GeneralName::URI(uri) = name
            && let Some(found) = uri.strip_prefix("spiffe://")
            && found != wanted.as_str()
        {
            return Err(AuthorityError::TrustDomain {
                path: path.to_owned(),
                found: found.to_owned(),
                wanted: wanted.clone(),
            });
        }
    }
    Ok(())
}

fn validity(certificate: &X509Certificate<'_>) -> Validity {
    use std::time::Duration;
    let time = |time: ASN1Time| {
        SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(time.timestamp()).unwrap_or(0))
    };
    let validity = certificate.validity();
    Validity {
        not_before: time(validity.not_before),
        not_after: time(validity.not_after),
    }
}
