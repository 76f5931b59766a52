//! RFC 9112 by tables and properties.

mod abuse;
mod properties;

use bytes::BytesMut;
use http::{Method, StatusCode, Version, request};

use super::*;

fn request(text: &str) -> Result<Option<RequestHead>, Malformed> {
    parse_request(&mut BytesMut::from(text))
}

fn whole(text: &str) -> RequestHead {
    request(text).unwrap().unwrap()
}

fn response(text: &str, method: &Method) -> Result<Option<ResponseHead>, Malformed> {
    parse_response(&mut BytesMut::from(text), method)
}

fn again(parts: &request::Parts, framing: Framing) -> String {
    let mut output = BytesMut::new();
    encode_request(parts, framing, &mut output);
    String::from_utf8(output.to_vec()).unwrap()
}

/// A body's octets and trailers, taken in pieces of `step`; what is left belongs to nobody.
fn decoded(
    length: Length,
    wire: &[u8],
    step: usize,
) -> Result<(Vec<u8>, String, usize), Malformed> {
    let mut decoder = Decoder::new(length);
    let mut body = BytesMut::new();
    let mut used = 0;
    for piece in wire.chunks(step.max(1)) {
        let mut rest = piece;
        decoder.decode(&mut rest, &mut body)?;
        used += piece.len() - rest.len();
    }
    assert!(decoder.is_done(), "{decoder:?}");
    let trailers = decoder.take_trailers().unwrap_or_default();
    let trailers = trailers
        .iter()
        .map(|(name, value)| format!("{name}={}", value.to_str().unwrap()));
    Ok((body.to_vec(), trailers.collect::<Vec<_>>().join(","), used))
}

#[test]
fn heads_are_found_when_they_are_whole() {
    for (octets, end) in [
        ("GET / HTTP/1.1\r\n\r\nrest", Some(18)),
        ("GET / HTTP/1.1\n\nrest", Some(16)),
        ("GET / HTTP/1.1\nA: b\r\n\r\n", Some(23)),
        ("GET / HTTP/1.1\r\nA: b\r\n", None),
        ("GET / HTTP/1.1\r\n\r", None),
        ("", None),
    ] {
        for from in 0..octets.len().min(15) {
            assert_eq!(find_end(octets.as_bytes(), from), end, "{octets:?} {from}");
        }
    }
}

#[test]
fn requests_leave_as_they_came() {
    for head in [
        "GET /a?b=c HTTP/1.1\r\nHost: app\r\nX-FooBar: 1\r\naccept: */*\r\nX-FooBar: 2\r\nlast: z\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHOST: app\r\n\r\n",
        "CONNECT app:443 HTTP/1.1\r\nHost: app:443\r\n\r\n",
        "M-SEARCH /%2f//x HTTP/1.1\r\nhost: [::1]:80\r\nEmpty: \r\n\r\n",
    ] {
        assert_eq!(again(&whole(head).parts, Framing::Silent), head);
    }
}

#[test]
fn what_is_added_stands_at_the_end_and_what_changes_stays_in_its_place() {
    let mut parts =
        whole("GET / HTTP/1.1\r\nAccept: a\r\nHost: old\r\nX-A: 1\r\nX-B: 2\r\n\r\n").parts;
    parts.headers.remove("x-a");
    parts.headers.insert("host", "new".parse().unwrap());
    parts.headers.append("accept", "b".parse().unwrap());
    parts.headers.insert("x-new", "n".parse().unwrap());
    assert_eq!(
        again(&parts, Framing::Exact(7)),
        "GET / HTTP/1.1\r\nAccept: a\r\nAccept: b\r\nHost: new\r\nX-B: 2\r\nx-new: n\r\ncontent-length: 7\r\n\r\n"
    );
}

