use super::*;
use crate::fixtures::{REVIEWS, destination, forward, mesh, response, reviews, table};

fn node() -> v1::Node {
    v1::Node {
        workload: "default/a".into(),
        ..Default::default()
    }
}

fn name(text: &str) -> ResourceName {
    text.parse().unwrap()
}

fn session(limits: Limits, now: Instant) -> ClientSession {
    ClientSession::new(
        node(),
        [ResourceName::Mesh, ResourceName::Inbound],
        limits,
        &Snapshot::empty(),
        now,
    )
}

fn sent(actions: &[Action]) -> &v1::DiscoveryRequest {
    let mut sent = actions.iter().filter_map(|action| match action {
        Action::Send(request) => Some(&**request),
        _ => None,
    });
    let request = sent.next().expect("something is sent");
    assert!(sent.next().is_none(), "one request at a time");
    request
}

fn route() -> Vec<v1::HttpRoute> {
    vec![forward(vec![], vec![destination(REVIEWS, 9080, "", 1)])]
}

#[test]
fn the_first_request_says_all() {
    let now = Instant::now();
    let held = Snapshot::empty()
        .apply(&response(1, reviews(route())))
        .snapshot;
    let mut session = ClientSession::new(
        node(),
        [ResourceName::Mesh, ResourceName::Inbound],
        Limits::default(),
        &held,
        now,
    );
    assert_eq!(
        session.on(Event::Want(name("routes/ratings:9080")), now),
        [],
        "no stream: nothing to send"
    );
    let actions = session.on(Event::Connected(&held), now);
    let request = sent(&actions);
    assert_eq!(request.node, Some(node()));
    assert_eq!(
        request.subscribe,
        [
            "mesh/default",
            "inbound/self",
            "routes/ratings:9080",
            "routes/reviews:9080"
        ]
    );
    assert_eq!(request.known, held.known());
    session.on(Event::Disconnected, now);
    let again = session.on(Event::Connected(&held), now);
    assert_eq!(
        sent(&again).subscribe.len(),
        4,
        "subscriptions outlive the stream"
    );
}

#[test]
fn waiters_are_told() {
    let now = Instant::now();
    let mut session = session(Limits::default(), now);
    let empty = Snapshot::empty();
    session.on(Event::Connected(&empty), now);
    let wanted = name("routes/reviews:9080");
    let actions = session.on(Event::Want(wanted.clone()), now);
    assert_eq!(sent(&actions).subscribe, ["routes/reviews:9080"]);
    assert_eq!(
        session.on(Event::Want(wanted.clone()), now),
        [],
        "asked for already"
    );
    assert!(!session.is_ready());
    let response = response(5, reviews(route()));
    let applied = empty.apply(&response);
    let actions = session.on(
        Event::Response {
            response: &response,
            applied: &applied,
        },
        now,
    );
    let ack = sent(&actions).ack.clone().unwrap();
    assert_eq!(
        (ack.nonce.as_str(), ack.revision, ack.rejected.len()),
        ("n5", 5, 0)
    );
    assert_eq!(
        actions[1],
        Action::Satisfied(vec![ResourceName::Mesh, wanted.clone()])
    );
    assert_eq!(
        session.on(Event::Want(wanted.clone()), now),
        [Action::Satisfied(vec![wanted])]
    );
    assert_eq!(
        session.on(Event::Want(name("service/x")), now),
        [Action::Refused(vec![name("service/x")])]
    );
}

