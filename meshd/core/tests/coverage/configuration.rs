//! Random meshes.

use std::fmt::Write as _;

use mesh_api::v1::ExternalAuthorizer;
use meshd_core::MeshSettings;
use rand::prelude::*;
use rand::rngs::SmallRng;

/// Configuration, and the settings of the mesh.
pub(crate) struct Configuration {
    pub(crate) text: String,
    pub(crate) settings: MeshSettings,
    /// No policy looks at what only requests or addresses tell.
    pub(crate) exact: bool,
}

const OBJECTS: &str = "
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: { name: bare, namespace: default }
spec: { address: 10.0.0.9, serviceAccount: bare, labels: { app: bare } }
---
apiVersion: v1
kind: Service
metadata: { name: bare, namespace: default }
spec: { selector: { app: bare }, ports: [{ name: http, port: 80 }] }
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: { name: gate, namespace: default }
spec: { address: 10.0.0.8, serviceAccount: gate, labels: { istio: gate, app: gate } }
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: gate, namespace: default }
spec:
  hosts: ['*']
  gateways: [gate]
  tcp: [{ match: [{ port: 9000 }, { port: 9443 }], route: [{ destination: { host: a, port: { number: 90 } } }] }]
  tls: [{ match: [{ port: 443, sniHosts: [b.example] }], route: [{ destination: { host: a, port: { number: 90 } } }] }]
";

fn pick<'a>(rng: &mut SmallRng, from: &[&'a str]) -> &'a str {
    from.choose(rng).unwrap()
}

/// A few of a list, quoted.
fn list(rng: &mut SmallRng, from: &[&str]) -> String {
    let count = rng.random_range(1..=2);
    let some: Vec<String> = from
        .sample(rng, count)
        .map(|one| format!("\"{one}\""))
        .collect();
    format!("[{}]", some.join(", "))
}

fn object(text: &mut String, (kind, group): (&str, &str), (name, namespace): (&str, &str)) {
    write!(
        text,
        "---\napiVersion: {group}/v1\nkind: {kind}\nmetadata: {{ name: {name}, namespace: {namespace} }}\n"
    )
    .unwrap();
}

const NETWORKING: &str = "networking.istio.io";
const SECURITY: &str = "security.istio.io";
const NAMESPACES: [&str; 3] = ["default", "prod", "istio-system"];
const MODES: [&str; 4] = ["STRICT", "PERMISSIVE", "DISABLE", "UNSET"];

// === impl Configuration ===

impl Configuration {
    pub(crate) fn random(rng: &mut SmallRng) -> Self {
        let exact = rng.random_bool(0.4);
        let mut text = OBJECTS.to_owned();
        for (name, app, namespace, account) in [
            ("a-1", "a", "default", "a"),
            ("b-1", "b", "prod", "b"),
            // The same identity, told apart by a label.
            ("b-2", "c", "prod", "b"),
        ] {
            workload(&mut text, rng, (name, app), (namespace, account));
        }
        services(&mut text, rng);
        for number in 0..rng.random_range(0..4) {
            peer_authentication(&mut text, rng, number);
        }
        for number in 0..rng.random_range(0..3) {
            destination_rule(&mut text, rng, number);
        }
        if rng.random_bool(0.2) {
            object(&mut text, ("Sidecar", NETWORKING), ("narrow", "prod"));
            text.push_str("spec: { egress: [{ hosts: ['./*'] }] }\n");
        }
        gateway(&mut text, rng);
        for number in 0..rng.random_range(0..6) {
            authorization_policy(&mut text, rng, number, exact);
        }
        Self {
            text,
            settings: settings(rng),
            exact,
        }
    }
}

fn settings(rng: &mut SmallRng) -> MeshSettings {
    let authorizer = |name: &str, host: &str, grpc, fail_open| ExternalAuthorizer {
        name: name.to_owned(),
        host: host.to_owned(),
        port: 80,
        grpc,
        fail_open,
        ..ExternalAuthorizer::default()
    };
    let here = "a.default.svc.cluster.local";
    let mut settings = MeshSettings {
        trust_domain: pick(rng, &["cluster.local", "mesh.example"])
            .parse()
            .unwrap(),
        authorizers: vec![
            authorizer("web", here, false, false),
            authorizer("rpc", here, true, false),
            authorizer("lost-web", "lost.example", false, false),
            authorizer("lost-rpc", "lost.example", true, false),
            authorizer("open-web", "lost.example", false, true),
            authorizer("open-rpc", "lost.example", true, true),
        ],
        prefer_hbone: rng.random_bool(0.3),
        ..MeshSettings::default()
    };
    if rng.random_bool(0.5) {
        settings.trust_domain_aliases = vec!["old.example".parse().unwrap()];
    }
    settings
}

