//! Headers of the PROXY protocol.

use super::Seeds;

pub(super) fn seeds() -> Seeds {
    let signature = b"\r\n\r\n\0\r\nQUIT\n";
    let four = [10, 0, 0, 1, 10, 0, 0, 2, 0x1f, 0x90, 0, 80];
    let two = |head: [u8; 4], addresses: &[u8]| [&signature[..], &head, addresses].concat();
    [
        (
            "v1-tcp4",
            b"PROXY TCP4 10.0.0.1 10.0.0.2 8080 80\r\nGET".to_vec(),
        ),
        (
            "v1-tcp6",
            b"PROXY TCP6 2001:db8::1 ::1 8080 80\r\n".to_vec(),
        ),
        ("v1-unknown", b"PROXY UNKNOWN\r\n".to_vec()),
        ("v2-tcp4", two([0x21, 0x11, 0, 12], &four)),
        ("v2-tcp6", two([0x21, 0x21, 0, 36], &[1; 36])),
        ("v2-local", two([0x20, 0, 0, 0], &[])),
        (
            "v2-extended",
            two([0x21, 0x11, 0, 16], &[&four[..], &[4, 0, 1, 9]].concat()),
        ),
    ]
    .map(|(name, bytes)| (name.to_owned(), bytes))
    .into()
}
