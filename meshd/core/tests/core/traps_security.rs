//! Istio's traps in AuthorizationPolicy and RequestAuthentication; numbers as in the table of
//! exact semantics.

use std::collections::BTreeMap;

use crate::mesh::{self, gateway, gateway_of, good, inbound, problems, world_with};
use mesh_api::v1::{self, AuthorizationAction, AuthorizationAttribute, ExternalAuthorizer};
use meshd_core::{KeySet, KeySource, MeshSettings};

const KEYS: &str = r#"{"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "AA"}]}"#;

fn object(kind: &str, name: &str, namespace: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: security.istio.io/v1\nkind: {kind}\nmetadata: {{ name: {name}, namespace: {namespace} }}\nspec: {spec}\n"
    )
}

fn authz(name: &str, spec: &str) -> String {
    object("AuthorizationPolicy", name, "default", spec)
}

fn tokens(name: &str, spec: &str) -> String {
    object("RequestAuthentication", name, "default", spec)
}

fn errors(text: &str) -> Vec<String> {
    problems(&mesh::world(text))
        .into_iter()
        .filter(|line| line.contains(": error: "))
        .collect()
}

#[test]
fn trap_53_all_actions_reach_the_proxy() {
    let dry = "---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: { name: e, annotations: { istio.io/dry-run: 'true' } }\nspec: { action: DENY, rules: [{}] }\n";
    let world = good(&format!(
        "{}{}{}{}{dry}",
        authz("a", "{ action: ALLOW, rules: [{}] }"),
        authz("b", "{ action: DENY, rules: [{}] }"),
        authz("c", "{ action: AUDIT, rules: [{}] }"),
        authz(
            "d",
            "{ action: CUSTOM, provider: { name: ext }, rules: [{}] }"
        ),
    ));
    let found = inbound(&world, "default/a-1");
    let told: Vec<_> = found
        .policies
        .iter()
        .map(|policy| (policy.action(), policy.dry_run, policy.authorizer.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            (AuthorizationAction::Allow, false, ""),
            (AuthorizationAction::Deny, false, ""),
            (AuthorizationAction::Audit, false, ""),
            (AuthorizationAction::Custom, false, "ext"),
            (AuthorizationAction::Deny, true, ""),
        ]
    );
    for (spec, want) in [
        (
            "{ action: CUSTOM, rules: [{}] }",
            "`provider.name` must not be empty",
        ),
        (
            "{ action: DENY, provider: { name: a }, rules: [{}] }",
            "`provider` must not be with non CUSTOM action",
        ),
        ("{ action: AUDIT }", "AUDIT action without `rules`"),
        (
            "{ action: CUSTOM, provider: { name: a } }",
            "CUSTOM action without `rules`",
        ),
    ] {
        let found = errors(&authz("a", spec));
        assert!(
            found.iter().any(|line| line.contains(want)),
            "{spec}: {found:?}"
        );
    }
}

#[test]
fn trap_54_target_references_reach_gateways_only() {
    let world = good(&format!(
        "{}{}{}",
        authz(
            "gate",
            "{ targetRefs: [{ group: gateway.networking.k8s.io, kind: Gateway, name: front }], rules: [{}] }",
        ),
        tokens(
            "gate",
            "{ targetRef: { group: gateway.networking.k8s.io, kind: Gateway, name: front }, jwtRules: [{ issuer: a, jwks: '{\"keys\": [{}]}' }] }",
        ),
        authz("all", "{ rules: [{}] }"),
    ));
    let of = |labels: &[(&str, &str)]| {
        let gateway = gateway_of(&world, &gateway(&world, "default/gw", labels));
        (
            gateway.policies.len(),
            gateway.request_authentications.len(),
        )
    };
    let label = "gateway.networking.k8s.io/gateway-name";
    assert_eq!(of(&[(label, "front")]), (2, 1));
    assert_eq!(of(&[(label, "other")]), (1, 0));
    assert_eq!(of(&[]), (1, 0));
    assert_eq!(inbound(&world, "default/a-1").policies.len(), 1);
    for (target, want) in [
        ("{ kind: Service, name: a }", "holds in waypoints only"),
        (
            "{ group: gateway.networking.k8s.io, kind: Gateway, name: a, namespace: b }",
            "cross namespace referencing is not currently supported",
        ),
        ("{ kind: Pod, name: a }", "is no kind"),
    ] {
        let found = errors(&authz(
            "a",
            &format!("{{ targetRefs: [{target}], rules: [{{}}] }}"),
        ));
        assert!(
            found.iter().any(|line| line.contains(want)),
            "{target}: {found:?}"
        );
    }
    let both = "{ selector: { matchLabels: { app: a } }, targetRefs: [], rules: [{}] }";
    assert!(!errors(&authz("a", both)).is_empty());
}

