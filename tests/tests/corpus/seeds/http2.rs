//! HTTP/2: steps and header blocks (see `mesh_tests::fuzz::http2_client`).

use bytes::BytesMut;
use http::{HeaderName, HeaderValue, Request};
use mesh_proxy_core::http2::hpack::{Encoder, Pseudo};
use mesh_proxy_core::http2::{Config, Connection};

use super::{Seeds, named, prefixed};

const CONFIG: Config = Config {
    stream_window: 65_535,
    connection_window: 1 << 20,
    max_streams: 8,
    max_head: 4096,
};

// The settings of a peer, as a frame.
const SETTINGS: &[u8] = b"\x01\x04\0\0\0";

fn octets(cut: u8, octets: &[u8]) -> Vec<u8> {
    [&[cut << 3], prefixed(octets).as_slice()].concat()
}

/// A client's preface, settings and first request as octets; then frames and calls.
pub(super) fn server() -> Seeds {
    let mut client: Connection<()> = Connection::client(CONFIG);
    let request = Request::post("http://reviews:9080/reviews/0")
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())
        .unwrap();
    let (id, ()) = client.open(&request.into_parts().0, false).unwrap();
    client.send_data(id, b"hello", true);
    let said = client.output().split();
    let preface = octets(31, &Connection::<()>::client(CONFIG).output().split());
    let with = |steps: &[u8]| [preface.as_slice(), steps].concat();
    named([
        // A response, data and its end.
        ("grpc", &[octets(31, &said), b"\x02\x83\x04\x04".to_vec()].concat()),
        ("cut", &[octets(0, &said), b"\x0a\x03\x02".to_vec()].concat()),
        // A request, data that fills the window, some of it released, more data.
        (
            "windows",
            &with(b"\xc1\x01\x04\x01\0\x81\0\0\x01\xf0\x06\x40\x81\0\0\x01\x40\x06\xff\x81\0\0\x01\x10"),
        ),
        // Padded data, then the stream is reset by this side and data comes on.
        (
            "reset",
            &with(b"\xc1\x01\x04\x01\0\x81\0\x08\x01\x10\x05\x81\0\0\x01\xf0\x81\0\x01\x01\x10"),
        ),
        // Data for a body that nobody wants.
        (
            "discarded",
            &with(b"\xc1\x01\x04\x01\0\x81\0\0\x01\x10\x2f\x81\0\0\x01\x10\x81\0\x01\x01\x10"),
        ),
        // The peer makes its window smaller and larger under way.
        (
            "settings",
            &with(b"\xc1\x01\x05\x01\0\x02\x03\xff\x01\x04\0\0\x06\0\x04\0\0\0\x10\x03\x10\x01\x04\0\0\x06\0\x04\0\x02\0\0\x83\xff\x01\x08\0\0\x04\0\0\x40\0\x83\xff"),
        ),
        // More streams than allowed, a reset, the end of the connection.
        (
            "many",
            &with(b"\xc1\x01\x05\x01\0\xc1\x01\x05\x03\0\xc1\x01\x05\x05\0\xc1\x01\x05\x07\0\xc1\x01\x05\x09\0\x01\x03\0\x03\x04\0\0\0\x08\x07\x01\x06\x01\0\x08mesh-end\x01\x07\0\0\x08\0\0\0\x01\0\0\0\0"),
        ),
        // Trailers in two frames, behind a body of the announced length.
        (
            "trailers",
            &with(b"\xc9\x01\x04\x01\0\x01\0\0\x01\x0a0123456789\x01\x01\x01\x01\x02\0\x01\x01\x09\x04\x01\x03t\x01v"),
        ),
    ])
}

/// A server's settings; then requests, frames and calls.
pub(super) fn client() -> Seeds {
    let mut server: Connection<()> = Connection::server(CONFIG);
    let greeting = octets(31, &server.output().split());
    let with = |steps: &[u8]| [greeting.as_slice(), steps].concat();
    named([
        ("get", &with(b"\x42\xd1\x01\x04\x01\0\x01\0\x01\x01\x05hello")),
        ("early", &[b"\x02\x0a", SETTINGS, b"\x0a\x03\x10"].concat()),
        (
            "post",
            &with(b"\x0a\x03\xff\x03\xff\x01\x08\0\0\x04\0\0\x80\0\x01\x08\0\x01\x04\0\0\x80\0\x83\xff\xe9\x01\x04\x01\0\xf1\x01\x05\x01\0"),
        ),
        ("long", &with(b"\x22\x2a\x04\x02")),
        (
            "head",
            &with(b"\x52\xe9\x01\x05\x01\0"),
        ),
        (
            "windows",
            &with(b"\x42\xd1\x01\x04\x01\0\x81\0\0\x01\xf0\x06\x40\x81\0\0\x01\x40\x06\xff\x81\0\0\x01\x10\x81\0\0\x01\xff"),
        ),
        (
            "going-away",
            &with(b"\x42\x42\x42\x01\x07\0\0\x08\0\0\0\x01\0\0\0\0\x27\xd1\x01\x05\x01\0\x42"),
        ),
        (
            "informational",
            &with(b"\x42\xe1\x01\x04\x01\0\xd1\x01\x04\x01\0\xf1\x01\x05\x01\0"),
        ),
        (
            "refused",
            &with(b"\x42\x0a\x01\x03\0\x01\x04\0\0\0\x07\x01\x03\0\x03\x04\0\0\0\x02"),
        ),
    ])
}

/// Header blocks of one connection in a row, each behind a table's size and its length.
pub(super) fn hpack() -> Seeds {
    let block = |size: u8, octets: &[u8]| [&[size], prefixed(octets).as_slice()].concat();
    let mut encoder = Encoder::default();
    let mut repeated = Vec::new();
    for (nth, size) in [128, 128, 2, 0, 128, 1].into_iter().enumerate() {
        let mut out = BytesMut::new();
        encoder.set_allowed(usize::from(size) * 32);
        encoder.begin(&mut out);
        encoder.pseudo(Pseudo::Method, b"GET", &mut out);
        encoder.pseudo(Pseudo::Path, format!("/reviews/{nth}").as_bytes(), &mut out);
        encoder.pseudo(Pseudo::Authority, b"reviews:9080", &mut out);
        for (name, value) in [("user-agent", "curl/8.5.0"), ("authorization", "Bearer a")] {
            let value = HeaderValue::from_static(value);
            encoder.field(&HeaderName::from_static(name), &value, &mut out);
        }
        repeated.extend(block(size, &out));
    }
    // RFC 7541, appendices C.4.1 and C.4.2: Huffman code and the dynamic table.
    let rfc = [
        block(
            128,
            b"\x82\x86\x84\x41\x8c\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff",
        ),
        block(128, b"\x82\x86\x84\xbe\x58\x86\xa8\xeb\x10\x64\x9c\xbf"),
    ];
    named([
        ("repeated", &repeated),
        ("huffman", &rfc.concat()),
        (
            "invalid",
            &block(128, b"\x40\x01A\x01b\x40\x01a\x02 b\x10\x01s\x01t\xbe\xbf"),
        ),
        ("resized", &block(4, b"\x20\x3f\xe1\x1f\x40\x01a\x01b\xbe")),
        ("overflow", &block(4, b"\xff\xff\xff\xff\xff\x0f")),
    ])
}
