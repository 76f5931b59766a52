//! Deciding about a request takes no memory.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::hint::black_box;

use http::Request;
use http::request::Parts;
use mesh_api::v1::resource::Body;
use mesh_api::{SpiffeId, v1};
use mesh_proxy_core::Snapshot;
use mesh_proxy_core::authz::Caller;
use mesh_proxy_core::plan;

fn resource(name: &str, body: Body) -> v1::Resource {
    v1::Resource {
        name: name.to_owned(),
        version: "1".to_owned(),
        body: Some(body),
    }
}

fn snapshot(policies: Vec<v1::AuthorizationPolicy>) -> Snapshot {
    let mesh = v1::Mesh {
        trust_domain: "cluster.local".to_owned(),
        outbound_policy: v1::OutboundPolicy::AllowAny.into(),
        ..v1::Mesh::default()
    };
    let inbound = v1::Inbound {
        workload: "default/a".to_owned(),
        default_mtls: v1::MtlsMode::Strict.into(),
        policies,
        ..v1::Inbound::default()
    };
    let applied = Snapshot::empty().apply(&v1::DiscoveryResponse {
        nonce: "1".to_owned(),
        revision: 1,
        digest: "1".to_owned(),
        upsert: vec![
            resource("mesh/default", Body::Mesh(mesh)),
            resource("inbound/self", Body::Inbound(inbound)),
        ],
        ..v1::DiscoveryResponse::default()
    });
    assert!(applied.rejected.is_empty(), "{:?}", applied.rejected);
    applied.snapshot
}

fn condition(attribute: v1::AuthorizationAttribute, value: String) -> v1::AuthorizationCondition {
    v1::AuthorizationCondition {
        attribute: attribute.into(),
        header: "x-tenant".to_owned(),
        claim: vec!["groups".to_owned()],
        values: vec![value],
        ..v1::AuthorizationCondition::default()
    }
}

/// A rule of each kind that nothing here matches: in the index and not, for requests and for
/// callers.
fn rule(number: usize) -> v1::AuthorizationRule {
    let mut source = v1::AuthorizationSource::default();
    let mut operation = v1::AuthorizationOperation::default();
    let mut when = Vec::new();
    match number % 10 {
        0 => source.principals = vec![format!("cluster.local/ns/other/sa/caller-{number}")],
        1 => source.principals = vec![format!("*/sa/caller-{number}")],
        2 => source.namespaces = vec![format!("other-{number}"), format!("*-{number}")],
        3 => source.ip_blocks = vec![format!("192.0.2.{number}/32")],
        4 => operation.paths = vec![format!("*/{number}")],
        5 => operation.hosts = vec![format!("host-{number}.example")],
        6 => operation.methods = vec!["POST".to_owned(), "DEL*".to_owned()],
        7 => when.push(condition(
            v1::AuthorizationAttribute::RequestHeader,
            format!("tenant-{number}"),
        )),
        8 => when.push(condition(
            v1::AuthorizationAttribute::RequestClaim,
            format!("group-{number}"),
        )),
        _ => operation.paths = vec![format!("/api/{number}/{{*}}")],
    }
    let mut rule = v1::AuthorizationRule {
        when,
        ..v1::AuthorizationRule::default()
    };
    if source != v1::AuthorizationSource::default() {
        rule.from.push(source);
    }
    if operation != v1::AuthorizationOperation::default() {
        rule.to.push(operation);
    }
    rule
}

fn policies(action: v1::AuthorizationAction) -> Vec<v1::AuthorizationPolicy> {
    let one = |number: usize| v1::AuthorizationPolicy {
        name: format!("default/policy-{number}"),
        action: action.into(),
        rules: vec![rule(number)],
        ..v1::AuthorizationPolicy::default()
    };
    (0..100).map(one).collect()
}

fn request() -> Parts {
    let request = Request::builder()
        .uri("/reviews/0")
        .header("host", "reviews:9080")
        .header("x-tenant", "me")
        .body(());
    request.unwrap().into_parts().0
}

#[test]
fn a_hundred_policies_that_do_not_match_take_no_memory() {
    let identity: SpiffeId = "spiffe://cluster.local/ns/default/sa/b".parse().unwrap();
    let caller = Caller {
        identity: Some(&identity),
        source: [10, 0, 0, 1].into(),
        client: [10, 0, 0, 1].into(),
        destination: ([10, 0, 0, 2], 9080).into(),
        sni: Some("outbound_.9080_._.reviews"),
    };
    let request = request();
    for (action, allowed) in [
        (v1::AuthorizationAction::Deny, true),
        (v1::AuthorizationAction::Allow, false),
        (v1::AuthorizationAction::Audit, true),
    ] {
        let snapshot = snapshot(policies(action));
        let mut verdict = None;
        let taken = allocation_counter::measure(|| {
            let asked = plan::inbound_ask(&snapshot, &caller, Some(&request));
            assert!(black_box(asked).is_empty());
            verdict = Some(plan::inbound_http(&snapshot, &caller, &request));
        });
        let verdict = verdict.unwrap();
        assert_eq!((verdict.allowed, verdict.by), (allowed, None), "{action:?}");
        assert_eq!(taken.count_total, 0, "{action:?}: {taken:?}");
    }
    // It counts at all.
    let one = allocation_counter::measure(|| drop(black_box(vec![1_u8; 10])));
    assert_eq!(one.count_total, 1);
}
