//! How a connection to an endpoint is secured.

use std::sync::Arc;

use mesh_api::SpiffeId;

use crate::ir::{ClientTls, Cluster, Endpoint, EndpointAddress, TlsFiles};

/// How a connection to an endpoint is secured.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum UpstreamTls {
    /// Plain text.
    Plain,
    /// The mesh's mutual TLS.
    Mesh {
        /// Server name: `outbound_.<port>_.<subset>_.<host>`.
        sni: Arc<str>,
        /// Who the server must be.
        peer: PeerName,
    },
    /// TLS with the server's certificate only.
    Simple(TlsFiles),
    /// TLS with a client certificate from files.
    Mutual(TlsFiles),
    /// Through the endpoint's proxy, by HTTP/2 CONNECT over the mesh's mutual TLS.
    Hbone {
        /// Port of the proxy, at the endpoint's address.
        port: u16,
        /// Who the proxy must be: the endpoint itself.
        peer: PeerName,
        /// How what goes through is secured.
        inside: Box<Self>,
    },
}

/// Who a server of the mesh must prove to be.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PeerName {
    /// This identity.
    Identity(SpiffeId),
    /// One of these names (Istio: subjectAltNames), as URI or DNS name.
    OneOf(Arc<[Arc<str>]>),
    /// Anyone whom the mesh's roots certify: nothing is known of the endpoint.
    Any,
}

/// Decides (Istio: DestinationRule `tls`, else auto mTLS per endpoint). Outside of the mesh there
/// is no automatic mesh TLS.
///
/// HBONE takes the place of the mesh's mutual TLS and of plain text; what a rule asks for by SIMPLE
/// and MUTUAL goes through it (Istio: applyHBONETransportSocketMatches).
///
/// In [`UpstreamTls::Simple`] and [`UpstreamTls::Mutual`] an absent server name means the host of
/// the request, and no names mean the server name.
pub fn upstream_tls(cluster: &Cluster, endpoint: &Endpoint) -> UpstreamTls {
    let peer = |names: Option<&Arc<[Arc<str>]>>| {
        let listed = [names, Some(&cluster.subject_alt_names)]
            .into_iter()
            .flatten()
            .find(|names| !names.is_empty());
        match (listed, &endpoint.identity) {
            (Some(names), _) => PeerName::OneOf(Arc::clone(names)),
            (None, Some(identity)) => PeerName::Identity(identity.clone()),
            (None, None) => PeerName::Any,
        }
    };
    let mesh = |sni: Option<&Arc<str>>, names| UpstreamTls::Mesh {
        sni: Arc::clone(sni.unwrap_or(&cluster.mesh_sni)),
        peer: peer(names),
    };
    if let (Some(port), EndpointAddress::Ip(_)) = (endpoint.hbone_port, &endpoint.address) {
        let (inside, names) = match &*cluster.tls {
            ClientTls::Disable | ClientTls::Auto => (UpstreamTls::Plain, None),
            ClientTls::IstioMutual {
                subject_alt_names, ..
            } => (UpstreamTls::Plain, Some(subject_alt_names)),
            ClientTls::Simple(files) => (UpstreamTls::Simple(with_names(files, cluster)), None),
            ClientTls::Mutual(files) => (UpstreamTls::Mutual(with_names(files, cluster)), None),
        };
        return UpstreamTls::Hbone {
            port,
            peer: peer(names),
            inside: Box::new(inside),
        };
    }
    match &*cluster.tls {
        ClientTls::Disable => UpstreamTls::Plain,
        ClientTls::Auto if endpoint.mutual_tls && !cluster.mesh_external => mesh(None, None),
        ClientTls::Auto => UpstreamTls::Plain,
        ClientTls::IstioMutual {
            sni,
            subject_alt_names,
        } => mesh(sni.as_ref(), Some(subject_alt_names)),
        ClientTls::Simple(files) => UpstreamTls::Simple(with_names(files, cluster)),
        ClientTls::Mutual(files) => UpstreamTls::Mutual(with_names(files, cluster)),
    }
}

/// A ServiceEntry's names hold where the DestinationRule names none.
fn with_names(files: &TlsFiles, cluster: &Cluster) -> TlsFiles {
    let mut files = files.clone();
    if files.subject_alt_names.is_empty() {
        files.subject_alt_names = Arc::clone(&cluster.subject_alt_names);
    }
    files
}
