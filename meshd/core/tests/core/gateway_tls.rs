//! Gateways with TLS: merging, modes, certificates from Secrets, and who gets them. Numbers of
//! traps as in the table of exact semantics.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mesh_api::ResourceName;
use mesh_api::v1::resource::Body;
use mesh_api::v1::{self, TlsServer, TlsServerMode};
use meshd_core::{MeshSettings, Scope, Store, World};

use crate::mesh::{
    gateway, gateway_of, good, names, problems, resources, sidecar, virtual_service, world,
};

const EC_CERT: &str = include_str!("pem/ec-cert.pem");
const EC_KEY: &str = include_str!("pem/ec-key.pem");
const RSA_CERT: &str = include_str!("pem/rsa-cert.pem");

/// The gateway `edge/ingress`, declared.
const WORKLOAD: &str = "---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: { name: ingress, namespace: edge }
spec: { address: 10.1.0.1, serviceAccount: client, labels: { istio: ingress } }
";

fn ingress(world: &World) -> Scope {
    gateway(world, "edge/ingress", &[("istio", "ingress")])
}

fn gateway_object(name: &str, servers: &str) -> String {
    format!(
        "---\napiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {{ name: {name} }}\nspec: {{ selector: {{ istio: ingress }}, servers: [{servers}] }}\n"
    )
}

fn https(port: u16, hosts: &str, tls: &str) -> String {
    format!(
        "{{ port: {{ number: {port}, name: 'https-{port}-{}', protocol: HTTPS }}, hosts: [{hosts}], tls: {{ {tls} }} }}",
        hosts.replace(['*', '.', '\'', '/', ' ', ','], "-")
    )
}

fn secret(namespace: &str, name: &str, data: &[(&str, &str)]) -> String {
    let data: Vec<String> = data
        .iter()
        .map(|(key, value)| format!("{key}: {}", STANDARD.encode(value)))
        .collect();
    format!(
        "---\napiVersion: v1\nkind: Secret\nmetadata: {{ name: {name}, namespace: {namespace} }}\ndata: {{ {} }}\n",
        data.join(", ")
    )
}

fn pair(namespace: &str, name: &str) -> String {
    secret(
        namespace,
        name,
        &[("tls.crt", EC_CERT), ("tls.key", EC_KEY)],
    )
}

fn tls_servers(world: &World) -> Vec<TlsServer> {
    let found = gateway_of(world, &ingress(world));
    found
        .listeners
        .into_iter()
        .flat_map(|listener| listener.tls)
        .collect()
}

fn credentials(world: &World, scope: &Scope) -> Vec<v1::Credential> {
    resources(world, scope, &["gateway/self"])
        .into_values()
        .filter_map(|resource| match &resource.body {
            Some(Body::Credential(credential)) => Some(credential.clone()),
            _ => None,
        })
        .collect()
}

fn about(world: &World, code: &str) -> Vec<String> {
    let end = format!("[{code}]");
    problems(world)
        .into_iter()
        .filter(|line| line.ends_with(&end))
        .collect()
}

