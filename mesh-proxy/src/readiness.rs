//! Whether the proxy serves.

use std::fmt;

use http::StatusCode;
use mesh_api::ResourceName;
use tokio::sync::watch;

use crate::control::Store;
use crate::drain::Drain;
use crate::identity::IdentityHandle;
use crate::settings::{Provider, ProxyKind, Settings};

/// Answers whether the proxy serves: it has a certificate (unless it was started without one) and
/// a first configuration, a gateway's ports of that are open, and it does not drain. Cheap to
/// clone.
#[derive(Clone)]
pub struct Readiness {
    kind: ProxyKind,
    certified: bool,
    store: Store,
    identity: IdentityHandle,
    drain: Drain,
    open_ports: OpenPorts,
}

/// On how many of its workers a gateway has opened the ports of its first configuration. Cheap to
/// clone.
#[derive(Clone, Debug)]
pub struct OpenPorts {
    workers: usize,
    open: watch::Sender<usize>,
}

/// What keeps the proxy from serving.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// No certificate yet.
    Certificate,
    /// No configuration yet.
    Configuration,
    /// A gateway's ports are not open yet.
    Listeners,
    /// It drains.
    Draining,
}

// === impl Readiness ===

impl Readiness {
    pub(crate) fn new(
        settings: &Settings,
        store: Store,
        identity: IdentityHandle,
        drain: Drain,
    ) -> Self {
        let certified = match &settings.provider {
            Provider::ControlPlane(_) => true,
            Provider::Files(files) => files.identity.is_some(),
        };
        Self {
            kind: settings.kind,
            certified,
            store,
            identity,
            drain,
            open_ports: OpenPorts::new(settings.concurrency.get()),
        }
    }

    /// Where workers tell that their ports are open.
    pub(crate) fn open_ports(&self) -> &OpenPorts {
        &self.open_ports
    }

    /// What is missing; nothing if the proxy is ready.
    pub fn missing(&self) -> Vec<Missing> {
        let snapshot = self.store.load();
        let own = match self.kind {
            ProxyKind::Sidecar => ResourceName::Inbound,
            ProxyKind::Gateway => ResourceName::Gateway,
        };
        let configured = snapshot.holds(&ResourceName::Mesh) && snapshot.holds(&own);
        let checks = [
            (
                !self.certified || self.identity.current().is_some(),
                Missing::Certificate,
            ),
            (configured, Missing::Configuration),
            (
                self.kind == ProxyKind::Sidecar || self.open_ports.is_complete(),
                Missing::Listeners,
            ),
            (!self.drain.is_draining(), Missing::Draining),
        ];
        checks
            .into_iter()
            .filter(|(there, _)| !there)
            .map(|(_, missing)| missing)
            .collect()
    }

    /// Whether the proxy serves.
    pub fn is_ready(&self) -> bool {
        self.missing().is_empty()
    }

    /// The answer to whoever asks over HTTP.
    pub(crate) fn report(&self) -> (StatusCode, String) {
        let missing = self.missing();
        if missing.is_empty() {
            return (StatusCode::OK, "ready\n".to_owned());
        }
        let reasons: Vec<_> = missing.iter().map(ToString::to_string).collect();
        (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("not ready: {}\n", reasons.join(", ")),
        )
    }

    /// Waits until the proxy serves. Never returns if it stops before.
    pub async fn wait(&self) {
        self.wait_for(<[Missing]>::is_empty).await;
    }

    /// Waits until the proxy has all that it needs to begin to serve. Never returns if it stops
    /// before.
    pub(crate) async fn wait_to_begin(&self) {
        let begins = |missing: &[Missing]| missing.iter().all(|one| *one == Missing::Listeners);
        self.wait_for(begins).await;
    }

    async fn wait_for(&self, enough: impl Fn(&[Missing]) -> bool) {
        let mut epoch = self.store.epoch();
        let mut generation = self.identity.generation();
        let mut opened = self.open_ports.open.subscribe();
        while !enough(&self.missing()) {
            tokio::select! {
                () = changed(&mut epoch) => {}
                () = changed(&mut generation) => {}
                () = changed(&mut opened) => {}
            }
        }
    }
}

// === impl OpenPorts ===

impl OpenPorts {
    /// On none of so many workers yet.
    pub fn new(workers: usize) -> Self {
        Self {
            workers,
            open: watch::Sender::new(0),
        }
    }

    /// One more worker has opened its ports.
    pub(crate) fn opened(&self) {
        self.open.send_modify(|open| *open += 1);
    }

    fn is_complete(&self) -> bool {
        *self.open.borrow() >= self.workers
    }
}

async fn changed<T>(receiver: &mut watch::Receiver<T>) {
    if receiver.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Certificate => "no certificate yet",
            Self::Configuration => "no configuration yet",
            Self::Listeners => "ports are not open yet",
            Self::Draining => "draining",
        })
    }
}
