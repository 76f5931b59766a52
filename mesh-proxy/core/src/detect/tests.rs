use proptest::prelude::*;

use super::*;

/// A ClientHello over records of at most `fragment` bytes.
pub(super) fn client_hello(sni: Option<&str>, alpn: &[&[u8]], fragment: usize) -> Vec<u8> {
    let vector = |size: usize, body: &[u8]| {
        let mut out = body.len().to_be_bytes()[8 - size..].to_vec();
        out.extend_from_slice(body);
        out
    };
    let mut extensions = Vec::new();
    // An unknown one first, as browsers do (RFC 8701).
    extensions.extend_from_slice(&[0x0a, 0x0a, 0, 1, 0]);
    if let Some(sni) = sni {
        let entry = [&[0][..], &vector(2, sni.as_bytes())].concat();
        extensions.extend_from_slice(&[0, 0]);
        extensions.extend(vector(2, &vector(2, &entry)));
    }
    if !alpn.is_empty() {
        let list: Vec<u8> = alpn
            .iter()
            .flat_map(|protocol| vector(1, protocol))
            .collect();
        extensions.extend_from_slice(&[0, 16]);
        extensions.extend(vector(2, &vector(2, &list)));
    }
    let body = [
        &[3, 3][..],
        &[7; 32],
        &vector(1, &[9; 32]),
        &vector(2, &[0x13, 0x01, 0x13, 0x02]),
        &vector(1, &[0]),
        &vector(2, &extensions),
    ]
    .concat();
    let message = [&[1][..], &vector(3, &body)].concat();
    message
        .chunks(fragment)
        .flat_map(|part| [&[22, 3, 1][..], &vector(2, part)].concat())
        .collect()
}

fn tls(sni: Option<&str>, alpn: &[&[u8]]) -> Detected {
    Detected::Tls(ClientHello {
        sni: sni.map(str::to_owned),
        alpn: alpn.iter().map(|p| p.to_vec()).collect(),
    })
}

#[test]
fn tells_protocols_apart() {
    let cases: &[(&[u8], Detected)] = &[
        (b"", Detected::NeedMore),
        (b"G", Detected::NeedMore),
        (b"GET / HTTP/1.1\r", Detected::Http1),
        (
            b"GET /reviews/0?x=1 HTTP/1.1\r\nHost: a\r\n\r\n",
            Detected::Http1,
        ),
        (b"get / HTTP/1.1\r\n", Detected::Http1),
        (b"M-SEARCH * HTTP/1.1\r\n", Detected::Http1),
        (b"CONNECT a:1 HTTP/1.1\r\n", Detected::Http1),
        (b"GET http://a/ HTTP/1.1\n", Detected::Http1),
        (b"GET / HTTP/1.0\r\n", Detected::Http10),
        (b"GET /\r\n", Detected::Opaque),
        (b"GET  HTTP/1.1\r\n", Detected::Opaque),
        (b"PING\r\n", Detected::Opaque),
        (b"get key\r\n", Detected::Opaque),
        (b"*1\r\n$4\r\nPING\r\n", Detected::Opaque),
        (b"SSH-2.0-x\r\n", Detected::Opaque),
        (b"\0\0\0\x08\x04\xd2\x16/", Detected::Opaque), // PostgreSQL's SSLRequest
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Detected::Http2),
        (b"PRI * HTTP/2.0\r\n\r\nSM", Detected::NeedMore),
        (b"PRI * HTTP/2.0\r\n\r\nXX", Detected::Opaque),
        (b"PRI * HTTP/1.1\r\n", Detected::Http1),
        (b"\x16", Detected::NeedMore),
        (b"\x16\x02", Detected::Opaque),
        (b"\x16\x03\x01\x00\x00", Detected::Opaque),
        (b"\x16\x03\x01\xff\xff", Detected::Opaque),
        (b"\x16\x03\x01\x00\x10\x02", Detected::Opaque), // a ServerHello
        (b"\x16\x03\x01\x00\x03\x02\0\0", Detected::Opaque), // one in small records
    ];
    for (bytes, want) in cases {
        assert_eq!(
            classify(bytes),
            *want,
            "{:?}",
            String::from_utf8_lossy(bytes)
        );
    }
}

