//! The mesh that is measured: who is where, and who calls whom.

use std::net::{IpAddr, Ipv4Addr};

use mesh_api::v1::{Node, ProxyKind};

/// Services of one namespace.
const PER_NAMESPACE: usize = 25;
/// Of pods: addresses for carriers (RFC 6598), which no cluster gives out by default.
const PODS: u32 = u32::from_be_bytes([100, 64, 0, 0]);
/// Of services, where no API server allocates them.
const SERVICES: u32 = u32::from_be_bytes([10, 96, 0, 0]);
/// Account of all pods of a namespace.
pub(crate) const SERVICE_ACCOUNT: &str = "scale";
/// Port of all services and pods.
pub(crate) const PORT: u16 = 8080;

/// The mesh.
#[derive(Debug, Clone)]
pub(crate) struct Topology {
    pub(crate) services: usize,
    pub(crate) pods: usize,
    pub(crate) proxies: usize,
    /// Services that a proxy calls.
    pub(crate) destinations: usize,
    /// Of the names of namespaces.
    pub(crate) prefix: String,
    /// Virtual addresses of the services.
    pub(crate) addresses: Vec<IpAddr>,
}

/// A service by who calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Audience {
    /// All proxies.
    Everybody,
    /// Some.
    Few,
    /// No proxy.
    Nobody,
}

// === impl Topology ===

impl Topology {
    /// Addresses of services where no API server allocates them.
    pub(crate) fn own_addresses(services: usize) -> Vec<IpAddr> {
        (1..=services)
            .map(|number| address(SERVICES, number))
            .collect()
    }

    pub(crate) fn namespaces(&self) -> impl Iterator<Item = String> {
        (0..self.services)
            .step_by(PER_NAMESPACE)
            .map(|service| self.namespace(service))
    }

    /// Namespace of a service and its pods.
    pub(crate) fn namespace(&self, service: usize) -> String {
        format!("{}-{:03}", self.prefix, service / PER_NAMESPACE)
    }

    pub(crate) fn service_name(service: usize) -> String {
        format!("svc-{service:04}")
    }

    fn host(&self, service: usize) -> String {
        let (name, namespace) = (Self::service_name(service), self.namespace(service));
        format!("{name}.{namespace}.svc.cluster.local")
    }

    /// Service of a pod.
    pub(crate) fn service_of(&self, pod: usize) -> usize {
        pod % self.services
    }

    pub(crate) fn pods_of(&self, service: usize) -> impl Iterator<Item = usize> {
        (service..self.pods).step_by(self.services)
    }

    pub(crate) fn pod_name(&self, pod: usize) -> String {
        format!(
            "{}-7d9c5b8f6d-{pod:05}",
            Self::service_name(self.service_of(pod))
        )
    }

    pub(crate) fn pod_address(pod: usize) -> IpAddr {
        address(PODS, pod + 1)
    }

    /// Name of the resource of an endpoint.
    pub(crate) fn workload(&self, pod: usize) -> String {
        let namespace = self.namespace(self.service_of(pod));
        format!("workload/{namespace}/{}", self.pod_name(pod))
    }

    /// What a proxy says of itself.
    pub(crate) fn node(&self, proxy: usize) -> Node {
        let namespace = self.namespace(self.service_of(proxy));
        let mut node = Node {
            workload: format!("{namespace}/{}", self.pod_name(proxy)),
            addresses: vec![Self::pod_address(proxy).to_string()],
            cluster: "Kubernetes".to_owned(),
            build_version: env!("CARGO_PKG_VERSION").to_owned(),
            ..Node::default()
        };
        node.set_kind(ProxyKind::Sidecar);
        node
    }

    /// Services that a proxy calls.
    fn destinations_of(&self, proxy: usize) -> impl Iterator<Item = usize> {
        let own = self.destinations - 1;
        // All but the one that everybody calls and the one that nobody calls.
        let between = self.services.saturating_sub(2).max(1);
        std::iter::once(0).chain((0..own).map(move |index| 1 + (proxy * own + index) % between))
    }

    /// Names of resources that a sidecar asks for when its application looks up each of its
    /// destinations, connects to it and sends a request: in this order.
    pub(crate) fn roots_of(&self, proxy: usize) -> Vec<String> {
        self.destinations_of(proxy)
            .flat_map(|service| {
                let host = self.host(service);
                let address = self.addresses.get(service);
                let address = address.map(|ip| format!("address/{ip}:{PORT}"));
                std::iter::once(format!("name/{host}"))
                    .chain(address)
                    .chain(std::iter::once(format!("routes/{host}:{PORT}")))
            })
            .collect()
    }

    /// The service that they call.
    pub(crate) fn called_by(&self, audience: Audience) -> usize {
        match audience {
            Audience::Everybody => 0,
            Audience::Few => 1,
            Audience::Nobody => self.services - 1,
        }
    }

    /// Number of proxies that call a service.
    pub(crate) fn callers(&self, service: usize) -> usize {
        (0..self.proxies)
            .filter(|proxy| self.destinations_of(*proxy).any(|called| called == service))
            .count()
    }
}

fn address(base: u32, number: usize) -> IpAddr {
    let number = u32::try_from(number).unwrap_or(u32::MAX);
    IpAddr::V4(Ipv4Addr::from_bits(base.saturating_add(number)))
}
