//! Resources of any number.

use mesh_api::v1;
use mesh_api::v1::resource::Body;
use mesh_proxy_core::Snapshot;

/// Host name of service number `index`.
pub(crate) fn host(index: usize) -> String {
    format!("service-{index}.default.svc.cluster.local")
}

pub(crate) fn resource(name: String, body: Body) -> v1::Resource {
    v1::Resource {
        version: format!("version of {name}"),
        name,
        body: Some(body),
    }
}

pub(crate) fn response(upsert: Vec<v1::Resource>) -> v1::DiscoveryResponse {
    v1::DiscoveryResponse {
        nonce: "1".to_owned(),
        revision: 1,
        digest: "digest".to_owned(),
        upsert,
        ..Default::default()
    }
}

/// All of it, none refused.
pub(crate) fn snapshot(resources: Vec<v1::Resource>) -> Snapshot {
    let applied = Snapshot::empty().apply(&response(resources));
    assert!(applied.rejected.is_empty(), "{:?}", applied.rejected);
    applied.snapshot
}

pub(crate) fn mesh() -> v1::Resource {
    let mesh = v1::Mesh {
        trust_domain: "cluster.local".to_owned(),
        outbound_policy: v1::OutboundPolicy::AllowAny.into(),
        ..Default::default()
    };
    resource("mesh/default".to_owned(), Body::Mesh(mesh))
}