fn workload(
    text: &mut String,
    rng: &mut SmallRng,
    (name, app): (&str, &str),
    (namespace, account): (&str, &str),
) {
    let tunnel = match rng.random_range(0..10) {
        0 => ", networking.istio.io/tunnel: http",
        _ => "",
    };
    let address = ["a-1", "b-1", "b-2"]
        .iter()
        .position(|known| *known == name);
    object(text, ("WorkloadEntry", NETWORKING), (name, namespace));
    writeln!(
        text,
        "spec: {{ address: 10.0.0.{}, serviceAccount: {account}, labels: {{ app: {app}, version: v1, security.istio.io/tlsMode: istio{tunnel} }} }}",
        address.unwrap() + 1
    )
    .unwrap();
}

fn services(text: &mut String, rng: &mut SmallRng) {
    let visible = |rng: &mut SmallRng| match rng.random_range(0..6) {
        0 => ", annotations: { networking.istio.io/exportTo: '.' }",
        _ => "",
    };
    for (name, app, namespace) in [
        ("a", "a", "default"),
        ("b", "b", "prod"),
        ("c", "c", "prod"),
    ] {
        let hidden = visible(rng);
        writeln!(
            text,
            "---\napiVersion: v1\nkind: Service\nmetadata: {{ name: {name}, namespace: {namespace}{hidden} }}\nspec:\n  selector: {{ app: {app} }}\n  ports:\n  - {{ name: http, port: 80, targetPort: 8080 }}\n  - {{ name: tcp, port: 90, targetPort: 9090 }}\n  - {{ name: any, port: 70, targetPort: 7070 }}"
        )
        .unwrap();
    }
    if rng.random_bool(0.4) {
        // Another one before the same port.
        let hidden = visible(rng);
        let protocol = pick(rng, &["http", "tcp", "any"]);
        writeln!(
            text,
            "---\napiVersion: v1\nkind: Service\nmetadata: {{ name: second, namespace: default{hidden} }}\nspec: {{ selector: {{ app: a }}, ports: [{{ name: {protocol}, port: 81, targetPort: 8080 }}] }}"
        )
        .unwrap();
    }
}

fn peer_authentication(text: &mut String, rng: &mut SmallRng, number: usize) {
    let namespace = pick(rng, &NAMESPACES);
    let name = format!("pa-{number}");
    object(text, ("PeerAuthentication", SECURITY), (&name, namespace));
    let mode = pick(rng, &MODES);
    write!(text, "spec:\n  mtls: {{ mode: {mode} }}\n").unwrap();
    if namespace != "istio-system" && rng.random_bool(0.5) {
        let app = pick(rng, &["a", "b", "c"]);
        writeln!(text, "  selector: {{ matchLabels: {{ app: {app} }} }}").unwrap();
        if rng.random_bool(0.6) {
            let port = pick(rng, &["8080", "9090", "7070", "6060"]);
            let mode = pick(rng, &MODES);
            writeln!(text, "  portLevelMtls: {{ {port}: {{ mode: {mode} }} }}").unwrap();
        }
    }
}

fn tls(rng: &mut SmallRng) -> &'static str {
    match rng.random_range(0..5) {
        0 => "tls: { mode: DISABLE }",
        1 => "tls: { mode: SIMPLE, caCertificates: /ca.pem }",
        2 | 3 => "tls: { mode: ISTIO_MUTUAL }",
        _ => "connectionPool: { tcp: { connectTimeout: 3s } }",
    }
}

