//! A certificate from files, in place of an authority: read again when they change.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use mesh_proxy_core::Snapshot;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::sync::{mpsc, watch};
use tracing::{error, info};

use super::manager::{Reply, State, changed, named};
use super::{Publisher, RotateError, RotateHandle, Svid, Trusted};
use crate::clock;
use crate::control::{LOOK, Stamp, Store};
use crate::settings::IdentityFiles;
use crate::telemetry::Stages;
use crate::tls::{Leaf, LeafError, RootsError, read_certificates};

/// Why files give no identity.
#[derive(Debug, thiserror::Error)]
pub enum IdentityFileError {
    /// A file cannot be read, or is no PEM.
    #[error("{}: {source}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: pem::Error,
    },
    /// There is no certificate in it.
    #[error("{}: it holds no certificate", .0.display())]
    Empty(PathBuf),
    /// The certificate gives no identity.
    #[error("{}: {source}", .path.display())]
    Leaf {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: LeafError,
    },
    /// The certificate is over.
    #[error("{}: the certificate has expired", .0.display())]
    Expired(PathBuf),
    /// The key cannot be used, or belongs to another certificate.
    #[error("{}: {source}", .path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: rustls::Error,
    },
    /// The roots cannot be used.
    #[error(transparent)]
    Roots(#[from] RootsError),
    /// rustls refuses the parts.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
}

/// Keeps the identity as the files say.
pub(crate) struct FilesManager {
    // Without files there is no identity, and nobody is told to wait for one.
    followed: Option<Followed>,
    epoch: watch::Receiver<u64>,
    rotate: mpsc::Receiver<Reply>,
}

struct Followed {
    files: IdentityFiles,
    stamps: [Option<Stamp>; 3],
    state: State,
    stages: Stages,
}

// === impl FilesManager ===

impl FilesManager {
    /// Reads the files, and publishes the identity.
    ///
    /// # Errors
    /// [`IdentityFileError`]; later ones only stand in the log.
    pub(crate) async fn new(
        files: Option<IdentityFiles>,
        store: Store,
        publisher: Publisher,
        stages: Stages,
    ) -> Result<(Self, RotateHandle), IdentityFileError> {
        let epoch = store.epoch();
        let followed = match files {
            Some(files) => {
                let mut followed = Followed {
                    stamps: [None; 3],
                    files,
                    state: State::new(publisher, store, trusted),
                    stages,
                };
                followed.read().await?;
                Some(followed)
            }
            None => None,
        };
        let (handle, rotate) = RotateHandle::channel();
        let manager = Self {
            followed,
            epoch,
            rotate,
        };
        Ok((manager, handle))
    }

    /// Runs for ever; the caller drops it at the end.
    pub(crate) async fn run(mut self) {
        let mut ticks = tokio::time::interval(LOOK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick(), if self.followed.is_some() => {
                    if let Some(followed) = &mut self.followed {
                        followed.look().await;
                    }
                }
                () = changed(&mut self.epoch) => {
                    if let Some(followed) = &mut self.followed {
                        followed.state.follow_roots();
                    }
                }
                Some(reply) = self.rotate.recv() => {
                    let result = match &mut self.followed {
                        Some(followed) => followed.read().await.map_err(|error| error.to_string()),
                        None => Err("the proxy was started without a certificate".to_owned()),
                    };
                    // Whoever asked may have gone.
                    let _ = reply.send(result.map_err(RotateError::Failed));
                }
            }
        }
    }
}

// === impl Followed ===

impl Followed {
    async fn look(&mut self) {
        if self.now().await == self.stamps {
            return;
        }
        if let Err(error) = self.read().await {
            self.stages.renewal_failures.inc();
            error!(%error, "the certificate, key or roots cannot be used; the last good ones stay");
        }
    }

    async fn now(&self) -> [Option<Stamp>; 3] {
        let IdentityFiles {
            certificate,
            private_key,
            roots,
        } = &self.files;
        [
            Stamp::of(certificate).await,
            Stamp::of(private_key).await,
            Stamp::of(roots).await,
        ]
    }

    async fn read(&mut self) -> Result<(), IdentityFileError> {
        // Of before: what is written while they are read is seen the next time.
        self.stamps = self.now().await;
        let svid = read(&self.files, clock::wall())?;
        info!(identity = %svid.id, serial = %svid.serial, "certificate read");
        self.stages
            .certificate_expiry
            .set(clock::unix_seconds(svid.not_after));
        self.state.publish(svid)?;
        self.stages.renewals.inc();
        Ok(())
    }
}

fn read(files: &IdentityFiles, now: SystemTime) -> Result<Svid, IdentityFileError> {
    let file = |path: &Path, source| IdentityFileError::File {
        path: path.to_owned(),
        source,
    };
    let path = &files.certificate;
    let chain = CertificateDer::pem_file_iter(path).map_err(|error| file(path, error))?;
    let chain = chain
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| file(path, error))?;
    let unusable = |source| IdentityFileError::Leaf {
        path: path.clone(),
        source,
    };
    let first = chain
        .first()
        .ok_or_else(|| IdentityFileError::Empty(path.clone()))?;
    let leaf = Leaf::parse(first).map_err(unusable)?;
    let id = leaf.identity().map_err(unusable)?;
    if leaf.not_after <= now {
        return Err(IdentityFileError::Expired(path.clone()));
    }
    let path = &files.private_key;
    let key = PrivateKeyDer::from_pem_file(path).map_err(|error| file(path, error))?;
    let unusable = |source| IdentityFileError::Key {
        path: path.clone(),
        source,
    };
    let key = CertifiedKey::new(chain, any_supported_type(&key).map_err(unusable)?);
    key.keys_match().map_err(unusable)?;
    let roots = read_certificates(&files.roots)?;
    Ok(Svid {
        id,
        serial: leaf.serial,
        not_before: leaf.not_before,
        not_after: leaf.not_after,
        key: Arc::new(key),
        roots_der: roots.iter().map(|root| root.to_vec()).collect(),
        exported: None,
    })
}

// Both are the operator's word: the roots of the file, and those of `mesh/default`.
fn trusted(snapshot: &Snapshot, svid: &Svid) -> Trusted {
    let roots: BTreeSet<&Vec<u8>> = svid
        .roots_der
        .iter()
        .chain(&snapshot.mesh().roots_der)
        .collect();
    Trusted {
        roots_der: roots.into_iter().cloned().collect(),
        ..named(snapshot, svid)
    }
}
