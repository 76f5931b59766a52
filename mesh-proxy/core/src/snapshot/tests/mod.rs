mod refusals;

use mesh_api::v1::resource::Body;
use proptest::prelude::*;
use prost::Message;

use super::*;
use crate::fixtures::{
    REVIEWS, destination, forward, mesh, resource, response, reviews, service, service_resource,
    snapshot, table, workload, workload_resource,
};
use crate::ir::{EndpointAddress, Health};

fn id(subset: &str) -> ClusterId {
    ClusterId {
        host: REVIEWS.parse().unwrap(),
        port: 9080,
        subset: subset.into(),
    }
}

fn default_route() -> v1::HttpRoute {
    forward(vec![], vec![destination(REVIEWS, 9080, "", 1)])
}

#[test]
fn clusters_are_ports_times_subsets() {
    let snapshot = snapshot(reviews(vec![default_route()]));
    let uids = |subset: &str| {
        let cluster = snapshot.cluster(&id(subset)).unwrap();
        cluster
            .endpoints
            .iter()
            .map(|endpoint| endpoint.uid.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(uids(""), ["default/reviews-v1", "default/reviews-v2"]);
    assert_eq!(uids("v2"), ["default/reviews-v2"]);
    assert!(snapshot.cluster(&id("v3")).is_none());
    let cluster = snapshot.cluster(&id("v1")).unwrap();
    assert_eq!(
        cluster.endpoints.first().unwrap().address,
        EndpointAddress::Ip("10.0.0.1:9081".parse().unwrap())
    );
    assert_eq!(
        &*cluster.mesh_sni,
        "outbound_.9080_.v1_.reviews.default.svc.cluster.local"
    );
    assert_eq!(
        cluster.id.to_string(),
        "outbound|9080|v1|reviews.default.svc.cluster.local"
    );
    assert_eq!(snapshot.clusters().count(), 3);
}

#[test]
fn order_of_resources_does_not_matter() {
    let mut all = reviews(vec![default_route()]);
    let forwards = snapshot(all.clone());
    all.reverse();
    let backwards = snapshot(all);
    for subset in ["", "v1", "v2"] {
        assert_eq!(
            forwards.cluster(&id(subset)),
            backwards.cluster(&id(subset))
        );
    }
    assert_eq!(forwards.known(), backwards.known());
}

#[test]
fn only_what_is_touched_is_built_anew() {
    let other = "ratings.default.svc.cluster.local";
    let mut all = reviews(vec![default_route()]);
    all.push(service_resource(service(other, 9080, &[])));
    all.push(workload_resource(workload(
        "ratings-v1",
        "v1",
        "10.0.0.3",
        (other, 9080, 9080),
    )));
    let before = snapshot(all);
    let mut moved = workload("reviews-v2", "v2", "10.0.0.22", (REVIEWS, 9080, 9081));
    moved.health = v1::Health::Unhealthy.into();
    let applied = before.apply(&response(2, vec![workload_resource(moved)]));
    let after = applied.snapshot;
    assert_eq!(
        applied.changed,
        ["workload/default/reviews-v2".parse().unwrap()]
    );
    let ratings = ClusterId {
        host: other.parse().unwrap(),
        port: 9080,
        subset: "".into(),
    };
    let same =
        |id: &ClusterId| Arc::ptr_eq(before.cluster(id).unwrap(), after.cluster(id).unwrap());
    assert!(same(&ratings) && same(&id("v1")));
    assert!(!same(&id("v2")) && !same(&id("")));
    assert!(Arc::ptr_eq(
        before.cluster(&id("")).unwrap().endpoints.first().unwrap(),
        after.cluster(&id("")).unwrap().endpoints.first().unwrap()
    ));
    assert_eq!(
        after
            .cluster(&id("v2"))
            .unwrap()
            .endpoints
            .first()
            .unwrap()
            .health,
        Health::Unhealthy
    );
    assert_eq!(
        before
            .cluster(&id("v2"))
            .unwrap()
            .endpoints
            .first()
            .unwrap()
            .health,
        Health::Healthy,
        "the old one never changes"
    );
}

#[test]
fn equal_resources_change_nothing() {
    let all = reviews(vec![default_route()]);
    let before = snapshot(all.clone());
    let applied = before.apply(&response(2, all));
    assert_eq!(applied.changed, []);
    assert_eq!(
        (applied.snapshot.revision(), applied.snapshot.digest()),
        (2, "d2")
    );
    let name = "routes/reviews:9080".parse().unwrap();
    assert!(Arc::ptr_eq(
        before.table(&name).unwrap(),
        applied.snapshot.table(&name).unwrap()
    ));
}

#[test]
fn a_bad_resource_is_refused_alone_and_the_last_good_one_stays() {
    let before = snapshot(reviews(vec![default_route()]));
    let mut bad = table(vec![]);
    bad.version = "bad".into();
    if let Some(Body::Routes(table)) = &mut bad.body {
        table.protocol = 99;
    }
    let good = workload_resource(workload(
        "reviews-v3",
        "v3",
        "10.0.0.3",
        (REVIEWS, 9080, 9081),
    ));
    let applied = before.apply(&response(2, vec![bad, good]));
    let [rejection] = &applied.rejected[..] else {
        panic!("{:?}", applied.rejected)
    };
    assert_eq!(
        (rejection.resource.as_str(), rejection.version.as_str()),
        ("routes/reviews:9080", "bad")
    );
    assert_eq!(
        rejection.reason,
        "routes.protocol: 99 is no known value of this enumeration"
    );
    assert_eq!(
        applied
            .snapshot
            .table(&"routes/reviews:9080".parse().unwrap())
            .unwrap()
            .http
            .len(),
        1
    );
    assert_eq!(
        applied.snapshot.cluster(&id("")).unwrap().endpoints.len(),
        3
    );
    assert_ne!(applied.snapshot.known()["routes/reviews:9080"], "bad");
}

#[test]
fn removal_drops_endpoints_and_services() {
    let before = snapshot(reviews(vec![default_route()]));
    let remove = |names: &[&str]| v1::DiscoveryResponse {
        removed: names.iter().map(|name| (*name).to_owned()).collect(),
        ..response(3, vec![])
    };
    let applied = before.apply(&remove(&[
        "workload/default/reviews-v1",
        "workload/none",
        "nonsense",
    ]));
    assert_eq!(
        applied.removed,
        ["workload/default/reviews-v1".parse().unwrap()]
    );
    assert_eq!(
        applied.snapshot.cluster(&id("")).unwrap().endpoints.len(),
        1
    );
    let service = format!("service/{REVIEWS}");
    let applied = applied.snapshot.apply(&remove(&[&service]));
    assert!(applied.snapshot.cluster(&id("")).is_none());
    let applied = applied.snapshot.apply(&response(
        4,
        vec![service_resource(crate::fixtures::service(
            REVIEWS,
            9080,
            &[],
        ))],
    ));
    assert_eq!(
        applied.snapshot.cluster(&id("")).unwrap().endpoints.len(),
        1,
        "the workload was still there"
    );
    let rest: Vec<_> = applied.snapshot.names().map(ToString::to_string).collect();
    let rest: Vec<_> = rest.iter().map(String::as_str).collect();
    let none = applied.snapshot.apply(&remove(&rest)).snapshot;
    assert_eq!((none.resources().count(), none.clusters().count()), (0, 0));
}

#[test]
fn names_and_bodies_must_agree() {
    let cases = [
        (
            "inbound/self",
            mesh(v1::OutboundPolicy::AllowAny).body,
            "the type in the name",
        ),
        (
            "service/other",
            Some(Body::Service(service(REVIEWS, 80, &[]))),
            "differs from the resource's name",
        ),
        (
            "workload/x",
            workload_resource(workload("a", "", "10.0.0.1", (REVIEWS, 1, 1))).body,
            "differs",
        ),
        (
            "what/ever",
            mesh(v1::OutboundPolicy::AllowAny).body,
            "known type",
        ),
        ("mesh/default", None, "body: is not set"),
    ];
    for (name, body, why) in cases {
        let resource = v1::Resource {
            name: name.into(),
            version: "1".into(),
            body,
        };
        let applied = Snapshot::empty().apply(&response(1, vec![resource]));
        assert!(
            applied.rejected[0].reason.contains(why),
            "{}",
            applied.rejected[0].reason
        );
        assert_eq!(applied.rejected[0].resource, name);
        assert_eq!(applied.snapshot.resources().count(), 0);
    }
}

fn bodies() -> impl Strategy<Value = v1::Resource> {
    let base = prop_oneof![
        Just(reviews(vec![default_route()])),
        Just(reviews(vec![forward(
            vec![v1::HttpMatch {
                uri: crate::fixtures::regex("/a.*"),
                ..Default::default()
            }],
            vec![
                destination(REVIEWS, 9080, "v1", 3),
                destination(REVIEWS, 9080, "v2", 1)
            ]
        )])),
    ];
    (base, any::<proptest::sample::Index>())
        .prop_map(|(all, index)| all[index.index(all.len())].clone())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(response) = v1::DiscoveryResponse::decode(&bytes[..]) {
            let _ = Snapshot::empty().apply(&response);
        }
        if let Ok(resource) = v1::Resource::decode(&bytes[..]) {
            let _ = Snapshot::empty().apply(&response(1, vec![resource]));
        }
    }

    #[test]
    fn damaged_resources_never_panic(
        resource in bodies(),
        damage in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = resource.encode_to_vec();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(resource) = v1::Resource::decode(&bytes[..]) {
            let applied = snapshot(reviews(vec![default_route()])).apply(&response(2, vec![resource]));
            prop_assert!(applied.rejected.len() <= 1);
        }
    }

    #[test]
    fn each_resource_is_taken_whole_or_not_at_all(broken in proptest::collection::vec(any::<bool>(), 5)) {
        let before = snapshot(reviews(vec![default_route()]));
        let fresh = {
            let mut all = reviews(vec![default_route(), default_route()]);
            for resource in &mut all {
                resource.version = "next".into();
            }
            all
        };
        let upsert: Vec<_> = fresh.iter().zip(&broken).map(|(resource, broken)| {
            let mut resource = resource.clone();
            if *broken {
                match &mut resource.body {
                    Some(Body::Mesh(mesh)) => mesh.outbound_policy = 77,
                    Some(Body::Service(service)) => service.subsets.clear(),
                    Some(Body::Workload(workload)) => workload.address = "no address".into(),
                    Some(Body::Routes(table)) => table.http[1].action = None,
                    _ => {}
                }
            }
            resource
        }).collect();
        let applied = before.apply(&response(2, upsert));
        let after = applied.snapshot.known();
        for (resource, broken) in fresh.iter().zip(&broken) {
            let version = &after[&resource.name];
            let want = if *broken { &before.known()[&resource.name] } else { &resource.version };
            prop_assert_eq!(version, want);
        }
        let rejected = applied.rejected.iter().filter(|r| fresh.iter().any(|f| f.name == r.resource)).count();
        prop_assert_eq!(rejected, broken.iter().filter(|b| **b).count());
        // What a sequence of single responses gives is the same as one response with all.
        let mut one_by_one = before.clone();
        for resource in &fresh {
            one_by_one = one_by_one.apply(&response(2, vec![resource.clone()])).snapshot;
        }
        let at_once = before.apply(&response(2, fresh)).snapshot;
        prop_assert_eq!(one_by_one.known(), at_once.known());
        prop_assert_eq!(one_by_one.cluster(&id("v1")), at_once.cluster(&id("v1")));
    }
}
