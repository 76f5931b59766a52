//! The control plane's side of a discovery stream.

use std::collections::BTreeMap;

use crate::mesh::{sidecar, world};
use mesh_api::v1::{Ack, DiscoveryRequest, DiscoveryResponse, IdentityReport, Node, Rejection};
use meshd_core::World;
use meshd_core::session::{ProtocolError, Session};

fn first(subscribe: &[&str], known: &BTreeMap<String, String>) -> DiscoveryRequest {
    DiscoveryRequest {
        node: Some(Node::default()),
        subscribe: subscribe.iter().map(|&name| name.to_owned()).collect(),
        known: known.clone(),
        ..DiscoveryRequest::default()
    }
}

fn ack(response: &DiscoveryResponse) -> DiscoveryRequest {
    let ack = Ack {
        nonce: response.nonce.clone(),
        revision: response.revision,
        rejected: Vec::new(),
    };
    DiscoveryRequest {
        ack: Some(ack),
        ..DiscoveryRequest::default()
    }
}

fn session(world: &World) -> Session {
    Session::new(sidecar(world, "default/client", &[]))
}

fn upserted(response: &DiscoveryResponse) -> Vec<&str> {
    response
        .upsert
        .iter()
        .map(|resource| resource.name.as_str())
        .collect()
}

fn entry(address: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {{ name: a-2 }}\nspec: {{ address: {address}, labels: {{ app: a }} }}\n"
    )
}

#[test]
fn a_stream_from_its_first_request_to_a_change() {
    let (before, after) = (world(""), world(&entry("10.0.0.9")));
    let mut session = session(&before);
    assert_eq!(session.next(&before, 1), None, "nobody has asked yet");
    session
        .on_request(&first(&["routes/a:80"], &BTreeMap::new()))
        .unwrap();
    let response = session.next(&before, 1).unwrap();
    assert_eq!(
        upserted(&response),
        [
            "routes/a:80",
            "service/a.default.svc.cluster.local",
            "workload/default/a-1"
        ]
    );
    assert_eq!(
        (response.revision, response.digest.as_str()),
        (1, before.digest())
    );
    assert_eq!(session.next(&before, 1), None);
    assert_eq!(
        (
            session.sent_revision(),
            session.acked_revision(),
            session.is_settled()
        ),
        (1, 0, false)
    );
    session.on_request(&ack(&response)).unwrap();
    assert_eq!(
        (
            session.acked_revision(),
            session.is_settled(),
            session.resources()
        ),
        (1, true, 3)
    );
    let response = session.next(&after, 2).unwrap();
    assert_eq!(
        upserted(&response),
        ["workload/default/a-2"],
        "one endpoint is one small resource"
    );
    session.on_request(&ack(&response)).unwrap();
    let response = session.next(&before, 3).unwrap();
    assert_eq!(
        (upserted(&response), response.removed.clone()),
        (vec![], vec!["workload/default/a-2".to_owned()])
    );
}

#[test]
fn what_is_known_is_not_sent_again() {
    let (before, after) = (world(""), world(&entry("10.0.0.9")));
    let mut old = session(&before);
    old.on_request(&first(&["routes/a:80", "mesh/default"], &BTreeMap::new()))
        .unwrap();
    let known: BTreeMap<String, String> = old
        .next(&before, 1)
        .unwrap()
        .upsert
        .into_iter()
        .map(|resource| (resource.name, resource.version))
        .collect();
    let mut same = session(&before);
    same.on_request(&first(&["routes/a:80", "mesh/default"], &known))
        .unwrap();
    let response = same.next(&before, 7).unwrap();
    assert_eq!(
        (
            upserted(&response),
            response.removed.len(),
            response.revision
        ),
        (vec![], 0, 7)
    );
    let mut changed = session(&after);
    changed
        .on_request(&first(&["mesh/default", "routes/a:80"], &known))
        .unwrap();
    assert_eq!(
        upserted(&changed.next(&after, 8).unwrap()),
        ["workload/default/a-2"]
    );
    let mut less = session(&before);
    less.on_request(&first(&["mesh/default"], &known)).unwrap();
    assert_eq!(
        less.next(&before, 9).unwrap().removed.len(),
        3,
        "what nothing needs any more goes"
    );
}

