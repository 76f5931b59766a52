//! Workloads that are called: what stands before them, and what each of their ports can enforce.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use mesh_api::WorkloadName;
use mesh_api::v1::{MtlsMode, Protocol, ProxyKind, ServicePort, TlsServerMode};

use super::decision::Carries;
use crate::model::{AuthorizationPolicy, GatewayServer, InboundCapture, Placement, ServerProtocol};
use crate::translate::{lists_tunnel, merge, speaks_hbone};
use crate::world::{Inner, Mtls, ServiceId, WorkloadRecord};
use crate::yaml::Labels;

/// Label of workloads whose proxy takes the mesh's mutual TLS.
const TLS_MODE: &str = "security.istio.io/tlsMode";

/// Workloads that are alike in everything that policies can tell.
#[derive(Debug)]
pub(crate) struct Destination<'w> {
    pub(crate) namespace: &'w str,
    pub(crate) name: &'w str,
    pub(crate) labels: &'w Labels,
    pub(crate) proxy: Enforcer,
    /// Clients' sidecars use mutual TLS with it by themselves.
    pub(crate) takes_mtls: bool,
    /// They come through HBONE.
    pub(crate) tunnel: bool,
    pub(crate) mtls: Mtls,
    /// By the workload's port.
    pub(crate) ports: BTreeMap<u32, DestinationPort>,
    /// Ports whose connections do not reach the sidecar; absent if all do.
    pub(crate) capture: Option<&'w InboundCapture>,
    /// How many there are.
    pub(crate) instances: usize,
}

/// What decides about calls of a workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Enforcer {
    /// Its sidecar: everything, on every port that is captured.
    Sidecar,
    /// It is a gateway: everything, on the ports of its Gateways.
    Gateway,
    /// Nothing.
    Nobody,
}

/// A port that is served.
#[derive(Clone, Debug)]
pub(crate) struct DestinationPort {
    pub(crate) carries: Carries,
    /// As it is declared.
    pub(crate) protocol: &'static str,
    /// The services in front of it, each with its own port, the oldest first.
    pub(crate) fronts: Vec<(ServiceId, u32)>,
    /// TLS that ends here and is not the mesh's.
    pub(crate) tls: Option<OwnTls>,
}

/// TLS with callers of whom the mesh knows nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OwnTls {
    /// Clients prove nothing.
    Simple,
    /// They prove an identity of the mesh.
    Mesh,
    /// Some or all have certificates of whoever vouches for them.
    Mutual,
    /// It goes on as it is.
    Passthrough,
}

/// All workloads that somebody may call: pods, WorkloadEntries, and what else answers for a
/// service inside of the mesh.
pub(crate) fn destinations(inner: &Inner) -> Vec<Destination<'_>> {
    let mut found: Vec<Destination<'_>> = Vec::new();
    let mut known: HashMap<Key<'_>, usize> = HashMap::new();
    for (record, key) in called(inner) {
        let proxy = key.proxy;
        if let Some(alike) = known.get(&key).and_then(|at| found.get_mut(*at)) {
            alike.instances += 1;
            continue;
        }
        known.insert(key, found.len());
        found.push(destination(inner, record, proxy));
    }
    found
}

/// Workloads that somebody may call, with what makes them alike.
fn called(inner: &Inner) -> impl Iterator<Item = (&WorkloadRecord, Key<'_>)> {
    inner.workloads.iter().filter_map(|record| {
        let proxy = enforcer(inner, record);
        let inside = |service: &ServiceId| {
            let service = inner.services.get(*service);
            service.is_some_and(|service| !service.external)
        };
        let called = record.fronts.iter().any(|(service, _)| inside(service));
        (proxy != Enforcer::Nobody || called).then(|| (record, Key::new(record, proxy)))
    })
}

/// A number that is the same as long as [`destinations`] are, while nothing but endpoints changes.
pub(crate) fn fingerprint(inner: &Inner) -> u64 {
    let mut hasher = DefaultHasher::new();
    let mut last = None;
    for (_, key) in called(inner) {
        // Those of one Deployment mostly come one after the other.
        if last.as_ref() != Some(&key) {
            key.hash(&mut hasher);
            last = Some(key);
        }
    }
    hasher.finish()
}

/// What makes workloads alike.
#[derive(PartialEq, Eq, Hash)]
struct Key<'w> {
    namespace: &'w str,
    name: &'w str,
    labels: &'w Labels,
    fronts: Vec<(ServiceId, &'w [(u32, u32)])>,
    proxy: Enforcer,
    capture: Option<(Option<&'w [u16]>, &'w [u16])>,
}

// === impl Key ===

impl<'w> Key<'w> {
    fn new(record: &'w WorkloadRecord, proxy: Enforcer) -> Self {
        let fronts = record.fronts.iter();
        let capture = record.pod.as_ref().map(|pod| &pod.capture);
        Self {
            namespace: &record.namespace,
            name: &record.name,
            labels: &record.labels,
            fronts: fronts.map(|(id, ports)| (*id, ports.as_slice())).collect(),
            proxy,
            capture: capture.map(|capture| (capture.only.as_deref(), capture.never.as_slice())),
        }
    }
}

