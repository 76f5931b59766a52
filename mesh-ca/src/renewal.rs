//! The server's own certificate, from the authority in the same process.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use mesh_api::SpiffeId;
use tokio::time::sleep;

use crate::authority::Authority;
use crate::clock;
use crate::issue::{Issue, Issued, Refusal};
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
        };
        let issued = authority.issue(&request, now)?;
        tls.set_certificate(&issued.chain_der, &key)?;
        Ok(half_life(&issued, now))
    }
}

fn half_life(issued: &Issued, now: SystemTime) -> SystemTime {
    now + issued.not_after.duration_since(now).unwrap_or_default() / 2
}

/// Keeps the server's certificate and the authority's intermediate fresh. Runs until dropped.
/// `due` is what [`ServerName::present`] returned.
pub async fn keep_renewed(
    name: ServerName,
    authority: Arc<Authority>,
    tls: ServerTls,
    mut due: SystemTime,
) {
    const LOOK: Duration = Duration::from_secs(60);
    const RETRY: Duration = Duration::from_secs(5);
    loop {
        // In short steps: the wall clock may be set, and sleeping does not follow it.
        let left = due.duration_since(clock::now()).unwrap_or_default();
        if !left.is_zero() {
            sleep(left.min(LOOK)).await;
            continue;
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

/// Forgets used tokens that have expired, now and then. Runs until dropped.
pub async fn keep_forgetting(tokens: Arc<JoinTokens>) {
    const EVERY: Duration = Duration::from_secs(10 * 60);
    loop {
        sleep(EVERY).await;
        tokens.forget_expired(clock::now());
    }
}