#[test]
fn the_framing_is_the_proxys_own() {
    let parts = whole("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nX: y\r\n\r\n").parts;
    for (framing, expected) in [
        (
            Framing::Exact(5),
            "Host: a\r\nContent-Length: 5\r\nX: y\r\n",
        ),
        (
            Framing::Chunked,
            "Host: a\r\nX: y\r\ntransfer-encoding: chunked\r\n",
        ),
        (Framing::Silent, "Host: a\r\nX: y\r\n"),
    ] {
        assert_eq!(
            again(&parts, framing),
            format!("PUT / HTTP/1.1\r\n{expected}\r\n")
        );
    }
    let chunked = whole("PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n").parts;
    assert_eq!(
        again(&chunked, Framing::Exact(2)),
        "PUT / HTTP/1.1\r\nHost: a\r\ncontent-length: 2\r\n\r\n"
    );
}

#[test]
fn a_head_that_came_otherwise_begins_with_host() {
    let parts = http::Request::get("/x")
        .header("accept", "*/*")
        .header("host", "app");
    let (parts, ()) = parts.body(()).unwrap().into_parts();
    assert_eq!(
        again(&parts, Framing::Silent),
        "GET /x HTTP/1.1\r\nhost: app\r\naccept: */*\r\n\r\n"
    );
}

#[test]
fn lengths_of_requests() {
    for (fields, expected) in [
        ("", Ok(Length::None)),
        ("Content-Length: 0\r\n", Ok(Length::None)),
        ("Content-Length: 17\r\n", Ok(Length::Exact(17))),
        ("Transfer-Encoding: chunked\r\n", Ok(Length::Chunked)),
        ("TRANSFER-encoding: CHUNKED\r\n", Ok(Length::Chunked)),
    ] {
        let head = request(&format!("PUT / HTTP/1.1\r\nHost: a\r\n{fields}\r\n"));
        assert_eq!(head.map(|head| head.unwrap().length), expected, "{fields}");
    }
}

#[test]
fn lengths_of_responses() {
    for (method, status, fields, expected) in [
        (Method::GET, 200, "", Ok(Length::UntilClose)),
        (
            Method::GET,
            200,
            "Content-Length: 3\r\n",
            Ok(Length::Exact(3)),
        ),
        (Method::GET, 200, "Content-Length: 0\r\n", Ok(Length::None)),
        (
            Method::GET,
            200,
            "Transfer-Encoding: chunked\r\n",
            Ok(Length::Chunked),
        ),
        (
            Method::GET,
            200,
            "Transfer-Encoding: identity\r\n",
            Ok(Length::UntilClose),
        ),
        (Method::GET, 204, "", Ok(Length::None)),
        (Method::GET, 304, "Content-Length: 3\r\n", Ok(Length::None)),
        (Method::GET, 101, "Upgrade: x\r\n", Ok(Length::None)),
        (Method::HEAD, 200, "Content-Length: 3\r\n", Ok(Length::None)),
        (Method::CONNECT, 200, "", Ok(Length::None)),
        (
            Method::CONNECT,
            403,
            "Content-Length: 3\r\n",
            Ok(Length::Exact(3)),
        ),
        (
            Method::GET,
            200,
            "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
            Err(Malformed::TwoLengths),
        ),
        (
            Method::GET,
            200,
            "Content-Length: 3\r\nContent-Length: 4\r\n",
            Err(Malformed::ContentLength),
        ),
        (
            Method::GET,
            200,
            "Transfer-Encoding: gzip\r\n",
            Err(Malformed::TransferCoding),
        ),
    ] {
        let head = response(&format!("HTTP/1.1 {status} X\r\n{fields}\r\n"), &method);
        let length = head.map(|head| head.unwrap().length);
        assert_eq!(length, expected, "{method} {status} {fields}");
    }
}

