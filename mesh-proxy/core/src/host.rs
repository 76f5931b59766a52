//! Names of hosts as requests write them.

/// Whether a Host field or an authority could be a host with a port (RFC 9110 section 7.2). What
/// has user information or the delimiters of a URI in it is taken for one host by some and for
/// another one by others, so a policy about hosts could be led astray (RFC 9110 section 4.2.4,
/// RFC 9113 section 8.3.1).
pub(crate) fn may_be_host(text: &[u8]) -> bool {
    text.iter()
        .all(|octet| octet.is_ascii_graphic() && !b"@/\\?#".contains(octet))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_have_no_delimiters() {
        for good in [
            "a.example",
            "A.example.:80",
            "[::1]:80",
            "10.0.0.1",
            "",
            "a_b",
        ] {
            assert!(may_be_host(good.as_bytes()), "{good}");
        }
        for bad in [
            "me@a.example",
            "a.example@b.example",
            "a.example/b",
            "a.example\\b",
            "a.example?b",
            "a.example#b",
            "a b",
            "\u{e4}.example",
        ] {
            assert!(!may_be_host(bad.as_bytes()), "{bad}");
        }
    }
}
