//! What a cluster says of its connections.

use super::*;
use crate::fixtures::{service, service_resource, tls, workload, workload_resource};

fn upstream(
    mode: v1::ClientTlsMode,
    takes: bool,
    change: impl FnOnce(&mut v1::Service),
) -> UpstreamTls {
    let mut workload = workload("w", "v1", "10.0.0.1", (REVIEWS, 9080, 9080));
    workload.backs[0].ports[0].mutual_tls = takes;
    toward(mode, workload, change)
}

fn toward(
    mode: v1::ClientTlsMode,
    workload: v1::Workload,
    change: impl FnOnce(&mut v1::Service),
) -> UpstreamTls {
    let mut reviews = service(REVIEWS, 9080, &[]);
    let settings = v1::ClientTls {
        client_certificate: "c".into(),
        private_key: "k".into(),
        ..tls(mode)
    };
    reviews.subsets[0].policies[0].policy.as_mut().unwrap().tls = Some(settings);
    change(&mut reviews);
    let snapshot = snapshot(vec![service_resource(reviews), workload_resource(workload)]);
    let cluster = Arc::clone(snapshot.clusters().next().unwrap());
    upstream_tls(&cluster, cluster.endpoints.first().unwrap())
}

#[test]
fn trap_24_37_and_50_client_tls() {
    use v1::ClientTlsMode as Mode;
    let mesh = UpstreamTls::Mesh {
        sni: "outbound_.9080_._.reviews.default.svc.cluster.local".into(),
        peer: PeerName::Identity(
            "spiffe://cluster.local/ns/default/sa/reviews"
                .parse()
                .unwrap(),
        ),
    };
    let nothing = |_: &mut v1::Service| {};
    let names =
        |service: &mut v1::Service| service.subject_alt_names = vec!["spiffe://x/ns/a/sa/b".into()];
    assert_eq!(upstream(Mode::Auto, true, nothing), mesh);
    assert_eq!(upstream(Mode::Auto, false, nothing), UpstreamTls::Plain);
    assert_eq!(
        upstream(Mode::Auto, true, |service| service.mesh_external = true),
        UpstreamTls::Plain
    );
    assert_eq!(upstream(Mode::Disable, true, nothing), UpstreamTls::Plain);
    assert_eq!(upstream(Mode::IstioMutual, false, nothing), mesh);
    let listed = upstream(Mode::Auto, true, names);
    let UpstreamTls::Mesh {
        peer: PeerName::OneOf(found),
        ..
    } = listed
    else {
        panic!("{listed:?}")
    };
    assert_eq!(&*found[0], "spiffe://x/ns/a/sa/b");
    let simple = upstream(Mode::Simple, true, names);
    let UpstreamTls::Simple(files) = simple else {
        panic!("{simple:?}")
    };
    assert_eq!((files.sni, files.subject_alt_names.len()), (None, 1));
    assert!(matches!(
        upstream(Mode::Mutual, true, nothing),
        UpstreamTls::Mutual(_)
    ));
}

#[test]
fn hbone_takes_the_place_of_all_but_the_tls_that_a_rule_asks_for() {
    use v1::ClientTlsMode as Mode;
    let through = |mode, address: &str| {
        let mut workload = workload("w", "v1", address, (REVIEWS, 9080, 9080));
        workload.hbone_port = 15008;
        toward(mode, workload, |_| {})
    };
    let reviews: mesh_api::SpiffeId = "spiffe://cluster.local/ns/default/sa/reviews"
        .parse()
        .unwrap();
    for mode in [Mode::Auto, Mode::Disable, Mode::IstioMutual] {
        let want = UpstreamTls::Hbone {
            port: 15008,
            peer: PeerName::Identity(reviews.clone()),
            inside: Box::new(UpstreamTls::Plain),
        };
        assert_eq!(through(mode, "10.0.0.1"), want, "{mode:?}");
    }
    let UpstreamTls::Hbone { inside, .. } = through(Mode::Simple, "10.0.0.1") else {
        panic!("straight to the endpoint")
    };
    assert!(matches!(*inside, UpstreamTls::Simple(_)));
    // A CONNECT goes to an address.
    assert_eq!(through(Mode::Disable, "w.example.com"), UpstreamTls::Plain);
}

#[test]
fn pass_through_clusters_go_where_the_client_was_going() {
    let mut external = service("*.example.com", 443, &[]);
    external.resolution = v1::Resolution::None.into();
    let snapshot = snapshot(vec![service_resource(external)]);
    let cluster = snapshot.clusters().next().unwrap();
    assert!(cluster.is_passthrough());
    let endpoint = cluster.original_endpoint(&host("a.example.com"), 443);
    assert_eq!(endpoint.address.to_string(), "a.example.com:443");
    assert_eq!(
        cluster
            .original_endpoint(&host("1.2.3.4"), 1)
            .address
            .to_string(),
        "1.2.3.4:1"
    );
}

#[test]
fn names_are_resolved_into_one_endpoint_per_address() {
    let workload = workload("w", "v1", "db.example.com", (REVIEWS, 9080, 5432));
    let snapshot = snapshot(vec![
        service_resource(service(REVIEWS, 9080, &[])),
        workload_resource(workload),
    ]);
    let cluster = snapshot.clusters().next().unwrap();
    assert_eq!(
        cluster.names().map(Hostname::as_str).collect::<Vec<_>>(),
        ["db.example.com"]
    );
    let resolved = cluster.resolved(|_| vec!["10.0.0.1".parse().unwrap(), "::1".parse().unwrap()]);
    let addresses: Vec<_> = resolved
        .endpoints
        .iter()
        .map(|endpoint| endpoint.address.to_string())
        .collect();
    assert_eq!(addresses, ["10.0.0.1:5432", "[::1]:5432"]);
    assert_ne!(
        resolved.endpoints.first().unwrap().uid,
        resolved.endpoints.iter().nth(1).unwrap().uid
    );
}
