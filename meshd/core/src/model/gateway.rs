//! Gateway and Secret.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use mesh_api::v1::{Origin, Protocol, ServerTlsFiles, TlsServerMode, TlsVersion};

use super::Meta;
use crate::yaml::Labels;

/// A Gateway.
#[derive(Debug)]
pub(crate) struct GatewayObject {
    pub(crate) meta: Meta,
    /// Where gateways are that may serve it; absent is anywhere.
    pub(crate) namespace: Option<String>,
    /// Absent selects every gateway.
    pub(crate) selector: Option<Labels>,
    pub(crate) servers: Vec<GatewayServer>,
}

/// One of `servers`.
#[derive(Debug)]
pub(crate) struct GatewayServer {
    pub(crate) origin: Origin,
    /// Of the Service in front of the gateway.
    pub(crate) port: u16,
    pub(crate) protocol: ServerProtocol,
    /// The address to listen on; absent is all.
    pub(crate) bind: Option<IpAddr>,
    pub(crate) hosts: Vec<ServerHost>,
    pub(crate) https_redirect: bool,
    /// There exactly if the protocol is HTTPS or TLS.
    pub(crate) tls: Option<ServerTls>,
}

/// `port.protocol` of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ServerProtocol {
    /// HTTP, HTTP2, GRPC, GRPC-WEB.
    Http(Protocol),
    /// HTTP inside of TLS, unless TLS is passed through.
    Https,
    /// Opaque bytes inside of TLS, or TLS that is passed through.
    Tls,
    /// Opaque bytes.
    Tcp,
}

/// `tls` of a server.
#[derive(Debug)]
pub(crate) struct ServerTls {
    pub(crate) mode: TlsServerMode,
    pub(crate) certificate: CertificateSource,
    pub(crate) subject_alt_names: Vec<String>,
    pub(crate) spki_hashes: Vec<Vec<u8>>,
    pub(crate) certificate_hashes: Vec<Vec<u8>>,
    pub(crate) min_version: TlsVersion,
    pub(crate) max_version: TlsVersion,
    /// Without those that no proxy knows.
    pub(crate) cipher_suites: Vec<String>,
}

/// Where a server's certificate comes from.
#[derive(Debug)]
pub(crate) enum CertificateSource {
    /// From nowhere: TLS is passed through, or is the mesh's own.
    None,
    /// A Secret, and further ones for clients that cannot use the first.
    Credential(CredentialName, Vec<CredentialName>),
    /// Files of the gateway.
    Files(ServerTlsFiles),
}

/// `credentialName` of a server.
#[derive(Clone, Debug)]
pub(crate) struct CredentialName {
    /// If the name says one. Only the gateway's own will do, unless it is granted.
    pub(crate) namespace: Option<String>,
    /// Whoever owns the Secret lets the gateway have it (Gateway API: ReferenceGrant).
    pub(crate) granted: bool,
    pub(crate) name: String,
    pub(crate) origin: Origin,
}

/// `[<namespace>/]<host>` of a server.
#[derive(Clone, Debug)]
pub(crate) struct ServerHost {
    /// Whose VirtualServices may bind; absent is any.
    pub(crate) namespace: Option<String>,
    /// Lower case.
    pub(crate) host: String,
    pub(crate) origin: Origin,
}

/// A Secret, as far as a gateway can use it.
#[derive(Debug)]
pub(crate) struct SecretObject {
    pub(crate) meta: Meta,
    pub(crate) certificate: Option<Certificate>,
    /// Roots for client certificates, DER.
    pub(crate) client_roots: Vec<Vec<u8>>,
    /// Revocation lists for client certificates, DER.
    pub(crate) client_crls: Vec<Vec<u8>>,
}

/// A certificate with its key.
#[derive(Clone)]
pub(crate) struct Certificate {
    /// DER, the leaf first.
    pub(crate) chain: Vec<Vec<u8>>,
    /// DER.
    pub(crate) private_key: Arc<[u8]>,
}

// === impl GatewayObject ===

impl GatewayObject {
    /// Whether a gateway in this namespace with these labels serves it.
    pub(crate) fn selects(&self, namespace: &str, labels: &Labels) -> bool {
        self.namespace
            .as_deref()
            .is_none_or(|only| only == namespace)
            && self
                .selector
                .as_ref()
                .is_none_or(|selector| super::selects(selector, labels))
    }
}

// === impl GatewayServer ===

impl GatewayServer {
    /// Whether the gateway ends TLS.
    pub(crate) fn terminates(&self) -> bool {
        self.tls
            .as_ref()
            .is_some_and(|tls| tls.mode != TlsServerMode::Passthrough)
    }

    /// The Secrets that it names, the first of which has the roots for clients.
    pub(crate) fn credentials(&self) -> impl Iterator<Item = &CredentialName> {
        let named = match self.tls.as_ref().map(|tls| &tls.certificate) {
            Some(CertificateSource::Credential(first, more)) => Some((first, more)),
            _ => None,
        };
        let named = named.into_iter();
        named.flat_map(|(first, more)| std::iter::once(first).chain(more))
    }
}

// === impl CredentialName ===

impl CredentialName {
    /// Where the Secret is, for a gateway in `own`.
    pub(crate) fn namespace<'a>(&'a self, own: &'a str) -> &'a str {
        let granted = self.namespace.as_deref().filter(|_| self.granted);
        granted.unwrap_or(own)
    }
}

// === impl ServerTls ===

impl ServerTls {
    /// Whether client certificates are checked by roots of the Secret or file.
    pub(crate) fn checks_clients(&self) -> bool {
        matches!(
            self.mode,
            TlsServerMode::Mutual | TlsServerMode::OptionalMutual
        )
    }
}

// === impl Certificate ===

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate")
            .field("chain", &self.chain.len())
            .finish_non_exhaustive()
    }
}
