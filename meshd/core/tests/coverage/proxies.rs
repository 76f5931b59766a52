//! What the proxies of a mesh decide, by their own code and what the control plane compiles for
//! them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use mesh_api::v1::{DiscoveryResponse, Node, ProxyKind, Resource};
use mesh_api::{ResourceName, SpiffeId};
use mesh_proxy_core::authz::Caller;
use mesh_proxy_core::detect::{ClientHello, Detected};
use mesh_proxy_core::ir::{ClientAuth, Inside, Protocol, ServerCertificate, TlsServer};
use mesh_proxy_core::plan::{self, Accept, OpaqueVerdict, UpstreamTls};
use mesh_proxy_core::{Reason, Snapshot};
use meshd_core::{Store, Transport, WorkloadView, World, translate};
use rand::rngs::SmallRng;

use crate::calls::{self, Call};
use crate::configuration::Configuration;

/// Ports of services, as clients call them.
const SERVICES: [(&str, u16); 11] = [
    ("a.default.svc.cluster.local", 80),
    ("a.default.svc.cluster.local", 90),
    ("a.default.svc.cluster.local", 70),
    ("b.prod.svc.cluster.local", 80),
    ("b.prod.svc.cluster.local", 90),
    ("b.prod.svc.cluster.local", 70),
    ("c.prod.svc.cluster.local", 80),
    ("c.prod.svc.cluster.local", 90),
    ("c.prod.svc.cluster.local", 70),
    ("second.default.svc.cluster.local", 81),
    ("bare.default.svc.cluster.local", 80),
];
/// One that nobody declares.
const UNDECLARED: u16 = 4711;

/// One way in which a source may call a port.
#[derive(Debug)]
pub(crate) struct Way {
    pub(crate) source: String,
    pub(crate) destination: String,
    pub(crate) port: Option<u32>,
    pub(crate) transport: Transport,
    /// Not what coverage tells of, but possible.
    pub(crate) is_aside: bool,
    /// The port says what it carries.
    pub(crate) is_declared: bool,
    /// What becomes of each call.
    pub(crate) outcomes: Vec<(String, Outcome)>,
}

/// What becomes of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It arrives; by this policy.
    Allowed(Option<String>),
    /// It does not.
    Denied(Option<String>),
    /// An authorizer is asked.
    Asked,
}

/// How a client's proxy calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Sent {
    Plain,
    Mesh,
    Foreign,
    Tunnel,
}

/// A mesh.
pub(crate) struct Proxies {
    world: World,
    clients: Vec<Client>,
    servers: BTreeMap<String, Snapshot>,
    gateway: Snapshot,
}

struct Client {
    identity: SpiffeId,
    snapshot: Snapshot,
}

// === impl Proxies ===

impl Proxies {
    pub(crate) fn new(configuration: &Configuration) -> Self {
        let mut store = Store::new();
        store.set_file("input.yaml", &configuration.text);
        let world = store.world(&configuration.settings);
        let errors: Vec<String> = world
            .problems()
            .iter()
            .map(|problem| meshd_core::ProblemLine(problem).to_string())
            .filter(|line| line.contains(": error: ") && !line.contains("provider"))
            .collect();
        assert!(errors.is_empty(), "{errors:#?}\n{}", configuration.text);
        let of = |name: &str| world.workloads().find(|view| view.uid == name).unwrap();
        let snapshot =
            |workload: &WorkloadView, kind, roots| snapshot(&world, workload, kind, roots);
        let routes: BTreeSet<_> = SERVICES
            .iter()
            .map(|(host, port)| format!("routes/{host}:{port}").parse().unwrap())
            .collect();
        let inbound = BTreeSet::from(["inbound/self".parse().unwrap()]);
        let names = ["default/a-1", "prod/b-1", "prod/b-2"];
        let clients = names.map(|name| Client {
            identity: of(name).identity.parse().unwrap(),
            snapshot: snapshot(&of(name), ProxyKind::Sidecar, routes.clone()),
        });
        let gate = of("default/gate");
        let gateway = BTreeSet::from(["gateway/self".parse().unwrap()]);
        Self {
            servers: names
                .map(|name| {
                    let snapshot = snapshot(&of(name), ProxyKind::Sidecar, inbound.clone());
                    (name.to_owned(), snapshot)
                })
                .into(),
            clients: clients
                .into_iter()
                .chain([Client {
                    identity: gate.identity.parse().unwrap(),
                    snapshot: snapshot(&gate, ProxyKind::Gateway, routes.clone()),
                }])
                .collect(),
            gateway: snapshot(&gate, ProxyKind::Gateway, gateway),
            world,
        }
    }

    pub(crate) fn world(&self) -> &World {
        &self.world
    }

    /// Everything that may happen.
    pub(crate) fn ways(&self, rng: &mut SmallRng) -> Vec<Way> {
        let mut found = Vec::new();
        for (name, server) in &self.servers {
            let declared = server.inbound().unwrap().ports.keys().copied();
            for port in declared.chain([UNDECLARED]).collect::<Vec<_>>() {
                for client in &self.clients {
                    for sent in client.sends(name, port) {
                        found.push(arrive((name, server), port, (Some(client), sent), rng));
                    }
                }
                for sent in [Sent::Plain, Sent::Foreign] {
                    found.push(arrive((name, server), port, (None, sent), rng));
                }
            }
        }
        self.gateway_ways(&mut found, rng);
        found
    }

