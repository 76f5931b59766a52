mod abuse;
mod frames;
mod messages;

use std::time::Instant;

use bytes::BytesMut;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use proptest::prelude::*;

use super::super::frame::{Head, flag, kind};
use super::*;

type Side = Connection<()>;

const CONFIG: Config = Config {
    stream_window: 65_535,
    connection_window: 1 << 20,
    max_streams: 8,
    max_head: 4096,
};

fn request(method: Method, fields: &[(&'static str, &str)]) -> request::Parts {
    let mut builder = Request::builder()
        .method(method)
        .uri("http://reviews:9080/a?b=c");
    for (name, value) in fields {
        builder = builder.header(*name, *value);
    }
    builder.body(()).unwrap().into_parts().0
}

fn response(status: u16, fields: &[(&'static str, &str)]) -> response::Parts {
    let mut builder = Response::builder().status(status);
    for (name, value) in fields {
        builder = builder.header(*name, *value);
    }
    builder.body(()).unwrap().into_parts().0
}

/// What a side has to say, given to the other one.
fn pass(from: &mut Side, to: &mut Side) -> Result<Vec<Event<()>>, ConnectionError> {
    let octets = from.output().split();
    feed(to, &octets)
}

fn feed(to: &mut Side, mut octets: &[u8]) -> Result<Vec<Event<()>>, ConnectionError> {
    let mut events = Vec::new();
    let now = Instant::now();
    while let Some(event) = to.receive(&mut octets, now)? {
        events.push(event);
    }
    assert!(octets.is_empty());
    Ok(events)
}

/// Both sides, after they have greeted each other.
fn pair() -> (Side, Side) {
    let (mut client, mut server) = (Side::client(CONFIG), Side::server(CONFIG));
    pass(&mut client, &mut server).unwrap();
    pass(&mut server, &mut client).unwrap();
    pass(&mut client, &mut server).unwrap();
    (client, server)
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut out = BytesMut::new();
    let length = payload.len();
    Head {
        length,
        kind,
        flags,
        stream,
    }
    .put(&mut out);
    out.extend_from_slice(payload);
    out.to_vec()
}

/// A server that was greeted, and octets that a strange client sends.
fn server_given(octets: &[u8]) -> Result<Vec<Event<()>>, ConnectionError> {
    let (_, mut server) = pair();
    feed(&mut server, octets)
}

/// The frames that a side has to send: kind, flags, stream, payload.
fn frames(side: &mut Side) -> Vec<(u8, u8, u32, Vec<u8>)> {
    let octets = side.output().split();
    let (mut found, mut rest) = (Vec::new(), &octets[..]);
    while let Some((head, after)) = rest.split_first_chunk() {
        let head = Head::parse(head);
        found.push((
            head.kind,
            head.flags,
            head.stream,
            after[..head.length].to_vec(),
        ));
        rest = &after[head.length..];
    }
    found
}

#[test]
fn a_request_and_its_response() {
    let (mut client, mut server) = pair();
    let (id, ()) = client
        .open(&request(Method::POST, &[("x-a", "1")]), false)
        .unwrap();
    assert_eq!(client.send_data(id, b"hello", false), 5);
    client.send_trailers(
        id,
        &HeaderMap::from_iter([(
            HeaderName::from_static("x-end"),
            HeaderValue::from_static("2"),
        )]),
    );
    let events = pass(&mut client, &mut server).unwrap();
    let [
        Event::Request {
            id,
            parts,
            end: false,
            ..
        },
        Event::Data {
            bytes, end: false, ..
        },
        Event::Trailers { fields, .. },
    ] = &events[..]
    else {
        panic!("{events:?}");
    };
    assert_eq!(
        (parts.method.as_str(), parts.uri.to_string().as_str()),
        ("POST", "http://reviews:9080/a?b=c")
    );
    assert_eq!(
        (&parts.headers["x-a"], &bytes[..], &fields["x-end"]),
        (
            &HeaderValue::from_static("1"),
            &b"hello"[..],
            &HeaderValue::from_static("2")
        )
    );
    server.respond(*id, &response(200, &[("content-length", "2")]), false);
    server.send_data(*id, b"ok", true);
    assert_eq!(server.open_streams(), 0);
    let events = pass(&mut server, &mut client).unwrap();
    let [
        Event::Response {
            parts, end: false, ..
        },
        Event::Data {
            bytes, end: true, ..
        },
    ] = &events[..]
    else {
        panic!("{events:?}");
    };
    assert_eq!((parts.status, &bytes[..]), (StatusCode::OK, &b"ok"[..]));
    assert_eq!(client.open_streams(), 0);
}

#[test]
fn windows_hold_both_ways() {
    let (mut client, mut server) = pair();
    let (id, ()) = client.open(&request(Method::POST, &[]), false).unwrap();
    let body = vec![7; 100_000];
    let first = client.send_data(id, &body, true);
    assert_eq!((first, client.capacity(id)), (65_535, Some(0)));
    let events = pass(&mut client, &mut server).unwrap();
    let came: usize = events
        .iter()
        .map(|event| match event {
            Event::Data { bytes, .. } => bytes.len(),
            _ => 0,
        })
        .sum();
    assert_eq!(came, first);
    // Nothing until it was passed on, then half a window at once.
    assert!(pass(&mut server, &mut client).unwrap().is_empty());
    let Event::Request { id: theirs, .. } = events[0] else {
        panic!()
    };
    server.release(theirs, 40_000);
    let events = pass(&mut server, &mut client).unwrap();
    assert!(matches!(events[..], [Event::Window { .. }]), "{events:?}");
    assert_eq!(client.send_data(id, &body[first..], true), 100_000 - first);
    let events = pass(&mut client, &mut server).unwrap();
    assert!(matches!(events.last(), Some(Event::Data { end: true, .. })));
    // A peer that does not care for the window.
    let mut octets = frame(
        kind::HEADERS,
        flag::END_HEADERS,
        3,
        b"\x83\x86\x84\x41\x01a",
    );
    for _ in 0..5 {
        octets.extend(frame(kind::DATA, 0, 3, &[0; 16_384]));
    }
    let events = server_given(&octets).unwrap();
    assert!(matches!(
        events.last(),
        Some(Event::Reset {
            code: ErrorCode::FLOW_CONTROL_ERROR,
            by_us: true,
            ..
        })
    ));
}

#[test]
fn long_header_blocks_go_in_several_frames() {
    let config = Config {
        max_head: 200_000,
        ..CONFIG
    };
    let (mut client, mut server) = (Side::client(config.clone()), Side::server(config));
    let long = "v".repeat(50_000);
    client
        .open(&request(Method::GET, &[("x-long", &long)]), true)
        .unwrap();
    let kinds: Vec<u8> = frames_after_preface(&mut client, &mut server);
    assert_eq!(
        kinds[kinds.len() - 4..],
        [
            kind::HEADERS,
            kind::CONTINUATION,
            kind::CONTINUATION,
            kind::CONTINUATION
        ]
    );
}

fn frames_after_preface(client: &mut Side, server: &mut Side) -> Vec<u8> {
    let octets = client.output().split();
    let events = feed(server, &octets).unwrap();
    assert!(
        matches!(&events[..], [.., Event::Request { parts, end: true, .. }] if parts.headers["x-long"].len() == 50_000)
    );
    let _ = client.output();
    let mut rest = &octets[24..];
    let mut kinds = Vec::new();
    while let Some((head, after)) = rest.split_first_chunk() {
        let head = Head::parse(head);
        kinds.push(head.kind);
        rest = &after[head.length..];
    }
    kinds
}

#[test]
fn shutting_down_loses_no_request() {
    let (mut client, mut server) = pair();
    let (first, ()) = client.open(&request(Method::GET, &[]), true).unwrap();
    server.shut_down();
    // This one is on its way before the client knows.
    let (second, ()) = client.open(&request(Method::GET, &[]), true).unwrap();
    assert_ne!(first, second);
    let events = pass(&mut client, &mut server).unwrap();
    assert_eq!(events.len(), 2);
    let events = pass(&mut server, &mut client).unwrap();
    assert!(matches!(
        events[..],
        [Event::GoAway {
            code: ErrorCode::NO_ERROR
        }]
    ));
    assert_eq!(client.can_open(), Err(OpenError::Closed));
    assert!(client.unprocessed().is_empty());
    pass(&mut client, &mut server).unwrap();
    assert!(!server.is_finished());
    for id in [first, second] {
        server.respond(id, &response(200, &[]), true);
    }
    assert!(server.is_finished());
    pass(&mut server, &mut client).unwrap();
    assert!(client.is_finished());
}

#[test]
fn requests_that_a_closing_server_did_not_see_can_go_elsewhere() {
    let (mut client, mut server) = pair();
    client.open(&request(Method::GET, &[]), true).unwrap();
    pass(&mut client, &mut server).unwrap();
    client.open(&request(Method::GET, &[]), true).unwrap();
    server.abort(&ConnectionError::new(ErrorCode::NO_ERROR, ""));
    pass(&mut server, &mut client).unwrap();
    assert_eq!((client.unprocessed().len(), client.open_streams()), (1, 1));
}

#[test]
fn informational_responses_are_passed_over_and_early_ones_count() {
    let (mut client, mut server) = pair();
    let (id, ()) = client.open(&request(Method::POST, &[]), false).unwrap();
    pass(&mut client, &mut server).unwrap();
    server.respond(id, &response(103, &[("link", "x")]), false);
    server.respond(id, &response(413, &[]), true);
    server.reset(id, ErrorCode::NO_ERROR);
    let events = pass(&mut server, &mut client).unwrap();
    let [
        Event::Response {
            parts, end: true, ..
        },
        Event::Reset {
            code: ErrorCode::NO_ERROR,
            by_us: false,
            ..
        },
    ] = &events[..]
    else {
        panic!("{events:?}");
    };
    assert_eq!(parts.status, 413);
}

proptest! {
    // However the octets are cut, the same comes out.
    #[test]
    fn frames_are_the_same_however_they_arrive(cuts in prop::collection::vec(1_usize..40, 1..80)) {
        let mut client = Side::client(CONFIG);
        for nth in 0..4 {
            let (id, ()) = client.open(&request(Method::POST, &[("x-nth", &nth.to_string())]), false).unwrap();
            client.send_data(id, &[nth; 50], true);
        }
        let octets = client.output().split();
        let (mut whole, mut cut) = (Side::server(CONFIG), Side::server(CONFIG));
        let want = format!("{:?}", feed(&mut whole, &octets).unwrap());
        let (mut events, mut rest, mut at) = (Vec::new(), &octets[..], 0);
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(cuts[at % cuts.len()].min(rest.len()));
            events.extend(feed(&mut cut, piece).unwrap());
            rest = after;
            at += 1;
        }
        prop_assert_eq!(format!("{events:?}"), want);
    }

    #[test]
    fn any_octets_are_taken_or_refused(octets: Vec<u8>, kinds in prop::collection::vec((0_u8..12, any::<u8>(), 0_u32..6, prop::collection::vec(any::<u8>(), 0..40)), 0..30)) {
        for start in [&octets[..], &kinds.iter().flat_map(|(kind, flags, stream, payload)| frame(*kind, *flags, *stream, payload)).collect::<Vec<_>>()[..]] {
            let (mut client, mut server) = pair();
            let _ = client.open(&request(Method::GET, &[]), true);
            for side in [&mut client, &mut server] {
                let mut rest = start;
                while let Ok(Some(_)) = side.receive(&mut rest, Instant::now()) {}
            }
        }
    }
}
