//! Sidecar: ports that are served, listeners for the workload's own calls, and the way out.

use mesh_api::v1::app_endpoint::Kind;
use mesh_api::v1::resource::Body;
use mesh_api::v1::{
    AppEndpoint, ConnectionPool, EgressListener, Inbound, InboundListener, InboundPort, MtlsMode,
    Protocol, TlsServerMode,
};
use meshd_core::World;

use crate::mesh::{destinations, good, problems, resources, sidecar, table_of, world};

const BACKEND: &str = "
apiVersion: v1
kind: Service
metadata: { name: db }
spec: { selector: { app: db }, ports: [{ name: tcp, port: 5432 }] }
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: { name: client }
spec: { address: 10.0.0.9, serviceAccount: client, labels: { app: client } }
---
apiVersion: v1
kind: Service
metadata: { name: front }
spec: { selector: { app: client }, ports: [{ name: http, port: 80, targetPort: 9080 }, { name: tcp, port: 90 }] }
---
";

fn text(spec: &str) -> String {
    format!(
        "{BACKEND}apiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {{ name: mine }}\nspec: {spec}\n"
    )
}

fn inbound(world: &World) -> Inbound {
    let scope = sidecar(world, "default/client", &[]);
    let all = resources(world, &scope, &["inbound/self"]);
    match all[&"inbound/self".parse().unwrap()].body.clone() {
        Some(Body::Inbound(inbound)) => inbound,
        other => panic!("{other:?}"),
    }
}

fn only_port(spec: &str) -> InboundPort {
    let mut ports = inbound(&good(&text(&format!("{{ ingress: [{spec}] }}")))).ports;
    assert_eq!(ports.len(), 1, "{ports:?}");
    ports.remove(0)
}

#[test]
fn listed_ports_take_the_place_of_those_of_services() {
    let usual: Vec<u32> = inbound(&good(BACKEND))
        .ports
        .iter()
        .map(|port| port.port)
        .collect();
    assert_eq!(usual, [90, 9080]);
    let port = only_port("{ port: { number: 9080, protocol: HTTP, name: http } }");
    assert_eq!((port.port, port.protocol()), (9080, Protocol::Http));
    assert_eq!(port.service, "front.default.svc.cluster.local");
    assert_eq!((port.service_port, port.endpoint), (80, None));
    assert_eq!(port.listener, Some(InboundListener::default()));
    let port = only_port("{ port: { number: 7777, protocol: TCP, name: x } }");
    assert_eq!(
        (port.service.as_str(), port.service_port),
        ("mine.default", 7777)
    );
    let kept = inbound(&good(&text("{ egress: [{ hosts: ['*/*'] }] }")));
    assert_eq!(kept.ports.len(), 2);
}

#[test]
fn every_form_of_the_default_endpoint() {
    let endpoint = |kind, prefer_ipv6| {
        Some(AppEndpoint {
            kind: Some(kind),
            prefer_ipv6,
        })
    };
    let cases = [
        ("127.0.0.1:80", endpoint(Kind::LoopbackPort(80), false)),
        ("'[::1]:80'", endpoint(Kind::LoopbackPort(80), true)),
        ("0.0.0.0:80", endpoint(Kind::InstancePort(80), false)),
        ("'[::]:80'", endpoint(Kind::InstancePort(80), true)),
        (
            "unix:///run/app.sock",
            endpoint(Kind::UnixPath("/run/app.sock".to_owned()), false),
        ),
        ("''", None),
        ("':80'", None),
    ];
    for (written, want) in cases {
        let spec =
            format!("{{ port: {{ number: 9080, protocol: HTTP }}, defaultEndpoint: {written} }}");
        assert_eq!(only_port(&spec).endpoint, want, "{written}");
    }
}

#[test]
fn bind_and_capture_mode_say_who_listens() {
    let listener = |more: &str| {
        let spec = format!("{{ port: {{ number: 9080, protocol: HTTP }}{more} }}");
        only_port(&spec).listener
    };
    let at = |bind: &str, always| {
        Some(InboundListener {
            bind: bind.to_owned(),
            always,
        })
    };
    assert_eq!(listener(", captureMode: IPTABLES"), None);
    assert_eq!(listener(", captureMode: NONE"), at("", true));
    assert_eq!(
        listener(", captureMode: NONE, bind: 10.1.2.3"),
        at("10.1.2.3", true)
    );
    assert_eq!(listener(", bind: '::1'"), at("::1", false));
}

