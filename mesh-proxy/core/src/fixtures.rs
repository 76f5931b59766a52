//! Builders of protobuf resources and requests for the tests.

use std::hash::{DefaultHasher, Hash, Hasher};

use http::request::Parts;
use mesh_api::v1::{self, resource::Body};
use rand::SeedableRng;
use rand::rngs::SmallRng;

use crate::labels::ClientInfo;
use crate::snapshot::Snapshot;

pub(crate) const REVIEWS: &str = "reviews.default.svc.cluster.local";

pub(crate) fn rng() -> SmallRng {
    SmallRng::seed_from_u64(7)
}

pub(crate) fn resource(name: &str, body: Body) -> v1::Resource {
    let mut hasher = DefaultHasher::new();
    format!("{body:?}").hash(&mut hasher);
    v1::Resource {
        name: name.to_owned(),
        version: format!("{:016x}", hasher.finish()),
        body: Some(body),
    }
}

pub(crate) fn response(revision: u64, upsert: Vec<v1::Resource>) -> v1::DiscoveryResponse {
    v1::DiscoveryResponse {
        nonce: format!("n{revision}"),
        revision,
        digest: format!("d{revision}"),
        upsert,
        removed: Vec::new(),
    }
}

/// A snapshot of these resources, all of which must be good.
pub(crate) fn snapshot(upsert: Vec<v1::Resource>) -> Snapshot {
    let applied = Snapshot::empty().apply(&response(1, upsert));
    assert_eq!(applied.rejected, []);
    applied.snapshot
}

pub(crate) fn mesh(policy: v1::OutboundPolicy) -> v1::Resource {
    let mesh = v1::Mesh {
        trust_domain: "cluster.local".into(),
        trust_domain_aliases: Vec::new(),
        outbound_policy: policy.into(),
        ..v1::Mesh::default()
    };
    resource("mesh/default", Body::Mesh(mesh))
}

pub(crate) fn origin(line: u32) -> Option<v1::Origin> {
    Some(v1::Origin {
        source: "mesh.yaml".into(),
        line,
        column: 3,
        kind: "VirtualService".into(),
        namespace: "default".into(),
        name: "reviews".into(),
    })
}

pub(crate) fn policy(balancer: v1::LoadBalancer, tls: v1::ClientTls) -> v1::TrafficPolicy {
    v1::TrafficPolicy {
        load_balancer: balancer.into(),
        connect_timeout_ms: 0,
        tls: Some(tls),
        ..Default::default()
    }
}

pub(crate) fn tls(mode: v1::ClientTlsMode) -> v1::ClientTls {
    v1::ClientTls {
        mode: mode.into(),
        ..Default::default()
    }
}

/// A service with one HTTP port and the named subsets by label `version`.
pub(crate) fn service(host: &str, port: u32, versions: &[&str]) -> v1::Service {
    let policies = || {
        let policy = policy(v1::LoadBalancer::LeastRequest, tls(v1::ClientTlsMode::Auto));
        vec![v1::PortPolicy {
            port,
            policy: Some(policy),
        }]
    };
    let subset = |name: &&str| v1::Subset {
        name: (*name).to_owned(),
        labels: [("version".to_owned(), (*name).to_owned())].into(),
        policies: policies(),
        origin: origin(100),
    };
    let all = v1::Subset {
        name: String::new(),
        labels: [].into(),
        policies: policies(),
        origin: None,
    };
    v1::Service {
        hostname: host.into(),
        namespace: "default".into(),
        short_name: host.split('.').next().unwrap().into(),
        ports: vec![v1::ServicePort {
            number: port,
            name: "http".into(),
            protocol: v1::Protocol::Http.into(),
        }],
        addresses: vec!["10.1.0.1".into()],
        resolution: v1::Resolution::Static.into(),
        subsets: std::iter::once(all)
            .chain(versions.iter().map(subset))
            .collect(),
        origin: origin(50),
        ..Default::default()
    }
}

pub(crate) fn service_resource(service: v1::Service) -> v1::Resource {
    resource(
        &format!("service/{}", service.hostname),
        Body::Service(service),
    )
}

