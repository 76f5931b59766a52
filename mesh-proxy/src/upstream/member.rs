//! One endpoint with the connections to it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use mesh_api::Hostname;
use mesh_proxy_core::ir::{Cluster, Endpoint, EndpointAddress, PoolSettings, TlsFiles, Tunnel};
use mesh_proxy_core::plan::{PeerName, UpstreamTls, proxy_header, upstream_tls};
use tokio_util::task::TaskTracker;

use super::limits::Gate;
use super::{Pool, Secure};
use crate::tls::{Alpn, ClientCredential, Expect, Origination};

/// An endpoint with the connections to it.
pub struct Member {
    /// The endpoint.
    pub endpoint: Arc<Endpoint>,
    /// How connections to it are secured.
    pub secure: Secure,
    /// Open connections.
    pub pool: Rc<Pool>,
    /// Its address for logs.
    pub host: Rc<str>,
    /// How connections to it are kept.
    pub settings: PoolSettings,
    pub(super) gate: Option<Gate>,
    // What is sent ahead of every connection.
    pub(super) announcement: Option<Rc<[u8]>>,
    // The same endpoint for one client each, if connections tell whose they are.
    clients: RefCell<HashMap<Client, Rc<Member>>>,
    tasks: TaskTracker,
    // What `secure` was made from, without endpoints.
    cluster: Arc<Cluster>,
}

/// The addresses of a client's connection: its own, and the one that it called.
pub type Client = (Option<SocketAddr>, Option<SocketAddr>);

// === impl Member ===

impl Member {
    pub(super) fn new(
        (cluster, gate): (Arc<Cluster>, Option<Gate>),
        endpoint: Arc<Endpoint>,
        (secure, pool): (Secure, Rc<Pool>),
        tasks: &TaskTracker,
    ) -> Self {
        let host = match &endpoint.address {
            EndpointAddress::Ip(address) => address.to_string().into(),
            other => other.to_string().into(),
        };
        Self {
            endpoint,
            secure,
            pool,
            host,
            settings: cluster.traffic.pool,
            gate,
            announcement: None,
            clients: RefCell::default(),
            tasks: tasks.clone(),
            cluster,
        }
    }

    pub(super) fn cluster(&self) -> &Arc<Cluster> {
        &self.cluster
    }

    /// The endpoint for a client. With the PROXY protocol no two clients share a connection.
    pub fn for_client(self: &Rc<Self>, client: Client) -> Rc<Self> {
        let Some(version) = self.cluster.traffic.proxy_protocol else {
            return Rc::clone(self);
        };
        let own = || {
            Rc::new(Self {
                endpoint: Arc::clone(&self.endpoint),
                secure: self.secure.clone(),
                pool: Pool::with_settings(self.settings, self.tasks.clone()),
                host: Rc::clone(&self.host),
                settings: self.settings,
                gate: self.gate.clone(),
                announcement: Some(proxy_header(version, client.0, client.1).into()),
                clients: RefCell::default(),
                tasks: self.tasks.clone(),
                cluster: Arc::clone(&self.cluster),
            })
        };
        let mut clients = self.clients.borrow_mut();
        Rc::clone(clients.entry(client).or_insert_with(own))
    }

    /// Where connections of opaque bytes go through the endpoint.
    pub(super) fn tunnel(&self) -> Option<&Tunnel> {
        self.cluster.traffic.tunnel.as_ref()
    }

    /// Whether any connection is left.
    pub(super) fn sweep(&self, now: Instant) -> bool {
        let mut clients = self.clients.borrow_mut();
        clients.retain(|_, member| member.pool.sweep(now) || Rc::strong_count(member) > 1);
        self.pool.sweep(now) || !clients.is_empty()
    }

    /// Forgets all connections: what runs on them finishes.
    pub(super) fn clear(&self) {
        self.pool.clear();
        let clients = self.clients.borrow();
        clients.values().for_each(|member| member.pool.clear());
    }
}

/// How connections to an endpoint are secured. `asked` is the host that the client asked for.
pub(super) fn secure(cluster: &Cluster, endpoint: &Endpoint, asked: &Hostname) -> Secure {
    secured(upstream_tls(cluster, endpoint), cluster, asked)
}

fn secured(tls: UpstreamTls, cluster: &Cluster, asked: &Hostname) -> Secure {
    match tls {
        UpstreamTls::Plain => Secure::Plain,
        UpstreamTls::Mesh { sni, peer } => Secure::Mesh {
            sni,
            expect: expect(peer),
        },
        UpstreamTls::Simple(files) => from_files(&files, cluster, asked, false),
        UpstreamTls::Mutual(files) => from_files(&files, cluster, asked, true),
        UpstreamTls::Hbone { port, peer, inside } => Secure::Hbone {
            port,
            expect: expect(peer),
            inside: Box::new(secured(*inside, cluster, asked)),
        },
    }
}

fn expect(peer: PeerName) -> Expect {
    match peer {
        PeerName::Identity(identity) => Expect::Identity(identity),
        PeerName::OneOf(names) => Expect::AnyOf(names.iter().map(ToString::to_string).collect()),
        PeerName::Any => Expect::Mesh,
    }
}

fn from_files(files: &TlsFiles, cluster: &Cluster, asked: &Hostname, mutual: bool) -> Secure {
    // Istio: the server name follows the host of the request (auto SNI), which is the
    // service's own unless the service stands for many.
    let host = if cluster.id.host.is_wildcard() {
        asked
    } else {
        &cluster.id.host
    };
    let sni = files.sni.clone().unwrap_or_else(|| host.as_str().into());
    let path = |file: &Option<Arc<str>>| file.as_deref().map(PathBuf::from);
    let client = path(&files.client_certificate)
        .zip(path(&files.private_key))
        .filter(|_| mutual);
    Secure::Files {
        sni,
        origination: Box::new(Origination {
            names: files
                .subject_alt_names
                .iter()
                .map(ToString::to_string)
                .collect(),
            roots: path(&files.ca_certificates),
            client,
            insecure: files.insecure_skip_verify,
            alpn: Alpn::Tcp,
            crl: path(&files.ca_crl),
            credential: files.credential.clone().map(|name| ClientCredential {
                name,
                presented: mutual,
            }),
        }),
    }
}
