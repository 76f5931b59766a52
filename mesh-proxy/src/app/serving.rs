//! The data workers, from their start to the end of the drain.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::RunError;
use crate::control::Store;
use crate::drain::DrainSignal;
use crate::identity::IdentityHandle;
use crate::runtime::{Listeners, Workers};
use crate::settings::Settings;
use crate::shared::{Shared, client_info};
use crate::telemetry::Telemetry;
use crate::tls::{GatewayTls, Originator};

/// What the data workers are made of.
pub(super) struct Serving {
    pub(super) settings: Arc<Settings>,
    pub(super) store: Store,
    pub(super) identity: IdentityHandle,
    pub(super) telemetry: Telemetry,
    pub(super) drain: DrainSignal,
    pub(super) quit: CancellationToken,
    pub(super) listeners: Vec<Listeners>,
}

// Nothing runs any more, and whoever has not heard of the drain had the time to. Then the
// listeners close, and what they had taken by then is served to its end.
async fn quiet(drain: &DrainSignal, minimum: Duration) {
    tokio::time::sleep(minimum.max(crate::worker::DRAIN_GRACE)).await;
    drain.idle().await;
    drain.end();
    drain.deaf().await;
    drain.idle().await;
}

// === impl Serving ===

impl Serving {
    /// Runs them to their end.
    pub(super) async fn run(self) -> Result<(), RunError> {
        // The kernel queues connections until then. Without a certificate little can be served,
        // but that little (plain text, a cached snapshot) is not held back for ever.
        let first = tokio::time::timeout(self.settings.need_timeout, self.identity.wait());
        let identity = tokio::select! {
            first = first => first.ok().flatten(),
            () = self.quit.cancelled() => return Ok(()),
        };
        let client = client_info(&self.settings, identity.as_deref(), &self.store.load());
        let shared = Arc::new(Shared {
            store: self.store,
            identity: self.identity,
            originator: Originator::default(),
            gateway_tls: GatewayTls::default(),
            drain: self.drain.subscribe(),
            settings: Arc::clone(&self.settings),
            telemetry: self.telemetry,
            limits: Arc::default(),
            client: Arc::new(client),
        });
        let mut workers = Workers::start(&shared, self.listeners)?;
        let result = tokio::select! {
            () = self.quit.cancelled() => Ok(()),
            () = workers.any_ended() => {
                if shared.drain.is_draining() { Ok(()) } else { Err(RunError::Worker) }
            }
        };
        self.drain.start();
        info!(deadline = ?self.settings.drain, running = %self.drain.running(), "draining");
        tokio::select! {
            () = workers.all_ended() => {}
            // Then only connections to endpoints are left that carry nothing.
            () = quiet(&self.drain, self.settings.drain_minimum) => {}
            () = shared.drain.closed() => warn!(cut = %self.drain.running(), "ended at once"),
            () = tokio::time::sleep(self.settings.drain.max(self.settings.drain_minimum)) => {
                warn!(cut = %self.drain.running(), "the time to drain is over");
            }
        }
        self.drain.close();
        workers.all_ended().await;
        workers.join();
        result
    }
}
