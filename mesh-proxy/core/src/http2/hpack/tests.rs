use bytes::BytesMut;
use http::HeaderMap;
use proptest::prelude::*;

use super::*;

fn decode(decoder: &mut Decoder, block: &[u8]) -> Result<Vec<(String, String)>, HpackError> {
    let mut fields = Vec::new();
    decoder.decode(block, |field| {
        let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
        fields.push((text(field.name()), text(field.value())));
    })?;
    Ok(fields)
}

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    list.iter().map(own).collect()
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let octet = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(octet).collect()
}

// RFC 7541 appendix C.4: requests with Huffman code.
#[test]
fn requests_of_the_rfc() {
    let mut decoder = Decoder::default();
    let first = hex("8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff");
    let second = hex("8286 84be 5886 a8eb 1064 9cbf");
    let third = hex("8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf");
    let common = [
        (":method", "GET"),
        (":scheme", "http"),
        (":path", "/"),
        (":authority", "www.example.com"),
    ];
    assert_eq!(decode(&mut decoder, &first).unwrap(), pairs(&common));
    let mut with_cache = common.to_vec();
    with_cache.push(("cache-control", "no-cache"));
    assert_eq!(decode(&mut decoder, &second).unwrap(), pairs(&with_cache));
    let last = [
        (":method", "GET"),
        (":scheme", "https"),
        (":path", "/index.html"),
        (":authority", "www.example.com"),
        ("custom-key", "custom-value"),
    ];
    assert_eq!(decode(&mut decoder, &third).unwrap(), pairs(&last));
}

// RFC 7541 appendix C.6: responses in a table of 256 octets, with evictions.
#[test]
fn responses_of_the_rfc_with_evictions() {
    let mut decoder = Decoder::default();
    let small = hex("3fe1 01");
    assert_eq!(decode(&mut decoder, &small).unwrap(), []);
    let first = hex(
        "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e \
         919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3",
    );
    let want = [
        (":status", "302"),
        ("cache-control", "private"),
        ("date", "Mon, 21 Oct 2013 20:13:21 GMT"),
        ("location", "https://www.example.com"),
    ];
    assert_eq!(decode(&mut decoder, &first).unwrap(), pairs(&want));
    let second = hex("4883 640e ffc1 c0bf");
    let mut want = want;
    want[0] = (":status", "307");
    assert_eq!(decode(&mut decoder, &second).unwrap(), pairs(&want));
}

#[test]
fn broken_blocks_are_refused() {
    let cases = [
        ("80", HpackError::Index(0)),
        ("be", HpackError::Index(62)),
        ("40", HpackError::Truncated),
        ("4085", HpackError::Truncated),
        ("ffffffffffff7f", HpackError::Overflow),
        ("0081ff00", HpackError::Huffman),
        // Larger than allowed; not at the beginning.
        ("3fe2ff03", HpackError::TableSize),
        ("8220", HpackError::TableSize),
    ];
    for (block, want) in cases {
        let found = decode(&mut Decoder::default(), &hex(block));
        assert_eq!(found, Err(want), "{block}");
    }
}

#[test]
fn invalid_fields_are_told_and_still_compress() {
    let mut decoder = Decoder::default();
    // An upper-case name and a value with a line break, both indexed, then by reference.
    let block = [
        &b"\x40\x03Foo\x01a"[..],
        b"\x40\x03foo\x03a\nb",
        b"\xbe\xbf",
    ]
    .concat();
    let mut kinds = Vec::new();
    decoder
        .decode(&block, |field| {
            kinds.push(matches!(field, Field::Invalid(..)));
        })
        .unwrap();
    assert_eq!(kinds, [true; 4]);
    for padded in ["\x00\x01a\x02 b", "\x00\x01a\x02b\t"] {
        decoder
            .decode(padded.as_bytes(), |field| {
                assert!(matches!(field, Field::Invalid(..)));
            })
            .unwrap();
    }
}

#[test]
fn repeated_fields_become_references_and_secrets_do_not() {
    let mut encoder = Encoder::default();
    let headers: HeaderMap = [
        ("x-mesh-peer", "a workload's labels"),
        ("user-agent", "curl/8"),
        ("x-request-id", "1"),
        ("authorization", "secret"),
    ]
    .into_iter()
    .map(|(name, value)| {
        (
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        )
    })
    .collect();
    let mut sizes = Vec::new();
    for _ in 0..3 {
        let mut out = BytesMut::new();
        encoder.begin(&mut out);
        for (name, value) in &headers {
            encoder.field(name, value, &mut out);
        }
        sizes.push(out.len());
    }
    // Three references, and a literal that names its field by index.
    assert_eq!(sizes[1], 3 + 9);
    assert!(sizes[0] > 60 && sizes[1] == sizes[2], "{sizes:?}");
}

#[test]
fn a_name_with_ever_new_values_does_not_fill_the_table() {
    let mut encoder = Encoder::default();
    let mut out = BytesMut::new();
    let stable = (
        HeaderName::from_static("x-stable"),
        HeaderValue::from_static("stays"),
    );
    encoder.field(&stable.0, &stable.1, &mut out);
    let changing = HeaderName::from_static("x-changing");
    for number in 0..1000 {
        encoder.field(&changing, &HeaderValue::from(number), &mut out);
    }
    out.clear();
    encoder.field(&stable.0, &stable.1, &mut out);
    assert_eq!(out.len(), 1);
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("cookie".to_owned()),
        Just("content-type".to_owned()),
        Just("x-request-id".to_owned()),
        "[a-z][a-z0-9-]{0,12}",
    ]
}

proptest! {
    #[test]
    fn whatever_is_encoded_is_decoded(
        blocks in prop::collection::vec(
            (prop::option::of(0_usize..5000), prop::collection::vec((name(), "[!-~]{0,1200}"), 0..12)),
            1..12,
        )
    ) {
        let (mut encoder, mut decoder) = (Encoder::default(), Decoder::default());
        for (size, fields) in blocks {
            if let Some(size) = size {
                encoder.set_allowed(size);
            }
            let mut out = BytesMut::new();
            encoder.begin(&mut out);
            encoder.pseudo(Pseudo::Path, fields.len().to_string().as_bytes(), &mut out);
            for (name, value) in &fields {
                encoder.field(
                    &HeaderName::from_bytes(name.as_bytes()).unwrap(),
                    &HeaderValue::from_str(value).unwrap(),
                    &mut out,
                );
            }
            let mut want = pairs(&[(":path", &fields.len().to_string())]);
            want.extend(fields);
            prop_assert_eq!(decode(&mut decoder, &out).unwrap(), want);
        }
    }

    #[test]
    fn any_octets_are_decoded_or_refused(blocks: Vec<Vec<u8>>) {
        let mut decoder = Decoder::default();
        for block in blocks {
            let _ = decoder.decode(&block, drop);
        }
    }
}
