//! Istio's traps in policies, services and gateways; numbers as in the table of exact semantics.

use crate::mesh::{self, good, inbound, policy, problems, service, sidecar, world_with};
use mesh_api::v1::{ClientTlsMode, LoadBalancer, MtlsMode};
use meshd_core::MeshSettings;

fn rule(name: &str, namespace: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{ name: {name}, namespace: {namespace} }}\nspec: {spec}\n"
    )
}

fn balancer(text: &str, workload: &str, subset: &str) -> LoadBalancer {
    let world = good(text);
    let scope = sidecar(&world, workload, &[("app", "client")]);
    let found = service(
        &world,
        &scope,
        "routes/a.default.svc.cluster.local:80",
        "a.default.svc.cluster.local",
    );
    policy(&found, subset, 80).load_balancer()
}

#[test]
fn trap_18_client_then_service_then_root_namespace() {
    let root = rule(
        "r",
        "istio-system",
        "{ host: a.default.svc.cluster.local, trafficPolicy: { loadBalancer: { simple: RANDOM } } }",
    );
    let of_service = rule(
        "s",
        "default",
        "{ host: a, trafficPolicy: { loadBalancer: { simple: ROUND_ROBIN } } }",
    );
    let hidden = rule(
        "s",
        "default",
        "{ host: a, exportTo: [.], trafficPolicy: { loadBalancer: { simple: ROUND_ROBIN } } }",
    );
    let client = rule(
        "c",
        "other",
        "{ host: '*.default.svc.cluster.local', trafficPolicy: { loadBalancer: { simple: PASSTHROUGH } } }",
    );
    for (text, workload, want) in [
        (
            format!("{root}{of_service}{client}"),
            "other/client",
            LoadBalancer::Passthrough,
        ),
        (
            format!("{root}{of_service}"),
            "other/client",
            LoadBalancer::RoundRobin,
        ),
        (
            format!("{root}{hidden}"),
            "other/client",
            LoadBalancer::Random,
        ),
        (
            format!("{root}{hidden}"),
            "default/client",
            LoadBalancer::RoundRobin,
        ),
        (
            format!("{root}{of_service}"),
            "istio-system/client",
            LoadBalancer::RoundRobin,
        ),
        (root.clone(), "default/client", LoadBalancer::Random),
        (String::new(), "default/client", LoadBalancer::LeastRequest),
    ] {
        assert_eq!(balancer(&text, workload, ""), want, "{workload}: {text}");
    }
}

#[test]
fn trap_19_subsets_are_put_together_and_the_first_policy_counts() {
    let world = good(&format!(
        "{}{}",
        rule(
            "one",
            "default",
            "{ host: a, subsets: [{ name: v1, labels: { version: v1 } }] }"
        ),
        rule(
            "two",
            "default",
            "{ host: a, trafficPolicy: { loadBalancer: { simple: RANDOM } }, subsets: [{ name: v1, labels: { version: vX } }, { name: v2, labels: { version: v1 } }] }"
        ),
    ));
    let found = service(
        &world,
        &sidecar(&world, "default/client", &[]),
        "routes/a:80",
        "a.default.svc.cluster.local",
    );
    let subsets: Vec<(&str, usize)> = found
        .subsets
        .iter()
        .map(|subset| (subset.name.as_str(), subset.labels.len()))
        .collect();
    assert_eq!(subsets, [("", 0), ("v1", 1), ("v2", 1)]);
    assert_eq!(found.subsets[1].labels["version"], "v1");
    assert_eq!(policy(&found, "", 80).load_balancer(), LoadBalancer::Random);
}

#[test]
fn trap_20_selectors_choose_clients_and_go_first() {
    let plain = rule(
        "plain",
        "default",
        "{ host: a, trafficPolicy: { loadBalancer: { simple: RANDOM } } }",
    );
    let selected = |app: &str| {
        rule(
            "selected",
            "default",
            &format!(
                "{{ host: a, workloadSelector: {{ matchLabels: {{ app: {app} }} }}, trafficPolicy: {{ loadBalancer: {{ simple: ROUND_ROBIN }} }} }}"
            ),
        )
    };
    assert_eq!(
        balancer(
            &format!("{plain}{}", selected("client")),
            "default/client",
            ""
        ),
        LoadBalancer::RoundRobin
    );
    assert_eq!(
        balancer(
            &format!("{plain}{}", selected("nobody")),
            "default/client",
            ""
        ),
        LoadBalancer::Random
    );
    assert_eq!(
        balancer(&selected("client"), "other/client", ""),
        LoadBalancer::LeastRequest,
        "only in its own namespace"
    );
}

#[test]
fn trap_21_port_settings_replace_everything() {
    let world = good(&rule(
        "multi",
        "default",
        "
  host: multi
  trafficPolicy:
    loadBalancer: { simple: RANDOM }
    connectionPool: { tcp: { connectTimeout: 1s } }
    tls: { mode: ISTIO_MUTUAL }
    portLevelSettings:
    - { port: { number: 9000 }, loadBalancer: { simple: ROUND_ROBIN } }
  subsets:
  - name: s
    labels: { app: multi }
    trafficPolicy:
      connectionPool: { tcp: { connectTimeout: 2s } }
      portLevelSettings:
      - { port: { number: 80 }, tls: { mode: DISABLE } }",
    ));
    let found = service(
        &world,
        &sidecar(&world, "default/client", &[]),
        "routes/multi:80",
        "multi.default.svc.cluster.local",
    );
    let seen = |subset: &str, port: u32| {
        let policy = policy(&found, subset, port);
        (
            policy.load_balancer(),
            policy.connect_timeout_ms,
            policy.tls.unwrap().mode(),
        )
    };
    assert_eq!(
        seen("", 80),
        (LoadBalancer::Random, 1_000, ClientTlsMode::IstioMutual)
    );
    assert_eq!(
        seen("", 9000),
        (LoadBalancer::RoundRobin, 10_000, ClientTlsMode::Auto)
    );
    assert_eq!(
        seen("s", 80),
        (LoadBalancer::LeastRequest, 10_000, ClientTlsMode::Disable)
    );
    assert_eq!(
        seen("s", 9000),
        (LoadBalancer::RoundRobin, 2_000, ClientTlsMode::Auto)
    );
}

