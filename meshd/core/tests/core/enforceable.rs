//! Policies that some way leads around are reported, with their place.

use mesh_api::v1::ExternalAuthorizer;
use meshd_core::MeshSettings;

use crate::mesh::{self, problems};

fn object(kind: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: security.istio.io/v1\nkind: {kind}\nmetadata: {{ name: p }}\nspec: {spec}\n"
    )
}

fn authz(spec: &str) -> String {
    object("AuthorizationPolicy", spec)
}

/// Findings with a code, each of which has to have a place.
fn found(text: &str, code: &str) -> Vec<String> {
    let world = mesh::world(text);
    let all = problems(&world).into_iter();
    let found: Vec<String> = all
        .filter(|line| line.ends_with(&format!("[{code}]")))
        .collect();
    assert!(
        found.iter().all(|line| line.starts_with("input.yaml:")),
        "{found:?}"
    );
    found
}

const STRICT: &str = "---\napiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: { name: s }\nspec: { mtls: { mode: STRICT } }\n";
const OFF: &str = "---\napiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: { name: s }\nspec: { mtls: { mode: DISABLE } }\n";
/// One with a proxy, whose Service has another port than it.
const MOVED: &str = "---\napiVersion: v1\nkind: Service\nmetadata: { name: moved }\nspec: { selector: { app: moved }, ports: [{ name: http, port: 81, targetPort: 8181 }] }\n---\napiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: { name: moved-1 }\nspec: { address: 10.0.0.8, serviceAccount: m, labels: { app: moved, security.istio.io/tlsMode: istio } }\n";

#[test]
fn workloads_without_a_proxy_are_named() {
    let code = "policy-not-enforced";
    let of_b = "{ selector: { matchLabels: { app: b } }";
    let one = found(&authz(&format!("{of_b} }}")), code);
    assert!(one[0].contains("default/b-1 has no proxy"), "{one:?}");
    let tokens = object(
        "RequestAuthentication",
        &format!("{of_b}, jwtRules: [{{ issuer: a, jwks: '{{\"keys\": [{{}}]}}' }}] }}"),
    );
    assert_eq!(found(&tokens, code).len(), 1);
    let strict = object(
        "PeerAuthentication",
        &format!("{of_b}, mtls: {{ mode: STRICT }} }}"),
    );
    assert_eq!(found(&strict, code).len(), 1);
    for quiet in [
        authz("{ selector: { matchLabels: { app: a } } }"),
        object(
            "PeerAuthentication",
            &format!("{of_b}, mtls: {{ mode: PERMISSIVE }} }}"),
        ),
        // A policy for the mesh means what is of the mesh.
        authz("{}").replace("{ name: p }", "{ name: p, namespace: istio-system }"),
    ] {
        assert_eq!(found(&quiet, code), [""; 0], "{quiet}");
    }
}

#[test]
fn ports_around_the_sidecar_are_named() {
    let pod = |annotation: &str| {
        format!(
            "---\napiVersion: v1\nkind: Pod\nmetadata: {{ name: x-1, labels: {{ app: x, security.istio.io/tlsMode: istio }}, annotations: {{ {annotation} }} }}\nspec: {{ containers: [] }}\nstatus: {{ phase: Running, podIP: 10.0.0.7 }}\n"
        )
    };
    let policy = authz("{ selector: { matchLabels: { app: x } } }");
    for (annotation, want) in [
        (
            "traffic.sidecar.istio.io/excludeInboundPorts: '8080, 9090'",
            "ports 8080, 9090 of default/x-1",
        ),
        (
            "traffic.sidecar.istio.io/includeInboundPorts: '80'",
            "all ports but port 80 of default/x-1",
        ),
        (
            "traffic.sidecar.istio.io/includeInboundPorts: ''",
            "all ports of default/x-1",
        ),
        (
            "sidecar.istio.io/interceptionMode: NONE",
            "all ports of default/x-1",
        ),
    ] {
        let told = found(
            &format!("{}{policy}", pod(annotation)),
            "policy-not-enforced",
        );
        assert!(
            told.len() == 1 && told[0].contains(want),
            "{annotation}: {told:?}"
        );
    }
    let whole = pod("traffic.sidecar.istio.io/includeInboundPorts: '*'");
    assert_eq!(
        found(&format!("{whole}{policy}"), "policy-not-enforced"),
        [""; 0]
    );
}

