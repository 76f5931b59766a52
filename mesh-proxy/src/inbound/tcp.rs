//! Opaque bytes to the application.

use std::rc::Rc;

use mesh_proxy_core::Reason;

use super::Inbound;
use crate::authz::{Decision, Side, TcpVerdict};
use crate::drain::Work;
use crate::net::{RelayLimits, Stream};
use crate::tls::PeerInfo;
use crate::upstream::{DialError, LIMITS};

impl Inbound {
    /// Authorises the connection and carries its bytes to the application.
    pub(super) async fn tcp(self: Rc<Self>, stream: Stream, peer: Option<Rc<PeerInfo>>) {
        if let Err(reason) = self.tcp_verdict(peer.as_deref()).allowed() {
            return self.deny(stream, peer.as_deref(), reason);
        }
        match Box::pin(self.dial()).await {
            Ok(server) => self.carry(stream, server, peer).await,
            Err(error) => {
                self.carriage(&stream, peer.as_deref()).refuse(
                    stream,
                    error.reason(),
                    &error.to_string(),
                );
            }
        }
    }

    /// Refuses what policies deny, and tells which.
    pub(super) fn deny(&self, stream: Stream, peer: Option<&PeerInfo>, reason: Reason) {
        let carriage = self.carriage(&stream, peer);
        let decision = self.tcp_verdict(peer).counted(&self.worker);
        carriage.decision.set(decision);
        carriage.refuse(stream, reason, "");
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
        decision.set(self.tcp_verdict(peer.as_deref()).counted(&self.worker));
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
        let cut = async {
            tokio::select! {
                (reason, by) = self.denied(peer.as_deref()) => {
                    decision.set(by);
                    reason
                }
                reason = too_old => reason,
            }
        };
        carriage.carry(stream, server, cut).await;
    }

    pub(super) fn tcp_verdict(&self, peer: Option<&PeerInfo>) -> TcpVerdict {
        Side::Sidecar.decide_tcp(&self.worker.shared.snapshot(), &self.caller(peer))
    }

    /// Opens a connection to the application, or takes the one that is there already.
    pub(super) async fn dial(&self) -> Result<Stream, DialError> {
        if let Some(spare) = self.spare.take() {
            return Ok(*spare);
        }
        self.app.dial(&self.worker).await
    }

    // Resolves when a new configuration denies what an older one allowed.
    async fn denied(&self, peer: Option<&PeerInfo>) -> (Reason, Option<Box<Decision>>) {
        let mut epoch = self.worker.shared.epoch();
        while epoch.changed().await.is_ok() {
            let verdict = self.tcp_verdict(peer);
            if let Err(reason) = verdict.allowed() {
                return (reason, verdict.counted(&self.worker));
            }
        }
        std::future::pending().await
    }
}