#[test]
fn trap_42_servers_of_one_port() {
    let plain = |port: u16, name: &str, host: &str| {
        format!("{{ port: {{ number: {port}, name: {name}, protocol: HTTP }}, hosts: ['{host}'] }}")
    };
    let simple = "mode: SIMPLE, credentialName: cert";
    let bound = |name: &str, gateway: &str, host: &str| {
        virtual_service(
            name,
            &format!(
                "{{ hosts: ['{host}'], gateways: [{gateway}], http: [{{ name: {name}, route: [{{ destination: {{ host: a }} }}] }}] }}"
            ),
        )
    };
    let world = good(
        &[
            WORKLOAD.to_owned(),
            pair("edge", "cert"),
            gateway_object(
                "one",
                &format!(
                    "{}, {}",
                    plain(80, "http", "a.example.com"),
                    https(443, "a.example.com", simple)
                ),
            ),
            // HTTP and HTTP are one; TLS is told by name.
            gateway_object(
                "two",
                &format!(
                    "{}, {}",
                    plain(80, "http", "b.example.com"),
                    https(443, "b.example.com", simple)
                ),
            ),
            // The same name again, even beside a new one: the whole server gives way.
            gateway_object(
                "three",
                &https(443, "'c.example.com', a.example.com", simple),
            ),
            // Another protocol on the port.
            gateway_object("four", &plain(443, "http", "d.example.com")),
            gateway_object("five", &https(80, "e.example.com", simple)),
            // The same on another address is no conflict.
            gateway_object(
                "six",
                &format!(
                    "{{ bind: 10.1.0.9, {}",
                    plain(443, "http", "d.example.com").trim_start_matches('{')
                ),
            ),
            bound("a", "one", "a.example.com"),
            bound("b", "two", "b.example.com"),
            bound("d", "six", "d.example.com"),
        ]
        .concat(),
    );
    let found = gateway_of(&world, &ingress(&world));
    let listeners: Vec<(u32, &str, i32)> = found
        .listeners
        .iter()
        .map(|listener| (listener.port, listener.bind.as_str(), listener.protocol))
        .collect();
    let (http, tls) = (v1::Protocol::Http as i32, v1::Protocol::Tls as i32);
    assert_eq!(
        listeners,
        [(80, "", http), (443, "", tls), (443, "10.1.0.9", http)]
    );
    let hosts: Vec<&str> = found.listeners[0]
        .hosts
        .iter()
        .map(|host| host.domain.as_str())
        .collect();
    assert_eq!(hosts, ["a.example.com", "b.example.com"]);
    let servers: Vec<(&str, Vec<&str>)> = found.listeners[1]
        .tls
        .iter()
        .map(|server| (server.sni_hosts[0].as_str(), names(&server.hosts[0].http)))
        .collect();
    assert_eq!(
        servers,
        [("a.example.com", vec!["a"]), ("b.example.com", vec!["b"])]
    );
    let conflicts = about(&world, "IST0145");
    assert_eq!(conflicts.len(), 3, "{conflicts:#?}");
    for part in [
        "host a.example.com is served on port 443 by Gateway default/one already",
        "port 443 speaks TLS for Gateway default/one already",
        "port 80 speaks HTTP for Gateway default/one already",
    ] {
        assert!(
            conflicts.iter().any(|line| line.contains(part)),
            "{part}: {conflicts:#?}"
        );
    }
}

#[test]
fn trap_43_hosts_of_a_namespace_and_where_they_meet() {
    let world = good(&[
        WORKLOAD.to_owned(),
        pair("edge", "cert"),
        gateway_object("gw", &https(443, "'./*.example.com', 'other/*.example.org', '*/x.example.net'", "mode: SIMPLE, credentialName: cert")),
        virtual_service("inside", "{ hosts: [a.example.com, a.example.org, '*.example.net'], gateways: [gw], http: [{ name: inside, route: [{ destination: { host: a } }] }] }"),
    ].concat());
    let server = &tls_servers(&world)[0];
    assert_eq!(
        server.sni_hosts,
        ["*.example.com", "*.example.org", "x.example.net"]
    );
    let domains: Vec<&str> = server
        .hosts
        .iter()
        .map(|host| host.domain.as_str())
        .collect();
    assert_eq!(domains, ["a.example.com", "x.example.net"]);
}

#[test]
fn trap_44_a_redirect_needs_no_routes() {
    let world = good(&[
        WORKLOAD.to_owned(),
        gateway_object("gw", "{ port: { number: 80, name: http, protocol: HTTP }, hosts: [a.example.com, b.example.com], tls: { httpsRedirect: true } }"),
        virtual_service("only", "{ hosts: [b.example.com], gateways: [gw], http: [{ name: only, route: [{ destination: { host: a } }] }] }"),
    ].concat());
    let found = gateway_of(&world, &ingress(&world));
    let hosts: Vec<(&str, bool, usize)> = found.listeners[0]
        .hosts
        .iter()
        .map(|host| (host.domain.as_str(), host.https_redirect, host.http.len()))
        .collect();
    assert_eq!(
        hosts,
        [("a.example.com", true, 0), ("b.example.com", true, 1)]
    );
}