#[test]
fn trap_47_levels_of_peer_authentication() {
    let peer = |name: &str, namespace: &str, spec: &str| {
        format!(
            "---\napiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {{ name: {name}, namespace: {namespace} }}\nspec: {spec}\n"
        )
    };
    let mesh = peer("m", "istio-system", "{ mtls: { mode: STRICT } }");
    let namespace = peer("n", "default", "{ mtls: { mode: DISABLE } }");
    let unset = peer("n", "default", "{ mtls: { mode: UNSET } }");
    let workload = peer(
        "w",
        "default",
        "{ selector: { matchLabels: { app: a } }, mtls: { mode: PERMISSIVE } }",
    );
    let second = peer(
        "w2",
        "default",
        "{ selector: { matchLabels: { app: a } }, mtls: { mode: DISABLE } }",
    );
    let in_root = peer(
        "x",
        "istio-system",
        "{ selector: { matchLabels: { app: a } }, mtls: { mode: DISABLE } }",
    );
    for (text, want, origin) in [
        (String::new(), MtlsMode::Permissive, ""),
        (mesh.clone(), MtlsMode::Strict, "m"),
        (format!("{mesh}{namespace}"), MtlsMode::Disable, "n"),
        (format!("{mesh}{unset}"), MtlsMode::Strict, "m"),
        (
            format!("{mesh}{namespace}{workload}{second}"),
            MtlsMode::Permissive,
            "w",
        ),
        (format!("{mesh}{in_root}"), MtlsMode::Strict, "m"),
    ] {
        let found = inbound(&good(&text), "default/a-1");
        assert_eq!(found.default_mtls(), want, "{text}");
        assert_eq!(found.mtls_origin.unwrap_or_default().name, origin, "{text}");
    }
    assert!(
        problems(&good(&in_root))
            .iter()
            .any(|line| line.ends_with("[IST0167]"))
    );
}

#[test]
fn trap_48_port_levels_need_a_selector() {
    let world = mesh::world(
        "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: { name: p }\nspec: { portLevelMtls: { 80: { mode: STRICT } } }\n",
    );
    assert!(
        problems(&world)[0].contains("portLevelMtls requires selector"),
        "{:?}",
        problems(&world)
    );
}

fn authz(name: &str, namespace: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {{ name: {name}, namespace: {namespace} }}\nspec: {spec}\n"
    )
}

#[test]
fn trap_53_rules_and_their_absence() {
    let world = good(&format!(
        "{}{}{}{}",
        authz("a", "default", "{}"),
        authz("b", "default", "{ rules: [{}] }"),
        authz("c", "default", "{ action: DENY }"),
        authz("d", "default", "{ rules: [null] }"),
    ));
    let counts: Vec<(String, usize)> = inbound(&world, "default/a-1")
        .policies
        .into_iter()
        .map(|policy| (policy.name, policy.rules.len()))
        .collect();
    let want = [
        ("default/a", 0),
        ("default/b", 1),
        ("default/c", 0),
        ("default/d", 0),
    ]
    .map(|(name, n)| (name.to_owned(), n));
    assert_eq!(counts, want);
}

#[test]
fn trap_54_the_root_namespace_reaches_everything() {
    let world = good(&format!(
        "{}{}{}{}",
        authz("all", "istio-system", "{}"),
        authz(
            "some",
            "istio-system",
            "{ selector: { matchLabels: { app: a } } }"
        ),
        authz("else", "other", "{}"),
        authz(
            "mine",
            "default",
            "{ selector: { matchLabels: { app: b } } }"
        ),
    ));
    let of = |workload: &str| {
        inbound(&world, workload)
            .policies
            .into_iter()
            .map(|policy| policy.name)
            .collect::<Vec<_>>()
    };
    assert_eq!(of("default/a-1"), ["istio-system/all", "istio-system/some"]);
    assert_eq!(of("default/b-1"), ["default/mine", "istio-system/all"]);
}

#[test]
fn trap_57_trust_domains_of_principals() {
    let settings = MeshSettings {
        trust_domain: "new.example".parse().unwrap(),
        trust_domain_aliases: vec!["old.example".parse().unwrap()],
        ..MeshSettings::default()
    };
    let text = authz(
        "a",
        "default",
        "{ rules: [{ from: [{ source: { principals: [cluster.local/ns/x/sa/y, old.example/ns/x/sa/z, foreign/ns/x/sa/y, '*'] } }] }] }",
    );
    let found = inbound(&world_with(&text, &settings), "default/a-1");
    assert_eq!(
        found.policies[0].rules[0].from[0].principals,
        [
            "new.example/ns/x/sa/y",
            "old.example/ns/x/sa/y",
            "new.example/ns/x/sa/z",
            "old.example/ns/x/sa/z",
            "foreign/ns/x/sa/y",
            "*"
        ]
    );
    assert_eq!(found.identity, "spiffe://new.example/ns/default/sa/a");
}
