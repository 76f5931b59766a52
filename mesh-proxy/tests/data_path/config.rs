//! Snapshots made by hand.

use std::collections::HashMap;
use std::net::SocketAddr;

use mesh_api::v1;
use mesh_proxy_core::Snapshot;

/// What a proxy is told.
#[derive(Clone, Default)]
pub struct Config {
    services: Vec<Service>,
    pub inbound: Option<v1::Inbound>,
    gateway: Option<v1::Gateway>,
    strict_outbound: bool,
    undeclared: Vec<String>,
    roots: Vec<Vec<u8>>,
    credentials: Vec<v1::Credential>,
    trust_domain: Option<&'static str>,
}

/// A service with one port.
#[derive(Clone)]
pub struct Service {
    host: String,
    port: u32,
    protocol: v1::Protocol,
    tls: v1::ClientTlsMode,
    balancer: v1::LoadBalancer,
    resolution: v1::Resolution,
    endpoints: Vec<Endpoint>,
    http: Vec<v1::HttpRoute>,
    policy: v1::TrafficPolicy,
}

#[derive(Clone)]
struct Endpoint {
    address: String,
    port: u16,
    account: Option<String>,
    locality: String,
    hbone: u16,
}

pub fn service(host: &str, port: u16, protocol: v1::Protocol) -> Service {
    Service {
        host: host.to_owned(),
        port: port.into(),
        protocol,
        tls: v1::ClientTlsMode::Auto,
        balancer: v1::LoadBalancer::RoundRobin,
        resolution: v1::Resolution::Static,
        endpoints: Vec::new(),
        http: Vec::new(),
        policy: v1::TrafficPolicy::default(),
    }
}

/// Sends everything to the service `host:port`.
pub fn forward(host: &str, port: u16) -> v1::Forward {
    let destination = v1::Destination {
        host: host.to_owned(),
        port: port.into(),
        weight: 100,
        ..Default::default()
    };
    v1::Forward {
        destinations: vec![destination],
        ..Default::default()
    }
}

pub fn route(action: v1::http_route::Action) -> v1::HttpRoute {
    v1::HttpRoute {
        name: "test".to_owned(),
        action: Some(action),
        ..Default::default()
    }
}

/// Istio's default.
pub fn retry(attempts: u32) -> v1::Retry {
    v1::Retry {
        attempts,
        retry_on: [
            "connect-failure",
            "refused-stream",
            "unavailable",
            "cancelled",
            "retriable-status-codes",
            "reset",
        ]
        .map(str::to_owned)
        .to_vec(),
        status_codes: vec![503],
        backoff_base_ms: 1,
        backoff_max_ms: 5,
        ..Default::default()
    }
}

pub fn policy(
    name: &str,
    action: v1::AuthorizationAction,
    rule: v1::AuthorizationRule,
) -> v1::AuthorizationPolicy {
    v1::AuthorizationPolicy {
        name: format!("default/{name}"),
        action: action.into(),
        rules: vec![rule],
        ..Default::default()
    }
}

// === impl Service ===

impl Service {
    /// An endpoint without a sidecar.
    pub fn plain(mut self, address: SocketAddr) -> Self {
        let endpoint = Endpoint {
            address: address.ip().to_string(),
            port: address.port(),
            account: None,
            locality: String::new(),
            hbone: 0,
        };
        self.endpoints.push(endpoint);
        self
    }

    /// An endpoint that is known by name.
    pub fn named(mut self, name: &str, port: u16) -> Self {
        self.resolution = v1::Resolution::Dns;
        self.endpoints.push(Endpoint {
            address: name.to_owned(),
            port,
            account: None,
            locality: String::new(),
            hbone: 0,
        });
        self
    }

    /// An endpoint whose sidecar takes the mesh's mutual TLS as this service account.
    pub fn mesh(mut self, address: SocketAddr, account: &str) -> Self {
        let account = Some(account.to_owned());
        self.endpoints.push(Endpoint {
            address: address.ip().to_string(),
            port: address.port(),
            account,
            locality: String::new(),
            hbone: 0,
        });
        self
    }

    /// An endpoint whose proxy takes connections by HBONE, as this service account.
    pub fn hbone(mut self, address: SocketAddr, port: u16, account: &str) -> Self {
        self.endpoints.push(Endpoint {
            address: address.ip().to_string(),
            port,
            account: Some(account.to_owned()),
            locality: String::new(),
            hbone: address.port(),
        });
        self
    }

    /// How endpoints are found.
    pub fn resolved(mut self, resolution: v1::Resolution) -> Self {
        self.resolution = resolution;
        self
    }

