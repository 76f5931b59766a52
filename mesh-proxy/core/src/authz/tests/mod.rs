use mesh_api::v1::{self, AuthorizationAction as Action, AuthorizationAttribute as Attribute};

mod callers;
mod forms;
mod operations;
mod properties;
mod reference;

use super::*;
use crate::fixtures::{request, resource, response};
use crate::plan;
use crate::snapshot::Snapshot;

type ProtoRule = v1::AuthorizationRule;

fn mesh(domain: &str, aliases: &[&str]) -> v1::Resource {
    let mesh = v1::Mesh {
        trust_domain: domain.into(),
        trust_domain_aliases: aliases.iter().map(|alias| (*alias).into()).collect(),
        outbound_policy: v1::OutboundPolicy::AllowAny.into(),
        ..Default::default()
    };
    resource("mesh/default", v1::resource::Body::Mesh(mesh))
}

fn policy(name: &str, action: Action, rules: Vec<ProtoRule>) -> v1::AuthorizationPolicy {
    v1::AuthorizationPolicy {
        name: name.into(),
        action: action.into(),
        rules,
        ..Default::default()
    }
}

fn inbound(policies: Vec<v1::AuthorizationPolicy>) -> v1::Resource {
    let inbound = v1::Inbound {
        workload: "default/reviews-v1".into(),
        default_mtls: v1::MtlsMode::Permissive.into(),
        policies,
        ..Default::default()
    };
    resource("inbound/self", v1::resource::Body::Inbound(inbound))
}

fn world_of(domain: &str, aliases: &[&str], policies: Vec<v1::AuthorizationPolicy>) -> Snapshot {
    let applied =
        Snapshot::empty().apply(&response(1, vec![mesh(domain, aliases), inbound(policies)]));
    assert_eq!(applied.rejected, []);
    applied.snapshot
}

fn world(policies: Vec<v1::AuthorizationPolicy>) -> Snapshot {
    world_of("cluster.local", &[], policies)
}

fn texts(list: &[&str]) -> Vec<String> {
    list.iter().map(|text| (*text).to_owned()).collect()
}

fn from(source: v1::AuthorizationSource) -> ProtoRule {
    ProtoRule {
        from: vec![source],
        ..Default::default()
    }
}

fn principals(list: &[&str]) -> ProtoRule {
    from(v1::AuthorizationSource {
        principals: texts(list),
        ..Default::default()
    })
}

fn to(operation: v1::AuthorizationOperation) -> ProtoRule {
    ProtoRule {
        to: vec![operation],
        ..Default::default()
    }
}

fn paths(list: &[&str]) -> ProtoRule {
    to(v1::AuthorizationOperation {
        paths: texts(list),
        ..Default::default()
    })
}

fn when(attribute: Attribute, header: &str, values: &[&str], not_values: &[&str]) -> ProtoRule {
    let condition = v1::AuthorizationCondition {
        attribute: attribute.into(),
        header: header.into(),
        values: texts(values),
        not_values: texts(not_values),
        ..Default::default()
    };
    ProtoRule {
        when: vec![condition],
        ..Default::default()
    }
}

fn id(text: &str) -> SpiffeId {
    text.parse().unwrap()
}

fn caller(identity: Option<&SpiffeId>) -> Caller<'_> {
    Caller {
        identity,
        source: "10.0.0.9".parse().unwrap(),
        client: "10.0.0.9".parse().unwrap(),
        destination: "10.0.0.1:9080".parse().unwrap(),
        sni: Some("outbound_.9080_._.reviews"),
    }
}

fn productpage() -> SpiffeId {
    id("spiffe://cluster.local/ns/default/sa/productpage")
}

/// Whether `GET /path` of an authenticated caller is allowed.
fn http_allows(
    snapshot: &Snapshot,
    identity: Option<&SpiffeId>,
    path: &str,
    headers: &[(&str, &str)],
) -> bool {
    plan::inbound_http(snapshot, &caller(identity), &request("GET", path, headers)).allowed
}

fn tcp_allows(snapshot: &Snapshot, identity: Option<&SpiffeId>) -> bool {
    plan::inbound_tcp(snapshot, &caller(identity)).allowed
}
