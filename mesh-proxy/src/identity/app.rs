//! A certificate for the application itself, with a key of its own: the proxy's key is never
//! given away.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use mesh_api::SpiffeId;
use rand::rngs::StdRng;
use tokio::sync::{Notify, watch};
use tracing::{info, warn};
use zeroize::Zeroizing;

use super::authority::CaClient;
use super::jwt::AppTokens;
use super::{IdentityHandle, schedule};
use crate::clock;
use crate::control::Store;
use crate::settings::{ControlPlane, Settings};

/// The application's certificate and key.
pub struct AppSvid {
    /// The workload's identity.
    pub id: SpiffeId,
    /// The certificate, then intermediates, DER.
    pub chain_der: Vec<Vec<u8>>,
    /// The private key, PKCS#8 DER.
    pub key_der: Zeroizing<Vec<u8>>,
    /// Serial number of the certificate, hexadecimal.
    pub serial: String,
    /// When it expires.
    pub not_after: SystemTime,
    not_before: SystemTime,
}

/// Who wants the application's certificate asks here. It is issued when the first one asks, and
/// renewed as long as anybody wants it. Cheap to clone.
#[derive(Clone)]
pub struct AppIdentity {
    current: Arc<watch::Sender<Option<Arc<AppSvid>>>>,
    wanted: Arc<Notify>,
    tokens: Arc<AppTokens>,
    store: Store,
}

/// Keeps the application's certificate fresh.
pub(crate) struct AppManager {
    ca: CaClient,
    own: IdentityHandle,
    app: AppIdentity,
    rng: StdRng,
}

// The wall clock is looked at again at least this often.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);

// No key in any output.
impl std::fmt::Debug for AppSvid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AppSvid")
            .field("id", &self.id)
            .field("serial", &self.serial)
            .finish_non_exhaustive()
    }
}

// === impl AppIdentity ===

impl AppIdentity {
    /// The certificate, once there is one, and those that follow it.
    pub fn subscribe(&self) -> watch::Receiver<Option<Arc<AppSvid>>> {
        let receiver = self.current.subscribe();
        self.wanted.notify_one();
        receiver
    }

    /// Whom it names; `None` if the proxy ends.
    pub(crate) async fn own_id(&self) -> Option<String> {
        self.tokens.own_id().await
    }

    /// Tokens of the same identity.
    pub(crate) fn tokens(&self) -> &AppTokens {
        &self.tokens
    }

    /// What the control plane says, trust domains and their keys among it.
    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    fn is_wanted(&self) -> bool {
        self.current.receiver_count() > 0
    }
}

// === impl AppManager ===

impl AppManager {
    pub(crate) fn new(
        settings: &Arc<Settings>,
        plane: &Arc<ControlPlane>,
        own: IdentityHandle,
        store: Store,
    ) -> (Self, AppIdentity) {
        let client = CaClient::new(Arc::clone(settings), Arc::clone(plane));
        let app = AppIdentity {
            current: Arc::new(watch::Sender::new(None)),
            wanted: Arc::default(),
            tokens: Arc::new(AppTokens::new(client, own.clone())),
            store,
        };
        let manager = Self {
            ca: CaClient::exporting(Arc::clone(settings), Arc::clone(plane)),
            own,
            app: app.clone(),
            rng: clock::rng(),
        };
        (manager, app)
    }

    /// Runs for ever; the caller drops it at the end.
    pub(crate) async fn run(mut self) {
        let mut failures = 0;
        loop {
            if !self.app.is_wanted() {
                // Nobody needs to keep a key that nobody wants.
                self.app.current.send_replace(None);
                self.app.wanted.notified().await;
                continue;
            }
            match self.renewal() {
                Some(wait) => tokio::time::sleep(wait.min(LONGEST_SLEEP)).await,
                None => match self.issue().await {
                    Ok(()) => failures = 0,
                    Err(error) => {
                        failures += 1;
                        let wait = schedule::retry(failures, &mut self.rng);
                        warn!(%error, ?wait, "no certificate for the application; trying again");
                        tokio::time::sleep(wait).await;
                    }
                },
            }
        }
    }

    // Time until the certificate has to be renewed; `None` if it is now.
    fn renewal(&self) -> Option<Duration> {
        let current = self.app.current.borrow();
        let svid = current.as_ref()?;
        // Of half of its life; the time at which it was asked for was chance enough.
        let life = svid.not_after.duration_since(svid.not_before).ok()?;
        let at = svid.not_before + life / 2;
        let wait = at.duration_since(clock::wall()).ok()?;
        (!wait.is_zero()).then_some(wait)
    }

    async fn issue(&mut self) -> Result<(), super::CaError> {
        let Some(own) = self.own.wait().await else {
            return std::future::pending().await;
        };
        let mut svid = self
            .ca
            .sign(Some(Arc::clone(own.svid())), own.roots_der())
            .await?;
        let Some(key_der) = svid.exported.take() else {
            return std::future::pending().await;
        };
        info!(id = %svid.id, serial = svid.serial, "certificate for the application");
        let chain = svid.key.cert.iter().map(|one| one.to_vec());
        let issued = AppSvid {
            chain_der: chain.collect(),
            key_der,
            serial: svid.serial,
            not_before: svid.not_before,
            not_after: svid.not_after,
            id: svid.id,
        };
        self.app.current.send_replace(Some(Arc::new(issued)));
        Ok(())
    }
}