fn destination_rule(text: &mut String, rng: &mut SmallRng, number: usize) {
    let namespace = pick(rng, &NAMESPACES);
    let host = pick(
        rng,
        &[
            "a.default.svc.cluster.local",
            "b.prod.svc.cluster.local",
            "c.prod.svc.cluster.local",
            "*.prod.svc.cluster.local",
            "second.default.svc.cluster.local",
        ],
    );
    let name = format!("dr-{number}");
    object(text, ("DestinationRule", NETWORKING), (&name, namespace));
    writeln!(text, "spec:\n  host: '{host}'").unwrap();
    if rng.random_bool(0.3) {
        let app = pick(rng, &["a", "b", "c"]);
        writeln!(
            text,
            "  workloadSelector: {{ matchLabels: {{ app: {app} }} }}"
        )
        .unwrap();
    }
    if rng.random_bool(0.2) {
        text.push_str("  exportTo: ['.']\n");
    }
    let mut policy = format!("{{ {} }}", tls(rng));
    if rng.random_bool(0.3) {
        let port = pick(rng, &["80", "90", "70"]);
        let (all, own) = (tls(rng), tls(rng));
        policy =
            format!("{{ {all}, portLevelSettings: [{{ port: {{ number: {port} }}, {own} }}] }}");
    }
    writeln!(text, "  trafficPolicy: {policy}").unwrap();
    if rng.random_bool(0.3) {
        let policy = tls(rng);
        writeln!(
            text,
            "  subsets: [{{ name: v1, labels: {{ version: v1 }}, trafficPolicy: {{ {policy} }} }}]"
        )
        .unwrap();
    }
}

fn gateway(text: &mut String, rng: &mut SmallRng) {
    object(text, ("Gateway", NETWORKING), ("gate", "default"));
    text.push_str("spec:\n  selector: { istio: gate }\n  servers:\n");
    text.push_str("  - { port: { number: 80, name: http, protocol: HTTP }, hosts: ['*'] }\n");
    let mode = pick(rng, &["SIMPLE", "MUTUAL", "OPTIONAL_MUTUAL"]);
    let https = match rng.random_bool(0.4) {
        true => "mode: ISTIO_MUTUAL".to_owned(),
        false => format!("mode: {mode}, credentialName: cert"),
    };
    writeln!(
        text,
        "  - {{ port: {{ number: 443, name: https, protocol: HTTPS }}, hosts: [a.example], tls: {{ {https} }} }}"
    )
    .unwrap();
    if rng.random_bool(0.3) {
        text.push_str(
            "  - { port: { number: 443, name: tls, protocol: TLS }, hosts: [b.example], tls: { mode: PASSTHROUGH } }\n",
        );
    }
    if rng.random_bool(0.4) {
        text.push_str("  - { port: { number: 9000, name: tcp, protocol: TCP }, hosts: ['*'] }\n");
    }
    if rng.random_bool(0.4) {
        text.push_str(
            "  - { port: { number: 9443, name: tls-in, protocol: TLS }, hosts: [c.example], tls: { mode: ISTIO_MUTUAL } }\n",
        );
    }
}

fn authorization_policy(text: &mut String, rng: &mut SmallRng, number: usize, exact: bool) {
    let namespace = pick(rng, &NAMESPACES);
    let actions = ["ALLOW", "ALLOW", "DENY", "DENY", "AUDIT", "CUSTOM"];
    let action = pick(rng, if exact { &actions[..5] } else { &actions });
    let dry = matches!(action, "ALLOW" | "DENY") && rng.random_bool(0.15);
    let annotation = if dry {
        ", annotations: { istio.io/dry-run: 'true' }"
    } else {
        ""
    };
    write!(
        text,
        "---\napiVersion: {SECURITY}/v1\nkind: AuthorizationPolicy\nmetadata: {{ name: p-{number}, namespace: {namespace}{annotation} }}\nspec:\n  action: {action}\n"
    )
    .unwrap();
    if action == "CUSTOM" {
        let names = [
            "web", "rpc", "lost-web", "lost-rpc", "open-web", "open-rpc", "unknown",
        ];
        writeln!(text, "  provider: {{ name: {} }}", pick(rng, &names)).unwrap();
    }
    if rng.random_bool(0.6) {
        let app = pick(rng, &["a", "b", "c", "gate"]);
        writeln!(text, "  selector: {{ matchLabels: {{ app: {app} }} }}").unwrap();
    }
    let least = usize::from(matches!(action, "AUDIT" | "CUSTOM"));
    let rules = rng.random_range(least..3);
    if rules == 0 {
        return;
    }
    text.push_str("  rules:\n");
    for _ in 0..rules {
        rule(text, rng, exact);
    }
}

