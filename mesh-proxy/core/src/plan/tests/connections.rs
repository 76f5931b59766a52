//! Connections: undeclared, opaque, accepted.

use super::*;
use crate::detect::{ClientHello, Detected};
use crate::ir::MtlsMode;

fn undeclared(name: &str) -> v1::Resource {
    let protocol = v1::Protocol::Auto.into();
    resource(
        name,
        Body::Routes(v1::RouteTable {
            undeclared: true,
            protocol,
            ..Default::default()
        }),
    )
}

#[test]
fn trap_33_http_to_any_address_is_told_apart_by_its_host() {
    let world = snapshot(vec![
        undeclared("address/192.0.2.1:80"),
        mesh(v1::OutboundPolicy::RegistryOnly),
    ]);
    let original = "192.0.2.1:80".parse().unwrap();
    let plan = outbound_address(&world, original).ready().unwrap();
    // Detected first, and if it is HTTP routed as if nobody had said an address.
    assert!(plan.undeclared);
    assert_eq!((plan.protocol, plan.port), (Protocol::Auto, 80));
}

#[test]
fn trap_32_undeclared_destinations() {
    let parts = request("GET", "/", &[]);
    let at =
        |snapshot: &Snapshot| outbound_http(snapshot, &host("example.com"), 80, &parts, &mut rng());
    let only = snapshot(vec![undeclared("routes/example.com:80")]);
    let Step::Need(name) = at(&only) else {
        panic!("decided")
    };
    assert_eq!(name, ResourceName::Mesh);
    let world = |policy| {
        snapshot(vec![
            undeclared("routes/example.com:80"),
            undeclared("address/1.2.3.4:5432"),
            mesh(policy),
        ])
    };
    let tcp = |world: &Snapshot| {
        let target = TcpTarget {
            name: "address/1.2.3.4:5432".parse().unwrap(),
            original: None,
            sni: None,
        };
        outbound_tcp(world, &target, &mut rng())
            .ready()
            .unwrap()
            .action
    };
    let open = world(v1::OutboundPolicy::AllowAny);
    assert!(matches!(
        at(&open).ready().unwrap().action,
        HttpAction::Passthrough { port: 80, .. }
    ));
    assert!(matches!(tcp(&open), TcpAction::Passthrough));
    let closed = world(v1::OutboundPolicy::RegistryOnly);
    let plan = at(&closed).ready().unwrap();
    assert_eq!(
        (answered(&plan).status.as_u16(), answered(&plan).reason),
        (502, Reason::UndeclaredDestination)
    );
    assert!(matches!(
        tcp(&closed),
        TcpAction::Refuse(Reason::UndeclaredDestination)
    ));
    let address = outbound_address(&open, "1.2.3.4:5432".parse().unwrap())
        .ready()
        .unwrap();
    assert_eq!(
        (address.undeclared, address.protocol),
        (true, Protocol::Auto)
    );
    assert_eq!((address.port, address.host), (5432, None));
}

fn opaque_table() -> v1::RouteTable {
    let to = |subset: &str| vec![destination(REVIEWS, 9080, subset, 1)];
    let tls = |sni: &str, subset: &str| v1::TlsRoute {
        sni_hosts: vec![sni.into()],
        destinations: to(subset),
        ..Default::default()
    };
    let subnets = vec!["10.9.0.0/16".into()];
    v1::RouteTable {
        host: REVIEWS.into(),
        port: 9080,
        protocol: v1::Protocol::Tcp.into(),
        tls: vec![tls("a.example", "v1"), tls("*.example", "v2")],
        tcp: vec![
            v1::TcpRoute {
                destination_subnets: subnets,
                destinations: to("v2"),
                origin: None,
            },
            v1::TcpRoute {
                destinations: to(""),
                ..Default::default()
            },
        ],
        ..Default::default()
    }
}