#[test]
fn long_request_lines_are_judged_by_their_begin() {
    let long = "x".repeat(5000);
    assert_eq!(classify(format!("GET /{long}").as_bytes()), Detected::Http1);
    assert_eq!(
        classify(format!("get /{long}").as_bytes()),
        Detected::Opaque
    );
    assert_eq!(classify(long.as_bytes()), Detected::Opaque);
}

#[test]
fn reads_client_hellos() {
    let alpn: &[&[u8]] = &[b"istio-http/1.1", b"istio", b"http/1.1"];
    for fragment in [1, 7, 100, 16_000] {
        let bytes = client_hello(
            Some("Outbound_.9080_._.reviews.default.svc.cluster.local"),
            alpn,
            fragment,
        );
        let want = tls(
            Some("outbound_.9080_._.reviews.default.svc.cluster.local"),
            alpn,
        );
        assert_eq!(classify(&bytes), want, "records of {fragment}");
        for end in 0..bytes.len() {
            assert_eq!(
                classify(&bytes[..end]),
                Detected::NeedMore,
                "{end} of {}",
                bytes.len()
            );
        }
    }
    assert_eq!(classify(&client_hello(None, &[], 16_000)), tls(None, &[]));
    assert_eq!(
        classify(&client_hello(Some("bad host"), &[], 16_000)),
        tls(None, &[])
    );
    let Detected::Tls(hello) = classify(&client_hello(None, alpn, 99)) else {
        panic!("no TLS")
    };
    assert!(hello.is_mesh());
    let Detected::Tls(hello) = classify(&client_hello(None, &[b"h2", b"http/1.1"], 99)) else {
        panic!("no TLS")
    };
    assert!(!hello.is_mesh());
}

#[test]
fn a_real_client_hello_is_read() {
    // OpenSSL 3: `openssl s_client -connect … -servername a.test -alpn h2`, shortened to TLS 1.2.
    let hello = [
        &b"\x16\x03\x01\x00\x4d\x01\x00\x00\x49\x03\x03"[..],
        &[0x5a; 32],
        b"\x00\x00\x04\xc0\x2f\x00\xff\x01\x00\x00\x1c",
        b"\x00\x00\x00\x0b\x00\x09\x00\x00\x06a.test",
        b"\x00\x10\x00\x05\x00\x03\x02h2",
        b"\x00\x17\x00\x00",
    ]
    .concat();
    assert_eq!(classify(&hello), tls(Some("a.test"), &[b"h2"]));
}

#[test]
fn endless_hellos_are_given_up() {
    let mut bytes = b"\x16\x03\x01\x40\x00\x01\x00\xff\xff".to_vec();
    bytes.resize(100_000, 0);
    assert_eq!(classify(&bytes), Detected::Opaque);
    let records: Vec<u8> = b"\x16\x03\x01\x00\x01\x01"
        .iter()
        .copied()
        .cycle()
        .take(60_000)
        .collect();
    assert_eq!(classify(&records), Detected::Opaque);
}

#[test]
fn explicit_clients() {
    assert_eq!(explicit(5), Explicit::Socks5);
    assert_eq!(explicit(4), Explicit::Socks4);
    assert_eq!(explicit(b'C'), Explicit::Http);
}

fn starts() -> impl Strategy<Value = Vec<u8>> {
    let hello = (proptest::option::of("[a-z.]{1,20}"), 1..60_usize)
        .prop_map(|(sni, fragment)| client_hello(sni.as_deref(), &[b"istio", b"h2"], fragment));
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..200),
        hello,
        "[A-Za-z]{1,8} [/*a-z ]{1,9}( HTTP/[12]\\.[01])?(\r\n)?".prop_map(String::into_bytes),
        Just(PREFACE.to_vec()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn never_panics_and_once_known_stays(start in starts(), flip in any::<(proptest::sample::Index, u8)>(), more in proptest::collection::vec(any::<u8>(), 0..64)) {
        let mut bytes = start;
        if !bytes.is_empty() && flip.1 < 200 {
            let at = flip.0.index(bytes.len());
            bytes[at] = flip.1;
        }
        bytes.extend(more);
        let mut known = Detected::NeedMore;
        for end in 0..=bytes.len() {
            let now = classify(&bytes[..end]);
            if known != Detected::NeedMore {
                prop_assert_eq!(&now, &known, "at {} of {:?}", end, bytes);
            }
            known = now;
        }
    }
}
