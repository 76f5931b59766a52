//! Policies and requests at random.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{Asked, Form, Http};
use crate::authz::tests::{Action, Attribute, ProtoRule, id, policy, texts};
use mesh_api::v1;

/// A few of a list, and a few others.
fn lists(all: &'static [&'static str]) -> impl Strategy<Value = (Vec<String>, Vec<String>)> {
    let some = move |weight: u32| {
        prop_oneof![
            6 => Just(Vec::new()),
            weight => proptest::sample::subsequence(all, 1..=all.len().min(2)),
        ]
    };
    (some(4), some(1)).prop_map(|(any, none)| (texts(&any), texts(&none)))
}

const ACCOUNTS: &[&str] = &[
    "cluster.local/ns/default/sa/a",
    "cluster.local/ns/prod/sa/b",
    "other/ns/prod/sa/b",
    "cluster.local/ns/default/*",
    "old/ns/default/sa/a",
    "cluster*/ns/prod/sa/b",
    "*/sa/a",
    "*",
];
const NAMESPACES: &[&str] = &["default", "prod", "d*", "*o*"];
const DOMAINS: &[&str] = &["cluster.local", "other", "o*"];
const BLOCKS: &[&str] = &["10.0.0.0/8", "10.1.0.0/16", "192.0.2.1/32", "::/0"];
const TOKENS: &[&str] = &["iss/one", "iss/*", "*/two", "*", "is*", "*wo", "iss"];
const PATHS: &[&str] = &[
    "/a", "/a/*", "/a/b", "*/b", "/*", "/{*}/b", "/a/{**}", "/{**}/c", "/b*",
];

fn source() -> impl Strategy<Value = v1::AuthorizationSource> {
    (
        lists(ACCOUNTS),
        lists(NAMESPACES),
        lists(&["default/a", "prod/b"]),
        lists(DOMAINS),
        lists(BLOCKS),
        lists(BLOCKS),
        lists(TOKENS),
    )
        .prop_map(|(p, n, a, t, b, r, q)| v1::AuthorizationSource {
            principals: p.0,
            not_principals: p.1,
            namespaces: n.0,
            not_namespaces: n.1,
            service_accounts: a.0,
            not_service_accounts: a.1,
            trust_domains: t.0,
            not_trust_domains: t.1,
            ip_blocks: b.0,
            not_ip_blocks: b.1,
            remote_ip_blocks: r.0,
            not_remote_ip_blocks: r.1,
            request_principals: q.0,
            not_request_principals: q.1,
        })
}

fn operation() -> impl Strategy<Value = v1::AuthorizationOperation> {
    let numbers = |words: Vec<String>| words.iter().map(|word| word.parse().unwrap()).collect();
    (
        lists(&["h", "H:80", "*.x", "a.*", "*"]),
        lists(&["80", "9080"]),
        lists(&["GET", "P*", "*T", "*"]),
        lists(PATHS),
    )
        .prop_map(move |(h, n, m, p)| v1::AuthorizationOperation {
            hosts: h.0,
            not_hosts: h.1,
            ports: numbers(n.0),
            not_ports: numbers(n.1),
            methods: m.0,
            not_methods: m.1,
            paths: p.0,
            not_paths: p.1,
        })
}

fn condition() -> impl Strategy<Value = v1::AuthorizationCondition> {
    let of = |attribute: Attribute, all| {
        lists(all).prop_map(move |(values, not_values)| v1::AuthorizationCondition {
            attribute: attribute.into(),
            header: "x-a".into(),
            values,
            not_values,
            claim: texts(&["groups"]),
        })
    };
    let nested =
        lists(&["deep", "*"]).prop_map(|(values, not_values)| v1::AuthorizationCondition {
            attribute: Attribute::RequestClaim.into(),
            values,
            not_values,
            claim: texts(&["in", "ner"]),
            ..Default::default()
        });
    prop_oneof![
        of(Attribute::RequestHeader, &["1", "1*", "*2", "*"]),
        of(Attribute::SourceIp, BLOCKS),
        of(Attribute::RemoteIp, BLOCKS),
        of(Attribute::SourcePrincipal, ACCOUNTS),
        of(Attribute::SourceNamespace, NAMESPACES),
        of(Attribute::SourceServiceAccount, &["default/a", "prod/b"]),
        of(Attribute::SourceTrustDomain, DOMAINS),
        of(Attribute::DestinationIp, BLOCKS),
        of(Attribute::DestinationPort, &["80", "9080"]),
        of(Attribute::ConnectionSni, &["s", "*"]),
        of(Attribute::RequestPrincipal, TOKENS),
        of(Attribute::RequestAudiences, &["me", "y*"]),
        of(Attribute::RequestPresenter, &["app", "*"]),
        of(Attribute::RequestClaim, &["admin", "u*", "*"]),
        nested,
    ]
}

