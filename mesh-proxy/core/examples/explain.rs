//! Where does a request go, and why? Builds a configuration by hand, as the control plane would
//! send it, plans one request and explains another.
//!
//! ```text
//! cargo run -p mesh-proxy-core --example explain
//! ```

use std::error::Error;

use mesh_api::v1::{self, resource::Body};
use mesh_proxy_core::explain::{ExplainRequest, explain};
use mesh_proxy_core::plan::{HttpAction, Step, outbound_http};
use mesh_proxy_core::{ClientInfo, Snapshot};
use rand::SeedableRng;
use rand::rngs::SmallRng;

const REVIEWS: &str = "reviews.default.svc.cluster.local";

fn main() -> Result<(), Box<dyn Error>> {
    let response = v1::DiscoveryResponse {
        revision: 1,
        upsert: vec![
            resource(&format!("service/{REVIEWS}"), Body::Service(service())),
            resource(
                "workload/default/reviews-v1",
                Body::Workload(workload("v1", "10.0.0.1")),
            ),
            resource(
                "workload/default/reviews-v2",
                Body::Workload(workload("v2", "10.0.0.2")),
            ),
            resource("routes/reviews:9080", Body::Routes(routes())),
        ],
        ..Default::default()
    };
    let applied = Snapshot::empty().apply(&response);
    for rejection in &applied.rejected {
        println!("refused {}: {}", rejection.resource, rejection.reason);
    }
    let snapshot = applied.snapshot;

    // What the data path does for each request.
    let (parts, ()) = http::Request::get("/reviews/0")
        .header("end-user", "jason")
        .body(())?
        .into_parts();
    let mut rng = SmallRng::seed_from_u64(1);
    match outbound_http(&snapshot, &"reviews".parse()?, 9080, &parts, &mut rng) {
        Step::Need(name) => println!("to be fetched first: {name}"),
        Step::Ready(plan) => match plan.action {
            HttpAction::Forward(forward) => println!("jason goes to {}", forward.cluster.id),
            other => println!("{other:?}"),
        },
    }

    // What an operator asks.
    let client = ClientInfo {
        workload: "default/productpage-v1".parse()?,
        identity: None,
        labels: [].into(),
        cluster: String::new(),
    };
    let question = ExplainRequest {
        host: "reviews".to_owned(),
        port: 9080,
        path: "/reviews/0".to_owned(),
        headers: vec![("end-user".to_owned(), "anna".to_owned())],
        ..ExplainRequest::default()
    };
    let report = explain(&snapshot, &client, &question)?;
    println!("{}", serde_json::to_string_pretty(&report)?);
    Ok(())
}

fn resource(name: &str, body: Body) -> v1::Resource {
    v1::Resource {
        name: name.to_owned(),
        version: "1".to_owned(),
        body: Some(body),
    }
}

/// One HTTP port, all endpoints and the subsets v1 and v2.
fn service() -> v1::Service {
    let policy = v1::TrafficPolicy {
        load_balancer: v1::LoadBalancer::LeastRequest.into(),
        tls: Some(v1::ClientTls {
            mode: v1::ClientTlsMode::Auto.into(),
            ..Default::default()
        }),
        ..Default::default()
    };
    let subset = |name: &str| v1::Subset {
        name: name.to_owned(),
        labels: if name.is_empty() {
            [].into()
        } else {
            [("version".to_owned(), name.to_owned())].into()
        },
        policies: vec![v1::PortPolicy {
            port: 9080,
            policy: Some(policy.clone()),
        }],
        origin: None,
    };
    v1::Service {
        hostname: REVIEWS.to_owned(),
        namespace: "default".to_owned(),
        short_name: "reviews".to_owned(),
        ports: vec![v1::ServicePort {
            number: 9080,
            name: "http".to_owned(),
            protocol: v1::Protocol::Http.into(),
        }],
        resolution: v1::Resolution::Static.into(),
        subsets: vec![subset(""), subset("v1"), subset("v2")],
        ..Default::default()
    }
}

fn workload(version: &str, address: &str) -> v1::Workload {
    v1::Workload {
        uid: format!("default/reviews-{version}"),
        name: format!("reviews-{version}"),
        namespace: "default".to_owned(),
        identity: "spiffe://cluster.local/ns/default/sa/reviews".to_owned(),
        labels: [("version".to_owned(), version.to_owned())].into(),
        address: address.to_owned(),
        weight: 1,
        health: v1::Health::Healthy.into(),
        backs: vec![v1::Backing {
            service: REVIEWS.to_owned(),
            ports: vec![v1::BackingPort {
                service_port: 9080,
                target_port: 9080,
                mutual_tls: true,
            }],
        }],
        ..Default::default()
    }
}

/// Jason gets v2, everybody else v1 or, one time in four, v2.
fn routes() -> v1::RouteTable {
    let to = |subset: &str, weight| v1::Destination {
        host: REVIEWS.to_owned(),
        port: 9080,
        subset: subset.to_owned(),
        weight,
        headers: None,
    };
    let route = |name: &str, line, matches, destinations| v1::HttpRoute {
        name: name.to_owned(),
        origin: Some(v1::Origin {
            source: "reviews.yaml".to_owned(),
            line,
            column: 5,
            kind: "VirtualService".to_owned(),
            namespace: "default".to_owned(),
            name: "reviews".to_owned(),
        }),
        matches,
        action: Some(v1::http_route::Action::Forward(v1::Forward {
            destinations,
            ..Default::default()
        })),
        ..Default::default()
    };
    let exactly = v1::string_match::Kind::Exact("jason".to_owned());
    let jason = v1::HttpMatch {
        headers: vec![v1::FieldMatch {
            name: "end-user".to_owned(),
            value: Some(v1::StringMatch {
                kind: Some(exactly),
            }),
        }],
        ..Default::default()
    };
    v1::RouteTable {
        host: REVIEWS.to_owned(),
        port: 9080,
        protocol: v1::Protocol::Http.into(),
        http: vec![
            route("testers", 9, vec![jason], vec![to("v2", 1)]),
            route("canary", 17, vec![], vec![to("v1", 75), to("v2", 25)]),
        ],
        ..Default::default()
    }
}
