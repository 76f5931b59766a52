//! Opaque bytes to the application.

use std::rc::Rc;

use mesh_proxy_core::Reason;

use super::Inbound;
use crate::authz::Side;
use crate::drain::Work;
use crate::net::{RelayLimits, Stream};
use crate::tls::PeerInfo;
use crate::upstream::{DialError, LIMITS};

impl Inbound {
    /// Authorises the connection and carries its bytes to the application.
    pub(super) async fn tcp(self: Rc<Self>, stream: Stream, peer: Option<Rc<PeerInfo>>) {
        if let Err(reason) = self.tcp_verdict(peer.as_deref()) {
            return self
                .carriage(&stream, peer.as_deref())
                .refuse(stream, reason, "");
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

    /// Carries bytes to the application for as long as the caller may.
    pub(super) async fn carry(
        self: Rc<Self>,
        stream: Stream,
        server: Stream,
        peer: Option<Rc<PeerInfo>>,
    ) {
        let _hold = self.worker.hold(Work::Tcp);
        let mut carriage = self.carriage(&stream, peer.as_deref());
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
                reason = self.denied(peer.as_deref()) => reason,
                reason = too_old => reason,
            }
        };
        carriage.carry(stream, server, cut).await;
    }

    pub(super) fn tcp_verdict(&self, peer: Option<&PeerInfo>) -> Result<(), Reason> {
        let verdict = Side::Sidecar.decide_tcp(&self.worker.shared.snapshot(), &self.caller(peer));
        if verdict.allowed {
            Ok(())
        } else {
            Err(verdict.reason.unwrap_or(Reason::AuthorizationDenied))
        }
    }

    pub(super) async fn dial(&self) -> Result<Stream, DialError> {
        self.app.dial(&self.worker).await
    }

    // Resolves when a new configuration denies what an older one allowed.
    async fn denied(&self, peer: Option<&PeerInfo>) -> Reason {
        let mut epoch = self.worker.shared.epoch();
        while epoch.changed().await.is_ok() {
            if let Err(reason) = self.tcp_verdict(peer) {
                return reason;
            }
        }
        std::future::pending().await
    }
}
