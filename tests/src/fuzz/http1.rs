//! HTTP/1: whatever a peer sends, and that it is understood the same way after this proxy.

use bytes::BytesMut;
use http::Method;
use mesh_proxy_core::http1::{
    Decoder, Framing, Length, RequestHead, encode_chunk, encode_end, encode_request,
    encode_response, find_end, parse_request, parse_response,
};

/// A request and what stands behind it.
///
/// # Panics
/// If what leaves is another request than what came.
pub fn http1_request(data: &[u8]) {
    let mut octets = BytesMut::from(data);
    let parsed = parse_request(&mut octets);
    if find_end(data, 0).is_none() {
        assert!(!matches!(parsed, Ok(Some(_))), "a head without an end");
    }
    let Ok(Some(first)) = parsed else {
        return;
    };
    let mut wire = BytesMut::new();
    encode_request(&first.parts, framing(first.length), &mut wire);
    let again = parse_request(&mut wire);
    assert!(matches!(again, Ok(Some(_))), "{first:?} became {again:?}");
    let Ok(Some(second)) = again else {
        return;
    };
    assert!(wire.is_empty(), "{first:?} hid {wire:?}");
    let told = |head: &RequestHead| {
        let mut fields = head.parts.headers.clone();
        // Said anew, in one spelling: what they mean is compared.
        fields.remove("content-length");
        fields.remove("transfer-encoding");
        (head.parts.method.clone(), head.length, fields)
    };
    assert_eq!(told(&first), told(&second));
    body(first.length, &octets);
}

/// A response, to a HEAD if the first octet is odd, and what stands behind it.
///
/// # Panics
/// If what leaves is another response than what came.
pub fn http1_response(data: &[u8]) {
    let Some((kind, data)) = data.split_first() else {
        return;
    };
    let method = if kind % 2 == 1 {
        Method::HEAD
    } else {
        Method::GET
    };
    let mut octets = BytesMut::from(data);
    let Ok(Some(first)) = parse_response(&mut octets, &method) else {
        return;
    };
    let mut wire = BytesMut::new();
    let version = first.parts.version;
    let framing = match first.length {
        // As its Content-Length says, if there is one.
        Length::None => Framing::AsGiven,
        length => framing(length),
    };
    encode_response(&first.parts, version, framing, None, &mut wire);
    let again = parse_response(&mut wire, &method);
    assert!(matches!(again, Ok(Some(_))), "{first:?} became {again:?}");
    let Ok(Some(second)) = again else {
        return;
    };
    assert!(wire.is_empty(), "{first:?} hid {wire:?}");
    assert_eq!(
        (first.parts.status, first.length),
        (second.parts.status, second.length)
    );
    body(first.length, &octets);
}

fn framing(length: Length) -> Framing {
    match length {
        Length::None | Length::UntilClose => Framing::Silent,
        Length::Exact(count) => Framing::Exact(count),
        Length::Chunked => Framing::Chunked,
    }
}

// Whatever the pieces a body comes in, and after another proxy.
fn body(length: Length, octets: &[u8]) {
    let whole = decode(length, octets, octets.len());
    assert_eq!(whole, decode(length, octets, 3));
    if let (Length::Chunked, Some((content, true, _))) = (length, whole) {
        let mut wire = BytesMut::new();
        encode_chunk(&content, &mut wire);
        encode_end(None, &mut wire);
        let again = decode(length, &wire, wire.len());
        assert_eq!(again, Some((content, true, wire.len())));
    }
}

fn decode(length: Length, octets: &[u8], step: usize) -> Option<(Vec<u8>, bool, usize)> {
    let mut decoder = Decoder::new(length);
    let mut content = BytesMut::new();
    let mut used = 0;
    for piece in octets.chunks(step.max(1)) {
        let mut rest = piece;
        decoder.decode(&mut rest, &mut content).ok()?;
        used += piece.len() - rest.len();
    }
    Some((content.to_vec(), decoder.is_done(), used))
}
