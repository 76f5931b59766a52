//! Policies that name trust domains of which nobody can be are reported.

use meshd_core::{MeshSettings, Store, TrustBundle};

const POLICY: &str = "\
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: p, namespace: default}
spec:
  rules:
  - from:
    - source: {principals: [cluster.local/ns/a/sa/b, own.example/ns/a/sa/b, '*/ns/a/sa/b', old.example/ns/a/sa/b]}
    - source: {principals: [lost.example/ns/a/sa/b, friend.example/ns/a/sa/b]}
    - source: {notPrincipals: [gone.example/ns/a/sa/b]}
";

#[test]
fn trust_domains_that_nobody_is_of_are_named() {
    let mut settings = MeshSettings {
        trust_domain: "own.example".parse().unwrap(),
        trust_domain_aliases: vec!["old.example".parse().unwrap()],
        ..MeshSettings::default()
    };
    settings.federated.push(TrustBundle {
        trust_domain: "friend.example".parse().unwrap(),
        roots_der: Vec::new(),
        jwks: String::new(),
    });
    let mut store = Store::new();
    store.set_file("input.yaml", POLICY);
    let unknown = |settings: &MeshSettings| {
        let world = store.world(settings);
        let problems = world.problems().iter();
        let problems = problems.filter(|problem| problem.code == "trust-domain-unknown");
        let named = problems.map(|problem| {
            assert!(problem.origin.as_ref().unwrap().line > 0);
            problem.message.split('`').nth(1).unwrap().to_owned()
        });
        named.collect::<Vec<_>>()
    };
    assert_eq!(unknown(&settings), ["gone.example", "lost.example"]);
    settings.federated.clear();
    assert_eq!(
        unknown(&settings),
        ["friend.example", "gone.example", "lost.example"]
    );
}