#[test]
fn limits_of_a_port_come_before_those_of_all() {
    let spec = "{ inboundConnectionPool: { tcp: { maxConnections: 7 } }, ingress: [{ port: { number: 1, protocol: HTTP }, connectionPool: { http: { http2MaxRequests: 3 } } }, { port: { number: 2, protocol: TCP } }] }";
    let pools: Vec<_> = inbound(&good(&text(spec)))
        .ports
        .iter()
        .map(|port| port.connection_pool.unwrap())
        .collect();
    let seven = ConnectionPool {
        max_connections: 7,
        ..ConnectionPool::default()
    };
    let three = ConnectionPool {
        max_requests: 3,
        ..ConnectionPool::default()
    };
    assert_eq!(pools, [three, seven]);
    // Without a list it holds for the services' ports.
    let spec = "{ inboundConnectionPool: { tcp: { maxConnections: 7 } } }";
    let all = inbound(&good(&text(spec)));
    assert!(
        all.ports
            .iter()
            .all(|port| port.connection_pool == Some(seven))
    );
}

/// The limits of each port: connections, and the time to connect.
fn limits(text: &str) -> Vec<(u32, u32, u64)> {
    let limit = |port: &InboundPort| {
        let pool = port.connection_pool.unwrap_or_default();
        (port.port, pool.max_connections, port.connect_timeout_ms)
    };
    inbound(&good(text)).ports.iter().map(limit).collect()
}

#[test]
fn a_destination_rule_limits_servers_too() {
    let rule = |spec: &str| {
        format!(
            "---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{ name: front }}\nspec: {{ host: front, {spec} }}\n"
        )
    };
    let pool = |most: u32, ms: u32| {
        format!("connectionPool: {{ tcp: {{ maxConnections: {most}, connectTimeout: {ms}ms }} }}")
    };
    assert_eq!(limits(BACKEND), [(90, 0, 0), (9080, 0, 0)]);
    let by_port = format!(
        "trafficPolicy: {{ {}, portLevelSettings: [{{ port: {{ number: 80 }}, {} }}] }}",
        pool(5, 50),
        pool(7, 0).replace(", connectTimeout: 0ms", ""),
    );
    let text = format!("{BACKEND}{}", rule(&by_port));
    // By the port of the service, and whole: nothing is inherited.
    assert_eq!(limits(&text), [(90, 5, 50), (9080, 7, 0)]);
    // Subsets are of clients, and so are rules for some workloads.
    let subset = format!(
        "subsets: [{{ name: v1, trafficPolicy: {{ {} }} }}]",
        pool(3, 30)
    );
    assert_eq!(
        limits(&format!("{BACKEND}{}", rule(&subset))),
        [(90, 0, 0), (9080, 0, 0)]
    );
    let selected = format!(
        "workloadSelector: {{ matchLabels: {{ app: client }} }}, trafficPolicy: {{ {} }}",
        pool(3, 30)
    );
    assert_eq!(
        limits(&format!("{BACKEND}{}", rule(&selected))),
        [(90, 0, 0), (9080, 0, 0)]
    );
    // A Sidecar counts more; one that does not import the service knows nothing of its rule.
    let sidecar = |spec: &str| {
        format!(
            "{}---\n{}",
            text.clone(),
            &self::text(spec)[BACKEND.len()..]
        )
    };
    let own = "{ inboundConnectionPool: { tcp: { maxConnections: 9, connectTimeout: 90ms } } }";
    assert_eq!(limits(&sidecar(own)), [(90, 9, 90), (9080, 9, 90)]);
    let listed = "{ ingress: [{ port: { number: 9080, protocol: HTTP } }, { port: { number: 90, protocol: TCP }, connectionPool: { tcp: { connectTimeout: 1s } } }] }";
    assert_eq!(limits(&sidecar(listed)), [(90, 0, 1000), (9080, 7, 0)]);
    let elsewhere = "{ egress: [{ hosts: ['istio-system/*'] }] }";
    assert_eq!(limits(&sidecar(elsewhere)), [(90, 0, 0), (9080, 0, 0)]);
}