#[test]
fn connections_that_stay_open() {
    for (head, expected) in [
        ("GET / HTTP/1.1\r\n\r\n", true),
        (
            "GET / HTTP/1.1\r\nConnection: keep-alive, Close\r\n\r\n",
            false,
        ),
        (
            "GET / HTTP/1.1\r\nConnection: upgrade\r\nConnection: close\r\n\r\n",
            false,
        ),
        ("GET / HTTP/1.0\r\n\r\n", false),
        ("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true),
    ] {
        assert_eq!(whole(head).keep_alive, expected, "{head}");
    }
    let open = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n";
    assert!(response(open, &Method::GET).unwrap().unwrap().keep_alive);
    let endless = "HTTP/1.1 200 OK\r\n\r\n";
    assert!(!response(endless, &Method::GET).unwrap().unwrap().keep_alive);
}

#[test]
fn only_clients_that_wait_are_asked_for_the_body() {
    for (head, expected) in [
        (
            "PUT / HTTP/1.1\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n\r\n",
            true,
        ),
        ("PUT / HTTP/1.1\r\nExpect: 100-continue\r\n\r\n", false),
        (
            "PUT / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n",
            false,
        ),
        (
            "PUT / HTTP/1.1\r\nExpect: else\r\nContent-Length: 1\r\n\r\n",
            false,
        ),
    ] {
        assert_eq!(whole(head).expects_continue, expected, "{head}");
    }
}

#[test]
fn responses_keep_their_phrase_and_tell_of_the_connection() {
    let text = "HTTP/1.1 200 All is well\r\nX-Case: 1\r\nContent-Length: 2\r\n\r\n";
    let mut parts = response(text, &Method::GET).unwrap().unwrap().parts;
    let mut output = BytesMut::new();
    encode_response(
        &parts,
        Version::HTTP_11,
        Framing::Exact(2),
        None,
        &mut output,
    );
    assert_eq!(output, text);
    parts.status = StatusCode::BAD_GATEWAY;
    output.clear();
    encode_response(
        &parts,
        Version::HTTP_10,
        Framing::AsGiven,
        Some("close"),
        &mut output,
    );
    assert_eq!(
        output,
        "HTTP/1.0 502 Bad Gateway\r\nX-Case: 1\r\nContent-Length: 2\r\nconnection: close\r\n\r\n"
    );
}

#[test]
fn bodies_come_out_of_their_framing() {
    let cases: [(Length, &str, &str, &str, usize); 7] = [
        (Length::Exact(5), "hellorest", "hello", "", 5),
        (Length::Chunked, "0\r\n\r\nrest", "", "", 5),
        (
            Length::Chunked,
            "5\r\nhello\r\n0\r\n\r\nGET",
            "hello",
            "",
            15,
        ),
        (
            Length::Chunked,
            "5\r\nhello\r\n00006\r\n world\r\n0\r\n\r\n",
            "hello world",
            "",
            30,
        ),
        (
            Length::Chunked,
            "A;name=\"v\"\r\n0123456789\r\n0 ; x\r\n\r\n",
            "0123456789",
            "",
            33,
        ),
        (
            Length::Chunked,
            "1\r\na\r\n0\r\nX-Sum: 1\r\nx-b:2\r\n\r\n",
            "a",
            "x-sum=1,x-b=2",
            28,
        ),
        // Trailers that would frame or route the message come too late.
        (
            Length::Chunked,
            "0\r\nContent-Length: 1\r\nHost: b\r\nok: 1\r\n\r\n",
            "",
            "ok=1",
            40,
        ),
    ];
    for (length, wire, body, trailers, used) in cases {
        for step in [1, 2, 3, 7, 1000] {
            let (octets, fields, count) = decoded(length, wire.as_bytes(), step).unwrap();
            assert_eq!(
                String::from_utf8(octets).unwrap(),
                body,
                "{wire:?} by {step}"
            );
            assert_eq!(
                (fields.as_str(), count),
                (trailers, used),
                "{wire:?} by {step}"
            );
        }
    }
}

#[test]
fn a_body_may_end_with_its_connection_only_if_it_has_no_length() {
    assert!(Decoder::new(Length::UntilClose).close());
    assert!(!Decoder::new(Length::Exact(1)).close());
    assert!(!Decoder::new(Length::Chunked).close());
    assert!(Decoder::new(Length::None).close());
}