    fn gateway_ways(&self, found: &mut Vec<Way>, rng: &mut SmallRng) {
        let gateway = self.gateway.gateway().unwrap();
        for listener in gateway.listeners.values() {
            let port = listener.id.port;
            let plain = |http| (Transport::Plaintext, None, http);
            let mut ways = Vec::new();
            if listener.tls.is_empty() {
                ways.push(plain(listener.protocol.is_http()));
            }
            for server in listener.tls.iter() {
                ways.extend(self.through_tls(server));
            }
            // A port with several servers is told of as a whole.
            let with_http = ways.iter().filter(|(_, _, http)| *http).count();
            let is_declared = with_http == 0 || with_http == ways.len();
            // Nobody knows who has a certificate of a stranger's authority.
            let strangers = |(transport, identity, _): &(Transport, Option<_>, bool)| {
                *transport == Transport::Tls && identity.is_some()
            };
            let is_declared = is_declared && !ways.iter().any(strangers);
            let mixed = listener.tls.iter().count() > 1;
            for (transport, identity, http) in ways {
                let known = (transport == Transport::Mtls && !mixed)
                    .then_some(())
                    .and(identity);
                let source = known.map_or("(outside)", SpiffeId::principal);
                found.push(Way {
                    source: source.to_owned(),
                    destination: "default/gate".to_owned(),
                    port: Some(port.into()),
                    transport: if mixed { Transport::Tls } else { transport },
                    is_aside: false,
                    is_declared: is_declared && !mixed,
                    outcomes: at_gateway(&self.gateway, identity, (port, http), rng),
                });
            }
        }
    }

    /// As whom clients may come, and whether with requests.
    fn through_tls(&self, server: &TlsServer) -> Vec<(Transport, Option<&SpiffeId>, bool)> {
        let http = matches!(server.inside, Inside::Http(_));
        let Some(termination) = &server.termination else {
            return vec![(Transport::Tls, None, false)];
        };
        let everybody = self.clients.iter().map(|client| Some(&client.identity));
        if termination.certificate == ServerCertificate::Mesh {
            return everybody
                .map(|identity| (Transport::Mtls, identity, http))
                .collect();
        }
        let proved = everybody.filter(|_| termination.client != ClientAuth::None);
        proved
            .chain([None])
            .map(|identity| (Transport::Tls, identity, http))
            .collect()
    }
}

/// What a workload's proxy holds that has asked for these.
pub(crate) fn snapshot(
    world: &World,
    workload: &WorkloadView,
    kind: ProxyKind,
    mut roots: BTreeSet<ResourceName>,
) -> Snapshot {
    let node = Node {
        workload: workload.uid.clone(),
        kind: kind.into(),
        labels: workload.labels.clone().into_iter().collect(),
        ..Node::default()
    };
    let identity: SpiffeId = workload.identity.parse().unwrap();
    let scope = world.scope(&node, &identity).unwrap();
    roots.insert(ResourceName::Mesh);
    let resources = translate(world, &scope, &roots);
    let response = DiscoveryResponse {
        revision: 1,
        upsert: resources.values().map(|one| Resource::clone(one)).collect(),
        ..DiscoveryResponse::default()
    };
    let applied = Snapshot::empty().apply(&response);
    assert!(applied.rejected.is_empty(), "{:?}", applied.rejected);
    applied.snapshot
}

// === impl Client ===

impl Client {
    /// How it calls a workload's port: by each service and subset that leads there, and with its
    /// own certificate if somebody wants to.
    fn sends(&self, uid: &str, port: u16) -> BTreeSet<Sent> {
        let mut found = BTreeSet::new();
        for cluster in self.snapshot.clusters() {
            let endpoints = cluster.endpoints.iter();
            for endpoint in endpoints.filter(|endpoint| *endpoint.uid == *uid) {
                if !endpoint.address.to_string().ends_with(&format!(":{port}")) {
                    continue;
                }
                found.insert(match plan::upstream_tls(cluster, endpoint) {
                    UpstreamTls::Plain => Sent::Plain,
                    UpstreamTls::Mesh { .. } => Sent::Mesh,
                    UpstreamTls::Simple(_) | UpstreamTls::Mutual(_) => Sent::Foreign,
                    UpstreamTls::Hbone { .. } => Sent::Tunnel,
                });
            }
        }
        if found.is_empty() {
            found.insert(Sent::Plain);
        }
        found.insert(Sent::Mesh);
        found
    }
}

