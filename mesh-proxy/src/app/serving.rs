//! The data workers, from their start to the end of the drain.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::RunError;
use crate::admission::Admission;
use crate::control::Store;
use crate::drain::DrainSignal;
use crate::hand_over::{Offered, Predecessor, Sockets};
use crate::identity::IdentityHandle;
use crate::readiness::OpenPorts;
use crate::runtime::{Listening, Workers};
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
    pub(super) sockets: Sockets,
    pub(super) listening: Listening,
    pub(super) open_ports: OpenPorts,
    /// Serves until the workers run.
    pub(super) started: Option<Predecessor>,
}

// Nothing runs any more, and whoever has not heard of the drain had the time to; or callers never
// cease to come, and the time is nearly over. Then the listeners close, and what they had taken by
// then is served to its end.
async fn quiet(drain: &DrainSignal, (minimum, most): (Duration, Duration), offered: Vec<Offered>) {
    let last = most.saturating_sub(most / 4);
    let idle = async {
        tokio::time::sleep(minimum.max(crate::worker::DRAIN_GRACE)).await;
        drain.idle().await;
    };
    // Either is a reason.
    let _ = tokio::time::timeout(last.max(minimum), idle).await;
    // Copies would keep them open.
    drop(offered);
    drain.end();
    drain.deaf().await;
    drain.idle().await;
}

// Nobody waits for the end of a process that was replaced, unless he says so.
async fn deadline(shared: &Shared, quit: &CancellationToken) {
    let settings = &shared.settings;
    if shared.drain.is_replaced() {
        tokio::select! {
            () = tokio::time::sleep(settings.replaced_drain) => return,
            () = quit.cancelled() => {}
        }
    }
    tokio::time::sleep(settings.drain.max(settings.drain_minimum)).await;
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
            sockets: self.sockets,
            settings: Arc::clone(&self.settings),
            telemetry: self.telemetry,
            limits: Arc::default(),
            admission: Admission::default(),
            health: Arc::default(),
            open_ports: self.open_ports,
            client: Arc::new(client),
        });
        let mut workers = Workers::start(&shared, self.listening.workers)?;
        if let Some(predecessor) = self.started {
            predecessor.release().await;
        }
        let result = tokio::select! {
            () = self.quit.cancelled() => Ok(()),
            () = shared.drain.replaced() => Ok(()),
            () = workers.any_ended() => {
                if shared.drain.is_draining() { Ok(()) } else { Err(RunError::Worker) }
            }
        };
        self.drain.start();
        let times = if shared.drain.is_replaced() {
            (Duration::ZERO, self.settings.replaced_drain)
        } else {
            (self.settings.drain_minimum, self.settings.drain)
        };
        info!(replaced = shared.drain.is_replaced(), running = %self.drain.running(), "draining");
        tokio::select! {
            () = workers.all_ended() => {}
            // Then only connections to endpoints are left that carry nothing.
            () = quiet(&self.drain, times, self.listening.offered) => {}
            () = shared.drain.closed() => warn!(cut = %self.drain.running(), "ended at once"),
            () = deadline(&shared, &self.quit) => {
                warn!(cut = %self.drain.running(), "the time to drain is over");
            }
        }
        self.drain.close();
        workers.all_ended().await;
        workers.join();
        result
    }
}