#[test]
fn who_calls_in_plain_text_gets_around_names() {
    let code = "authorization-dodged-by-plaintext";
    let of_a = "selector: { matchLabels: { app: a } }";
    let deny = authz(&format!(
        "{{ {of_a}, action: DENY, rules: [{{ from: [{{ source: {{ namespaces: [evil] }} }}] }}] }}"
    ));
    let told = found(&deny, code);
    assert!(
        told.len() == 1 && told[0].contains("port 80 of default/a-1 takes callers in plain text"),
        "{told:?}"
    );
    let excluding = authz(&format!(
        "{{ {of_a}, rules: [{{ from: [{{ source: {{ notNamespaces: [evil] }} }}] }}] }}"
    ));
    assert_eq!(found(&excluding, code).len(), 1);
    let when = authz(&format!(
        "{{ {of_a}, action: DENY, rules: [{{ when: [{{ key: source.principal, values: [a/ns/b/sa/c] }}] }}] }}"
    ));
    assert_eq!(found(&when, code).len(), 1);
    let denies_them = authz(&format!(
        "{{ {of_a}, action: DENY, rules: [{{ from: [{{ source: {{ notPrincipals: ['*'] }} }}] }}] }}"
    ))
    .replace("{ name: p }", "{ name: q }");
    let allows_known = authz(&format!(
        "{{ {of_a}, rules: [{{ from: [{{ source: {{ principals: ['*'] }} }}] }}] }}"
    ))
    .replace("{ name: p }", "{ name: q }");
    for beside in [STRICT, &denies_them, &allows_known] {
        assert_eq!(found(&format!("{deny}{beside}"), code), [""; 0], "{beside}");
    }
    let elsewhere = authz(&format!(
        "{{ {of_a}, action: DENY, rules: [{{ from: [{{ source: {{ namespaces: [evil] }} }}], to: [{{ operation: {{ ports: ['81'] }} }}] }}] }}"
    ));
    assert_eq!(found(&elsewhere, code), [""; 0]);
    let named = authz(&format!(
        "{{ {of_a}, rules: [{{ from: [{{ source: {{ namespaces: [good] }} }}] }}] }}"
    ));
    let off = found(&format!("{named}{OFF}"), "authorization-needs-identity");
    assert!(
        off.len() == 1 && off[0].contains("mutual TLS is off"),
        "{off:?}"
    );
    assert_eq!(found(&named, "authorization-needs-identity"), [""; 0]);
}

#[test]
fn trap_66_the_port_of_the_service_is_told_from_the_workloads() {
    let of = |port: &str, action: &str| {
        let rule = format!(
            "{{ selector: {{ matchLabels: {{ app: moved }} }}, action: {action}, rules: [{{ to: [{{ operation: {{ ports: ['{port}'] }} }}] }}] }}"
        );
        found(
            &format!("{MOVED}{}", authz(&rule)),
            "authorization-service-port",
        )
    };
    let told = of("81", "DENY");
    assert!(
        told.len() == 1 && told[0].contains("listen on 8181") && told[0].contains("denies nothing"),
        "{told:?}"
    );
    assert_eq!(of("8181", "DENY"), [""; 0]);
    assert_eq!(of("4711", "ALLOW"), [""; 0]);
}

