use bytes::BufMut;

use super::*;

// RFC 9113 section 8.1.1: the stream ends, the connection stays.
#[test]
fn malformed_requests_end_their_stream() {
    let blocks: [(&str, Vec<u8>); 15] = [
        ("no method", b"\x86\x84\x41\x01a".to_vec()),
        ("no path", b"\x82\x86\x41\x01a".to_vec()),
        ("no scheme", b"\x82\x84\x41\x01a".to_vec()),
        ("two methods", b"\x82\x83\x86\x84\x41\x01a".to_vec()),
        ("status", b"\x82\x86\x84\x88\x41\x01a".to_vec()),
        ("unknown pseudo", b"\x82\x86\x84\x00\x02:x\x01a".to_vec()),
        ("protocol", b"\x82\x86\x84\x00\x09:protocol\x01a".to_vec()),
        ("late pseudo", b"\x82\x86\x00\x01a\x01b\x84".to_vec()),
        ("upper case", b"\x82\x86\x84\x00\x01A\x01b".to_vec()),
        (
            "connection",
            b"\x82\x86\x84\x00\x0aconnection\x05close".to_vec(),
        ),
        ("te", b"\x82\x86\x84\x00\x02te\x04gzip".to_vec()),
        (
            "two hosts",
            b"\x82\x86\x84\x41\x01a\x00\x04host\x01b".to_vec(),
        ),
        (
            "two hosts, and no authority",
            b"\x82\x86\x84\x00\x04host\x01a\x00\x04host\x01b".to_vec(),
        ),
        ("line break", b"\x82\x86\x84\x00\x01a\x04b\r\nc".to_vec()),
        ("path", b"\x82\x86\x04\x01a".to_vec()),
    ];
    for (what, block) in blocks {
        let (_, mut server) = pair();
        let octets = frame(
            kind::HEADERS,
            flag::END_HEADERS | flag::END_STREAM,
            1,
            &block,
        );
        let events = feed(&mut server, &octets).unwrap();
        let [Event::NoRequest { reason, .. }] = events[..] else {
            panic!("{what}: {events:?}");
        };
        let wanted = if what.starts_with("two hosts") {
            Reason::HostInvalid
        } else {
            Reason::DownstreamProtocolError
        };
        assert_eq!(reason, wanted, "{what}");
        assert_eq!(
            frames(&mut server),
            [(kind::RST_STREAM, 0, 1, vec![0, 0, 0, 1])],
            "{what}"
        );
    }
}

// The lengths of a request must agree, or a server behind sees another request in the rest.
#[test]
fn bodies_have_the_length_that_was_announced() {
    let block = |length: &str| {
        let mut block = b"\x83\x86\x84\x41\x01a\x0f\x0d".to_vec();
        block.put_u8(length.len() as u8);
        block.extend_from_slice(length.as_bytes());
        block
    };
    for (length, body, good) in [
        ("5", 5, true),
        ("5", 4, false),
        ("5", 6, false),
        ("0", 0, true),
        ("x", 0, false),
        ("+5", 5, false),
        ("", 0, false),
    ] {
        let mut octets = frame(kind::HEADERS, flag::END_HEADERS, 1, &block(length));
        octets.extend(frame(kind::DATA, flag::END_STREAM, 1, &vec![0; body]));
        let (_, mut server) = pair();
        let events = feed(&mut server, &octets).unwrap();
        let ended = matches!(events.last(), Some(Event::Data { end: true, .. }));
        assert_eq!(ended, good, "{length} {body}: {events:?}");
    }
    let headers_only = frame(
        kind::HEADERS,
        flag::END_HEADERS | flag::END_STREAM,
        1,
        &block("5"),
    );
    let events = server_given(&headers_only).unwrap();
    assert!(
        matches!(events[..], [Event::NoRequest { .. }]),
        "{events:?}"
    );
}

#[test]
fn heads_that_are_too_large_are_answered() {
    let (mut client, mut server) = pair();
    let long = "v".repeat(5000);
    client
        .open(&request(Method::GET, &[("x-long", &long)]), true)
        .unwrap();
    let events = pass(&mut client, &mut server).unwrap();
    let [Event::NoRequest { reason, .. }] = events[..] else {
        panic!("{events:?}");
    };
    assert_eq!(reason, Reason::RequestHeadersTooLarge);
    let events = pass(&mut server, &mut client).unwrap();
    assert!(
        matches!(&events[..], [Event::Response { parts, end: true, .. }] if parts.status == 431),
        "{events:?}"
    );
    client.open(&request(Method::GET, &[]), true).unwrap();
    let events = pass(&mut client, &mut server).unwrap();
    assert!(matches!(&events[..], [Event::Request { .. }]));
}

#[test]
fn responses_without_body_may_tell_its_length() {
    for (method, status, good) in [
        (Method::HEAD, 200, true),
        (Method::GET, 304, true),
        (Method::GET, 200, false),
    ] {
        let (mut client, mut server) = pair();
        let (id, ()) = client.open(&request(method, &[]), true).unwrap();
        pass(&mut client, &mut server).unwrap();
        server.respond(id, &response(status, &[("content-length", "100")]), true);
        let events = pass(&mut server, &mut client).unwrap();
        assert_eq!(
            matches!(&events[..], [Event::Response { end: true, .. }]),
            good,
            "{status}"
        );
    }
}

// Padding counts against the windows (RFC 9113 section 6.1) and never reaches anybody who could
// give it back.
#[test]
fn padding_is_given_back_at_once() {
    let mut octets = frame(
        kind::HEADERS,
        flag::END_HEADERS,
        1,
        b"\x83\x86\x84\x41\x01a",
    );
    let padded = [&[200, b'x'][..], &[0; 200]].concat();
    for _ in 0..200 {
        octets.extend(frame(kind::DATA, flag::PADDED, 1, &padded));
    }
    let (_, mut server) = pair();
    let events = feed(&mut server, &octets).unwrap();
    let content: usize = events
        .iter()
        .map(|event| match event {
            Event::Data { bytes, .. } => bytes.len(),
            _ => 0,
        })
        .sum();
    assert_eq!(content, 200);
    let given: u32 = frames(&mut server)
        .iter()
        .filter(|(kind, _, stream, _)| (*kind, *stream) == (kind::WINDOW_UPDATE, 1))
        .map(|(.., payload)| u32::from_be_bytes(payload[..].try_into().unwrap()))
        .sum();
    // Half a window of padding has come back; the rest follows with the next half.
    assert_eq!(given / 201, 164);
}
