//! Whatever the octets and however they come in pieces.

use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn bodies_pass_in_any_pieces(
        parts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 0..8),
        step in 1_usize..500,
        rest in proptest::collection::vec(any::<u8>(), 0..20),
    ) {
        let mut wire = BytesMut::new();
        for part in &parts {
            encode_chunk(part, &mut wire);
        }
        let mut trailers = http::HeaderMap::new();
        trailers.insert("x-sum", "1".parse().unwrap());
        encode_end(Some(&trailers), &mut wire);
        let end = wire.len();
        wire.extend_from_slice(&rest);
        let (body, fields, used) = decoded(Length::Chunked, &wire, step).unwrap();
        prop_assert_eq!(body, parts.concat());
        prop_assert_eq!(fields, "x-sum=1");
        prop_assert_eq!(used, end);
    }

    #[test]
    fn pieces_make_no_difference(wire in "[0-9a-f;x \r\n:]{0,60}", step in 1_usize..10) {
        let run = |step: usize| {
            let mut decoder = Decoder::new(Length::Chunked);
            let mut body = BytesMut::new();
            for piece in wire.as_bytes().chunks(step) {
                if let Err(error) = decoder.decode(&mut &piece[..], &mut body) {
                    return (body, Some(error), false);
                }
            }
            (body, None, decoder.is_done())
        };
        prop_assert_eq!(run(step), run(1000));
    }

    #[test]
    fn no_octets_do_harm(octets in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = parse_request(&mut BytesMut::from(&octets[..]));
        let _ = parse_response(&mut BytesMut::from(&octets[..]), &Method::GET);
        let _ = Decoder::new(Length::Chunked).decode(&mut &octets[..], &mut BytesMut::new());
    }

    // What leaves is understood as it was meant: there is no way to put a line or a message into
    // a field.
    #[test]
    fn heads_are_understood_again(
        path in "/[a-zA-Z0-9/?=%.;~-]{0,30}",
        fields in proptest::collection::vec(("[A-Za-z][A-Za-z0-9-]{0,12}", "[ -~\t]{0,20}"), 0..12),
    ) {
        let lines: String = fields
            .iter()
            .filter(|(name, _)| !["host", "content-length", "transfer-encoding"].contains(&name.to_lowercase().as_str()))
            .map(|(name, value)| format!("{name}: {}\r\n", value.trim()))
            .collect();
        let head = format!("GET {path} HTTP/1.1\r\nHost: a\r\n{lines}\r\n");
        if let Ok(Some(first)) = request(&head) {
            let text = again(&first.parts, Framing::Silent);
            prop_assert_eq!(&text, &head);
            let second = whole(&text);
            prop_assert_eq!(second.parts.headers, first.parts.headers);
            prop_assert_eq!(second.parts.uri, first.parts.uri);
        }
    }
}
