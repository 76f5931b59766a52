//! The server's own certificate, from the authority in the same process.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use mesh_api::SpiffeId;
use tokio::time::sleep;

use crate::authority::Authority;
use crate::clock;
use crate::issue::{Issue, Issued, Refusal};
use crate::ledger::Ledger;
use crate::secret_key::SecretKey;
use crate::tls::{ServerTls, TlsError};
use crate::tokens::JoinTokens;

/// What a server of the control plane is called.
#[derive(Debug, Clone)]
pub struct ServerName {
    /// Its identity, the URI SAN.
    pub identity: SpiffeId,
    /// Its DNS SANs.
    pub dns_names: Vec<String>,
}

/// Why a server has no certificate.
#[derive(Debug, thiserror::Error)]
pub enum RenewError {
    /// The authority refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

impl ServerName {
    /// Makes a key, has it certified for this name, and presents it. Returns when to do so again:
    /// at half of the certificate's life.
    ///
    /// # Errors
    /// If the authority refuses. What was presented before stays.
    pub fn present(
        &self,
        authority: &Authority,
        tls: &ServerTls,
    ) -> Result<SystemTime, RenewError> {
        let now = clock::now();
        let key = SecretKey::generate().map_err(TlsError::from)?;
        let request = Issue {
            identity: self.identity.clone(),
            csr_der: key.certificate_request().map_err(TlsError::from)?,
            ttl: None,
            dns_names: self.dns_names.clone(),
            binding: None,
        };
        let issued = authority.issue_own(&request, now)?;
        tls.set_certificate(&issued.chain_der, &key)?;
        Ok(half_life(&issued, now))
    }
}

fn half_life(issued: &Issued, now: SystemTime) -> SystemTime {
    now + issued.not_after.duration_since(now).unwrap_or_default() / 2
}

/// Keeps the server's certificate and the authority's intermediate fresh, and follows the
/// authority when it changes: the certificate is of its current material, and clients are checked
/// by its current roots. Runs until dropped. `due` is what [`ServerName::present`] returned.
pub async fn keep_renewed(
    name: ServerName,
    authority: Arc<Authority>,
    tls: ServerTls,
    mut due: SystemTime,
) {
    const LOOK: Duration = Duration::from_secs(60);
    const RETRY: Duration = Duration::from_secs(5);
    let mut changes = authority.changes();
    // It may have changed before.
    changes.mark_changed();
    loop {
        // In short steps: the wall clock may be set, and sleeping does not follow it.
        let left = due.duration_since(clock::now()).unwrap_or_default();
        let changed = match left.is_zero() {
            true => false,
            false => tokio::select! {
                () = sleep(left.min(LOOK)) => continue,
                // The authority, and so its sender, is held here.
                _ = changes.changed() => true,
            },
        };
        if changed && let Err(error) = tls.set_client_roots(&authority.roots_der()) {
            tracing::error!(%error, "the new roots cannot be used to check clients; the old ones stay");
        }
        match authority.renew_intermediate_if_due(clock::now()) {
            Ok(true) => tracing::info!("renewed the authority's intermediate certificate"),
            Ok(false) => {}
            Err(error) => {
                tracing::error!(%error, "cannot renew the authority's intermediate certificate");
            }
        }
        due = match name.present(&authority, &tls) {
            Ok(due) => due.max(clock::now() + Duration::from_millis(500)),
            Err(error) => {
                tracing::error!(%error, "cannot renew the server's certificate; trying again");
                clock::now() + RETRY
            }
        };
    }
}

/// Follows a directory in the layout of Istio's `cacerts`: roots that are new there are trusted at
/// once, and signed by only after a while, when those who renew often have learned of them. Runs
/// until dropped.
pub async fn keep_reloaded(dir: PathBuf, authority: Arc<Authority>) {
    const LOOK: Duration = Duration::from_secs(20);
    let mut told = None;
    loop {
        sleep(LOOK).await;
        match authority.reload(&dir, clock::now()) {
            Ok(changed) => {
                told = None;
                if changed {
                    tracing::info!(dir = %dir.display(), "took over a change of the authority's keys or roots");
                }
            }
            Err(error) => {
                // Once is enough.
                let text = error.to_string();
                if told.as_ref() != Some(&text) {
                    tracing::error!(%error, "the authority's keys cannot be taken over; what was there before serves on");
                    told = Some(text);
                }
            }
        }
    }
}

/// Makes the record of a ledger outlive a power cut, every second. Runs until dropped.
pub async fn keep_synced(ledger: Arc<Ledger>) {
    const EVERY: Duration = Duration::from_secs(1);
    loop {
        sleep(EVERY).await;
        let ledger = Arc::clone(&ledger);
        // It waits for the disk.
        if tokio::task::spawn_blocking(move || ledger.sync())
            .await
            .is_err()
        {
            return;
        }
    }
}

/// Forgets used tokens that have expired, now and then. Runs until dropped.
pub async fn keep_forgetting(tokens: Arc<JoinTokens>) {
    const EVERY: Duration = Duration::from_secs(10 * 60);
    loop {
        sleep(EVERY).await;
        tokens.forget_expired(clock::now());
    }
}