#[test]
fn every_source_and_condition_reaches_the_proxy() {
    let world = good(&authz(
        "a",
        "{ rules: [{ from: [{ source: { requestPrincipals: [iss/*], notRequestPrincipals: [iss/x], remoteIpBlocks: [10.0.0.0/8], notRemoteIpBlocks: [10.1.0.0/16], trustDomains: [a], notTrustDomains: [b], serviceAccounts: [web, other/api] } }], when: [
        { key: 'request.auth.claims[realm][roles]', values: [admin] },
        { key: request.auth.audiences, notValues: [me] },
        { key: request.auth.presenter, values: [app] },
        { key: request.auth.principal, values: ['*'] },
        { key: remote.ip, values: [10.0.0.1] },
        { key: source.trustDomain, values: [a] },
        { key: source.serviceAccount, values: [web] }] }] }",
    ));
    let rule = inbound(&world, "default/a-1").policies[0].rules[0].clone();
    let source = &rule.from[0];
    assert_eq!(source.request_principals, ["iss/*"]);
    assert_eq!(source.not_remote_ip_blocks, ["10.1.0.0/16"]);
    assert_eq!(source.service_accounts, ["default/web", "other/api"]);
    let told: Vec<_> = rule
        .when
        .iter()
        .map(v1::AuthorizationCondition::attribute)
        .collect();
    assert_eq!(
        told,
        [
            AuthorizationAttribute::RequestClaim,
            AuthorizationAttribute::RequestAudiences,
            AuthorizationAttribute::RequestPresenter,
            AuthorizationAttribute::RequestPrincipal,
            AuthorizationAttribute::RemoteIp,
            AuthorizationAttribute::SourceTrustDomain,
            AuthorizationAttribute::SourceServiceAccount,
        ]
    );
    assert_eq!(rule.when[0].claim, ["realm", "roles"]);
    assert_eq!(rule.when[6].values, ["default/web"]);
    for (key, want) in [
        ("request.auth.claims", "should have format a[b]"),
        ("'request.auth.claims[]'", "should have format a[b]"),
        (
            "'experimental.envoy.filters.network.mysql_proxy[a]'",
            "would never hold",
        ),
        ("request.auth.other", "unknown attribute"),
    ] {
        let spec = format!("{{ rules: [{{ when: [{{ key: {key}, values: [a] }}] }}] }}");
        let found = errors(&authz("a", &spec));
        assert!(
            found.iter().any(|line| line.contains(want)),
            "{key}: {found:?}"
        );
    }
}

