//! Keeps the certificate fresh and the roots current.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use mesh_api::ResourceName;
use mesh_proxy_core::Snapshot;
use rand::rngs::StdRng;
use tokio::sync::{mpsc, oneshot, watch};
use tracing::{error, info, warn};

use super::authority::{CaClient, CaError};
use super::{Identity, Publisher, Svid, Trusted, schedule};
use crate::clock;
use crate::control::Store;
use crate::settings::{ControlPlane, Settings};
use crate::telemetry::Stages;

/// Gets the first certificate, renews it before it expires, and follows the roots that the
/// control plane gives. Failing is never final: it tries again with growing pauses, and what
/// is there serves on.
pub struct Manager {
    ca: CaClient,
    state: State,
    epoch: watch::Receiver<u64>,
    rotate: mpsc::Receiver<Reply>,
    stages: Stages,
    rng: StdRng,
}

/// Asks a [`Manager`] to renew at once. Cheap to clone.
#[derive(Clone)]
pub struct RotateHandle {
    requests: mpsc::Sender<Reply>,
}

/// Why a renewal that was asked for failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RotateError {
    /// The authority did not give one.
    #[error("{0}")]
    Failed(String),
    /// The proxy stops.
    #[error("the proxy stops")]
    Stopped,
}

pub(super) type Reply = oneshot::Sender<Result<(), RotateError>>;

/// The certificate in force, and what its identity trusts.
pub(super) struct State {
    publisher: Publisher,
    store: Store,
    svid: Option<Arc<Svid>>,
    // What the published identity trusts, and what says so.
    trusted: Trusted,
    rule: fn(&Snapshot, &Svid) -> Trusted,
    // The roots that the control plane named when the certificate came. As long as it names no
    // others, what the authority named with the certificate counts, too: it may be newer.
    seen: Vec<Vec<u8>>,
    // Which call to renew the certificate answers.
    renewed_for: String,
}

// The wall clock is looked at again at least this often: it may jump, and a sleeping machine's
// timers stand still while certificates age.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);

// === impl RotateHandle ===

impl RotateHandle {
    pub(super) fn channel() -> (Self, mpsc::Receiver<Reply>) {
        let (requests, asked) = mpsc::channel(4);
        (Self { requests }, asked)
    }

    /// Renews now and waits for the result. The old certificate serves until the new one is
    /// there.
    ///
    /// # Errors
    /// [`RotateError`].
    pub async fn rotate(&self) -> Result<(), RotateError> {
        let (reply, answer) = oneshot::channel();
        self.requests
            .send(reply)
            .await
            .map_err(|_| RotateError::Stopped)?;
        answer.await.unwrap_or(Err(RotateError::Stopped))
    }
}

// === impl Manager ===

impl Manager {
    pub(crate) fn new(
        settings: &Arc<Settings>,
        plane: &Arc<ControlPlane>,
        store: Store,
        publisher: Publisher,
        stages: Stages,
    ) -> (Self, RotateHandle) {
        let (handle, rotate) = RotateHandle::channel();
        let manager = Self {
            ca: CaClient::new(Arc::clone(settings), Arc::clone(plane)),
            epoch: store.epoch(),
            state: State::new(publisher, store, trusted),
            rotate,
            stages,
            rng: clock::rng(),
        };
        (manager, handle)
    }

    /// Runs for ever; the caller drops it at the end.
    pub async fn run(mut self) {
        let mut failures = 0;
        let mut waiting: Vec<Reply> = Vec::new();
        loop {
            let result = self.renew().await;
            let next = match &result {
                Ok(()) => {
                    failures = 0;
                    self.after_renewal()
                }
                Err(error) => {
                    failures += 1;
                    self.after_failure(error, failures)
                }
            };
            for reply in waiting.drain(..) {
                // Whoever asked may have gone.
                let _ = reply.send(
                    result
                        .as_ref()
                        .map_err(|e| RotateError::Failed(e.to_string()))
                        .copied(),
                );
            }
            if let Some(reply) = self.wait_until(next).await {
                waiting.push(reply);
            }
        }
    }

    async fn renew(&mut self) -> Result<(), CaError> {
        let Self {
            ca, state, epoch, ..
        } = self;
        let roots = state.learned_roots();
        let call = state.call();
        let mut sign = std::pin::pin!(ca.sign(state.svid.clone(), &roots));
        let svid = loop {
            tokio::select! {
                result = &mut sign => break result?,
                () = changed(epoch) => state.follow_roots(),
            }
        };
        state.publish(svid)?;
        if let Some(call) = call {
            state.renewed_for = call;
        }
        self.stages.renewals.inc();
        Ok(())
    }

    fn after_renewal(&mut self) -> SystemTime {
        let now = clock::wall();
        let Some(svid) = &self.state.svid else {
            return now;
        };
        let mut wait = schedule::renewal(now, svid.not_before, svid.not_after, &mut self.rng);
        if self.state.call().is_some() {
            wait = wait.min(schedule::called(&mut self.rng));
        }
        self.stages
            .certificate_expiry
            .set(clock::unix_seconds(svid.not_after));
        let valid_for = svid.not_after.duration_since(now).unwrap_or_default();
        info!(identity = %svid.id, serial = %svid.serial, ?valid_for, renewal_in = ?wait, "certificate received");
        now + wait
    }