#[test]
fn trap_45_secrets_of_the_gateways_own_namespace() {
    let base = [
        WORKLOAD.to_owned(),
        gateway_object(
            "gw",
            &https(443, "a.example.com", "mode: SIMPLE, credentialName: cert"),
        ),
    ]
    .concat();
    // In the namespace of the Gateway object it is of no use.
    let elsewhere = world(&format!("{base}{}", pair("default", "cert")));
    let scope = ingress(&elsewhere);
    assert!(credentials(&elsewhere, &scope).is_empty());
    assert_eq!(
        tls_servers(&elsewhere)[0].unusable,
        "Secret edge/cert not found"
    );
    let told = about(&elsewhere, "IST0101");
    assert!(
        told.iter().any(|line| line.starts_with("input.yaml:")
            && line.contains("credentialName cert: Secret edge/cert not found")),
        "{told:#?}"
    );
    let there = good(&format!("{base}{}", pair("edge", "cert")));
    let scope = ingress(&there);
    let server = &tls_servers(&there)[0];
    assert_eq!(
        (server.credential.as_str(), server.unusable.as_str()),
        ("edge/cert", "")
    );
    let [credential] = credentials(&there, &scope).try_into().unwrap();
    assert_eq!(
        (credential.namespace.as_str(), credential.name.as_str()),
        ("edge", "cert")
    );
    assert_eq!(credential.certificate_chain.len(), 1);
    assert!(about(&there, "IST0101").is_empty() && about(&there, "IST0161").is_empty());
}

#[test]
fn credentials_go_to_nobody_else() {
    let world = good(
        &[
            WORKLOAD.to_owned(),
            pair("edge", "cert"),
            pair("edge", "unnamed"),
            pair("default", "cert"),
            gateway_object(
                "gw",
                &https(443, "a.example.com", "mode: SIMPLE, credentialName: cert"),
            ),
        ]
        .concat(),
    );
    let named = |scope: &Scope| -> Vec<String> {
        let credentials = credentials(&world, scope);
        credentials
            .into_iter()
            .map(|one| format!("{}/{}", one.namespace, one.name))
            .collect()
    };
    assert_eq!(named(&ingress(&world)), ["edge/cert"]);
    // A gateway of the namespace that no Gateway with a certificate selects.
    assert!(named(&gateway(&world, "edge/egress", &[("istio", "egress")])).is_empty());
    // One of another namespace gets what is there, and only if it is selected.
    assert_eq!(
        named(&gateway(&world, "default/ingress", &[("istio", "ingress")])),
        ["default/cert"]
    );
    assert!(named(&gateway(&world, "third/ingress", &[("istio", "ingress")])).is_empty());
    // Sidecars get none, whatever they ask for.
    for scope in [
        sidecar(&world, "edge/app", &[("istio", "ingress")]),
        ingress(&world),
    ] {
        let found = resources(
            &world,
            &scope,
            &[
                "credential/edge/cert",
                "credential/edge/unnamed",
                "mesh/default",
            ],
        );
        let names: Vec<&ResourceName> = found.keys().collect();
        assert_eq!(names, [&ResourceName::Mesh]);
    }
}

#[test]
fn what_is_wrong_with_a_secret() {
    let other_key = include_str!("pem/other-ec-key.pem");
    let rsa_key = include_str!("pem/rsa-key.pem");
    let encrypted =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let cases: [(&[(&str, &str)], &str); 7] = [
        (
            &[("tls.crt", EC_CERT), ("tls.key", other_key)],
            "data.tls.key is not the key of the certificate in tls.crt",
        ),
        (
            &[("cert", EC_CERT), ("key", rsa_key)],
            "data.key is not the key of the certificate in cert",
        ),
        (
            &[("tls.crt", "nonsense"), ("tls.key", EC_KEY)],
            "data.tls.crt holds no certificate in PEM",
        ),
        (
            &[("tls.crt", EC_CERT), ("tls.key", encrypted)],
            "data.tls.key holds no private key in PEM",
        ),
        (
            &[
                ("tls.crt", EC_CERT),
                ("tls.key", EC_KEY),
                ("ca.crt", "nonsense"),
            ],
            "data.ca.crt holds no certificate in PEM",
        ),
        (&[("tls.crt", EC_CERT)], "holds no certificate with its key"),
        (&[("ca.crt", EC_CERT)], "holds no certificate with its key"),
    ];
    for (data, want) in cases {
        let world = world(
            &[
                WORKLOAD.to_owned(),
                gateway_object(
                    "gw",
                    &https(443, "a.example.com", "mode: SIMPLE, credentialName: cert"),
                ),
                secret("edge", "cert", data),
            ]
            .concat(),
        );
        let scope = ingress(&world);
        assert!(credentials(&world, &scope).is_empty(), "{want}");
        let server = &tls_servers(&world)[0];
        assert!(
            server.unusable.contains(want),
            "{want}: {}",
            server.unusable
        );
        let told = about(&world, "IST0161");
        assert!(
            told.iter()
                .any(|line| line.contains("credentialName cert") && line.contains(want)),
            "{want}: {told:#?}"
        );
        // Neither findings nor reasons quote the Secret.
        for text in told.iter().chain([&server.unusable]) {
            assert!(
                !text.contains("nonsense") && !text.contains("BEGIN"),
                "{text}"
            );
        }
    }
}

