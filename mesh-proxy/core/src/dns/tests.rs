use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query as Question, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use mesh_api::{Hostname, v1};
use proptest::prelude::*;

use super::upstream::{AVOIDED, Servers, Worth, with_id, worth};
use super::*;
use crate::Snapshot;

const SEARCH: &str = "default.svc.cluster.local";

fn snapshot(names: &[(&str, &[&str])]) -> Snapshot {
    let resource = |(name, addresses): &(&str, &[&str])| v1::Resource {
        name: format!("name/{name}"),
        version: "1".into(),
        body: Some(v1::resource::Body::NameAddresses(v1::Name {
            hostname: (*name).to_owned(),
            addresses: addresses.iter().map(ToString::to_string).collect(),
            declared: String::new(),
        })),
    };
    let response = v1::DiscoveryResponse {
        upsert: names.iter().map(resource).collect(),
        ..v1::DiscoveryResponse::default()
    };
    let applied = Snapshot::empty().apply(&response);
    assert!(applied.rejected.is_empty(), "{:?}", applied.rejected);
    applied.snapshot
}

fn question(name: &str, kind: RecordType) -> Message {
    let mut message = Message::new(0x1234, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Question::query(Name::from_ascii(name).unwrap(), kind));
    message
}

fn bytes(name: &str, kind: RecordType) -> Vec<u8> {
    question(name, kind).to_vec().unwrap()
}

fn ask(snapshot: &Snapshot, bytes: &[u8], may_ask: bool) -> Step {
    let search: Hostname = SEARCH.parse().unwrap();
    let query = Query::parse(bytes).unwrap();
    resolve(&query, snapshot, Some(&search), Transport::Udp, may_ask)
}

fn answer(snapshot: &Snapshot, bytes: &[u8]) -> Message {
    match ask(snapshot, bytes, true) {
        Step::Answer(reply) => Message::from_vec(&reply).unwrap(),
        other => panic!("{other:?}"),
    }
}

fn addresses(message: &Message) -> Vec<IpAddr> {
    let address = |data: &RData| match data {
        RData::A(a) => Some(a.0.into()),
        RData::AAAA(a) => Some(a.0.into()),
        _ => None,
    };
    message
        .answers
        .iter()
        .filter_map(|record| address(&record.data))
        .collect()
}

