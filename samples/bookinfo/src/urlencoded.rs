//! Percent encoding (RFC 3986, section 2.1) and HTML form bodies
//! (`application/x-www-form-urlencoded`).

use std::fmt::Write as _;

/// Decodes `%XX`; an incomplete escape stands for itself.
pub(crate) fn decode_bytes(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte == b'%'
            && let Some((&[high, low], after)) = tail.split_first_chunk::<2>()
            && let (Some(high), Some(low)) = (hex(high), hex(low))
        {
            out.push(high << 4 | low);
            rest = after;
        } else {
            out.push(byte);
        }
    }
    out
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| value.try_into().ok())
}

/// Decodes `%XX` to text; `None` when the result is not UTF-8.
pub(crate) fn decode(text: &str) -> Option<String> {
    String::from_utf8(decode_bytes(text)).ok()
}

/// Encodes everything but unreserved characters.
pub(crate) fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a String does not fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// The first field called `name` of a form body; `None` when there is none or it is not UTF-8.
pub(crate) fn form_field(body: &[u8], name: &str) -> Option<String> {
    let body = std::str::from_utf8(body).ok()?;
    body.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let field = |text: &str| decode(&text.replace('+', " "));
        (field(key)? == name).then(|| field(value))?
    })
}

#[cfg(test)]
mod tests {
    use proptest::{prop_assert_eq, proptest};

    use super::*;

    #[test]
    fn form_fields() {
        for (body, expected) in [
            ("username=jason", Some("jason")),
            ("passwd=x&username=a+b%26c&username=d", Some("a b&c")),
            ("user%6eame=x", Some("x")),
            ("username", Some("")),
            ("username=100%", Some("100%")),
            ("username=%zz%4", Some("%zz%4")),
            ("username=%ff", None),
            ("other=1", None),
            ("", None),
        ] {
            assert_eq!(
                form_field(body.as_bytes(), "username").as_deref(),
                expected,
                "{body}"
            );
        }
    }

    proptest! {
        #[test]
        fn what_is_encoded_decodes_to_itself(text in ".*") {
            let encoded = encode(&text);
            assert!(encoded.is_ascii());
            prop_assert_eq!(decode(&encoded), Some(text));
        }
    }
}