fn takes_mtls(record: &WorkloadRecord) -> bool {
    record.labels.get(TLS_MODE).map(String::as_str) == Some("istio")
}

fn enforcer(inner: &Inner, record: &WorkloadRecord) -> Enforcer {
    let pod = record.pod.as_ref();
    if pod.is_some_and(|pod| pod.host_network && pod.proxy != Some(ProxyKind::Gateway)) {
        // Nothing captures what the node gets.
        return Enforcer::Nobody;
    }
    match pod.and_then(|pod| pod.proxy) {
        Some(ProxyKind::Gateway) => Enforcer::Gateway,
        Some(ProxyKind::Sidecar) => Enforcer::Sidecar,
        _ if takes_mtls(record) || lists_tunnel(record) => Enforcer::Sidecar,
        _ if is_gateway(inner, record) => Enforcer::Gateway,
        _ => Enforcer::Nobody,
    }
}

/// Whether a Gateway names the workload's labels; one without a selector takes what is a gateway
/// already.
fn is_gateway(inner: &Inner, record: &WorkloadRecord) -> bool {
    inner.gateways.iter().any(|gateway| {
        let selector = gateway.selector.as_ref();
        selector.is_some_and(|labels| !labels.is_empty())
            && gateway.selects(&record.namespace, &record.labels)
    })
}

fn destination<'w>(
    inner: &'w Inner,
    record: &'w WorkloadRecord,
    proxy: Enforcer,
) -> Destination<'w> {
    let mtls = inner
        .peer_authentications
        .effective(&record.namespace, &record.labels);
    let ports = match proxy {
        Enforcer::Gateway => gateway_ports(inner, record),
        Enforcer::Sidecar => sidecar_ports(inner, record, &mtls),
        Enforcer::Nobody => service_ports(inner, record),
    };
    let pod = record.pod.as_ref().filter(|_| proxy == Enforcer::Sidecar);
    Destination {
        namespace: &record.namespace,
        name: &record.name,
        labels: &record.labels,
        proxy,
        takes_mtls: takes_mtls(record),
        tunnel: speaks_hbone(record, inner.settings.prefer_hbone),
        mtls,
        ports,
        capture: pod
            .map(|pod| &pod.capture)
            .filter(|capture| !capture.is_whole()),
        instances: 1,
    }
}

/// Ports of the services that the workload answers for; of two on one port the oldest wins.
fn service_ports(inner: &Inner, record: &WorkloadRecord) -> BTreeMap<u32, DestinationPort> {
    let mut ports = BTreeMap::new();
    let mut fronts: Vec<_> = record.fronts.iter().collect();
    fronts.sort_by_key(|(service, _)| *service);
    for (id, fronted) in fronts {
        let Some(service) = inner.services.get(*id) else {
            continue;
        };
        for (number, target) in fronted {
            let mut declared = service.ports.iter();
            let declared = declared.find(|declared| declared.number == *number);
            let protocol = declared.map_or(Protocol::Auto, ServicePort::protocol);
            let port: &mut DestinationPort = ports
                .entry(*target)
                .or_insert_with(|| DestinationPort::of(protocol));
            port.fronts.push((*id, *number));
        }
    }
    ports
}

/// The same, or those that a Sidecar lists; and ports with a mode of their own.
fn sidecar_ports(
    inner: &Inner,
    record: &WorkloadRecord,
    mtls: &Mtls,
) -> BTreeMap<u32, DestinationPort> {
    let of_services = service_ports(inner, record);
    let root = inner.settings.root_namespace.as_str();
    let sidecar = inner.sidecars.of((&record.namespace, &record.labels), root);
    let mut ports = match sidecar.filter(|sidecar| !sidecar.ingress.is_empty()) {
        None => of_services,
        Some(sidecar) => sidecar
            .ingress
            .iter()
            .map(|ingress| {
                let number = u32::from(ingress.port);
                let mut port = DestinationPort::of(ingress.protocol);
                if let Some(tls) = &ingress.tls
                    && mtls.at(number).0 == MtlsMode::Disable
                {
                    port = DestinationPort::of(ingress.inside);
                    // Whatever its callers show, it is no identity of the mesh.
                    port.tls = Some(match OwnTls::of(tls.mode) {
                        OwnTls::Passthrough => OwnTls::Passthrough,
                        _ => OwnTls::Simple,
                    });
                }
                if let Some(known) = of_services.get(&number) {
                    port.fronts.clone_from(&known.fronts);
                }
                (number, port)
            })
            .collect(),
    };
    for number in mtls.ports.keys() {
        let port = DestinationPort::of(Protocol::Auto);
        ports.entry(u32::from(*number)).or_insert(port);
    }
    ports
}