#[test]
fn all_forms_of_keys_are_taken() {
    for (certificate, key) in [
        (EC_CERT, EC_KEY),
        (EC_CERT, include_str!("pem/ec-sec1-key.pem")),
        (RSA_CERT, include_str!("pem/rsa-key.pem")),
        (RSA_CERT, include_str!("pem/rsa-pkcs1-key.pem")),
        (
            include_str!("pem/ed-cert.pem"),
            include_str!("pem/ed-key.pem"),
        ),
    ] {
        let world = good(
            &[
                WORKLOAD.to_owned(),
                gateway_object(
                    "gw",
                    &https(
                        443,
                        "a.example.com",
                        "mode: SIMPLE, credentialName: 'kubernetes://cert'",
                    ),
                ),
                // Istio's generic names win, and a chain may be longer.
                secret(
                    "edge",
                    "cert",
                    &[
                        ("cert", &format!("{certificate}{EC_CERT}")),
                        ("key", key),
                        ("tls.crt", "x"),
                        ("tls.key", "y"),
                    ],
                ),
            ]
            .concat(),
        );
        let [credential] = credentials(&world, &ingress(&world)).try_into().unwrap();
        assert_eq!(credential.certificate_chain.len(), 2);
    }
}

#[test]
fn a_secret_that_nobody_names_is_nothing() {
    let world = world(&[
        secret("edge", "junk", &[("tls.crt", "nonsense"), ("tls.key", "nonsense")]),
        secret("edge", "cert-manager", &[("tls.crt", ""), ("tls.key", "")]),
        "---\napiVersion: v1\nkind: Secret\nmetadata: { name: password }\nstringData: { password: hunter2 }\n".to_owned(),
    ].concat());
    assert_eq!(problems(&world), Vec::<String>::new());
    let dump = format!("{world:?}");
    assert!(!dump.contains("junk") && !dump.contains("hunter2"));
    assert_eq!(world.digest(), crate::mesh::world("").digest());
}

#[test]
fn nothing_tells_a_key() {
    let key: Vec<u8> = STANDARD
        .decode(
            EC_KEY
                .lines()
                .filter(|line| !line.starts_with('-'))
                .collect::<String>(),
        )
        .unwrap();
    let text = [
        WORKLOAD.to_owned(),
        pair("edge", "cert"),
        gateway_object(
            "gw",
            &https(443, "a.example.com", "mode: SIMPLE, credentialName: cert"),
        ),
    ]
    .concat();
    let mut store = Store::new();
    store.set_file("input.yaml", &text);
    let world = store.world(&MeshSettings::default());
    let found = resources(&world, &ingress(&world), &["gateway/self"]);
    let json =
        serde_json::to_string(&found.values().map(|one| &**one).collect::<Vec<_>>()).unwrap();
    let secrets = [
        format!("{:?}", &key[..24])
            .trim_matches(['[', ']'])
            .to_owned(),
        STANDARD.encode(&key)[..32].to_owned(),
    ];
    for text in [
        format!("{store:?}"),
        format!("{world:?}"),
        format!("{found:?}"),
        json,
    ] {
        for secret in &secrets {
            assert!(!text.contains(secret), "{text}");
        }
    }
    // Yet another key is another digest and another version.
    let other = text.replace(
        &STANDARD.encode(EC_KEY),
        &STANDARD.encode(include_str!("pem/ec-sec1-key.pem")),
    );
    store.set_file("input.yaml", &other);
    let changed = store.world(&MeshSettings::default());
    assert_ne!(world.digest(), changed.digest());
    let name: ResourceName = "credential/edge/cert".parse().unwrap();
    let after = resources(&changed, &ingress(&changed), &["gateway/self"]);
    assert_ne!(found[&name].version, after[&name].version);
}