    /// The rest of the client's policy.
    pub fn policy(mut self, policy: v1::TrafficPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Limits of the client.
    pub fn pool(self, pool: v1::ConnectionPool) -> Self {
        let policy = v1::TrafficPolicy {
            connection_pool: Some(pool),
            ..self.policy.clone()
        };
        self.policy(policy)
    }

    /// The last endpoint is there.
    pub fn at(mut self, locality: &str) -> Self {
        let last = self.endpoints.last_mut().expect("an endpoint comes first");
        last.locality = locality.to_owned();
        self
    }

    pub fn route(mut self, route: v1::HttpRoute) -> Self {
        self.http.push(route);
        self
    }

    fn resources(&self, resources: &mut Vec<(String, v1::resource::Body)>) {
        let policy = v1::TrafficPolicy {
            load_balancer: self.balancer.into(),
            connect_timeout_ms: 2_000,
            tls: Some(v1::ClientTls {
                mode: self.tls.into(),
                ..Default::default()
            }),
            ..self.policy.clone()
        };
        let service = v1::Service {
            hostname: self.host.clone(),
            namespace: "default".to_owned(),
            short_name: self.host.clone(),
            ports: vec![v1::ServicePort {
                number: self.port,
                name: "port".to_owned(),
                protocol: self.protocol.into(),
            }],
            resolution: self.resolution.into(),
            subsets: vec![v1::Subset {
                policies: vec![v1::PortPolicy {
                    port: self.port,
                    policy: Some(policy),
                }],
                ..Default::default()
            }],
            ..Default::default()
        };
        resources.push((
            format!("service/{}", self.host),
            v1::resource::Body::Service(service),
        ));
        for (index, endpoint) in self.endpoints.iter().enumerate() {
            resources.push(self.workload(index, endpoint));
        }
        let http = match (self.protocol, self.http.is_empty()) {
            (v1::Protocol::Tcp | v1::Protocol::Tls, _) => Vec::new(),
            (_, true) => {
                let port = u16::try_from(self.port).unwrap();
                let mut forward = forward(&self.host, port);
                forward.retry = Some(retry(2));
                vec![route(v1::http_route::Action::Forward(forward))]
            }
            (_, false) => self.http.clone(),
        };
        let destination = v1::Destination {
            host: self.host.clone(),
            port: self.port,
            weight: 1,
            ..Default::default()
        };
        let table = v1::RouteTable {
            host: self.host.clone(),
            port: self.port,
            protocol: self.protocol.into(),
            http,
            tcp: vec![v1::TcpRoute {
                destinations: vec![destination],
                ..Default::default()
            }],
            ..Default::default()
        };
        resources.push((
            format!("routes/{}:{}", self.host, self.port),
            v1::resource::Body::Routes(table),
        ));
    }

    fn workload(&self, index: usize, endpoint: &Endpoint) -> (String, v1::resource::Body) {
        let uid = format!("default/{}-{index}", self.host.replace('*', "any"));
        let ports = vec![v1::BackingPort {
            service_port: self.port,
            target_port: endpoint.port.into(),
            mutual_tls: endpoint.account.is_some() && endpoint.hbone == 0,
        }];
        let identity = endpoint
            .account
            .as_ref()
            .map(|account| spiffe(account))
            .unwrap_or_default();
        let workload = v1::Workload {
            uid: uid.clone(),
            name: format!("{}-{index}", self.host),
            namespace: "default".to_owned(),
            identity,
            address: endpoint.address.clone(),
            locality: endpoint.locality.clone(),
            hbone_port: endpoint.hbone.into(),
            weight: 1,
            health: v1::Health::Healthy.into(),
            backs: vec![v1::Backing {
                service: self.host.clone(),
                ports,
            }],
            ..Default::default()
        };
        (
            format!("workload/{uid}"),
            v1::resource::Body::Workload(workload),
        )
    }
}

pub fn spiffe(account: &str) -> String {
    format!("spiffe://cluster.local/ns/default/sa/{account}")
}

// === impl Config ===

impl Config {
    pub fn service(mut self, service: Service) -> Self {
        self.services.push(service);
        self
    }

    /// Undeclared destinations are refused.
    pub fn registry_only(mut self) -> Self {
        self.strict_outbound = true;
        self
    }

    /// The control plane has said that nobody declared this `host:port`.
    pub fn undeclared(mut self, destination: &str) -> Self {
        self.undeclared.push(destination.to_owned());
        self
    }

    pub fn inbound(mut self, port: u16, protocol: v1::Protocol, mtls: v1::MtlsMode) -> Self {
        let inbound = self.inbound.get_or_insert_with(|| v1::Inbound {
            workload: "default/test".to_owned(),
            default_mtls: v1::MtlsMode::Permissive.into(),
            ..Default::default()
        });
        inbound.ports.push(v1::InboundPort {
            port: port.into(),
            protocol: protocol.into(),
            mtls: mtls.into(),
            ..Default::default()
        });
        self
    }