fn rule(text: &mut String, rng: &mut SmallRng, exact: bool) {
    let mut parts = Vec::new();
    if rng.random_bool(0.6) {
        let sources: Vec<String> = (0..rng.random_range(1..3))
            .map(|_| format!("{{ source: {{ {} }} }}", source(rng, exact)))
            .collect();
        parts.push(format!("from: [{}]", sources.join(", ")));
    }
    if rng.random_bool(0.5) {
        let operations: Vec<String> = (0..rng.random_range(1..3))
            .map(|_| format!("{{ operation: {{ {} }} }}", operation(rng, exact)))
            .collect();
        parts.push(format!("to: [{}]", operations.join(", ")));
    }
    if rng.random_bool(0.3) {
        parts.push(format!("when: [{{ {} }}]", condition(rng, exact)));
    }
    writeln!(text, "  - {{ {} }}", parts.join(", ")).unwrap();
}

const PRINCIPALS: [&str; 7] = [
    "*",
    "cluster.local/ns/default/sa/a",
    "*/sa/b",
    "old.example/ns/prod/sa/b",
    "mesh.example/ns/default/sa/a",
    "cluster.local/ns/prod/*",
    "*/ns/default/sa/gate",
];

fn source(rng: &mut SmallRng, exact: bool) -> String {
    let not = |rng: &mut SmallRng, name: &str| {
        if rng.random_bool(0.3) {
            let mut letters = name.chars();
            let first = letters.next().unwrap().to_ascii_uppercase();
            format!("not{first}{}", letters.as_str())
        } else {
            name.to_owned()
        }
    };
    let (name, values) = match rng.random_range(0..if exact { 4 } else { 7 }) {
        0 => (not(rng, "principals"), list(rng, &PRINCIPALS)),
        1 => (
            not(rng, "namespaces"),
            list(rng, &["default", "prod", "p*d", "*", "*o*"]),
        ),
        2 => (
            not(rng, "serviceAccounts"),
            list(rng, &["default/a", "prod/b", "b"]),
        ),
        3 => (
            not(rng, "trustDomains"),
            list(
                rng,
                &[
                    "cluster.local",
                    "old.example",
                    "mesh.example",
                    "*.local",
                    "*",
                ],
            ),
        ),
        4 => (
            not(rng, "ipBlocks"),
            list(rng, &["10.0.0.0/8", "192.0.2.0/24"]),
        ),
        5 => (
            not(rng, "remoteIpBlocks"),
            list(rng, &["10.0.0.0/8", "192.0.2.0/24"]),
        ),
        _ => (not(rng, "requestPrincipals"), list(rng, &["*", "iss/*"])),
    };
    format!("{name}: {values}")
}

fn operation(rng: &mut SmallRng, exact: bool) -> String {
    match rng.random_range(0..if exact { 2 } else { 7 }) {
        0 => format!(
            "ports: {}",
            list(rng, &["8080", "9090", "7070", "443", "9000"])
        ),
        1 => format!(
            "notPorts: {}",
            list(rng, &["8080", "9090", "7070", "443", "9443"])
        ),
        2 => format!("methods: {}", list(rng, &["GET", "P*", "*"])),
        3 => format!("notMethods: {}", list(rng, &["GET", "*"])),
        4 => format!("paths: {}", list(rng, &["/a*", "*/x", "*", "/{*}/x"])),
        5 => format!("notPaths: {}", list(rng, &["/a", "*"])),
        _ => format!("hosts: {}", list(rng, &["a", "b*", "*"])),
    }
}

fn condition(rng: &mut SmallRng, exact: bool) -> String {
    let values = if rng.random_bool(0.7) {
        "values"
    } else {
        "notValues"
    };
    let (key, all) = match rng.random_range(0..if exact { 5 } else { 11 }) {
        0 => ("source.principal", list(rng, &PRINCIPALS)),
        1 => ("source.namespace", list(rng, &["default", "pr*", "*"])),
        2 => ("source.serviceAccount", list(rng, &["default/a", "prod/b"])),
        3 => (
            "source.trustDomain",
            list(rng, &["cluster.local", "mesh.example"]),
        ),
        4 => (
            "destination.port",
            list(rng, &["8080", "9090", "443", "7070"]),
        ),
        5 => ("request.headers[x-a]", list(rng, &["1", "*"])),
        6 => ("source.ip", list(rng, &["10.0.0.0/8"])),
        7 => ("connection.sni", list(rng, &["a.example", "*"])),
        8 => ("request.auth.principal", list(rng, &["iss/one", "*"])),
        9 => ("request.auth.claims[g]", list(rng, &["x", "*"])),
        _ => ("remote.ip", list(rng, &["192.0.2.0/24"])),
    };
    format!("key: '{key}', {values}: {all}")
}