fn step_names(step: Step) -> Vec<String> {
    match step {
        Step::Need(names) => names.iter().map(ToString::to_string).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn declared_names_are_answered() {
    let held = snapshot(&[("db.example.com", &["240.240.0.7", "10.0.0.9"])]);
    let reply = answer(&held, &bytes("Db.EXAMPLE.com.", RecordType::A));
    assert_eq!(reply.metadata.id, 0x1234);
    assert_eq!(reply.metadata.message_type, MessageType::Response);
    assert!(reply.metadata.recursion_desired && reply.metadata.recursion_available);
    assert!(reply.metadata.authoritative);
    assert_eq!(addresses(&reply).len(), 2);
    assert!(reply.answers.iter().all(|record| record.ttl == reply::TTL));
    // The case of the question is kept, which some resolvers check (0x20).
    let name = Name::from_ascii("Db.EXAMPLE.com.").unwrap();
    assert!(reply.queries[0].name.eq_case(&name));
    assert!(reply.answers[0].name.eq_case(&name));
    assert!(reply.edns.is_none());
}

#[test]
fn the_other_family_has_no_data_but_exists() {
    let held = snapshot(&[("a.b", &["10.0.0.1"]), ("c.d", &["fd00::1", "10.0.0.2"])]);
    let reply = answer(&held, &bytes("a.b.", RecordType::AAAA));
    assert_eq!(reply.metadata.response_code, ResponseCode::NoError);
    assert!(reply.answers.is_empty());
    let six: IpAddr = "fd00::1".parse().unwrap();
    assert_eq!(
        addresses(&answer(&held, &bytes("c.d.", RecordType::AAAA))),
        [six]
    );
}

#[test]
fn unknown_names_are_asked_for_and_undeclared_ones_passed_on() {
    let empty = snapshot(&[]);
    let query = bytes("www.example.com.", RecordType::A);
    assert_eq!(
        step_names(ask(&empty, &query, true)),
        ["name/www.example.com"]
    );
    assert_eq!(ask(&empty, &query, false), Step::Forward);
    let undeclared = snapshot(&[("www.example.com", &[])]);
    assert_eq!(ask(&undeclared, &query, true), Step::Forward);
}

#[test]
fn what_no_host_can_be_called_is_passed_on() {
    let empty = snapshot(&[]);
    for (name, kind) in [
        ("example.com.", RecordType::MX),
        ("_http._tcp.example.com.", RecordType::SRV),
        ("4.3.2.1.in-addr.arpa.", RecordType::PTR),
        (".", RecordType::A),
        ("10.0.0.1.", RecordType::A),
        ("*.example.com.", RecordType::A),
    ] {
        assert_eq!(
            ask(&empty, &bytes(name, kind), true),
            Step::Forward,
            "{name}"
        );
    }
    let mut dotted = Message::new(1, MessageType::Query, OpCode::Query);
    let labels: [&[u8]; 2] = [b"a.b", b"example"];
    let name = Name::from_labels(labels).unwrap();
    dotted.add_query(Question::query(name, RecordType::A));
    assert_eq!(ask(&empty, &dotted.to_vec().unwrap(), true), Step::Forward);
}

#[test]
fn the_search_list_is_cut_short() {
    let query = bytes(&format!("api.example.com.{SEARCH}."), RecordType::A);
    let full = format!("api.example.com.{SEARCH}");
    assert_eq!(
        step_names(ask(&snapshot(&[]), &query, true)),
        [format!("name/{full}"), "name/api.example.com".to_owned()]
    );
    // Only what is missing is asked for, and the name itself decides first.
    let half = snapshot(&[("api.example.com", &["240.240.0.1"])]);
    assert_eq!(
        step_names(ask(&half, &query, true)),
        [format!("name/{full}")]
    );
    let held = snapshot(&[(&full, &[]), ("api.example.com", &["240.240.0.1"])]);
    let reply = answer(&held, &query);
    assert_eq!(reply.answers.len(), 2);
    let alias = Name::from_ascii("api.example.com.").unwrap();
    assert!(matches!(&reply.answers[0].data, RData::CNAME(name) if name.0 == alias));
    assert_eq!(reply.answers[1].name, alias);
    // Cut off from the control plane, what is known is used.
    assert!(matches!(ask(&half, &query, false), Step::Answer(_)));
    let nothing = snapshot(&[(&full, &[]), ("api.example.com", &[])]);
    assert_eq!(ask(&nothing, &query, true), Step::Forward);
}

#[test]
fn other_types_of_declared_names_exist() {
    let search: Hostname = SEARCH.parse().unwrap();
    let held = snapshot(&[("db.internal", &["240.240.0.1"])]);
    let asked = bytes("db.internal.", RecordType::HTTPS);
    let query = Query::parse(&asked).unwrap();
    let mut response = question("db.internal.", RecordType::HTTPS).into_response();
    response.metadata.response_code = ResponseCode::NXDomain;
    let response = response.to_vec().unwrap();
    let change = |snapshot: &Snapshot| {
        after_upstream(&query, &response, snapshot, Some(&search), Transport::Udp)
    };
    let reply = Message::from_vec(&change(&held).unwrap()).unwrap();
    assert_eq!(reply.metadata.response_code, ResponseCode::NoError);
    assert!(reply.answers.is_empty());
    assert_eq!(change(&snapshot(&[])), None);
}

#[test]
fn edns_is_answered_and_large_answers_are_cut() {
    let many: Vec<String> = (0..100).map(|n| format!("10.0.1.{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let held = snapshot(&[("many.example", &many)]);
    let plain = bytes("many.example.", RecordType::A);
    let reply = answer(&held, &plain);
    assert!(reply.metadata.truncation && reply.answers.is_empty());
    let mut message = question("many.example.", RecordType::A);
    let mut edns = Edns::new();
    edns.set_max_payload(4096).set_dnssec_ok(true);
    message.set_edns(edns);
    let reply = answer(&held, &message.to_vec().unwrap());
    assert_eq!(reply.answers.len(), 100);
    assert!(reply.edns.unwrap().flags().dnssec_ok);
    let query = Query::parse(&plain).unwrap();
    match resolve(&query, &held, None, Transport::Tcp, true) {
        Step::Answer(reply) => assert_eq!(Message::from_vec(&reply).unwrap().answers.len(), 100),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_no_query_is_refused() {
    assert_eq!(Query::parse(b"short").unwrap_err(), Unusable::Ignore);
    let mut query = bytes("a.b.", RecordType::A);
    query[2] |= 0x80;
    assert_eq!(Query::parse(&query).unwrap_err(), Unusable::Ignore);
    let code = |query: &[u8]| match Query::parse(query).unwrap_err() {
        Unusable::Refuse(reply) => Message::from_vec(&reply).unwrap().metadata.response_code,
        Unusable::Ignore => panic!("ignored"),
    };
    let mut query = bytes("a.b.", RecordType::A);
    query[2] |= 0x28;
    assert_eq!(code(&query), ResponseCode::NotImp);
    let mut query = bytes("a.b.", RecordType::A);
    query[5] = 2;
    assert_eq!(code(&query), ResponseCode::FormErr);
    let mut pointer = bytes("a.b.", RecordType::A);
    pointer[12] = 0xc0;
    assert_eq!(code(&pointer), ResponseCode::FormErr);
}

#[test]
fn failures_repeat_the_question() {
    let asked = bytes("www.example.com.", RecordType::A);
    let query = Query::parse(&asked).unwrap();
    let reply = Message::from_vec(&reply::server_failure(&query)).unwrap();
    assert_eq!(reply.metadata.response_code, ResponseCode::ServFail);
    assert_eq!(reply.metadata.id, 0x1234);
    assert_eq!(
        reply.queries,
        question("www.example.com.", RecordType::A).queries
    );
}

#[test]
fn responses_are_checked() {
    let asked = bytes("WwW.example.com.", RecordType::A);
    let query = Query::parse(&asked).unwrap();
    let mut response = question("www.example.com.", RecordType::A).into_response();
    let mut of = |code, id| {
        response.metadata.response_code = code;
        with_id(&response.to_vec().unwrap(), id)
    };
    let good = of(ResponseCode::NoError, 7);
    assert_eq!(worth(&query, 7, &good), Worth::Answer);
    assert_eq!(worth(&query, 8, &good), Worth::Foreign);
    assert_eq!(worth(&query, 7, &good[..9]), Worth::Foreign);
    assert_eq!(worth(&query, 7, &with_id(&asked, 7)), Worth::Foreign);
    let none = of(ResponseCode::NXDomain, 7);
    assert_eq!(worth(&query, 7, &none), Worth::Answer);
    assert!(upstream::is_no_such_name(&none));
    assert_eq!(
        worth(&query, 7, &of(ResponseCode::Refused, 7)),
        Worth::Failure
    );
    let other = question("other.example.com.", RecordType::A)
        .into_response()
        .to_vec()
        .unwrap();
    assert_eq!(worth(&query, 7, &with_id(&other, 7)), Worth::Foreign);
    let mut bare = of(ResponseCode::ServFail, 7);
    bare.truncate(12);
    bare[5] = 0;
    assert_eq!(worth(&query, 7, &bare), Worth::Failure);
}

#[test]
fn servers_that_failed_come_last() {
    let start = Instant::now();
    let [a, b, c]: [SocketAddr; 3] =
        ["10.0.0.1:53", "10.0.0.2:53", "[fd00::3]:53"].map(|text| text.parse().unwrap());
    let mut servers = Servers::new([a, b, c], false);
    assert_eq!(servers.order(start), [a, b, c]);
    servers.failed(a, start);
    assert_eq!(servers.order(start + Duration::from_secs(1)), [b, c, a]);
    assert_eq!(servers.order(start + AVOIDED), [a, b, c]);
    servers.failed(b, start);
    servers.answered(b);
    assert_eq!(servers.order(start), [b, c, a]);
    let mut turning = Servers::new([a, b, c], true);
    assert_eq!(turning.order(start), [a, b, c]);
    assert_eq!(turning.order(start), [b, c, a]);
    assert!(Servers::new([], true).order(start).is_empty());
}

#[test]
fn resolv_conf_as_the_c_library_reads_it() {
    let conf: ResolvConf = "# comment\nsearch old.example\nnameserver 10.96.0.10 # cluster\nnameserver ::1\nsearch default.svc.cluster.local svc.cluster.local . cluster.local\noptions ndots:5 rotate\nnameserver nonsense\nnameserver [127.0.0.1]:5353\nnameserver 9.9.9.9\nsortlist x\n"
        .parse()
        .unwrap();
    let servers: Vec<String> = conf.servers.iter().map(ToString::to_string).collect();
    assert_eq!(servers, ["10.96.0.10:53", "[::1]:53", "127.0.0.1:5353"]);
    assert_eq!(conf.search.len(), 3);
    assert_eq!(conf.search[0].as_str(), SEARCH);
    assert!(conf.rotate);
    let empty: ResolvConf = "".parse().unwrap();
    assert_eq!(empty.servers[0].to_string(), "127.0.0.1:53");
    assert!("nameserver x".parse::<ResolvConf>().is_err());
}

proptest! {
    #[test]
    fn any_bytes_are_taken(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(query) = Query::parse(&bytes) {
            let held = snapshot(&[("a", &["10.0.0.1"])]);
            let _ = resolve(&query, &held, None, Transport::Udp, true);
            prop_assert!(Message::from_vec(&reply::server_failure(&query)).is_ok());
        }
    }

    #[test]
    fn any_name_is_answered_under_its_own(labels in prop::collection::vec("[a-zA-Z0-9_][a-zA-Z0-9_-]{0,20}", 1..6)) {
        let name = labels.join(".");
        let held = snapshot(&[(&name.to_ascii_lowercase(), &["10.0.0.1"])]);
        let asked = bytes(&format!("{name}."), RecordType::A);
        let query = Query::parse(&asked).unwrap();
        if let Step::Answer(reply) = resolve(&query, &held, None, Transport::Udp, true) {
            prop_assert_eq!(worth(&query, 0x1234, &reply), Worth::Answer);
            prop_assert_eq!(&reply[12..12 + query.question().len()], query.question());
        } else {
            prop_assert!(name.parse::<IpAddr>().is_ok());
        }
    }
}
