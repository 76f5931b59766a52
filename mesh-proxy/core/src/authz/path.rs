//! Normal form of paths (Istio: pathNormalization).

use std::borrow::Cow;

/// Which normal form (Istio: meshConfig.pathNormalization.normalization).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum PathForm {
    /// As it comes: NONE.
    AsItComes,
    /// What [`normalise`] does: BASE.
    #[default]
    Base,
    /// The same, and slashes in a row are one: MERGE_SLASHES.
    MergeSlashes,
    /// The same, after `%2F` and `%5C` are decoded: DECODE_AND_MERGE_SLASHES.
    DecodeAndMergeSlashes,
}

// === impl PathForm ===

impl PathForm {
    /// Brings a path without query into this form. Borrows if there is nothing to do.
    pub fn apply(self, path: &str) -> Cow<'_, str> {
        match self {
            Self::AsItComes => Cow::Borrowed(path),
            Self::Base => normalise(path),
            Self::MergeSlashes => merged(normalise(path)),
            Self::DecodeAndMergeSlashes => match decode_slashes(path) {
                Some(decoded) => merged(Cow::Owned(normalise(&decoded).into_owned())),
                None => merged(normalise(path)),
            },
        }
    }
}

fn merged(path: Cow<'_, str>) -> Cow<'_, str> {
    if !path.contains("//") {
        return path;
    }
    let mut out = String::with_capacity(path.len());
    for letter in path.chars() {
        if letter != '/' || !out.ends_with('/') {
            out.push(letter);
        }
    }
    Cow::Owned(out)
}

/// The path with `%2F` and `%5C` as slashes; none if it has neither.
fn decode_slashes(path: &str) -> Option<String> {
    let mut pieces = path.split('%');
    let mut out = String::with_capacity(path.len());
    out.push_str(pieces.next()?);
    let mut found = false;
    for piece in pieces {
        let code = piece.get(..2).unwrap_or_default();
        if code.eq_ignore_ascii_case("2f") || code.eq_ignore_ascii_case("5c") {
            found = true;
            out.push('/');
            out.push_str(piece.get(2..).unwrap_or_default());
        } else {
            out.push('%');
            out.push_str(piece);
        }
    }
    found.then_some(out)
}

/// Brings a path without query into normal form: unreserved characters are not
/// percent-encoded (RFC 3986 section 6.2.2.2), a backslash is a slash, and dot segments are
/// resolved (section 5.2.4). Repeated slashes and `%2F` stay.
///
/// Borrows if there is nothing to do, which is the common case.
pub fn normalise(path: &str) -> Cow<'_, str> {
    if !path.starts_with(['/', '\\']) || is_normal(path) {
        return Cow::Borrowed(path);
    }
    let decoded = decode_unreserved(path);
    let mut out: Vec<&str> = Vec::new();
    let mut segments = decoded.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match segment {
            "." if last => out.push(""),
            "." => {}
            ".." => {
                out.pop();
                if last {
                    out.push("");
                }
            }
            other => out.push(other),
        }
    }
    let mut text = String::with_capacity(decoded.len());
    for segment in out {
        text.push('/');
        text.push_str(segment);
    }
    if text.is_empty() {
        text.push('/');
    }
    Cow::Owned(text)
}

fn is_normal(path: &str) -> bool {
    !path.contains(['%', '\\']) && !path.contains("/.")
}

fn decode_unreserved(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(next) = rest.chars().next() {
        let after = rest.get(next.len_utf8()..).unwrap_or_default();
        let hex = (next == '%').then(|| after.get(..2)).flatten();
        let byte = hex
            .filter(|h| h.bytes().all(|b| b.is_ascii_hexdigit()))
            .and_then(|h| u8::from_str_radix(h, 16).ok());
        match byte {
            Some(byte)
                if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') =>
            {
                out.push(char::from(byte));
                rest = after.get(2..).unwrap_or_default();
            }
            Some(_) => {
                // Stays encoded, as it was written.
                out.extend(['%'].into_iter().chain(hex.unwrap_or_default().chars()));
                rest = after.get(2..).unwrap_or_default();
                continue;
            }
            None => {
                out.push(if next == '\\' { '/' } else { next });
                rest = after;
            }
        }
        encode_nested(&mut out);
    }
    out
}

/// A stray `%` and what was decoded behind it must not become a sequence that the next reader
/// decodes again: `%%36%31` is not `%61`, which is `a` to a server behind a policy. The `%` is
/// encoded then, which means the same as before (Chromium's URL canonicalizer, which Envoy's
/// BASE normalisation uses, has the same rule for nested escapes).
fn encode_nested(out: &mut String) {
    let Some(start) = out.len().checked_sub(3) else {
        return;
    };
    if let Some([b'%', high, low]) = out.as_bytes().get(start..)
        && high.is_ascii_hexdigit()
        && low.is_ascii_hexdigit()
    {
        out.insert_str(start + 1, "25");
    }
}