fn rule() -> impl Strategy<Value = ProtoRule> {
    (
        proptest::collection::vec(source(), 0..3),
        proptest::collection::vec(operation(), 0..3),
        proptest::collection::vec(condition(), 0..2),
    )
        .prop_map(|(from, to, when)| ProtoRule {
            from,
            to,
            when,
            origin: None,
        })
}

pub(super) fn policies() -> impl Strategy<Value = Vec<v1::AuthorizationPolicy>> {
    let kind = proptest::sample::select(&[
        (Action::Allow, false),
        (Action::Allow, false),
        (Action::Deny, false),
        (Action::Deny, false),
        (Action::Audit, false),
        (Action::Custom, false),
        (Action::Allow, true),
        (Action::Deny, true),
    ]);
    let one = (kind, proptest::collection::vec(rule(), 0..4), any::<bool>());
    proptest::collection::vec(one, 0..8).prop_map(|list| {
        let named = list.into_iter().enumerate();
        named
            .map(
                |(number, ((action, dry_run), rules, other))| v1::AuthorizationPolicy {
                    dry_run,
                    authorizer: match (action, other) {
                        (Action::Custom, true) => "one".into(),
                        (Action::Custom, false) => "two".into(),
                        _ => String::new(),
                    },
                    ..policy(&format!("ns/p{number}"), action, rules)
                },
            )
            .collect()
    })
}

fn claims() -> impl Strategy<Value = Option<Map<String, Value>>> {
    let drawn = (
        proptest::sample::select(&["iss", "issuer", "other"]),
        proptest::sample::select(&["one", "two"]),
        proptest::sample::select(vec![
            json!("me"),
            json!(["you", "me"]),
            json!(["x"]),
            json!(1),
        ]),
        proptest::sample::select(vec![json!("admin"), json!(["user", "admin"]), json!(true)]),
        proptest::option::of(Just("app")),
    );
    proptest::option::of(drawn.prop_map(|(iss, sub, aud, groups, azp)| {
        let mut claims = json!({
            "iss": iss, "sub": sub, "aud": aud, "groups": groups, "in": {"ner": "deep"},
        });
        if let Some(azp) = azp {
            claims["azp"] = azp.into();
        }
        claims.as_object().unwrap().clone()
    }))
}

pub(super) fn asked() -> impl Strategy<Value = Asked> {
    let http = (
        proptest::sample::select(&["GET", "POST", "PUT"]),
        proptest::sample::select(&["h", "h:80", "w.x", "A.b"]),
        proptest::sample::select(&[
            "/",
            "/a",
            "/a/",
            "/a/b",
            "/a/b/c",
            "/b",
            "/x/b",
            "/c",
            "/a//b",
            "/a/./b",
            "/x/../a/b",
            "/a%2fb",
            "/a%2Fb",
        ]),
        proptest::option::of(proptest::sample::select(&["1", "12", "22"])),
        proptest::option::of(proptest::sample::select(&[
            "192.0.2.1",
            "1.1.1.1, 10.1.0.1",
        ])),
        claims(),
    )
        .prop_map(|(method, host, path, header, forwarded_for, claims)| Http {
            method,
            host,
            path,
            header,
            forwarded_for,
            claims,
        });
    let identity = proptest::option::of(proptest::sample::select(&[
        "spiffe://cluster.local/ns/default/sa/a",
        "spiffe://cluster.local/ns/prod/sa/b",
        "spiffe://other/ns/prod/sa/b",
        "spiffe://other/ns/default/sa/a",
        "spiffe://old/ns/default/sa/a",
    ]));
    (
        identity,
        proptest::sample::select(&["10.1.2.3", "10.2.0.1", "192.0.2.1", "2001:db8::1"]),
        proptest::sample::select(&[80_u16, 9080]),
        proptest::option::of(proptest::sample::select(&["s", "t"])),
        prop_oneof![5 => http.prop_map(Some), 1 => Just(None)],
    )
        .prop_map(|(identity, source, port, sni, http)| Asked {
            own: &[],
            form: Form::Base,
            identity: identity.map(id),
            source: source.parse().unwrap(),
            port,
            sni,
            http,
        })
}
