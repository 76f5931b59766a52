//! What two implementations could understand differently, and what is only meant to hurt.

use super::*;

const HIDING: &[(&str, Malformed)] = &[
    // Both lengths (RFC 9112 section 6.1), in either order and spelling.
    (
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n",
        Malformed::TwoLengths,
    ),
    (
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\ncontent-length: 4\r\n\r\n",
        Malformed::TwoLengths,
    ),
    (
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n",
        Malformed::TwoLengths,
    ),
    // Codings that another may read as chunked, or not.
    (
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n",
        Malformed::TransferCoding,
    ),
    (
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n",
        Malformed::TransferCoding,
    ),
    (
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        Malformed::TransferCoding,
    ),
    (
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n",
        Malformed::TransferCoding,
    ),
    (
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \"chunked\"\r\n\r\n",
        Malformed::TransferCoding,
    ),
    (
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n",
        Malformed::TransferCoding,
    ),
    (
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \r\n\r\n",
        Malformed::TransferCoding,
    ),
    (
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunk\x0bed\r\n\r\n",
        Malformed::Field,
    ),
    (
        "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
        Malformed::TransferCodingInHttp10,
    ),
    // Lengths that are none.
    (
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\n",
        Malformed::ContentLength,
    ),
    (
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nContent-Length: 4\r\n\r\n",
        Malformed::ContentLength,
    ),
    (
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4, 4\r\n\r\n",
        Malformed::ContentLength,
    ),
    (
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +4\r\n\r\n",
        Malformed::ContentLength,
    ),
    (
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        Malformed::ContentLength,
    ),
    (
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x4\r\n\r\n",
        Malformed::ContentLength,
    ),
    (
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4 4\r\n\r\n",
        Malformed::ContentLength,
    ),
    (
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \r\n\r\n",
        Malformed::ContentLength,
    ),
    (
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551616\r\n\r\n",
        Malformed::ContentLength,
    ),
    (
        "CONNECT a:1 HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n",
        Malformed::ConnectWithBody,
    ),
    (
        "CONNECT a:1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
        Malformed::ConnectWithBody,
    ),
    // Two hosts.
    (
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        Malformed::Hosts,
    ),
    (
        "GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n",
        Malformed::Hosts,
    ),
    // Hosts that are none.
    ("GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", Malformed::Host),
    ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", Malformed::Host),
    (
        "GET http://a@b/ HTTP/1.1\r\nHost: b\r\n\r\n",
        Malformed::Host,
    ),
    // White space and line ends where they have no place.
    ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", Malformed::Field),
    (
        "GET / HTTP/1.1\r\nTransfer-Encoding : chunked\r\n\r\n",
        Malformed::Field,
    ),
    ("GET / HTTP/1.1\r\n Host: a\r\n\r\n", Malformed::Field),
    (
        "GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n folded: c\r\n\r\n",
        Malformed::Field,
    ),
    (
        "GET / HTTP/1.1\r\nHost: a\r\nX: b\rY: c\r\n\r\n",
        Malformed::Field,
    ),
    (
        "GET / HTTP/1.1\r\nHost: a\r\nX: b\0c\r\n\r\n",
        Malformed::Field,
    ),
    (
        "GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n",
        Malformed::Field,
    ),
    (
        "GET / HTTP/1.1\r\nHost: a\r\n: empty\r\n\r\n",
        Malformed::Field,
    ),
    ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", Malformed::StartLine),
    ("GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", Malformed::Version),
    ("GET / HTTP/1.1 \r\nHost: a\r\n\r\n", Malformed::Field),
    ("G\"T / HTTP/1.1\r\nHost: a\r\n\r\n", Malformed::StartLine),
    // Versions.
    ("GET / HTTP/1.2\r\nHost: a\r\n\r\n", Malformed::Version),
    ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", Malformed::Version),
    ("GET / http/1.1\r\nHost: a\r\n\r\n", Malformed::Version),
    ("GET /\r\nHost: a\r\n\r\n", Malformed::StartLine),
];

#[test]
fn requests_that_could_hide_another_are_refused() {
    for (head, expected) in HIDING {
        match request(head) {
            Err(malformed) if malformed == *expected => {}
            other => panic!(
                "{head:?}: {:?}",
                other.map(|head| head.map(|head| head.parts))
            ),
        }
    }
}

#[test]
fn chunks_that_could_hide_a_request_are_refused() {
    for wire in [
        "\r\n",
        "g\r\n",
        " 5\r\nhello\r\n",
        "+5\r\nhello\r\n",
        "-5\r\nhello\r\n",
        "0x5\r\nhello\r\n",
        "5_0\r\n",
        "5\nhello\r\n0\r\n\r\n",
        "5\r\r\nhello",
        "5\rhello",
        "5;ext\nhello",
        "5;e\0xt\r\nhello",
        "5\r\nhelloworld\r\n",
        "5\r\nhello0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "5\r\nhello\r\r",
        "00000000000000005\r\n",
        "fffffffffffffffff\r\n",
        "0\r\nX: y\n\r\n",
        "0\r\n\n",
        "0\r\n X: y\r\n\r\n",
        "0\r\nX : y\r\n\r\n",
        "0\r\nno colon\r\n\r\n",
    ] {
        let mut decoder = Decoder::new(Length::Chunked);
        let mut body = BytesMut::new();
        let result = decoder.decode(&mut wire.as_bytes(), &mut body);
        assert!(result.is_err(), "{wire:?} gave {body:?}, {decoder:?}");
        // What comes after it is not understood either.
        assert_eq!(decoder.decode(&mut &b"0\r\n\r\n"[..], &mut body), result);
    }
}

#[test]
fn sizes_beyond_all_memory_cost_none() {
    let mut decoder = Decoder::new(Length::Chunked);
    let mut body = BytesMut::new();
    decoder
        .decode(&mut &b"ffffffffffffffff\r\nabc"[..], &mut body)
        .unwrap();
    assert_eq!((&body[..], decoder.is_done()), (&b"abc"[..], false));
    assert_eq!(Decoder::new(Length::Exact(u64::MAX)).left(), Some(u64::MAX));
}

#[test]
fn what_never_ends_is_refused() {
    let long = |prefix: &str| format!("{prefix}{}", "x".repeat(64 * 1024));
    for wire in [long("5;"), long("0\r\nx: ")] {
        let mut decoder = Decoder::new(Length::Chunked);
        let result = decoder.decode(&mut wire.as_bytes(), &mut BytesMut::new());
        assert!(result.is_err(), "{}", &wire[..10]);
    }
    let fields: String = (0..=MAX_FIELDS).map(|i| format!("x-{i}: 1\r\n")).collect();
    let head = request(&format!("GET / HTTP/1.1\r\n{fields}\r\n"));
    assert_eq!(head.unwrap_err(), Malformed::HeadTooLarge);
}

#[test]
fn each_breach_has_its_reason() {
    use crate::Reason;
    for (malformed, reason, status) in [
        (Malformed::HeadTooLarge, Reason::RequestHeadersTooLarge, 431),
        (Malformed::Slow, Reason::DetectionTimeout, 408),
        (Malformed::Hosts, Reason::HostInvalid, 400),
        (Malformed::TwoLengths, Reason::DownstreamProtocolError, 400),
    ] {
        assert_eq!(malformed.reason(), reason);
        assert_eq!(reason.status().as_u16(), status);
    }
}