    fn after_failure(&mut self, error: &CaError, failures: u32) -> SystemTime {
        self.stages.renewal_failures.inc();
        let asked = error.retry_after().unwrap_or_default();
        let wait = asked + schedule::retry(failures, &mut self.rng);
        let expires_in = self.state.svid.as_ref().map(|s| {
            s.not_after
                .duration_since(clock::wall())
                .unwrap_or_default()
        });
        match expires_in {
            None => warn!(%error, failures, retry_in = ?wait, "no certificate yet"),
            Some(Duration::ZERO) => {
                error!(%error, failures, retry_in = ?wait, "the certificate has expired and cannot be renewed");
            }
            Some(left) => {
                warn!(%error, failures, retry_in = ?wait, expires_in = ?left, "cannot renew the certificate");
            }
        }
        clock::wall() + wait
    }

    // Returns the request if one came before.
    async fn wait_until(&mut self, mut deadline: SystemTime) -> Option<Reply> {
        let mut called = self.state.call();
        loop {
            let left = deadline.duration_since(clock::wall()).unwrap_or_default();
            if left.is_zero() {
                return None;
            }
            tokio::select! {
                () = tokio::time::sleep(left.min(LONGEST_SLEEP)) => {}
                Some(reply) = self.rotate.recv() => return Some(reply),
                () = changed(&mut self.epoch) => {
                    self.state.follow_roots();
                    let call = self.state.call();
                    if call.is_some() && call != called {
                        info!("the control plane asks for a new certificate");
                        deadline = deadline.min(clock::wall() + schedule::called(&mut self.rng));
                    }
                    called = call;
                }
            }
        }
    }
}

// A store without writer changes no more.
pub(super) async fn changed(epoch: &mut watch::Receiver<u64>) {
    if epoch.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

// === impl State ===

impl State {
    pub(super) fn new(
        publisher: Publisher,
        store: Store,
        rule: fn(&Snapshot, &Svid) -> Trusted,
    ) -> Self {
        Self {
            publisher,
            store,
            svid: None,
            trusted: Default::default(),
            rule,
            seen: Vec::new(),
            renewed_for: String::new(),
        }
    }

    pub(super) fn publish(&mut self, svid: Svid) -> Result<(), rustls::Error> {
        let svid = Arc::new(svid);
        self.seen.clone_from(&self.store.load().mesh().roots_der);
        let trusted = self.trusted_with(&svid);
        self.publisher
            .publish(Identity::new(Arc::clone(&svid), trusted.clone())?);
        self.svid = Some(svid);
        self.trusted = trusted;
        Ok(())
    }

    // New configurations for the same certificate, if the roots or trust domains have changed.
    pub(super) fn follow_roots(&mut self) {
        let Some(svid) = &self.svid else { return };
        let trusted = self.trusted_with(svid);
        if trusted == self.trusted {
            return;
        }
        match Identity::new(Arc::clone(svid), trusted.clone()) {
            Ok(identity) => {
                info!(roots = trusted.roots_der.len(), domains = ?trusted.domains, federated = trusted.federated.len(), "the roots or trust domains have changed");
                self.publisher.publish(identity);
                self.trusted = trusted;
            }
            Err(error) => error!(%error, "the new roots cannot be used; the old ones stay"),
        }
    }

    fn trusted_with(&self, svid: &Svid) -> Trusted {
        let snapshot = self.store.load();
        let mut trusted = (self.rule)(&snapshot, svid);
        if snapshot.mesh().roots_der == self.seen {
            for root in &svid.roots_der {
                if !trusted.roots_der.contains(root) {
                    trusted.roots_der.push(root.clone());
                }
            }
        }
        trusted
    }

    // The control plane's call to renew at once, if it was not followed yet.
    fn call(&self) -> Option<String> {
        let call = self.store.load().mesh().renew_certificates.clone();
        (!call.is_empty() && call != self.renewed_for).then_some(call)
    }

    // Whatever the authority or the control plane has named so far: they may be certified by a
    // new root already.
    fn learned_roots(&self) -> Vec<Vec<u8>> {
        let mut roots = self.store.load().mesh().roots_der.clone();
        roots.extend(self.svid.iter().flat_map(|svid| svid.roots_der.clone()));
        roots
    }
}

// Peers are checked against what the control plane says; before it has said anything, against
// what the authority said.
fn trusted(snapshot: &Snapshot, svid: &Svid) -> Trusted {
    let mesh = snapshot.mesh();
    let known = snapshot.holds(&ResourceName::Mesh);
    let roots = if known && !mesh.roots_der.is_empty() {
        mesh.roots_der.clone()
    } else {
        svid.roots_der.clone()
    };
    Trusted {
        roots_der: roots,
        ..named(snapshot, svid)
    }
}

/// All but the roots.
pub(super) fn named(snapshot: &Snapshot, svid: &Svid) -> Trusted {
    Trusted {
        roots_der: Vec::new(),
        domains: domains(snapshot, svid),
        federated: snapshot.mesh().federated.clone(),
        crls_der: snapshot.mesh().crls_der.clone(),
    }
}

fn domains(snapshot: &Snapshot, svid: &Svid) -> Vec<String> {
    if snapshot.holds(&ResourceName::Mesh) {
        snapshot.mesh().domains().map(str::to_owned).collect()
    } else {
        vec![svid.id.trust_domain().to_owned()]
    }
}