#[test]
fn a_bad_secret_leaves_the_last_good_one() {
    let text = |data: &[(&str, &str)]| {
        [
            WORKLOAD.to_owned(),
            gateway_object(
                "gw",
                &https(443, "a.example.com", "mode: SIMPLE, credentialName: cert"),
            ),
            secret("edge", "cert", data),
        ]
        .concat()
    };
    let mut store = Store::new();
    store.set_file(
        "input.yaml",
        &text(&[("tls.crt", EC_CERT), ("tls.key", EC_KEY)]),
    );
    store.set_file(
        "input.yaml",
        &text(&[("tls.crt", RSA_CERT), ("tls.key", EC_KEY)]),
    );
    let world = store.world(&MeshSettings::default());
    assert_eq!(tls_servers(&world)[0].unusable, "");
    assert_eq!(credentials(&world, &ingress(&world)).len(), 1);
    let told = about(&world, "IST0161");
    assert!(
        told.iter()
            .any(|line| line.contains("error: data.tls.key is not the key")),
        "{told:#?}"
    );
}

#[test]
fn roots_for_clients() {
    let pair = [("tls.crt", EC_CERT), ("tls.key", EC_KEY)];
    let with = |more: &[(&'static str, &'static str)]| {
        let data: Vec<(&str, &str)> = pair.iter().chain(more).copied().collect();
        secret("edge", "cert", &data)
    };
    let companion = secret("edge", "cert-cacert", &[("cacert", RSA_CERT)]);
    let base = |mode: &str| {
        [
            WORKLOAD.to_owned(),
            gateway_object(
                "gw",
                &https(
                    443,
                    "a.example.com",
                    &format!(
                        "mode: {mode}, credentialName: cert, subjectAltNames: [client.example.com]"
                    ),
                ),
            ),
        ]
        .concat()
    };
    for mode in ["MUTUAL", "OPTIONAL_MUTUAL"] {
        let without = world(&format!("{}{}", base(mode), with(&[])));
        assert!(
            tls_servers(&without)[0]
                .unusable
                .contains("no Secret edge/cert-cacert")
        );
        let own = good(&format!("{}{}", base(mode), with(&[("ca.crt", EC_CERT)])));
        let [credential] = credentials(&own, &ingress(&own)).try_into().unwrap();
        assert_eq!(
            (
                credential.client_roots.len(),
                tls_servers(&own)[0].unusable.as_str()
            ),
            (1, "")
        );
        // The companion comes first.
        let both = good(&format!(
            "{}{}{companion}",
            base(mode),
            with(&[("ca.crt", EC_CERT)])
        ));
        let [credential] = credentials(&both, &ingress(&both)).try_into().unwrap();
        assert_ne!(
            credential.client_roots,
            credentials(&own, &ingress(&own))[0].client_roots
        );
        assert_eq!(
            tls_servers(&both)[0].subject_alt_names,
            ["client.example.com"]
        );
    }
    let simple = good(&format!("{}{}", base("SIMPLE"), with(&[])));
    assert_eq!(tls_servers(&simple)[0].mode(), TlsServerMode::Simple);
}

