//! Tokens for the application: JWT-SVIDs of the workload's identity, for whom it asks for.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::Mutex as AsyncMutex;
use tracing::warn;
use zeroize::Zeroizing;

use super::authority::{CaClient, CaError};
use super::{Identity, IdentityHandle};
use crate::clock;

/// Audiences whose tokens are kept.
const MOST_KEPT: usize = 256;
/// A token with less left is of no use to anybody.
const LEAST: Duration = Duration::from_secs(5);

/// Gets tokens by the proxy's own certificate, and keeps them until half of their life is over.
pub(crate) struct AppTokens {
    ca: CaClient,
    own: IdentityHandle,
    kept: Mutex<HashMap<Wanted, Place>>,
}

/// A token.
pub(crate) struct AppToken {
    /// Whom it names.
    pub(crate) id: String,
    /// In compact form.
    pub(crate) text: Zeroizing<String>,
    renew_at: SystemTime,
    not_after: SystemTime,
}

/// Whose token, and for whom, in order.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Wanted {
    id: String,
    audience: Vec<String>,
}

// Held while one is asked for, so that many who want the same one ask once.
type Place = Arc<AsyncMutex<Option<Arc<AppToken>>>>;

// === impl AppTokens ===

impl AppTokens {
    pub(super) fn new(ca: CaClient, own: IdentityHandle) -> Self {
        Self {
            ca,
            own,
            kept: Mutex::default(),
        }
    }

    /// Whom tokens name; `None` if the proxy ends.
    pub(super) async fn own_id(&self) -> Option<String> {
        let own = self.own.wait().await?;
        Some(own.id().to_string())
    }

    /// A token of the workload for an audience; `None` if the proxy ends. While the authority
    /// does not answer, one that is older, as long as it is good.
    ///
    /// # Errors
    /// If the authority gives none.
    pub(crate) async fn get(
        &self,
        mut audience: Vec<String>,
    ) -> Result<Option<Arc<AppToken>>, CaError> {
        let Some(own) = self.own.wait().await else {
            return Ok(None);
        };
        audience.sort();
        audience.dedup();
        let wanted = Wanted {
            id: own.id().to_string(),
            audience,
        };
        let place = self.place(&wanted);
        let mut place = place.lock().await;
        let now = clock::wall();
        if let Some(token) = place.as_ref().filter(|token| now < token.renew_at) {
            return Ok(Some(Arc::clone(token)));
        }
        match self.ask(&own, wanted.audience).await {
            Ok(token) => {
                let token = Arc::new(token);
                *place = Some(Arc::clone(&token));
                Ok(Some(token))
            }
            Err(error) => match place.as_ref().filter(|token| token.is_good(now)) {
                Some(token) => {
                    warn!(%error, "no new token for the application; the last one is still good");
                    Ok(Some(Arc::clone(token)))
                }
                None => Err(error),
            },
        }
    }

    async fn ask(&self, own: &Identity, audience: Vec<String>) -> Result<AppToken, CaError> {
        let answer = self
            .ca
            .sign_jwt(own.svid(), own.roots_der(), audience)
            .await?;
        let begun = clock::from_unix_seconds(answer.not_before);
        let not_after = clock::from_unix_seconds(answer.not_after);
        let life = not_after.duration_since(begun).unwrap_or_default();
        Ok(AppToken {
            id: answer.identity,
            text: Zeroizing::new(answer.token),
            // By our clock: the authority's may be another.
            renew_at: clock::wall() + life / 2,
            not_after,
        })
    }

    fn place(&self, wanted: &Wanted) -> Place {
        let mut kept = self.kept();
        if kept.len() >= MOST_KEPT && !kept.contains_key(wanted) {
            let now = clock::wall();
            // Whoever waits at a place keeps it.
            kept.retain(|_, place| {
                let stays = |token: &Arc<AppToken>| token.is_good(now);
                place
                    .try_lock()
                    .map_or(true, |token| token.as_ref().is_some_and(stays))
            });
            if kept.len() >= MOST_KEPT {
                kept.clear();
            }
        }
        Arc::clone(kept.entry(wanted.clone()).or_default())
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<Wanted, Place>> {
        // What is in there is whole after every statement.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl AppToken ===

impl AppToken {
    fn is_good(&self, now: SystemTime) -> bool {
        now + LEAST < self.not_after
    }
}

// No token in any output.
impl std::fmt::Debug for AppTokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AppTokens").finish_non_exhaustive()
    }
}