    /// The proxy itself is there.
    pub fn at(mut self, locality: &str) -> Self {
        let inbound = self.inbound.get_or_insert_with(|| v1::Inbound {
            workload: "default/test".to_owned(),
            default_mtls: v1::MtlsMode::Permissive.into(),
            ..Default::default()
        });
        inbound.place = Some(v1::Place {
            locality: locality.to_owned(),
            ..Default::default()
        });
        self
    }

    pub fn policy(mut self, policy: v1::AuthorizationPolicy) -> Self {
        self.inbound
            .as_mut()
            .expect("inbound() comes first")
            .policies
            .push(policy);
        self
    }

    /// What the workload's proxy lets in.
    pub fn admission(self, admission: v1::Admission) -> Self {
        self.with_inbound(|inbound| inbound.admission = Some(admission))
    }

    /// Changes what the workload accepts.
    pub fn with_inbound(mut self, change: impl FnOnce(&mut v1::Inbound)) -> Self {
        change(self.inbound.as_mut().expect("inbound() comes first"));
        self
    }

    /// Something else that a gateway is told.
    pub fn with_gateway(mut self, change: impl FnOnce(&mut v1::Gateway)) -> Self {
        change(self.gateway.as_mut().expect("gateway() comes first"));
        self
    }

    /// What the gateway lets in.
    pub fn gateway_admission(mut self, admission: v1::Admission) -> Self {
        let gateway = self.gateway.as_mut().expect("gateway() comes first");
        gateway.admission = Some(admission);
        self
    }

    pub fn gateway(mut self, port: u16, hosts: Vec<v1::GatewayHost>) -> Self {
        let gateway = self.gateway.get_or_insert_with(|| v1::Gateway {
            workload: "default/test".to_owned(),
            ..Default::default()
        });
        let protocol = v1::Protocol::Http.into();
        gateway.listeners.push(v1::GatewayListener {
            port: port.into(),
            protocol,
            hosts,
            ..Default::default()
        });
        self
    }

    pub fn listener(mut self, listener: v1::GatewayListener) -> Self {
        let gateway = self.gateway.get_or_insert_with(|| v1::Gateway {
            workload: "default/test".to_owned(),
            ..Default::default()
        });
        gateway.listeners.push(listener);
        self
    }

    pub fn gateway_policy(mut self, policy: v1::AuthorizationPolicy) -> Self {
        let gateway = self.gateway.as_mut().expect("listener() comes first");
        gateway.policies.push(policy);
        self
    }

    pub fn credential(mut self, credential: v1::Credential) -> Self {
        self.credentials.push(credential);
        self
    }

    /// In place of the one that all peers are of.
    pub fn trust_domain(mut self, name: &'static str) -> Self {
        self.trust_domain = Some(name);
        self
    }

    pub fn snapshot(&self) -> Snapshot {
        let outbound_policy = if self.strict_outbound {
            v1::OutboundPolicy::RegistryOnly
        } else {
            v1::OutboundPolicy::AllowAny
        };
        let mesh = v1::Mesh {
            trust_domain: self.trust_domain.unwrap_or("cluster.local").to_owned(),
            outbound_policy: outbound_policy.into(),
            roots_der: self.roots.clone(),
            ..Default::default()
        };
        let mut resources = vec![("mesh/default".to_owned(), v1::resource::Body::Mesh(mesh))];
        self.services
            .iter()
            .for_each(|service| service.resources(&mut resources));
        for name in &self.undeclared {
            let (_, port) = name.rsplit_once(':').unwrap();
            let table = v1::RouteTable {
                port: port.parse().unwrap(),
                protocol: v1::Protocol::Auto.into(),
                undeclared: true,
                ..Default::default()
            };
            let ip = name.parse::<SocketAddr>().is_ok();
            let kind = if ip { "address" } else { "routes" };
            resources.push((format!("{kind}/{name}"), v1::resource::Body::Routes(table)));
        }
        resources.extend(
            self.inbound
                .clone()
                .map(|body| ("inbound/self".to_owned(), v1::resource::Body::Inbound(body))),
        );
        resources.extend(
            self.gateway
                .clone()
                .map(|body| ("gateway/self".to_owned(), v1::resource::Body::Gateway(body))),
        );
        for credential in &self.credentials {
            let name = format!("credential/{}/{}", credential.namespace, credential.name);
            let body = v1::resource::Body::Credential(credential.clone());
            resources.push((name, body));
        }
        let unique: HashMap<_, _> = resources.into_iter().collect();
        let upsert = unique.into_iter().map(|(name, body)| v1::Resource {
            name,
            version: "1".into(),
            body: Some(body),
        });
        let response = v1::DiscoveryResponse {
            nonce: "1".to_owned(),
            revision: 1,
            upsert: upsert.collect(),
            ..Default::default()
        };
        let applied = Snapshot::empty().apply(&response);
        assert!(applied.rejected.is_empty(), "{:?}", applied.rejected);
        applied.snapshot
    }
}