#[test]
fn tls_and_tcp_routes_of_gateways() {
    let world = good(&[
        WORKLOAD.to_owned(),
        pair("edge", "cert"),
        gateway_object("gw", &[
            https(443, "'*.example.com'", "mode: PASSTHROUGH"),
            "{ port: { number: 6379, name: redis, protocol: TLS }, hosts: [redis.example.com], tls: { mode: SIMPLE, credentialName: cert } }".to_owned(),
            "{ port: { number: 31400, name: tcp, protocol: TCP }, hosts: ['*'] }".to_owned(),
            "{ port: { number: 31401, name: other, protocol: MONGO }, hosts: ['*'] }".to_owned(),
            "{ port: { number: 15443, name: mesh, protocol: TLS }, hosts: ['*.local'], tls: { mode: ISTIO_MUTUAL } }".to_owned(),
        ].join(", ")),
        virtual_service("sni", "{ hosts: ['*.example.com', '*.example.org'], gateways: [gw], tls: [{ match: [{ port: 443, sniHosts: [a.example.com] }], route: [{ destination: { host: a, port: { number: 80 } } }] }, { match: [{ sniHosts: ['*.example.com', 'x.example.org'] }], route: [{ destination: { host: b } }] }, { match: [{ port: 9, sniHosts: [b.example.com] }], route: [{ destination: { host: b } }] }] }"),
        virtual_service("tcp", "{ hosts: ['*'], gateways: [gw], tcp: [{ match: [{ port: 31400 }], route: [{ destination: { host: a, port: { number: 80 } } }] }, { match: [{ port: 6379 }, { port: 15443 }], route: [{ destination: { host: b } }] }] }"),
    ].concat());
    let found = gateway_of(&world, &ingress(&world));
    let seen: Vec<(u32, Vec<String>)> = found
        .listeners
        .iter()
        .map(|listener| {
            let of = |routes: &[v1::TcpRoute]| {
                routes[0].destinations[0]
                    .host
                    .split('.')
                    .next()
                    .unwrap()
                    .to_owned()
            };
            let mut all: Vec<String> = listener
                .tls
                .iter()
                .map(|server| {
                    format!(
                        "{:?} {} {}",
                        server.mode(),
                        server.sni_hosts.join(","),
                        of(&server.tcp)
                    )
                })
                .collect();
            all.extend((!listener.tcp.is_empty()).then(|| of(&listener.tcp)));
            (listener.port, all)
        })
        .collect();
    assert_eq!(
        seen,
        [
            (
                443,
                vec![
                    "Passthrough a.example.com a".to_owned(),
                    "Passthrough *.example.com b".to_owned()
                ]
            ),
            (6379, vec!["Simple redis.example.com b".to_owned()]),
            (15443, vec!["IstioMutual *.local b".to_owned()]),
            (31400, vec!["a".to_owned()]),
        ]
    );
    // The services behind come along.
    let all = resources(&world, &ingress(&world), &["gateway/self"]);
    assert!(all.contains_key(&"service/b.default.svc.cluster.local".parse().unwrap()));
}

#[test]
fn trap_46_ports_are_those_of_the_service() {
    let world = good("
apiVersion: v1
kind: Service
metadata: { name: ingress, namespace: edge }
spec:
  selector: { istio: ingress }
  ports: [{ name: http, port: 80, targetPort: 8080 }, { name: https, port: 443, targetPort: 8443 }]
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: { name: ingress, namespace: edge }
spec: { address: 10.1.0.1, serviceAccount: client, labels: { istio: ingress } }
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: gw }
spec:
  selector: { istio: ingress }
  servers:
  - { port: { number: 80, name: http, protocol: HTTP }, hosts: [a.example.com] }
  - { port: { number: 8080, name: direct, protocol: HTTP }, hosts: [b.example.com] }
  - { port: { number: 9000, name: own, protocol: HTTP }, hosts: ['*'] }
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: both }
spec: { hosts: [a.example.com, b.example.com], gateways: [gw], http: [{ name: p80, match: [{ port: 80 }], route: [{ destination: { host: a } }] }, { name: p8080, match: [{ port: 8080 }], route: [{ destination: { host: b } }] }] }
");
    let found = gateway_of(&world, &ingress(&world));
    let listeners: Vec<(u32, &[u32])> = found
        .listeners
        .iter()
        .map(|listener| (listener.port, listener.service_ports.as_slice()))
        .collect();
    assert_eq!(listeners, [(8080, &[80, 8080][..]), (9000, &[])]);
    let hosts: Vec<(&str, Vec<&str>)> = found.listeners[0]
        .hosts
        .iter()
        .map(|host| (host.domain.as_str(), names(&host.http)))
        .collect();
    assert_eq!(
        hosts,
        [
            ("a.example.com", vec!["p80"]),
            ("b.example.com", vec!["p8080"])
        ]
    );
}