#[test]
fn a_change_that_does_not_concern_the_proxy_is_reached_in_silence() {
    let (before, after) = (world(""), world(&entry("10.0.0.9")));
    let mut session = session(&before);
    session
        .on_request(&first(&["routes/b:8080"], &BTreeMap::new()))
        .unwrap();
    let response = session.next(&before, 1).unwrap();
    session.on_request(&ack(&response)).unwrap();
    assert_eq!(session.next(&after, 2), None);
    assert_eq!((session.sent_revision(), session.acked_revision()), (2, 2));
}

#[test]
fn subscriptions_come_and_go() {
    let world = world("");
    let mut session = session(&world);
    session.on_request(&first(&[], &BTreeMap::new())).unwrap();
    let empty = session.next(&world, 1).unwrap();
    assert!(empty.upsert.is_empty());
    let change = |subscribe: &[&str], unsubscribe: &[&str]| DiscoveryRequest {
        subscribe: subscribe.iter().map(|&name| name.to_owned()).collect(),
        unsubscribe: unsubscribe.iter().map(|&name| name.to_owned()).collect(),
        ..DiscoveryRequest::default()
    };
    session
        .on_request(&change(&["routes/nobody.example.com:80"], &[]))
        .unwrap();
    let response = session.next(&world, 1).unwrap();
    assert_eq!(
        upserted(&response),
        ["routes/nobody.example.com:80"],
        "an answer for what does not exist"
    );
    session
        .on_request(&change(&["routes/a:80"], &["routes/nobody.example.com:80"]))
        .unwrap();
    let response = session.next(&world, 1).unwrap();
    assert_eq!(
        (upserted(&response).len(), response.removed),
        (3, vec!["routes/nobody.example.com:80".to_owned()])
    );
    session.on_request(&change(&[], &["routes/a:80"])).unwrap();
    session.on_request(&change(&["routes/a:80"], &[])).unwrap();
    assert_eq!(
        upserted(&session.next(&world, 1).unwrap()),
        ["routes/a:80"],
        "asked again, answered again"
    );
}

#[test]
fn refusals_are_kept_and_not_repeated() {
    let world = world("");
    let mut session = session(&world);
    session
        .on_request(&first(&["routes/a:80"], &BTreeMap::new()))
        .unwrap();
    let response = session.next(&world, 1).unwrap();
    let mut answer = ack(&response);
    let refused = &response.upsert[0];
    let rejection = Rejection {
        resource: refused.name.clone(),
        version: refused.version.clone(),
        reason: "no".to_owned(),
    };
    answer
        .ack
        .as_mut()
        .unwrap()
        .rejected
        .push(rejection.clone());
    session.on_request(&answer).unwrap();
    assert_eq!(session.rejected().collect::<Vec<_>>(), [&rejection]);
    assert_eq!(session.next(&world, 1), None);
}