#[test]
fn trap_51_tls_ends_at_the_sidecar_only_without_mutual_tls() {
    let tls = "{ ingress: [{ port: { number: 8443, protocol: HTTPS, name: x }, defaultEndpoint: '127.0.0.1:80', tls: { mode: SIMPLE, serverCertificate: /c.pem, privateKey: /k.pem } }] }";
    let world = |mode: &str| {
        good(&format!(
            "{}---\napiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {{ name: p }}\nspec: {{ mtls: {{ mode: {mode} }} }}\n",
            text(tls)
        ))
    };
    let mut port = inbound(&world("DISABLE")).ports.remove(0);
    let server = port.tls.take().unwrap();
    assert_eq!(server.mode(), TlsServerMode::Simple);
    assert_eq!(server.files.unwrap().certificate, "/c.pem");
    assert_eq!(
        (port.mtls(), port.protocol()),
        (MtlsMode::Disable, Protocol::Http)
    );
    let port = inbound(&world("STRICT")).ports.remove(0);
    assert_eq!((port.tls, port.protocol), (None, Protocol::Tls.into()));
}

#[test]
fn egress_listeners_name_the_service_of_opaque_bytes() {
    let spec = "{ egress: [
      { port: { number: 9080, protocol: HTTP, name: h }, bind: 127.0.0.2, captureMode: NONE, hosts: ['./*'] },
      { port: { number: 5432, protocol: TCP, name: d }, captureMode: NONE, hosts: ['./*'] },
      { port: { number: 7000, protocol: TCP, name: e }, bind: 127.0.0.3, hosts: ['./db.default.svc.cluster.local'] },
      { port: { number: 0, protocol: HTTP, name: u }, bind: 'unix:///run/out.sock', hosts: ['./*'] },
      { port: { number: 6000, protocol: TCP, name: n }, captureMode: NONE, hosts: ['~/*'] },
      { hosts: ['*/*'] }] }";
    let world = good(&text(spec));
    let listener = |bind: &str, port, protocol: Protocol, host: &str, always| EgressListener {
        bind: bind.to_owned(),
        port,
        protocol: protocol.into(),
        host: host.to_owned(),
        service_port: if host.is_empty() { 0 } else { 5432 },
        always,
    };
    let db = "db.default.svc.cluster.local";
    assert_eq!(
        inbound(&world).egress,
        [
            listener("127.0.0.2", 9080, Protocol::Http, "", true),
            listener("", 5432, Protocol::Tcp, db, true),
            listener("127.0.0.3", 7000, Protocol::Tcp, db, false),
            listener("unix:///run/out.sock", 0, Protocol::Http, "", true),
        ]
    );
    let scope = sidecar(&world, "default/client", &[]);
    // A service with one port is meant by the listener's.
    let table = table_of(&world, &scope, "routes/a:9080");
    assert_eq!(destinations(&table.http[0]), ["a.default:80/*100"]);
    assert!(table_of(&world, &scope, "routes/multi:9080").undeclared);
    // Captured connections are told by the address that is bound.
    let table = table_of(&world, &scope, "address/127.0.0.3:7000");
    assert_eq!(table.tcp[0].destinations[0].host, db);
}

#[test]
fn one_egress_listener_stands_for_all_ports() {
    let spec = "{ egress: [
      { port: { number: 8080, protocol: HTTP, name: h }, captureMode: NONE, hosts: ['./*'] },
      { captureMode: NONE, hosts: ['./*'] }] }";
    let found: Vec<_> = inbound(&good(&text(spec)))
        .egress
        .into_iter()
        .map(|one| (one.port, one.protocol(), one.host, one.always))
        .collect();
    let db = "db.default.svc.cluster.local".to_owned();
    let front = "front.default.svc.cluster.local".to_owned();
    assert_eq!(
        found,
        [
            (8080, Protocol::Http, String::new(), true),
            (80, Protocol::Http, String::new(), true),
            (90, Protocol::Tcp, front, true),
            (5432, Protocol::Tcp, db, true),
            (9000, Protocol::Http, String::new(), true),
        ]
    );
    // Of the services that it names only, on its address, and only where nothing is captured.
    let spec = "{ egress: [{ bind: 127.0.0.9, hosts: ['./db.default.svc.cluster.local'] }] }";
    let found = inbound(&good(&text(spec))).egress;
    assert_eq!(found.len(), 1);
    assert_eq!(
        (found[0].bind.as_str(), found[0].port, found[0].always),
        ("127.0.0.9", 5432, false)
    );
}