#[test]
fn trap_15_tls_by_name_then_tcp_by_subnet() {
    let mut all = reviews(vec![]);
    all.push(resource("routes/raw:9080", Body::Routes(opaque_table())));
    let snapshot = snapshot(all);
    let subset = |original: Option<&str>, sni: Option<&str>| {
        let original = original.map(|address| address.parse().unwrap());
        let target = TcpTarget {
            name: "routes/raw:9080".parse().unwrap(),
            original,
            sni,
        };
        match outbound_tcp(&snapshot, &target, &mut rng())
            .ready()
            .unwrap()
            .action
        {
            TcpAction::Forward(cluster) => cluster.id.subset.to_string(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(subset(None, Some("a.example")), "v1");
    assert_eq!(subset(None, Some("b.example")), "v2");
    assert_eq!(subset(None, Some("example")), "");
    assert_eq!(subset(Some("10.9.1.1:9080"), None), "v2");
    assert_eq!(subset(Some("[::ffff:10.9.1.1]:9080"), None), "v2");
    assert_eq!(subset(Some("10.8.1.1:9080"), None), "");
    assert_eq!(subset(None, None), "");
    let target = TcpTarget {
        name: "routes/reviews:9080".parse().unwrap(),
        original: None,
        sni: None,
    };
    let plan = outbound_tcp(&snapshot, &target, &mut rng())
        .ready()
        .unwrap();
    assert!(
        matches!(plan.action, TcpAction::Refuse(Reason::RouteNotFound)),
        "HTTP routes say nothing to bytes"
    );
    // A proxy request in HTTP for a port of opaque bytes goes where the bytes would go.
    let parts = request("GET", "/", &[]);
    let plan = outbound_http(&snapshot, &host("raw"), 9080, &parts, &mut rng())
        .ready()
        .unwrap();
    assert_eq!(&*forwarded(&plan).cluster.id.subset, "");
}

#[test]
fn trap_49_transports_of_a_port() {
    let tls = |alpn: &[&[u8]]| {
        Detected::Tls(ClientHello {
            sni: None,
            alpn: alpn.iter().map(|protocol| protocol.to_vec()).collect(),
        })
    };
    let (mesh, foreign) = (tls(alpn::MESH_HTTP1), tls(&[b"h2", b"http/1.1"]));
    let refuse = Accept::Refuse;
    for (mode, detected, want) in [
        (MtlsMode::Strict, &mesh, Accept::Terminate),
        (MtlsMode::Strict, &foreign, Accept::Terminate),
        (
            MtlsMode::Strict,
            &Detected::Http1,
            refuse(Reason::PlaintextRefused),
        ),
        (
            MtlsMode::Strict,
            &Detected::NeedMore,
            refuse(Reason::PlaintextRefused),
        ),
        (MtlsMode::Permissive, &mesh, Accept::Terminate),
        (MtlsMode::Permissive, &foreign, Accept::Passthrough),
        (MtlsMode::Permissive, &tls(&[]), Accept::Passthrough),
        (MtlsMode::Permissive, &Detected::Http2, Accept::Plaintext),
        (MtlsMode::Permissive, &Detected::Opaque, Accept::Plaintext),
        (MtlsMode::Disable, &mesh, refuse(Reason::MutualTlsDisabled)),
        (MtlsMode::Disable, &foreign, Accept::Passthrough),
        (MtlsMode::Disable, &Detected::Http10, Accept::Plaintext),
    ] {
        assert_eq!(
            inbound_transport(mode, detected),
            want,
            "{mode:?} {detected:?}"
        );
    }
    for offered in [alpn::MESH_HTTP1, alpn::MESH_HTTP2, alpn::MESH_TCP] {
        assert!(
            offered
                .iter()
                .any(|protocol| alpn::MESH_SERVER.contains(protocol))
        );
    }
}

#[test]
fn trap_48_ports_that_nobody_declared_follow_the_default() {
    let port = v1::InboundPort {
        port: 9080,
        protocol: v1::Protocol::Http.into(),
        mtls: v1::MtlsMode::Strict.into(),
        service: REVIEWS.into(),
        service_port: 80,
        ..Default::default()
    };
    let inbound = v1::Inbound {
        workload: "default/reviews-v1".into(),
        ports: vec![port],
        default_mtls: v1::MtlsMode::Disable.into(),
        ..Default::default()
    };
    let snapshot = snapshot(vec![resource("inbound/self", Body::Inbound(inbound))]);
    let declared = inbound_connection(&snapshot, 9080).unwrap();
    assert_eq!(
        (declared.mtls, declared.protocol),
        (MtlsMode::Strict, Protocol::Http)
    );
    assert_eq!(declared.service.unwrap().1, 80);
    let other = inbound_connection(&snapshot, 1).unwrap();
    assert_eq!(
        (other.mtls, other.protocol, other.service),
        (MtlsMode::Disable, Protocol::Auto, None)
    );
}
