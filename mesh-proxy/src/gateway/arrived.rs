//! A connection that reached the gateway.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use http::HeaderValue;
use mesh_api::SpiffeId;
use mesh_proxy_core::authz::Caller;
use mesh_proxy_core::ir::{
    ClientAuth, GatewayTopology, ListenerId, ServerCertificate, TlsTermination,
};
use mesh_proxy_core::plan::{self, GatewayPoint, Over};

use super::xfcc;
use crate::admission::Asker;
use crate::tls::{self, ClientCertificate};
use crate::worker::Worker;

/// A connection, as far as it is known.
pub(super) struct Arrived {
    pub(super) worker: Rc<Worker>,
    /// When it was accepted.
    pub(super) at: Instant,
    pub(super) listener: ListenerId,
    /// The direct peer.
    pub(super) remote: SocketAddr,
    /// Whom it speaks for: the client behind a balancer, or itself.
    pub(super) client: SocketAddr,
    pub(super) local: SocketAddr,
    /// What stands before the gateway.
    pub(super) topology: GatewayTopology,
    /// Absent without TLS.
    pub(super) over: Option<OverTls>,
}

/// A connection that speaks TLS.
pub(super) struct OverTls {
    /// Server name that the client asks for, lower case.
    pub(super) sni: Option<String>,
    /// Absent if TLS is passed through.
    pub(super) ended: Option<Ended>,
}

/// TLS that the gateway has ended.
pub(super) struct Ended {
    // What was asked of the client.
    termination: Arc<TlsTermination>,
    client: Option<ClientCertificate>,
    identity: Option<SpiffeId>,
}

// === impl Arrived ===

impl Arrived {
    /// For finding its server and routes.
    pub(super) fn point(&self) -> GatewayPoint<'_> {
        GatewayPoint {
            listener: self.listener,
            over: match &self.over {
                None => Over::Plain,
                Some(over) => Over::Tls {
                    sni: over.sni.as_deref(),
                },
            },
        }
    }

    pub(super) fn sni(&self) -> Option<&str> {
        self.over.as_ref()?.sni.as_deref()
    }

    fn ended(&self) -> Option<&Ended> {
        self.over.as_ref()?.ended.as_ref()
    }

    /// Who calls, for policies. A client's certificate speaks for its identity if the server
    /// asked for it (Istio: the URI name of a certificate that the server's roots vouch for).
    pub(super) fn caller(&self) -> Caller<'_> {
        Caller {
            identity: self.ended().and_then(|ended| ended.identity.as_ref()),
            source: self.remote.ip(),
            client: self.client.ip(),
            destination: SocketAddr::new(self.local.ip(), self.listener.port),
            sni: self.sni(),
        }
    }

    /// Who asks to be let in.
    pub(super) fn asker(&self) -> Asker<'_> {
        Asker {
            identity: self.ended().and_then(|ended| ended.identity.as_ref()),
            source: self.client.ip(),
            port: self.listener.port,
        }
    }

    /// The client's part of `x-forwarded-client-cert`, if the client has a certificate.
    pub(super) fn forwarded_certificate(&self) -> Option<HeaderValue> {
        let ended = self.ended()?;
        let own = match &ended.termination.certificate {
            ServerCertificate::Mesh => self.worker.shared.identity.current(),
            ServerCertificate::Credential(_) | ServerCertificate::Files(_) => None,
        };
        xfcc::value(own.as_ref().map(|own| own.id()), ended.client.as_ref()?)
    }

    /// Whether the server asks for more from its clients by now than it did from this one, or
    /// takes its trust domain as peers of the mesh no more.
    pub(super) fn must_prove_more(&self) -> bool {
        let Some(ended) = self.ended() else {
            return false;
        };
        let snapshot = self.worker.shared.snapshot();
        // What other servers take is vouched for by their own roots, whatever the mesh trusts.
        if ended.by_mesh()
            && let Some(identity) = &ended.identity
            && !tls::takes_still(&snapshot, identity)
        {
            return true;
        }
        let server = plan::gateway_server(&snapshot, &self.point());
        let Some(now) = server.and_then(|server| server.termination.as_ref()) else {
            return false;
        };
        let before = &ended.termination;
        if Arc::ptr_eq(now, before) {
            return false;
        }
        let by_mesh = now.certificate == ServerCertificate::Mesh;
        now.client > before.client
            // Its proof was one to other roots.
            || (by_mesh != ended.by_mesh() && now.client != ClientAuth::None)
            || now.subject_alt_names != before.subject_alt_names
            || now.spki_hashes != before.spki_hashes
            || now.certificate_hashes != before.certificate_hashes
            || now.min_version > before.min_version
    }
}

// === impl Ended ===

impl Ended {
    /// Whether the mesh's roots vouched for the client (Istio: ISTIO_MUTUAL).
    fn by_mesh(&self) -> bool {
        self.termination.certificate == ServerCertificate::Mesh
    }

    /// After a handshake. An error says why the client is not accepted after all.
    pub(super) fn new(
        termination: Arc<TlsTermination>,
        certificate: Option<&[u8]>,
        identity: Option<SpiffeId>,
    ) -> Result<Self, String> {
        let client = certificate.and_then(ClientCertificate::parse);
        // The configuration of the mesh's mutual TLS is one for all and knows no such names.
        let named = termination.certificate != ServerCertificate::Mesh
            || client
                .as_ref()
                .is_some_and(|client| client.has_one_of(&termination.subject_alt_names));
        if named {
            Ok(Self {
                termination,
                client,
                identity,
            })
        } else {
            let names = termination.subject_alt_names.join(", ");
            Err(format!(
                "the client's certificate has none of the names {names}"
            ))
        }
    }
}