#[test]
fn trap_63_keys_come_or_tokens_are_refused() {
    let text = tokens(
        "a",
        "{ jwtRules: [
        { issuer: inline, jwks: '{\"keys\": [{}]}', audiences: [x], fromHeaders: [{ name: X-Token, prefix: 'T ' }], fromParams: [t], fromCookies: [c], forwardOriginalToken: true, outputPayloadToHeader: X-Payload, outputClaimToHeaders: [{ header: X-Sub, claim: a.b }], timeout: 3s },
        { issuer: fetched, jwksUri: 'https://issuer/keys' },
        { issuer: 'https://broken' },
        { issuer: 'https://late' }] }",
    );
    let key_sets = BTreeMap::from([
        (
            KeySource::Uri("https://issuer/keys".into()),
            KeySet {
                jwks: KEYS.into(),
                problem: "timeout".into(),
            },
        ),
        (
            KeySource::Issuer("https://broken".into()),
            KeySet {
                jwks: String::new(),
                problem: "timeout".into(),
            },
        ),
    ]);
    let settings = MeshSettings {
        key_sets,
        ..MeshSettings::default()
    };
    let world = world_with(&text, &settings);
    assert_eq!(world.key_sources().len(), 3);
    let found = inbound(&world, "default/a-1").request_authentications;
    let rules = &found[0].rules;
    assert_eq!(rules[0].from_headers[0].name, "x-token");
    assert_eq!(rules[0].from_headers[0].prefix, "T ");
    assert_eq!(rules[0].output_payload_to_header, "x-payload");
    assert_eq!(rules[0].output_claim_to_headers[0].header, "x-sub");
    assert_eq!(rules[0].space_delimited_claims, ["scope", "permission"]);
    assert!(rules[0].forward_original_token && !rules[1].forward_original_token);
    assert_eq!(rules[1].jwks, KEYS, "those of before stay in force");
    assert_eq!(
        (rules[2].jwks.as_str(), rules[2].unavailable.as_str()),
        ("", "timeout")
    );
    assert!(rules[3].unavailable.contains("have not come yet"));
    for (rule, want) in [
        ("{ jwks: '{}' }", "issuer must be non-empty string"),
        ("{ issuer: a, jwks: '{}' }", "it has no `keys`"),
        ("{ issuer: a, jwks: 'x' }", "no JSON Web Key Set"),
        (
            "{ issuer: a, jwksUri: 'ftp://a' }",
            "is no URI of http or https",
        ),
        (
            "{ issuer: a, fromHeaders: [{ name: '' }] }",
            "location header name",
        ),
        (
            "{ issuer: a, fromHeaders: [{ name: 'a b' }] }",
            "is no name of a header",
        ),
        (
            "{ issuer: a, audiences: [''] }",
            "audience must be non-empty",
        ),
        (
            "{ issuer: a, outputClaimToHeaders: [{ header: a, claim: b }, { header: A, claim: c }] }",
            "duplicated outputClaimToHeaders header a",
        ),
    ] {
        let found = errors(&tokens("a", &format!("{{ jwtRules: [{rule}] }}")));
        assert!(
            found.iter().any(|line| line.contains(want)),
            "{rule}: {found:?}"
        );
    }
}