#[test]
fn a_lying_proxy_costs_no_more_than_an_honest_one() {
    let world = world("");
    let mut session = session(&world);
    let large = Node {
        labels: [("l".to_owned(), "x".repeat(70_000))].into(),
        ..first(&[], &BTreeMap::new()).node.unwrap()
    };
    let boasting = DiscoveryRequest {
        node: Some(large),
        ..first(&[], &BTreeMap::new())
    };
    let refused = session.on_request(&boasting);
    assert!(matches!(
        refused,
        Err(ProtocolError::TooLarge("the node", _))
    ));
    session
        .on_request(&first(&["routes/a:80"], &BTreeMap::new()))
        .unwrap();
    let response = session.next(&world, 1).unwrap();
    // More subscriptions than anybody keeps: none of them is taken.
    let flood = DiscoveryRequest {
        subscribe: (0..20_000).map(|n| format!("routes/h{n}:80")).collect(),
        ..DiscoveryRequest::default()
    };
    let refused = session.on_request(&flood);
    assert!(matches!(refused, Err(ProtocolError::TooMany(_))));
    assert_eq!(session.subscriptions().count(), 1);
    // A report of trust that no rotation makes.
    let report = DiscoveryRequest {
        identity: Some(IdentityReport {
            trusted_roots: vec![vec![0; 32]; 1_000],
            ..IdentityReport::default()
        }),
        ..DiscoveryRequest::default()
    };
    let refused = session.on_request(&report);
    assert!(matches!(
        refused,
        Err(ProtocolError::TooLarge("the report", _))
    ));
    // What it says of refusals is kept short, and only a little of it.
    let rejection = Rejection {
        resource: "r".repeat(100_000),
        version: String::new(),
        reason: "\u{e4}".repeat(100_000),
    };
    let mut answer = ack(&response);
    answer.ack.as_mut().unwrap().rejected = vec![rejection; 1_000];
    session.on_request(&answer).unwrap();
    let kept: usize = session
        .rejected()
        .map(|told| told.resource.len() + told.reason.len())
        .sum();
    assert!(kept < 32 * 1024, "{kept}");
    // The same answer again belongs to nothing.
    assert!(matches!(
        session.on_request(&ack(&response)),
        Err(ProtocolError::UnknownNonce(_))
    ));
}

#[test]
fn the_protocol_is_kept() {
    let world = world("");
    let subscribe = |name: &str| DiscoveryRequest {
        subscribe: vec![name.to_owned()],
        ..DiscoveryRequest::default()
    };
    assert_eq!(
        session(&world).on_request(&subscribe("mesh/default")),
        Err(ProtocolError::NoNode)
    );
    let mut open = session(&world);
    open.on_request(&first(&[], &BTreeMap::new())).unwrap();
    assert_eq!(
        open.on_request(&first(&[], &BTreeMap::new())),
        Err(ProtocolError::NotFirst("the node"))
    );
    assert!(matches!(
        open.on_request(&subscribe("service/a")),
        Err(ProtocolError::NotRoot(_))
    ));
    assert!(matches!(
        open.on_request(&subscribe("credential/istio-system/shop-tls")),
        Err(ProtocolError::NotRoot(_))
    ));
    assert!(matches!(
        open.on_request(&subscribe("nonsense")),
        Err(ProtocolError::Name(_))
    ));
    assert!(matches!(
        open.on_request(&subscribe("gateway/self")),
        Err(ProtocolError::WrongKind(_))
    ));
    let stray = DiscoveryRequest {
        ack: Some(Ack {
            nonce: "x".to_owned(),
            ..Ack::default()
        }),
        ..DiscoveryRequest::default()
    };
    assert_eq!(
        open.on_request(&stray),
        Err(ProtocolError::UnknownNonce("x".to_owned()))
    );
}

#[test]
fn the_caller_must_be_who_the_node_says() {
    let world = world("");
    let ask = |workload: &str, identity: &str| {
        let node = Node {
            workload: workload.to_owned(),
            kind: mesh_api::v1::ProxyKind::Sidecar.into(),
            ..Node::default()
        };
        world
            .scope(&node, &identity.parse().unwrap())
            .map(|_| ())
            .map_err(|error| error.to_string())
    };
    assert_eq!(
        ask("default/a-1", "spiffe://cluster.local/ns/default/sa/a"),
        Ok(())
    );
    assert_eq!(
        ask("default/other", "spiffe://cluster.local/ns/default/sa/a"),
        Ok(())
    );
    for (workload, identity, why) in [
        (
            "default/a-1",
            "spiffe://cluster.local/ns/default/sa/b",
            "runs as service account a",
        ),
        (
            "default/a-1",
            "spiffe://cluster.local/ns/other/sa/a",
            "not in the namespace",
        ),
        (
            "default/a-1",
            "spiffe://evil/ns/default/sa/a",
            "another trust domain",
        ),
        (
            "nonsense",
            "spiffe://cluster.local/ns/default/sa/a",
            "is no workload",
        ),
    ] {
        let error = ask(workload, identity).unwrap_err();
        assert!(error.contains(why), "{error}");
    }
}
