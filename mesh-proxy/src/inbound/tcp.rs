//! Opaque bytes to the application.

use std::rc::Rc;

use mesh_proxy_core::ir::MtlsMode;
use mesh_proxy_core::{Reason, plan};

use super::{Inbound, trusts};
use crate::authz::{Asker, Decision, Side, TcpVerdict};
use crate::drain::Work;
use crate::net::{RelayLimits, Stream};
use crate::tls::PeerInfo;
use crate::upstream::{DialError, LIMITS};

/// Why a caller does not meet the application.
pub(super) enum Unmet {
    /// Policies or authorizers refuse.
    Refused(Reason, TcpVerdict),
    /// The application cannot be reached.
    Dial(DialError),
}

// === impl Unmet ===

impl Unmet {
    pub(super) fn reason(&self) -> Reason {
        match self {
            Self::Refused(reason, _) => *reason,
            Self::Dial(error) => error.reason(),
        }
    }
}

// === impl Inbound ===

impl Inbound {
    /// Authorises the connection and carries its bytes to the application.
    pub(super) async fn tcp(self: Rc<Self>, stream: Stream, peer: Option<Rc<PeerInfo>>) {
        match Box::pin(self.meet(peer.as_deref())).await {
            Ok(server) => self.carry(stream, server, peer).await,
            Err(unmet) => self.turn_away(stream, peer.as_deref(), unmet),
        }
    }

    /// Opens a connection to the application for a caller of opaque bytes, or takes the one that
    /// is there already, if the caller may.
    pub(super) async fn meet(&self, peer: Option<&PeerInfo>) -> Result<Stream, Unmet> {
        let verdict = self.asker_tcp(peer).check_tcp(&self.passed).await;
        if let Err(reason) = verdict.allowed() {
            return Err(Unmet::Refused(reason, verdict));
        }
        if let Some(spare) = self.spare.take() {
            return Ok(*spare);
        }
        let dialed = Box::pin(self.app.dial(&self.worker)).await;
        dialed.map_err(Unmet::Dial)
    }

    /// Refuses a connection, and tells why.
    pub(super) fn turn_away(&self, stream: Stream, peer: Option<&PeerInfo>, unmet: Unmet) {
        let carriage = self.carriage(&stream, peer);
        match unmet {
            Unmet::Refused(reason, verdict) => {
                let decision = verdict.counted(&self.worker, &self.passed);
                carriage.decision.set(decision);
                carriage.refuse(stream, reason, "");
            }
            Unmet::Dial(error) => carriage.refuse(stream, error.reason(), &error.to_string()),
        }
    }

    /// Carries bytes to the application for as long as the caller may.
    pub(super) async fn carry(
        self: Rc<Self>,
        stream: Stream,
        server: Stream,
        peer: Option<Rc<PeerInfo>>,
    ) {
        let _hold = self.worker.hold(Work::Tcp);
        let mut carriage = self.carriage(&stream, peer.as_deref());
        let decision = Rc::clone(&carriage.decision);
        let verdict = self.tcp_verdict(peer.as_deref());
        decision.set(verdict.counted(&self.worker, &self.passed));
        let settings = self.app.settings();
        if let Some(idle) = settings.tcp_idle_timeout {
            carriage.limits = RelayLimits { idle, ..LIMITS };
        }
        let too_old = async {
            match settings.max_connection_duration {
                Some(age) => tokio::time::sleep(age).await,
                None => std::future::pending().await,
            }
            Reason::MaxConnectionDuration
        };
        let cut = Box::pin(async {
            tokio::select! {
                (reason, by) = self.denied(peer.as_deref()) => {
                    if let Some(by) = by {
                        decision.set(Some(by));
                    }
                    reason
                }
                reason = too_old => reason,
            }
        });
        carriage.carry(stream, server, cut).await;
    }

    /// What is known without asking anybody.
    pub(super) fn tcp_verdict(&self, peer: Option<&PeerInfo>) -> TcpVerdict {
        let snapshot = self.worker.shared.snapshot();
        Side::Sidecar.decide_tcp(&snapshot, &self.caller(peer), &self.passed)
    }

    fn asker_tcp<'a>(&'a self, peer: Option<&'a PeerInfo>) -> Asker<'a> {
        Asker {
            worker: &self.worker,
            side: Side::Sidecar,
            caller: self.caller(peer),
            remote: self.remote,
            scheme: "",
        }
    }

    // Resolves when a configuration denies what an older one allowed: also one that has come since
    // the connection was let in.
    async fn denied(&self, peer: Option<&PeerInfo>) -> (Reason, Option<Box<Decision>>) {
        let mut epoch = self.worker.shared.epoch();
        loop {
            let asker = self.asker_tcp(peer);
            let verdict = Box::pin(asker.check_tcp(&self.passed)).await;
            if let Err(reason) = verdict.allowed() {
                return (reason, verdict.counted(&self.worker, &self.passed));
            }
            if peer.is_none() && self.wants_mutual_tls() {
                return (Reason::PlaintextRefused, None);
            }
            if !trusts(&self.worker.shared.snapshot(), peer) {
                return (Reason::TlsSettingsChanged, None);
            }
            if epoch.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }

    fn wants_mutual_tls(&self) -> bool {
        let snapshot = self.worker.shared.snapshot();
        let port = plan::inbound_connection(&snapshot, self.destination.port());
        port.is_some_and(|port| port.mtls == MtlsMode::Strict)
    }
}