/// What the sidecar makes of it.
fn arrive(
    (name, server): (&str, &Snapshot),
    port: u16,
    (client, sent): (Option<&Client>, Sent),
    rng: &mut SmallRng,
) -> Way {
    let inbound = plan::inbound_connection(server, port).unwrap();
    let hello = |alpn: &[&[u8]]| {
        Detected::Tls(ClientHello {
            sni: None,
            alpn: alpn.iter().map(|protocol| protocol.to_vec()).collect(),
        })
    };
    let accept = match sent {
        Sent::Plain => plan::inbound_transport(inbound.mtls, &Detected::Http1),
        Sent::Mesh => plan::inbound_transport(inbound.mtls, &hello(plan::alpn::MESH_TCP)),
        // It has no certificate of the mesh.
        Sent::Foreign => match plan::inbound_transport(inbound.mtls, &hello(&[])) {
            Accept::Terminate => Accept::Refuse(Reason::DownstreamTlsFailure),
            accept => accept,
        },
        Sent::Tunnel => Accept::Terminate,
    };
    let (transport, identity) = match accept {
        Accept::Terminate => (Transport::Mtls, client.map(|client| &client.identity)),
        Accept::Plaintext => (Transport::Plaintext, None),
        Accept::Passthrough => (Transport::Tls, None),
        Accept::Refuse(_) => (Transport::Refused, None),
    };
    let requests = || calls::requests(&mut *rng);
    let mut calls = match (accept, inbound.protocol) {
        (Accept::Passthrough, _) | (_, Protocol::Tcp | Protocol::Tls) => calls::connections(),
        (_, Protocol::Auto) => calls::connections(),
        _ => Vec::new(),
    };
    if accept != Accept::Passthrough && !matches!(inbound.protocol, Protocol::Tcp | Protocol::Tls) {
        calls.extend({ requests }());
    }
    let declared = server.inbound().unwrap().ports.contains_key(&port);
    let outcome = |call: &Call| match accept {
        Accept::Refuse(_) => Outcome::Denied(None),
        _ => at_sidecar(server, identity, port, call),
    };
    let source = client.map_or("(no identity)", |client| client.identity.principal());
    Way {
        source: source.to_owned(),
        destination: name.to_owned(),
        port: declared.then_some(port.into()),
        transport,
        is_aside: client.is_none() && sent == Sent::Foreign
            || client.is_some() && sent == Sent::Mesh && transport == Transport::Refused,
        is_declared: declared && inbound.protocol != Protocol::Auto,
        outcomes: calls
            .iter()
            .map(|call| (call.text.clone(), outcome(call)))
            .collect(),
    }
}

fn at_sidecar(server: &Snapshot, identity: Option<&SpiffeId>, port: u16, call: &Call) -> Outcome {
    let caller = caller(identity, port, call);
    let Some(parts) = &call.parts else {
        return of_bytes(server, &plan::inbound_opaque(server, &caller));
    };
    let asked = plan::inbound_ask(server, &caller, Some(parts));
    let verdict = plan::inbound_http(server, &caller, parts);
    with_authorizers(server, &asked, &verdict)
}

fn at_gateway(
    gateway: &Snapshot,
    identity: Option<&SpiffeId>,
    (port, http): (u16, bool),
    rng: &mut SmallRng,
) -> Vec<(String, Outcome)> {
    let calls = if http {
        calls::requests(rng)
    } else {
        calls::connections()
    };
    let outcome = |call: &Call| {
        let caller = caller(identity, port, call);
        let Some(parts) = &call.parts else {
            return of_bytes(gateway, &plan::gateway_opaque(gateway, &caller));
        };
        let asked = plan::gateway_ask(gateway, &caller, Some(parts));
        let verdict = plan::gateway_authorize(gateway, &caller, parts);
        with_authorizers(gateway, &asked, &verdict)
    };
    calls
        .iter()
        .map(|call| (call.text.clone(), outcome(call)))
        .collect()
}

fn caller<'a>(identity: Option<&'a SpiffeId>, port: u16, call: &Call) -> Caller<'a> {
    Caller {
        identity,
        source: call.source,
        client: call.source,
        destination: SocketAddr::new([10, 0, 0, 1].into(), port),
        sni: None,
    }
}

fn of_bytes(snapshot: &Snapshot, decided: &OpaqueVerdict) -> Outcome {
    with_authorizers(snapshot, &decided.asked, &decided.verdict)
}

fn told(verdict: &mesh_proxy_core::authz::Verdict, asked: bool) -> Outcome {
    let by = verdict.by.as_ref().map(|by| by.name.to_string());
    match (verdict.allowed, asked) {
        (true, true) => Outcome::Asked,
        (true, false) => Outcome::Allowed(by),
        (false, _) => Outcome::Denied(by),
    }
}

/// An authorizer that cannot be asked denies, or is passed over.
fn with_authorizers(
    snapshot: &Snapshot,
    asked: &[mesh_proxy_core::authz::Asked],
    verdict: &mesh_proxy_core::authz::Verdict,
) -> Outcome {
    let checks = plan::request_checks(snapshot).unwrap();
    let mut answers = false;
    for asked in asked {
        let known = checks.authorizer(&asked.authorizer).unwrap();
        match (&known.cluster, known.fail_open) {
            (Ok(_), _) => answers = true,
            (Err(_), true) => {}
            (Err(_), false) => return Outcome::Denied(Some(asked.by.name.to_string())),
        }
    }
    told(verdict, answers)
}