#[test]
fn trap_32_what_nobody_declares_goes_to_the_egress_proxy() {
    let spec = "{ outboundTrafficPolicy: { mode: ALLOW_ANY, egressProxy: { host: b, port: { number: 8080 } } } }";
    let world = good(&text(spec));
    let scope = sidecar(&world, "default/client", &[]);
    for root in ["routes/example.com:80", "address/192.0.2.1:443"] {
        let table = table_of(&world, &scope, root);
        assert!(!table.undeclared);
        assert_eq!(
            destinations(&table.http[0]),
            ["b.default:8080/*100"],
            "{root}"
        );
        assert_eq!(
            table.tcp[0].destinations[0].host,
            "b.default.svc.cluster.local"
        );
        let all = resources(&world, &scope, &[root]);
        assert!(all.contains_key(&"service/b.default.svc.cluster.local".parse().unwrap()));
    }
    let declared = table_of(&world, &scope, "routes/a:80");
    assert_eq!(destinations(&declared.http[0]), ["a.default:80/*100"]);
}

#[test]
fn what_istio_refuses_is_refused() {
    let cases = [
        (
            "{ ingress: [{ defaultEndpoint: '127.0.0.1:1' }] }",
            "port is required",
        ),
        (
            "{ ingress: [{ port: { number: 80, protocol: SPDY } }] }",
            "unsupported protocol",
        ),
        (
            "{ ingress: [{ port: { number: 80, protocol: HTTP, targetPort: 8 } }] }",
            "targetPort has no impact",
        ),
        (
            "{ ingress: [{ port: { number: 80, protocol: HTTP }, bind: x }] }",
            "not a valid IP address",
        ),
        (
            "{ ingress: [{ port: { number: 80, protocol: HTTP }, defaultEndpoint: '10.0.0.1:80' }] }",
            "must be of form 127.0.0.1:<port>",
        ),
        (
            "{ ingress: [{ port: { number: 80, protocol: HTTP }, defaultEndpoint: 'unix://relative' }] }",
            "absolute path",
        ),
        (
            "{ ingress: [{ port: { number: 80, protocol: HTTP } }, { port: { number: 80, protocol: TCP } }] }",
            "must be unique",
        ),
        (
            "{ ingress: [{ port: { number: 80, protocol: HTTP }, tls: { mode: SIMPLE, serverCertificate: /c, privateKey: /k } }] }",
            "non HTTPS/TLS ports",
        ),
        (
            "{ ingress: [{ port: { number: 443, protocol: HTTPS }, tls: { mode: SIMPLE, credentialName: c } }] }",
            "credentialName is not currently supported",
        ),
        (
            "{ ingress: [{ port: { number: 443, protocol: HTTPS }, tls: { mode: ISTIO_MUTUAL } }] }",
            "cannot set mode to ISTIO_MUTUAL",
        ),
        (
            "{ inboundConnectionPool: {} }",
            "must have at least one field",
        ),
        (
            "{ workloadSelector: { labels: { a: b } } }",
            "empty configuration",
        ),
        (
            "{ egress: [{ port: { number: 0, protocol: HTTP }, hosts: ['*/*'] }] }",
            "must have a unix domain socket",
        ),
        (
            "{ egress: [{ port: { number: 80, protocol: HTTP }, bind: 'unix:///x', hosts: ['*/*'] }] }",
            "goes with a port of number 0",
        ),
        (
            "{ egress: [{ port: { number: 0, protocol: HTTP }, bind: 'unix:///x', captureMode: IPTABLES, hosts: ['*/*'] }] }",
            "must be DEFAULT/NONE",
        ),
        (
            "{ egress: [{ captureMode: IPTABLES, bind: 127.0.0.9, hosts: ['*/*'] }] }",
            "told by their port, too",
        ),
        (
            "{ outboundTrafficPolicy: { egressProxy: { host: b, port: { number: 1 } } } }",
            "only with ALLOW_ANY",
        ),
        (
            "{ outboundTrafficPolicy: { mode: ALLOW_ANY, egressProxy: { host: b } } }",
            "port must be non-nil",
        ),
    ];
    for (spec, why) in cases {
        let found = problems(&world(&text(spec)));
        assert!(
            found
                .iter()
                .any(|line| line.contains(why) && line.contains("error")),
            "{spec}: {found:#?}"
        );
    }
}
