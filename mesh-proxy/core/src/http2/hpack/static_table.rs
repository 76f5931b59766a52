//! The fields that both sides know from the start (RFC 7541 appendix A).

use bytes::Bytes;
use http::header::{self, HeaderName, HeaderValue};

use super::{Field, Pseudo};

/// Number of fields; dynamic fields follow.
pub(super) const LEN: usize = 61;

/// The field at an index from 1 on.
pub(super) fn get(index: usize) -> Option<&'static Field> {
    FIELDS.get(index.checked_sub(1)?)
}

/// Index of the first field with this name.
pub(super) fn find_name(name: &HeaderName) -> Option<usize> {
    let regular = FIELDS.iter().skip(FIRST_REGULAR - 1);
    let is_it = |field: &Field| matches!(field, Field::Regular(known, _) if known == name);
    regular.clone().position(is_it).map(|at| at + FIRST_REGULAR)
}

/// Index of the first field with this name.
pub(super) fn pseudo(name: Pseudo) -> Option<usize> {
    match name {
        Pseudo::Authority => Some(1),
        Pseudo::Method => Some(2),
        Pseudo::Path => Some(4),
        Pseudo::Scheme => Some(6),
        Pseudo::Status => Some(8),
        Pseudo::Protocol => None,
    }
}

const FIRST_REGULAR: usize = 15;

const fn control(name: Pseudo, value: &'static str) -> Field {
    Field::Pseudo(name, Bytes::from_static(value.as_bytes()))
}

const fn field(name: HeaderName, value: &'static str) -> Field {
    Field::Regular(name, HeaderValue::from_static(value))
}

static FIELDS: [Field; LEN] = [
    control(Pseudo::Authority, ""),
    control(Pseudo::Method, "GET"),
    control(Pseudo::Method, "POST"),
    control(Pseudo::Path, "/"),
    control(Pseudo::Path, "/index.html"),
    control(Pseudo::Scheme, "http"),
    control(Pseudo::Scheme, "https"),
    control(Pseudo::Status, "200"),
    control(Pseudo::Status, "204"),
    control(Pseudo::Status, "206"),
    control(Pseudo::Status, "304"),
    control(Pseudo::Status, "400"),
    control(Pseudo::Status, "404"),
    control(Pseudo::Status, "500"),
    field(header::ACCEPT_CHARSET, ""),
    field(header::ACCEPT_ENCODING, "gzip, deflate"),
    field(header::ACCEPT_LANGUAGE, ""),
    field(header::ACCEPT_RANGES, ""),
    field(header::ACCEPT, ""),
    field(header::ACCESS_CONTROL_ALLOW_ORIGIN, ""),
    field(header::AGE, ""),
    field(header::ALLOW, ""),
    field(header::AUTHORIZATION, ""),
    field(header::CACHE_CONTROL, ""),
    field(header::CONTENT_DISPOSITION, ""),
    field(header::CONTENT_ENCODING, ""),
    field(header::CONTENT_LANGUAGE, ""),
    field(header::CONTENT_LENGTH, ""),
    field(header::CONTENT_LOCATION, ""),
    field(header::CONTENT_RANGE, ""),
    field(header::CONTENT_TYPE, ""),
    field(header::COOKIE, ""),
    field(header::DATE, ""),
    field(header::ETAG, ""),
    field(header::EXPECT, ""),
    field(header::EXPIRES, ""),
    field(header::FROM, ""),
    field(header::HOST, ""),
    field(header::IF_MATCH, ""),
    field(header::IF_MODIFIED_SINCE, ""),
    field(header::IF_NONE_MATCH, ""),
    field(header::IF_RANGE, ""),
    field(header::IF_UNMODIFIED_SINCE, ""),
    field(header::LAST_MODIFIED, ""),
    field(header::LINK, ""),
    field(header::LOCATION, ""),
    field(header::MAX_FORWARDS, ""),
    field(header::PROXY_AUTHENTICATE, ""),
    field(header::PROXY_AUTHORIZATION, ""),
    field(header::RANGE, ""),
    field(header::REFERER, ""),
    field(header::REFRESH, ""),
    field(header::RETRY_AFTER, ""),
    field(header::SERVER, ""),
    field(header::SET_COOKIE, ""),
    field(header::STRICT_TRANSPORT_SECURITY, ""),
    field(header::TRANSFER_ENCODING, ""),
    field(header::USER_AGENT, ""),
    field(header::VARY, ""),
    field(header::VIA, ""),
    field(header::WWW_AUTHENTICATE, ""),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_where_they_are() {
        assert_eq!(get(1).unwrap().name(), b":authority");
        assert_eq!(get(61).unwrap().name(), b"www-authenticate");
        assert!(get(0).is_none() && get(62).is_none());
        for index in 1..=LEN {
            let found = match get(index).unwrap() {
                Field::Regular(name, _) => find_name(name).unwrap(),
                Field::Pseudo(name, _) => pseudo(*name).unwrap(),
                Field::Invalid(..) => panic!("invalid"),
            };
            assert_eq!(get(found).unwrap().name(), get(index).unwrap().name());
        }
    }
}