#[test]
fn refusals_are_acknowledged_and_tell_waiters_that_have_nothing() {
    let now = Instant::now();
    let mut session = session(Limits::default(), now);
    let empty = Snapshot::empty();
    session.on(Event::Connected(&empty), now);
    let wanted = name("routes/reviews:9080");
    session.on(Event::Want(wanted.clone()), now);
    let mut bad_route = route();
    bad_route[0].action = None;
    let bad = response(
        1,
        vec![mesh(v1::OutboundPolicy::AllowAny), table(bad_route.clone())],
    );
    let applied = empty.apply(&bad);
    let actions = session.on(
        Event::Response {
            response: &bad,
            applied: &applied,
        },
        now,
    );
    assert_eq!(
        sent(&actions).ack.as_ref().unwrap().rejected,
        applied.rejected
    );
    assert_eq!(
        actions[1..],
        [
            Action::Satisfied(vec![ResourceName::Mesh]),
            Action::Refused(vec![wanted.clone()])
        ]
    );
    let again = session.on(Event::Want(wanted.clone()), now);
    assert_eq!(
        sent(&again).subscribe,
        ["routes/reviews:9080"],
        "asked for again after a refusal"
    );
    let good = response(2, vec![table(route())]);
    let applied = applied.snapshot.apply(&good);
    let actions = session.on(
        Event::Response {
            response: &good,
            applied: &applied,
        },
        now,
    );
    assert_eq!(actions[1], Action::Satisfied(vec![wanted]));
    let bad = response(3, vec![table(bad_route)]);
    let applied = applied.snapshot.apply(&bad);
    let actions = session.on(
        Event::Response {
            response: &bad,
            applied: &applied,
        },
        now,
    );
    assert_eq!(
        actions.len(),
        1,
        "the last good version serves on: {actions:?}"
    );
}

#[test]
fn leases_run_out_unless_used() {
    let start = Instant::now();
    let at = |seconds| start + Duration::from_secs(seconds);
    let limits = Limits {
        idle: Duration::from_secs(60),
        destinations: 10,
        ..Limits::default()
    };
    let mut session = session(limits, start);
    session.on(Event::Connected(&Snapshot::empty()), start);
    session.on(Event::Want(name("routes/a:80")), at(0));
    session.on(Event::Want(name("routes/b:80")), at(0));
    session.on(
        Event::Used(&[name("routes/b:80"), name("routes/unknown:80")]),
        at(30),
    );
    assert_eq!(session.on(Event::Tick, at(59)), []);
    let actions = session.on(Event::Tick, at(60));
    assert_eq!(sent(&actions).unsubscribe, ["routes/a:80"]);
    assert_eq!(actions[1], Action::Dropped(vec![name("routes/a:80")]));
    session.on(Event::Disconnected, at(70));
    assert_eq!(
        session.on(Event::Tick, at(90)),
        [Action::Dropped(vec![name("routes/b:80")])]
    );
    assert_eq!(session.wanted().count(), 2, "pinned ones never run out");
}

#[test]
fn the_least_recently_used_makes_room() {
    let start = Instant::now();
    let at = |seconds| start + Duration::from_secs(seconds);
    let mut session = session(
        Limits {
            idle: Duration::from_secs(600),
            destinations: 2,
            ..Limits::default()
        },
        start,
    );
    session.on(Event::Connected(&Snapshot::empty()), start);
    session.on(Event::Want(name("routes/a:80")), at(1));
    session.on(Event::Want(name("routes/b:80")), at(2));
    session.on(Event::Used(&[name("routes/a:80")]), at(3));
    let actions = session.on(Event::Want(name("routes/c:80")), at(4));
    let request = sent(&actions);
    assert_eq!(
        (request.subscribe.as_slice(), request.unsubscribe.as_slice()),
        (
            &["routes/c:80".to_owned()][..],
            &["routes/b:80".to_owned()][..]
        )
    );
    assert_eq!(actions[1], Action::Dropped(vec![name("routes/b:80")]));
    for n in 0..100 {
        session.on(
            Event::Want(ResourceName::Routes {
                host: format!("h{n}").parse().unwrap(),
                port: 1,
            }),
            at(5),
        );
        assert!(session.wanted().count() <= 4);
    }
}

#[test]
fn looked_up_names_take_no_destinations_place() {
    let start = Instant::now();
    let limits = Limits {
        destinations: 2,
        names: 3,
        ..Limits::default()
    };
    let mut session = session(limits, start);
    session.on(Event::Connected(&Snapshot::empty()), start);
    session.on(Event::Want(name("routes/a:80")), start);
    for n in 0..100 {
        session.on(Event::Want(name(&format!("name/h{n}"))), start);
    }
    let wanted: Vec<_> = session.wanted().collect();
    assert!(wanted.contains(&&name("routes/a:80")), "{wanted:?}");
    let names = |name: &&&ResourceName| matches!(name, ResourceName::Name(_));
    assert_eq!(wanted.iter().filter(names).count(), 3);
}