/// istio/istio#61126: a DENY policy with fields of HTTP had no effect where nothing speaks it.
#[test]
fn a_deny_policy_for_requests_denies_more_where_there_are_none() {
    use meshd_core::{CoverageFilter, CoverageVerdict};
    let text = format!(
        "---\napiVersion: v1\nkind: Service\nmetadata: {{ name: db }}\nspec: {{ selector: {{ app: a }}, ports: [{{ name: tcp-db, port: 3306 }}] }}\n{}",
        authz("{ action: DENY, rules: [{ to: [{ operation: { methods: [DELETE] } }] }] }")
    );
    assert_eq!(found(&text, "authorization-needs-http").len(), 1);
    let filter = CoverageFilter {
        workload: Some("default/a-1".to_owned()),
        ..CoverageFilter::default()
    };
    let rows = mesh::world(&text).coverage(&filter).rows;
    let of_db: Vec<_> = rows.iter().filter(|row| row.port == Some(3306)).collect();
    assert!(!of_db.is_empty());
    assert!(
        of_db
            .iter()
            .all(|row| row.verdict == CoverageVerdict::Denied),
        "{of_db:?}"
    );
}

/// istio/istio.io#17520: a policy for a Service was skipped where no waypoint was. Here it is
/// refused.
#[test]
fn a_policy_that_nothing_would_look_at_is_refused() {
    for target in [
        "{ kind: Service, name: a }",
        "{ group: networking.istio.io, kind: ServiceEntry, name: a }",
        "{ group: gateway.networking.k8s.io, kind: GatewayClass, name: a }",
    ] {
        let world = mesh::world(&authz(&format!(
            "{{ targetRefs: [{target}], action: DENY, rules: [{{}}] }}"
        )));
        let refused = problems(&world);
        assert!(
            refused
                .iter()
                .any(|line| line.contains(": error: ") && line.contains("holds in waypoints only")),
            "{refused:?}"
        );
        assert!(mesh::inbound(&world, "default/a-1").policies.is_empty());
    }
}

#[test]
fn tokens_are_not_looked_at_where_there_are_no_requests() {
    let only_db = "---\napiVersion: v1\nkind: Service\nmetadata: { name: db }\nspec: { selector: { app: db }, ports: [{ name: tcp-db, port: 3306 }] }\n---\napiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: { name: db-1 }\nspec: { address: 10.0.0.8, serviceAccount: d, labels: { app: db, security.istio.io/tlsMode: istio } }\n";
    let tokens = |app: &str| {
        object(
            "RequestAuthentication",
            &format!(
                "{{ selector: {{ matchLabels: {{ app: {app} }} }}, jwtRules: [{{ issuer: a, jwks: '{{\"keys\": [{{}}]}}' }}] }}"
            ),
        )
    };
    let told = found(&format!("{only_db}{}", tokens("db")), "IST0167");
    assert!(told.len() == 1 && told[0].contains("no port of default/db-1 carries HTTP"));
    assert_eq!(
        found(&format!("{only_db}{}", tokens("a")), "IST0167"),
        [""; 0]
    );
}

#[test]
fn the_next_world_says_the_same_as_a_new_one() {
    let pod = |version: &str, annotations: &str| {
        serde_json::json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": "p", "namespace": "default", "resourceVersion": version, "uid": "1",
                "labels": {"app": "p", "security.istio.io/tlsMode": "istio"},
                "annotations": {"traffic.sidecar.istio.io/excludeInboundPorts": annotations},
            },
            "spec": {"serviceAccountName": "p", "containers": []},
            "status": {"phase": "Running", "podIP": "10.0.0.7"},
        })
    };
    let settings = meshd_core::MeshSettings::default();
    let mut store = meshd_core::Store::new();
    store.set_file(
        "input.yaml",
        &authz("{ action: DENY, rules: [{ from: [{ source: { principals: [x] } }] }] }"),
    );
    let mut world = store.world(&settings);
    // What changes a finding, and what does not.
    for (version, ports, findings) in [
        ("1", "", 0),
        ("2", "9999", 1),
        ("3", "9999", 1),
        ("4", "", 0),
    ] {
        store.set_object(&pod(version, ports));
        world = store.world_after(&settings, &world);
        assert_eq!(
            world.problems(),
            store.world(&settings).problems(),
            "{version}"
        );
        let named = problems(&world).into_iter();
        let named = named.filter(|line| line.contains("policy-not-enforced"));
        assert_eq!(named.count(), findings, "{version}");
    }
}