#[test]
fn what_a_server_may_say() {
    let refused = |tls: &str, protocol: &str, want: &str| {
        let world = world(&gateway_object(
            "gw",
            &format!(
                "{{ port: {{ number: 443, name: x, protocol: {protocol} }}, hosts: ['*'], {tls} }}"
            ),
        ));
        let told = problems(&world);
        assert!(
            told.iter().any(|line| line.contains(want)),
            "{tls}: {told:#?}"
        );
    };
    for (tls, protocol, want) in [
        (
            "",
            "HTTPS",
            "server must have TLS settings for HTTPS/TLS protocols",
        ),
        (
            "tls: { mode: SIMPLE, credentialName: a }",
            "HTTP",
            "server cannot have TLS settings for plain text HTTP ports",
        ),
        (
            "tls: { mode: SIMPLE, credentialName: a }",
            "TCP",
            "server cannot have TLS settings for non HTTPS/TLS ports",
        ),
        (
            "tls: { mode: AUTO_PASSTHROUGH }",
            "TLS",
            "AUTO_PASSTHROUGH is not supported",
        ),
        (
            "tls: { mode: SIMPLE }",
            "HTTPS",
            "SIMPLE TLS requires a server certificate",
        ),
        (
            "tls: { mode: SIMPLE, serverCertificate: /a }",
            "HTTPS",
            "SIMPLE TLS requires a private key",
        ),
        (
            "tls: { mode: MUTUAL, serverCertificate: /a, privateKey: /b }",
            "HTTPS",
            "MUTUAL TLS requires a client CA bundle",
        ),
        (
            "tls: { mode: ISTIO_MUTUAL, credentialName: a }",
            "HTTPS",
            "ISTIO_MUTUAL TLS cannot have associated credentialName",
        ),
        (
            "tls: { credentialName: a }",
            "HTTPS",
            "PASSTHROUGH mode does not use certificates",
        ),
        (
            "tls: { mode: SIMPLE, credentialName: a, minProtocolVersion: TLSV1_0 }",
            "HTTPS",
            "the oldest version is TLSV1_2",
        ),
        (
            "tls: { mode: SIMPLE, credentialName: a, maxProtocolVersion: TLSV1_1 }",
            "HTTPS",
            "no version is left",
        ),
        (
            "tls: { mode: SIMPLE, credentialName: a, minProtocolVersion: TLSV1_3, maxProtocolVersion: TLSV1_2 }",
            "HTTPS",
            "older than minProtocolVersion",
        ),
        (
            "tls: { mode: SIMPLE, credentialName: a, cipherSuites: [NONSENSE] }",
            "HTTPS",
            "ignoring invalid cipher suites: [NONSENSE]",
        ),
        (
            "tls: { mode: SIMPLE, credentialName: a, cipherSuites: [AES128-SHA], maxProtocolVersion: TLSV1_2 }",
            "HTTPS",
            "no cipher suite is left",
        ),
        (
            "tls: { mode: SIMPLE, credentialName: 'configmap://a' }",
            "HTTPS",
            "configmap:// is not supported",
        ),
        (
            "tls: { mode: SIMPLE, credentialName: a, verifyCertificateHash: [zz] }",
            "HTTPS",
            "`zz` is no SHA-256",
        ),
        ("bind: nowhere", "HTTP", "nowhere is not a valid IP address"),
        (
            "bind: 'unix:///x'",
            "HTTP",
            "does not listen on Unix sockets",
        ),
    ] {
        refused(tls, protocol, want);
    }
}

#[test]
fn files_versions_and_suites() {
    let world = good(&[
        WORKLOAD.to_owned(),
        gateway_object("gw", &https(443, "a.example.com", "mode: MUTUAL, serverCertificate: /c, privateKey: /k, caCertificates: /r, caCrl: /l, minProtocolVersion: TLSV1_3, cipherSuites: [ECDHE-ECDSA-AES128-GCM-SHA256, AES128-SHA], verifyCertificateSpki: ['AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA='], verifyCertificateHash: ['00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00']")),
    ].concat());
    let server = &tls_servers(&world)[0];
    let files = server.files.as_ref().unwrap();
    assert_eq!(
        (
            files.certificate.as_str(),
            files.private_key.as_str(),
            files.client_roots.as_str(),
            files.client_crl.as_str()
        ),
        ("/c", "/k", "/r", "/l")
    );
    assert_eq!(server.min_version(), v1::TlsVersion::TlsVersion13);
    assert_eq!(server.cipher_suites, ["ECDHE-ECDSA-AES128-GCM-SHA256"]);
    assert_eq!(
        (
            server.spki_hashes[0].len(),
            server.certificate_hashes[0].len()
        ),
        (32, 32)
    );
}