/// How endpoints are chosen, and no more.
pub(crate) fn policy(balancer: v1::LoadBalancer) -> v1::TrafficPolicy {
    v1::TrafficPolicy {
        load_balancer: balancer.into(),
        connect_timeout_ms: 10_000,
        tls: Some(v1::ClientTls {
            mode: v1::ClientTlsMode::Auto.into(),
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// Service number `index` with so many subsets.
pub(crate) fn service(index: usize, subsets: usize, balancer: v1::LoadBalancer) -> v1::Resource {
    service_with(index, subsets, &policy(balancer))
}

/// The same with a policy.
pub(crate) fn service_with(
    index: usize,
    subsets: usize,
    policy: &v1::TrafficPolicy,
) -> v1::Resource {
    let named = (0..subsets).map(|number| v1::Subset {
        name: if number == 0 {
            String::new()
        } else {
            format!("v{number}")
        },
        policies: vec![v1::PortPolicy {
            port: 80,
            policy: Some(policy.clone()),
        }],
        ..Default::default()
    });
    let service = v1::Service {
        hostname: host(index),
        namespace: "default".to_owned(),
        short_name: format!("service-{index}"),
        ports: vec![v1::ServicePort {
            number: 80,
            name: "http".to_owned(),
            protocol: v1::Protocol::Http.into(),
        }],
        resolution: v1::Resolution::Static.into(),
        subsets: named.collect(),
        ..Default::default()
    };
    resource(format!("service/{}", host(index)), Body::Service(service))
}

/// Endpoint number `number` of service number `index`.
pub(crate) fn workload(index: usize, number: usize, weight: u32) -> v1::Resource {
    let uid = format!("default/service-{index}-{number}");
    let [_, _, high, low] = u32::try_from(number).unwrap_or_default().to_be_bytes();
    let workload = v1::Workload {
        name: format!("service-{index}-{number}"),
        namespace: "default".to_owned(),
        identity: format!("spiffe://cluster.local/ns/default/sa/service-{index}"),
        address: format!("10.{}.{high}.{low}", index % 256),
        weight,
        health: v1::Health::Healthy.into(),
        backs: vec![v1::Backing {
            service: host(index),
            ports: vec![v1::BackingPort {
                service_port: 80,
                target_port: 8080,
                mutual_tls: true,
            }],
        }],
        uid: uid.clone(),
        ..Default::default()
    };
    resource(format!("workload/{uid}"), Body::Workload(workload))
}

/// A route that sends to a subset of service number `index` what begins with the prefix.
pub(crate) fn route(index: usize, prefix: &str, subset: &str) -> v1::HttpRoute {
    let uri = v1::StringMatch {
        kind: Some(v1::string_match::Kind::Prefix(prefix.to_owned())),
    };
    let destination = v1::Destination {
        host: host(index),
        port: 80,
        subset: subset.to_owned(),
        weight: 1,
        ..Default::default()
    };
    let forward = v1::Forward {
        destinations: vec![destination],
        ..Default::default()
    };
    v1::HttpRoute {
        matches: vec![v1::HttpMatch {
            uri: Some(uri),
            ..Default::default()
        }],
        action: Some(v1::http_route::Action::Forward(forward)),
        ..Default::default()
    }
}

/// The table of service number `index`.
pub(crate) fn table(index: usize, http: Vec<v1::HttpRoute>) -> v1::Resource {
    let table = v1::RouteTable {
        host: host(index),
        port: 80,
        protocol: v1::Protocol::Http.into(),
        http,
        ..Default::default()
    };
    resource(format!("routes/{}:80", host(index)), Body::Routes(table))
}

/// A gateway with one listener of these domains, each of one route.
pub(crate) fn gateway(domains: impl Iterator<Item = String>) -> v1::Resource {
    let hosts = domains.map(|domain| v1::GatewayHost {
        domain,
        http: vec![route(0, "/", "")],
        ..Default::default()
    });
    let listener = v1::GatewayListener {
        port: 80,
        protocol: v1::Protocol::Http.into(),
        hosts: hosts.collect(),
        ..Default::default()
    };
    let gateway = v1::Gateway {
        workload: "default/gateway".to_owned(),
        listeners: vec![listener],
        ..Default::default()
    };
    resource("gateway/self".to_owned(), Body::Gateway(gateway))
}

/// What a sidecar accepts: so many rules, of which the last one allows `caller-0` to get.
pub(crate) fn inbound(rules: usize) -> v1::Resource {
    let rules = (0..rules).rev().map(|number| v1::AuthorizationRule {
        from: vec![v1::AuthorizationSource {
            principals: vec![format!("cluster.local/ns/default/sa/caller-{number}")],
            ..Default::default()
        }],
        to: vec![v1::AuthorizationOperation {
            methods: vec!["GET".to_owned()],
            paths: vec![format!("/api/*")],
            ..Default::default()
        }],
        ..Default::default()
    });
    let policy = v1::AuthorizationPolicy {
        name: "default/callers".to_owned(),
        action: v1::AuthorizationAction::Allow.into(),
        rules: rules.collect(),
        ..Default::default()
    };
    let inbound = v1::Inbound {
        workload: "default/service-0-0".to_owned(),
        default_mtls: v1::MtlsMode::Strict.into(),
        policies: vec![policy],
        ..Default::default()
    };
    resource("inbound/self".to_owned(), Body::Inbound(inbound))
}

/// So many policies that deny what nobody here asks for.
pub(crate) fn denying(policies: usize, wild: bool) -> v1::Resource {
    let star = if wild { "*" } else { "" };
    let policies = (0..policies).map(|number| v1::AuthorizationPolicy {
        name: format!("default/policy-{number}"),
        action: v1::AuthorizationAction::Deny.into(),
        rules: vec![v1::AuthorizationRule {
            from: vec![v1::AuthorizationSource {
                principals: vec![format!("{star}cluster.local/ns/other/sa/caller-{number}")],
                ..Default::default()
            }],
            to: vec![v1::AuthorizationOperation {
                methods: vec!["POST".to_owned()],
                paths: vec![format!("{star}/api/{number}/*")],
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    });
    let inbound = v1::Inbound {
        workload: "default/service-0-0".to_owned(),
        default_mtls: v1::MtlsMode::Strict.into(),
        policies: policies.collect(),
        ..Default::default()
    };
    resource("inbound/self".to_owned(), Body::Inbound(inbound))
}