fn gateway_ports(inner: &Inner, record: &WorkloadRecord) -> BTreeMap<u32, DestinationPort> {
    let Ok(workload) = record.uid.parse::<WorkloadName>() else {
        return BTreeMap::new();
    };
    let selected = inner.gateways.iter().map(Arc::as_ref);
    let selected = selected.filter(|gateway| gateway.selects(&record.namespace, &record.labels));
    let merged = merge(selected, |port| inner.listener_ports(&workload, port));
    let mut ports: BTreeMap<u32, DestinationPort> = BTreeMap::new();
    for ((number, _), listener) in &merged.listeners {
        let servers = listener.servers.iter().map(|placed| served(placed.server));
        for server in servers {
            match ports.get_mut(&u32::from(*number)) {
                Some(port) => port.add(&server),
                None => {
                    ports.insert(u32::from(*number), server);
                }
            }
        }
    }
    ports
}

fn served(server: &GatewayServer) -> DestinationPort {
    let (carries, protocol) = match server.protocol {
        ServerProtocol::Http(_) => (Carries::Http, "http"),
        ServerProtocol::Https if server.terminates() => (Carries::Http, "https"),
        ServerProtocol::Https | ServerProtocol::Tls => (Carries::Opaque, "tls"),
        ServerProtocol::Tcp => (Carries::Opaque, "tcp"),
    };
    DestinationPort {
        carries,
        protocol,
        fronts: Vec::new(),
        tls: server.tls.as_ref().map(|tls| OwnTls::of(tls.mode)),
    }
}

// === impl OwnTls ===

impl OwnTls {
    fn of(mode: TlsServerMode) -> Self {
        match mode {
            TlsServerMode::IstioMutual => Self::Mesh,
            TlsServerMode::Mutual | TlsServerMode::OptionalMutual => Self::Mutual,
            TlsServerMode::Passthrough => Self::Passthrough,
            _ => Self::Simple,
        }
    }
}

// === impl DestinationPort ===

impl DestinationPort {
    pub(crate) fn of(protocol: Protocol) -> Self {
        let (carries, protocol) = match protocol {
            Protocol::Http => (Carries::Http, "http"),
            Protocol::Http2 => (Carries::Http, "http2"),
            Protocol::Grpc => (Carries::Http, "grpc"),
            Protocol::Tls => (Carries::Opaque, "tls"),
            Protocol::Tcp => (Carries::Opaque, "tcp"),
            Protocol::Auto | Protocol::Unspecified => (Carries::Either, "auto"),
        };
        Self {
            carries,
            protocol,
            fronts: Vec::new(),
            tls: None,
        }
    }

    /// The oldest service in front of it, with that service's port.
    pub(crate) fn front(&self) -> Option<(ServiceId, u32)> {
        self.fronts.first().copied()
    }

    /// Another server on the same port.
    fn add(&mut self, other: &Self) {
        if self.carries != other.carries {
            self.carries = Carries::Split;
            self.protocol = "tls";
        }
        // Whoever may have proved something is told by what is known least.
        if self.tls != other.tls {
            self.tls = Some(OwnTls::Mutual);
        }
    }
}

// === impl Destination ===

impl<'w> Destination<'w> {
    /// The mode of PeerAuthentication for a port, or for those that nobody declared.
    pub(crate) fn mode(&self, port: Option<u32>) -> MtlsMode {
        port.map_or(self.mtls.mode, |port| self.mtls.at(port).0)
    }

    /// Whether the sidecar sees connections to a port, if there is one.
    pub(crate) fn captures(&self, port: u32) -> bool {
        self.capture.is_none_or(|capture| {
            let port = u16::try_from(port);
            port.is_ok_and(|port| capture.takes(port))
        })
    }

    /// Whether it sees connections to all ports that nobody declared.
    pub(crate) fn captures_others(&self) -> bool {
        let declared: BTreeSet<u32> = self.ports.keys().copied().collect();
        self.capture.is_none_or(|capture| {
            capture.only.is_none()
                && capture
                    .never
                    .iter()
                    .all(|port| declared.contains(&u32::from(*port)))
        })
    }

    /// `<namespace>/<name>`.
    pub(crate) fn full_name(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    /// Whether a policy of a namespace holds for it.
    pub(crate) fn is_under(&self, placement: &Placement, namespace: &str, root: &str) -> bool {
        let own = namespace == self.namespace;
        (own || namespace == root) && placement.holds(self.labels, own)
    }

    /// The policies that hold for it, by name.
    pub(crate) fn policies(&self, inner: &'w Inner) -> Vec<&'w AuthorizationPolicy> {
        let mut policies: Vec<_> = self.in_force(inner).collect();
        policies.sort_by_cached_key(|policy| policy.meta.full_name());
        policies
    }

    /// The same in no order.
    pub(crate) fn in_force(
        &self,
        inner: &'w Inner,
    ) -> impl Iterator<Item = &'w AuthorizationPolicy> {
        let root = inner.settings.root_namespace.as_str();
        let others = (self.namespace != root).then_some(root);
        let all = std::iter::once(self.namespace).chain(others);
        let all = all.filter_map(|namespace| inner.authorization_policies.get(namespace));
        all.flatten()
            .map(Arc::as_ref)
            .filter(move |policy| self.is_under(&policy.placement, policy.meta.namespace(), root))
    }
}
