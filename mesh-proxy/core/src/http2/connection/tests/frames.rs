use super::*;

/// Each is one breach of RFC 9113 sections 4 to 6, and ends the connection with the code.
fn assert_all_end_with(code: ErrorCode, breaches: &[(&str, Vec<u8>)]) {
    for (what, octets) in breaches {
        assert_eq!(server_given(octets).unwrap_err().code, code, "{what}");
    }
}

#[test]
fn frames_of_a_wrong_size_end_the_connection() {
    assert_all_end_with(
        ErrorCode::FRAME_SIZE_ERROR,
        &[
            ("too large", frame(kind::DATA, 0, 1, &[0; 16_385])),
            ("priority", frame(kind::PRIORITY, 0, 1, b"1234")),
            ("reset size", frame(kind::RST_STREAM, 0, 1, b"123")),
            ("settings size", frame(kind::SETTINGS, 0, 0, b"12345")),
            ("settings ack", frame(kind::SETTINGS, flag::ACK, 0, &[0; 6])),
            ("ping size", frame(kind::PING, 0, 0, &[0; 7])),
            ("go away size", frame(kind::GOAWAY, 0, 0, &[0; 7])),
            ("window size", frame(kind::WINDOW_UPDATE, 0, 0, &[0; 3])),
        ],
    );
}

#[test]
fn frames_out_of_place_end_the_connection() {
    assert_all_end_with(
        ErrorCode::PROTOCOL_ERROR,
        &[
            ("data on 0", frame(kind::DATA, 0, 0, b"")),
            ("data on idle", frame(kind::DATA, 0, 5, b"")),
            ("padding", frame(kind::DATA, flag::PADDED, 1, &[9, 0])),
            ("continuation", frame(kind::CONTINUATION, 4, 1, b"")),
            (
                "interrupted",
                [
                    frame(kind::HEADERS, 0, 1, b"\x82"),
                    frame(kind::PING, 0, 0, &[0; 8]),
                ]
                .concat(),
            ),
            (
                "other stream",
                [
                    frame(kind::HEADERS, 0, 1, b"\x82"),
                    frame(kind::CONTINUATION, 4, 3, b""),
                ]
                .concat(),
            ),
            ("reset idle", frame(kind::RST_STREAM, 0, 1, &[0; 4])),
            ("settings stream", frame(kind::SETTINGS, 0, 1, b"")),
            ("push", frame(kind::SETTINGS, 0, 0, &[0, 2, 0, 0, 0, 2])),
            (
                "frame size",
                frame(kind::SETTINGS, 0, 0, &[0, 5, 0, 0, 0, 1]),
            ),
            ("push promise", frame(kind::PUSH_PROMISE, 4, 1, &[0; 4])),
            ("window of 0", frame(kind::WINDOW_UPDATE, 0, 0, &[0; 4])),
            ("even stream", frame(kind::HEADERS, 5, 2, b"\x82\x86\x84")),
        ],
    );
}

#[test]
fn windows_that_are_too_large_end_the_connection() {
    assert_all_end_with(
        ErrorCode::FLOW_CONTROL_ERROR,
        &[
            (
                "window",
                frame(kind::SETTINGS, 0, 0, &[0, 4, 0x80, 0, 0, 0]),
            ),
            (
                "window overflow",
                frame(kind::WINDOW_UPDATE, 0, 0, &[0x7f, 0xff, 0xff, 0xff]),
            ),
        ],
    );
}

#[test]
fn unreadable_blocks_end_the_connection() {
    assert_all_end_with(
        ErrorCode::COMPRESSION_ERROR,
        &[("hpack", frame(kind::HEADERS, 4, 1, b"\xff\xff\xff\xff\xff"))],
    );
}

#[test]
fn connections_begin_with_the_preface_and_settings() {
    let mut server = Side::server(CONFIG);
    assert!(feed(&mut server, b"GET / HTTP/1.1\r\n\r\n").is_err());
    let mut server = Side::server(CONFIG);
    let no_settings = [&PREFACE[..], &frame(kind::PING, 0, 0, &[0; 8])].concat();
    assert!(feed(&mut server, &no_settings).is_err());
}