/// A workload `default/<name>` of a version behind one port of a service.
pub(crate) fn workload(
    name: &str,
    version: &str,
    address: &str,
    backs: (&str, u32, u32),
) -> v1::Workload {
    let (service, service_port, target_port) = backs;
    v1::Workload {
        uid: format!("default/{name}"),
        name: name.into(),
        namespace: "default".into(),
        identity: "spiffe://cluster.local/ns/default/sa/reviews".into(),
        labels: [("version".to_owned(), version.to_owned())].into(),
        address: address.into(),
        weight: 1,
        health: v1::Health::Healthy.into(),
        backs: vec![v1::Backing {
            service: service.into(),
            ports: vec![v1::BackingPort {
                service_port,
                target_port,
                mutual_tls: true,
            }],
        }],
        ..Default::default()
    }
}

pub(crate) fn workload_resource(workload: v1::Workload) -> v1::Resource {
    resource(
        &format!("workload/{}", workload.uid),
        Body::Workload(workload),
    )
}

pub(crate) fn destination(host: &str, port: u32, subset: &str, weight: u32) -> v1::Destination {
    v1::Destination {
        host: host.into(),
        port,
        subset: subset.into(),
        weight,
        headers: None,
    }
}

/// A route that forwards to the destinations if one of the matches holds.
pub(crate) fn forward(
    matches: Vec<v1::HttpMatch>,
    destinations: Vec<v1::Destination>,
) -> v1::HttpRoute {
    let action = v1::http_route::Action::Forward(v1::Forward {
        destinations,
        ..Default::default()
    });
    v1::HttpRoute {
        matches,
        action: Some(action),
        origin: origin(10),
        ..Default::default()
    }
}

pub(crate) fn exact(text: &str) -> Option<v1::StringMatch> {
    Some(v1::StringMatch {
        kind: Some(v1::string_match::Kind::Exact(text.into())),
    })
}

pub(crate) fn prefix(text: &str) -> Option<v1::StringMatch> {
    Some(v1::StringMatch {
        kind: Some(v1::string_match::Kind::Prefix(text.into())),
    })
}

pub(crate) fn regex(text: &str) -> Option<v1::StringMatch> {
    Some(v1::StringMatch {
        kind: Some(v1::string_match::Kind::Regex(text.into())),
    })
}

pub(crate) fn present() -> Option<v1::StringMatch> {
    Some(v1::StringMatch {
        kind: Some(v1::string_match::Kind::Present(true)),
    })
}

pub(crate) fn field(name: &str, value: Option<v1::StringMatch>) -> v1::FieldMatch {
    v1::FieldMatch {
        name: name.into(),
        value,
    }
}

/// `routes/reviews:9080` with these routes, for the service [`REVIEWS`].
pub(crate) fn table(http: Vec<v1::HttpRoute>) -> v1::Resource {
    let table = v1::RouteTable {
        host: REVIEWS.into(),
        port: 9080,
        protocol: v1::Protocol::Http.into(),
        http,
        ..Default::default()
    };
    resource("routes/reviews:9080", Body::Routes(table))
}

/// Reviews with subsets v1 and v2, one workload each, and these routes.
pub(crate) fn reviews(http: Vec<v1::HttpRoute>) -> Vec<v1::Resource> {
    vec![
        mesh(v1::OutboundPolicy::AllowAny),
        service_resource(service(REVIEWS, 9080, &["v1", "v2"])),
        workload_resource(workload(
            "reviews-v1",
            "v1",
            "10.0.0.1",
            (REVIEWS, 9080, 9081),
        )),
        workload_resource(workload(
            "reviews-v2",
            "v2",
            "10.0.0.2",
            (REVIEWS, 9080, 9081),
        )),
        table(http),
    ]
}

/// A request as a server reads it.
pub(crate) fn request(method: &str, uri: &str, headers: &[(&str, &str)]) -> Parts {
    let mut builder = http::Request::builder().method(method).uri(uri);
    for (name, value) in headers {
        builder = builder.header(*name, *value);
    }
    builder.body(()).unwrap().into_parts().0
}

pub(crate) fn client() -> ClientInfo {
    ClientInfo {
        workload: "default/productpage-v1".parse().unwrap(),
        identity: Some(
            "spiffe://cluster.local/ns/default/sa/productpage"
                .parse()
                .unwrap(),
        ),
        labels: [("app".to_owned(), "productpage".to_owned())].into(),
        cluster: String::new(),
    }
}
