//! Gateways with TLS: merging, modes and routes. Numbers of traps as in the table of exact
//! semantics.

use mesh_api::v1;
use meshd_core::World;

use crate::gateways::{WORKLOAD, about, gateway_object, https, ingress, pair, tls_servers};
use crate::mesh::{gateway_of, good, names, problems, resources, virtual_service, world};

/// Six Gateways on two ports; three servers cannot be served.
fn six_gateways() -> World {
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
    good(
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
    )
}

#[test]
fn trap_42_servers_of_one_port() {
    let world = six_gateways();
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
}

#[test]
fn trap_42_what_gives_way_is_told() {
    let conflicts = about(&six_gateways(), "IST0145");
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
fn what_routes_no_requests_keeps_no_host_from_others() {
    let world = good(&[
        WORKLOAD.to_owned(),
        gateway_object("gw", "{ port: { number: 80, name: http, protocol: HTTP }, hosts: ['*'] }, { port: { number: 443, name: tls, protocol: TLS }, hosts: ['*.example.com'], tls: { mode: PASSTHROUGH } }"),
        virtual_service("all", "{ hosts: ['*'], gateways: [gw], http: [{ name: all, route: [{ destination: { host: a } }] }] }"),
        virtual_service("sni", "{ hosts: ['*.example.com'], gateways: [gw], tls: [{ match: [{ sniHosts: ['*.example.com'] }], route: [{ destination: { host: a } }] }] }"),
        virtual_service("elsewhere", "{ hosts: [a.example.org], gateways: [gw], http: [{ match: [{ port: 8080 }], route: [{ destination: { host: a } }] }] }"),
    ].concat());
    let found = gateway_of(&world, &ingress(&world));
    let hosts = found.listeners[0].hosts.iter();
    let hosts: Vec<(&str, Vec<&str>)> = hosts
        .map(|host| (host.domain.as_str(), names(&host.http)))
        .collect();
    assert_eq!(hosts, [("*", vec!["all"])]);
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

/// Settings, protocol, finding.
const REFUSED: &[(&str, &str, &str)] = &[
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
];

#[test]
fn what_a_server_may_say() {
    for (tls, protocol, want) in REFUSED {
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
