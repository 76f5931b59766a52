//! What control planes and proxies tell each other, and what a proxy then does with requests.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::OnceLock;

use http::request::Parts;
use mesh_api::{Hostname, ResourceName, WorkloadName, v1};
use mesh_proxy_core::authz::Caller;
use mesh_proxy_core::explain::{self, ExplainRequest};
use mesh_proxy_core::plan::{self, HttpAction, Step, TcpTarget};
use mesh_proxy_core::{ClientInfo, Snapshot};
use meshd_core::{MeshSettings, Store};
use prost::Message;
use rand::SeedableRng;
use rand::rngs::SmallRng;

use super::{client, prefixed, request, sidecar};

/// What a control plane may send.
pub fn discovery_response(data: &[u8]) {
    let Ok(response) = v1::DiscoveryResponse::decode(data) else {
        return;
    };
    let applied = Snapshot::empty().apply(&response);
    // Whatever was taken is listed, and whatever is listed is held.
    for name in applied.snapshot.names() {
        assert!(applied.snapshot.holds(name));
    }
    // To apply it again changes nothing.
    let again = applied.snapshot.apply(&response);
    assert_eq!(again.snapshot.known(), applied.snapshot.known());
}

/// What a proxy may send: several requests, each behind two bytes of length.
pub fn discovery_request(data: &[u8]) {
    static WORLD: OnceLock<meshd_core::World> = OnceLock::new();
    let world = WORLD.get_or_init(|| {
        let mut store = Store::new();
        store.set_file(
            "canary.yaml",
            include_str!("../../../meshd/core/testdata/canary_and_faults/input.yaml"),
        );
        store.set_file(
            "bookinfo.yaml",
            include_str!("../../../meshd/core/testdata/bookinfo/input.yaml"),
        );
        store.world(&MeshSettings::default())
    });
    let Some(identity) = client() else { return };
    let Ok(scope) = world.scope(&sidecar(), &identity) else {
        return;
    };
    let mut session = meshd_core::session::Session::new(scope);
    let mut rest = data;
    while let Some((message, tail)) = prefixed(rest) {
        rest = tail;
        let Ok(request) = v1::DiscoveryRequest::decode(message) else {
            return;
        };
        if session.on_request(&request).is_err() {
            return;
        }
        if let Some(response) = session.next(world, 1) {
            // What we send, our proxies take.
            let applied = Snapshot::empty().apply(&response);
            assert!(applied.rejected.is_empty(), "{:?}", applied.rejected);
        }
    }
}

/// A request, behind two bytes of length, against whatever a control plane sent.
pub fn decode_plan(data: &[u8]) {
    let Some((text, resources)) = prefixed(data) else {
        return;
    };
    let Ok(response) = v1::DiscoveryResponse::decode(resources) else {
        return;
    };
    let snapshot = Snapshot::empty().apply(&response).snapshot;
    let Some(parts) = request(text) else { return };
    let field = parts
        .headers
        .get(http::header::HOST)
        .and_then(|host| host.to_str().ok());
    let authority = parts
        .uri
        .authority()
        .map(http::uri::Authority::as_str)
        .or(field)
        .unwrap_or("a");
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().unwrap_or(80)),
        None => (authority, 80),
    };
    if let Ok(host) = host.parse::<Hostname>() {
        outbound(&snapshot, &host, port, &parts);
    }
    let mut rng = SmallRng::seed_from_u64(7);
    let _ = plan::gateway_http(&snapshot, port, &parts, &mut rng);
    inbound(&snapshot, port, &parts);
    connections(&snapshot);
    explanations(&snapshot, (host, port), &parts);
}

fn outbound(snapshot: &Snapshot, host: &Hostname, port: u16, parts: &Parts) {
    for seed in 0..2 {
        let mut rng = SmallRng::seed_from_u64(seed);
        let Step::Ready(plan) = plan::outbound_http(snapshot, host, port, parts, &mut rng) else {
            return;
        };
        if let HttpAction::Forward(forward) = &plan.action {
            let mut sent = parts.clone();
            plan::apply_request(forward, &mut sent);
            assert!(
                parts.uri.path().is_empty() || !sent.uri.path().is_empty(),
                "the target is lost"
            );
        }
        let (mut answer, ()) = http::Response::new(()).into_parts();
        plan::apply_response(&plan, &mut answer);
    }
}

/// A policy says the same before and after the path is brought into the form that the workload
/// gets.
fn inbound(snapshot: &Snapshot, port: u16, parts: &Parts) {
    let identity = client();
    let mut normal = parts.clone();
    plan::normalise_path(snapshot, &mut normal);
    for identity in [None, identity.as_ref()] {
        let caller = Caller {
            identity,
            source: IpAddr::V4(Ipv4Addr::LOCALHOST),
            client: IpAddr::V4(Ipv4Addr::LOCALHOST),
            destination: SocketAddr::from(([127, 0, 0, 1], port)),
            sni: None,
        };
        let verdict = plan::inbound_http(snapshot, &caller, parts);
        assert_eq!(verdict, plan::inbound_http(snapshot, &caller, &normal));
        let _ = plan::inbound_tcp(snapshot, &caller);
        let _ = plan::gateway_authorize(snapshot, &caller, parts);
    }
    let _ = plan::inbound_connection(snapshot, port);
}

fn connections(snapshot: &Snapshot) {
    let mut rng = SmallRng::seed_from_u64(7);
    for name in snapshot.names() {
        let _ = plan::outbound_destination(snapshot, name);
        let original = match name {
            ResourceName::Address(address) => Some(*address),
            _ => None,
        };
        for sni in [None, Some("reviews.default.svc.cluster.local")] {
            let _ = plan::outbound_tcp(
                snapshot,
                &TcpTarget {
                    name: name.clone(),
                    original,
                    sni,
                },
                &mut rng,
            );
        }
    }
}

fn explanations(snapshot: &Snapshot, (host, port): (&str, u16), parts: &Parts) {
    let Ok(workload) = WorkloadName::new("default", "client") else {
        return;
    };
    let own = ClientInfo {
        workload,
        identity: client(),
        labels: [].into(),
        cluster: String::new(),
    };
    let mut asked = ExplainRequest {
        host: host.to_owned(),
        port,
        method: parts.method.to_string(),
        path: parts
            .uri
            .path_and_query()
            .map(ToString::to_string)
            .unwrap_or_default(),
        seed: Some(7),
        ..ExplainRequest::default()
    };
    let text = |value: &http::HeaderValue| value.to_str().unwrap_or_default().to_owned();
    asked.headers = parts
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), text(value)))
        .collect();
    for tcp in [false, true] {
        asked.tcp = tcp;
        let _ = explain::explain_outbound(snapshot, &own, &asked);
        let _ = explain::explain_inbound(snapshot, &own, &asked);
        let _ = explain::explain_gateway(snapshot, &own, &asked);
    }
}