#[test]
fn trap_65_an_authorizer_that_cannot_be_asked_denies() {
    let custom = |provider: &str| {
        authz(
            provider,
            &format!("{{ action: CUSTOM, provider: {{ name: {provider} }}, rules: [{{}}] }}"),
        )
    };
    let known = |name: &str, host: &str| ExternalAuthorizer {
        name: name.into(),
        host: host.into(),
        port: 8080,
        ..ExternalAuthorizer::default()
    };
    let settings = MeshSettings {
        authorizers: vec![
            known("good", "ns/b.default.svc.cluster.local"),
            known("lost", "nowhere.example"),
            known("unused", "a.default.svc.cluster.local"),
        ],
        ..MeshSettings::default()
    };
    let text = format!("{}{}{}", custom("good"), custom("lost"), custom("unknown"));
    let world = world_with(&text, &settings);
    let found = inbound(&world, "default/a-1").external_authorizers;
    let told: Vec<_> = found
        .iter()
        .map(|one| {
            (
                one.name.as_str(),
                one.host.as_str(),
                one.unusable.is_empty(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("good", "b.default.svc.cluster.local", true),
            ("lost", "", false),
            ("unknown", "", false),
        ]
    );
    // The proxy gets what it needs to ask.
    let scope = mesh::sidecar(&world, "default/a-1", &[]);
    let all = mesh::resources(&world, &scope, &["inbound/self"]);
    let names: Vec<String> = all.keys().map(ToString::to_string).collect();
    assert!(
        names.contains(&"service/b.default.svc.cluster.local".to_owned()),
        "{names:?}"
    );
    assert!(
        names.contains(&"workload/default/b-1".to_owned()),
        "{names:?}"
    );
}

#[test]
fn trap_60_what_ports_cannot_carry_is_reported_with_its_place() {
    const DATABASE: &str = "---\napiVersion: v1\nkind: Service\nmetadata: { name: db }\nspec: { selector: { app: a }, ports: [{ name: tcp-db, port: 3306 }] }\n";
    let warned = |spec: &str| -> Vec<String> {
        let world = mesh::world(&format!("{DATABASE}{}", authz("p", spec)));
        let found = problems(&world).into_iter();
        found.filter(|line| line.contains("no HTTP")).collect()
    };
    let deny = warned(
        "{ action: DENY, rules: [{ to: [{ operation: { paths: [/a], methods: [GET] } }] }] }",
    );
    assert_eq!(deny.len(), 1, "{deny:?}");
    for part in [
        "input.yaml:",
        "rule 0 looks at methods, paths",
        "port 3306 of db.default.svc.cluster.local speaks no HTTP",
        "holds without methods, paths",
    ] {
        assert!(deny[0].contains(part), "{part}: {deny:?}");
    }
    let allow = warned("{ rules: [{ when: [{ key: 'request.headers[a]', values: [b] }] }] }");
    assert!(allow[0].contains("allows nothing there"), "{allow:?}");
    for quiet in [
        "{ action: DENY, rules: [{ to: [{ operation: { paths: [/a], ports: ['80'] } }] }] }",
        "{ action: DENY, rules: [{ to: [{ operation: { ports: ['3306'] } }] }] }",
        "{ selector: { matchLabels: { app: b } }, action: DENY, rules: [{ to: [{ operation: { paths: [/a] } }] }] }",
    ] {
        assert_eq!(warned(quiet), [""; 0], "{quiet}");
    }
}

/// There is no ztunnel here to hold a policy for it: the proxy of each workload holds the modes
/// themselves. What they come to is the same: who proves nothing gets in where an exception says
/// so, and nowhere else.
#[test]
fn trap_52_strict_denies_who_proves_nothing_but_on_ports_with_an_exception() {
    use mesh_proxy_core::Snapshot;
    use mesh_proxy_core::detect::Detected;
    use mesh_proxy_core::plan::{Accept, inbound_connection, inbound_transport};
    let peer = |name: &str, namespace: &str, spec: &str| {
        format!(
            "---\napiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {{ name: {name}, namespace: {namespace} }}\nspec: {spec}\n"
        )
    };
    let of_a = "selector: { matchLabels: { app: a } }";
    let strict = "mtls: { mode: STRICT }";
    let of_mesh = peer("m", "istio-system", &format!("{{ {strict} }}"));
    let open_port = "portLevelMtls: { 80: { mode: PERMISSIVE } }";
    for (text, declared, undeclared) in [
        (of_mesh.clone(), false, false),
        (
            peer("w", "default", &format!("{{ {of_a}, {strict} }}")),
            false,
            false,
        ),
        (
            peer(
                "w",
                "default",
                &format!("{{ {of_a}, {strict}, {open_port} }}"),
            ),
            true,
            false,
        ),
        (
            format!(
                "{of_mesh}{}",
                peer("w", "default", &format!("{{ {of_a}, {open_port} }}"))
            ),
            true,
            false,
        ),
        (
            peer(
                "w",
                "default",
                &format!(
                    "{{ {of_a}, mtls: {{ mode: PERMISSIVE }}, portLevelMtls: {{ 80: {{ mode: STRICT }} }} }}"
                ),
            ),
            false,
            true,
        ),
        (
            format!(
                "{of_mesh}{}",
                peer("n", "default", "{ mtls: { mode: DISABLE } }")
            ),
            true,
            true,
        ),
    ] {
        let world = mesh::good(&text);
        let scope = mesh::sidecar(&world, "default/a-1", &[("app", "a")]);
        let resources = mesh::resources(&world, &scope, &["inbound/self", "mesh/default"]);
        let response = mesh_api::v1::DiscoveryResponse {
            upsert: resources.values().map(|one| (**one).clone()).collect(),
            ..mesh_api::v1::DiscoveryResponse::default()
        };
        let snapshot = Snapshot::empty().apply(&response).snapshot;
        let takes = |port| {
            let mode = inbound_connection(&snapshot, port).unwrap().mtls;
            inbound_transport(mode, &Detected::Http1) == Accept::Plaintext
        };
        assert_eq!((takes(80), takes(4711)), (declared, undeclared), "{text}");
    }
}
