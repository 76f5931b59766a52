//! Opaque bytes to the application.

use std::rc::Rc;

use mesh_proxy_core::Reason;
use mesh_proxy_core::plan;

use super::Inbound;
use crate::drain::Work;
use crate::net::Stream;
use crate::tls::PeerInfo;
use crate::upstream::{APP_CONNECT, DialError};

impl Inbound {
    /// Authorises the connection and carries its bytes to the application.
    pub(super) async fn tcp(self: Rc<Self>, stream: Stream, peer: Option<Rc<PeerInfo>>) {
        if let Err(reason) = self.tcp_verdict(peer.as_deref()) {
            return self
                .carriage(&stream, peer.as_deref())
                .refuse(stream, reason, "");
        }
        match self.dial().await {
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
        let carriage = self.carriage(&stream, peer.as_deref());
        carriage
            .carry(stream, server, self.denied(peer.as_deref()))
            .await;
    }

    pub(super) fn tcp_verdict(&self, peer: Option<&PeerInfo>) -> Result<(), Reason> {
        let verdict = plan::inbound_tcp(&self.worker.shared.snapshot(), &self.caller(peer));
        if verdict.allowed {
            Ok(())
        } else {
            Err(verdict.reason.unwrap_or(Reason::AuthorizationDenied))
        }
    }

    pub(super) async fn dial(&self) -> Result<Stream, DialError> {
        self.worker
            .upstreams
            .connector()
            .dial_from(self.app.address, self.dialer(), APP_CONNECT)
            .await
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