#[test]
fn claims_choose_no_routes_where_nobody_verifies_tokens() {
    let base = "---\napiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: { name: g }\nspec: { address: 10.0.0.9, serviceAccount: g, labels: { istio: g } }\n---\napiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: { name: g }\nspec: { selector: { istio: g }, servers: [{ port: { number: 80, name: http, protocol: HTTP }, hosts: ['*'] }] }\n---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: { name: v }\nspec: { hosts: ['*'], gateways: [g], http: [{ match: [{ headers: { '@request.auth.claims.groups': { exact: x } } }], route: [{ destination: { host: a } }] }] }\n";
    let warned = found(base, "IST0149");
    assert_eq!(warned.len(), 1);
    assert!(
        warned[0].contains("(key: groups)") && warned[0].contains("(default/g)"),
        "{warned:?}"
    );
    let tokens = |selector: &str| {
        object(
            "RequestAuthentication",
            &format!("{{ {selector}jwtRules: [{{ issuer: a, jwks: '{{\"keys\": [{{}}]}}' }}] }}"),
        )
    };
    for quiet in [
        format!("{base}{}", tokens("")),
        format!(
            "{base}{}",
            tokens("selector: { matchLabels: { istio: g } }, ")
        ),
        base.replace("@request.auth.claims.groups", "x-groups"),
    ] {
        assert_eq!(found(&quiet, "IST0149"), [""; 0], "{quiet}");
    }
    let elsewhere = format!(
        "{base}{}",
        tokens("selector: { matchLabels: { app: a } }, ")
    );
    assert_eq!(found(&elsewhere, "IST0149").len(), 1);
}

#[test]
fn providers_that_can_never_answer_are_named() {
    let code = "[authorization-provider-missing]";
    let custom = |provider: &str| {
        authz(&format!(
            "{{ action: CUSTOM, provider: {{ name: {provider} }}, rules: [{{}}] }}"
        ))
    };
    let known = |name: &str, host: &str, port| ExternalAuthorizer {
        name: name.into(),
        host: host.into(),
        port,
        fail_open: name == "open",
        ..ExternalAuthorizer::default()
    };
    let settings = MeshSettings {
        authorizers: vec![
            known("good", "default/b.default.svc.cluster.local", 8080),
            known("lost", "nowhere.example", 80),
            known("open", "nowhere.example", 80),
            known("port", "b.default.svc.cluster.local", 81),
        ],
        ..MeshSettings::default()
    };
    for (provider, told) in [
        ("good", None),
        (
            "unknown",
            Some(
                "there is no extension provider `unknown` in the mesh configuration; everything that this policy selects is denied",
            ),
        ),
        (
            "lost",
            Some(
                "the service nowhere.example of the extension provider `lost` is not declared; everything that this policy selects is denied",
            ),
        ),
        (
            "open",
            Some(
                "the service nowhere.example of the extension provider `open` is not declared; everything that this policy selects passes unasked, as its failOpen says",
            ),
        ),
        (
            "port",
            Some(
                "the service b.default.svc.cluster.local of the extension provider `port` has no port 81; everything that this policy selects is denied",
            ),
        ),
    ] {
        let world = mesh::world_with(&custom(provider), &settings);
        let all = problems(&world).into_iter();
        let found: Vec<String> = all.filter(|line| line.ends_with(code)).collect();
        assert_eq!(found.len(), usize::from(told.is_some()), "{found:?}");
        if let (Some(told), Some(line)) = (told, found.first()) {
            assert!(line.starts_with("input.yaml:2:1: warning: "), "{line}");
            assert!(line.contains(told), "{line}");
        }
    }
    // It is over when the service is declared.
    let entry = "---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: { name: n }\nspec: { hosts: [nowhere.example], ports: [{ name: http, number: 80, protocol: HTTP }], resolution: DNS }\n";
    let world = mesh::world_with(&format!("{}{entry}", custom("lost")), &settings);
    let all = problems(&world);
    assert!(!all.iter().any(|line| line.ends_with(code)), "{all:?}");
    // Others name no provider.
    assert_eq!(
        found(&authz("{ rules: [{}] }"), "authorization-provider-missing"),
        [""; 0]
    );
}
