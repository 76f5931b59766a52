use std::time::Duration;

use super::*;

// CVE-2023-44487: requests that are given up at once.
#[test]
fn rapid_resets_end_the_connection() {
    let (_, mut server) = pair();
    let now = Instant::now();
    let mut refused = None;
    for nth in 0..5000_u32 {
        let id = nth * 2 + 1;
        let octets = [
            frame(
                kind::HEADERS,
                flag::END_HEADERS | flag::END_STREAM,
                id,
                b"\x82\x86\x84\x41\x01a",
            ),
            frame(kind::RST_STREAM, 0, id, &[0, 0, 0, 8]),
        ]
        .concat();
        let mut rest = &octets[..];
        while !rest.is_empty() {
            if let Err(error) = server.receive(&mut rest, now) {
                refused = Some((nth, error.code));
                break;
            }
        }
        if refused.is_some() {
            break;
        }
    }
    assert_eq!(refused, Some((1024, ErrorCode::ENHANCE_YOUR_CALM)));
}

#[test]
fn a_peer_that_gives_up_some_requests_is_left_alone() {
    let (mut client, mut server) = pair();
    let mut now = Instant::now();
    for nth in 0..20_000 {
        now += Duration::from_micros(100);
        let (id, ()) = client.open(&request(Method::GET, &[]), true).unwrap();
        if nth % 3 == 0 {
            client.reset(id, ErrorCode::CANCEL);
        }
        let octets = client.output().split();
        let mut rest = &octets[..];
        while let Some(event) = server.receive(&mut rest, now).unwrap() {
            if let Event::Request { id, .. } = event {
                server.respond(id, &response(200, &[]), true);
            }
        }
        pass(&mut server, &mut client).unwrap();
    }
}

// CVE-2024-27316 and its relatives.
#[test]
fn floods_of_empty_frames_end_the_connection() {
    let endless = |first: Vec<u8>, next: &[u8], many: usize| {
        let mut octets = first;
        octets.extend(next.repeat(many));
        server_given(&octets).unwrap_err().code
    };
    let open = frame(kind::HEADERS, 0, 1, b"\x82\x86\x84");
    let field = [b"\x00\x01a\x7f\x81\x7e".to_vec(), vec![b'v'; 16_000]].concat();
    let calm = ErrorCode::ENHANCE_YOUR_CALM;
    assert_eq!(
        endless(open.clone(), &frame(kind::CONTINUATION, 0, 1, b""), 20),
        calm
    );
    assert_eq!(
        endless(open, &frame(kind::CONTINUATION, 0, 1, &field), 20),
        calm
    );
    for flood in [
        frame(kind::PING, 0, 0, &[0; 8]),
        frame(kind::SETTINGS, 0, 0, b""),
        frame(kind::PRIORITY, 0, 1, &[0; 5]),
        frame(0x77, 0, 0, b""),
    ] {
        assert_eq!(endless(Vec::new(), &flood, 20_000), calm);
    }
    let open = frame(
        kind::HEADERS,
        flag::END_HEADERS,
        1,
        b"\x83\x86\x84\x41\x01a",
    );
    assert_eq!(endless(open, &frame(kind::DATA, 0, 1, b""), 20_000), calm);
}

#[test]
fn more_streams_than_allowed_are_refused() {
    let mut octets = Vec::new();
    for nth in 0..9 {
        octets.extend(frame(
            kind::HEADERS,
            flag::END_HEADERS,
            nth * 2 + 1,
            b"\x83\x86\x84\x41\x01a",
        ));
    }
    let (_, mut server) = pair();
    assert_eq!(feed(&mut server, &octets).unwrap().len(), 8);
    assert_eq!(
        frames(&mut server),
        [(kind::RST_STREAM, 0, 17, vec![0, 0, 0, 7])]
    );
    let (mut client, _) = pair();
    for _ in 0..8 {
        client.open(&request(Method::GET, &[]), true).unwrap();
    }
    assert_eq!(
        client.open(&request(Method::GET, &[]), true).unwrap_err(),
        OpenError::Full
    );
}

#[test]
fn bodies_that_nobody_wants_are_dropped_within_the_window() {
    let (mut client, mut server) = pair();
    let (id, ()) = client.open(&request(Method::POST, &[]), false).unwrap();
    pass(&mut client, &mut server).unwrap();
    server.discard(id);
    let mut sent = 0;
    for _ in 0..100 {
        sent += client.send_data(id, &[0; 10_000], false);
        let events = pass(&mut client, &mut server).unwrap();
        assert!(
            events
                .iter()
                .all(|event| matches!(event, Event::Data { bytes, .. } if bytes.is_empty()))
        );
        pass(&mut server, &mut client).unwrap();
    }
    assert_eq!(sent, 65_535);
}
