//! Between header blocks and messages (RFC 9113 section 8).

use bytes::{Bytes, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TE, TRANSFER_ENCODING, UPGRADE};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, Version, request, response, uri,
};

use super::hpack::{Encoder, Field, Pseudo};
use crate::Reason;
use crate::host::may_be_host;

/// The fields of one header block, as they are decoded.
#[derive(Debug)]
pub(super) struct Collector {
    method: Option<Bytes>,
    scheme: Option<Bytes>,
    authority: Option<Bytes>,
    path: Option<Bytes>,
    status: Option<Bytes>,
    // Extended CONNECT is not offered, so nobody may ask for it.
    has_protocol: bool,
    fields: HeaderMap,
    size: usize,
    limit: usize,
    fault: Option<Malformed>,
}

/// A message that is none: its stream ends with `PROTOCOL_ERROR` (section 8.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed(pub(super) &'static str);

/// Why a block is no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unusable {
    /// It breaks a rule.
    Malformed(Malformed),
    /// It is larger than this side takes.
    TooLarge,
}

const TWO_HOSTS: Malformed = Malformed("Host and :authority differ");
const NO_HOST: Malformed = Malformed("no authority");
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

// === impl Collector ===

impl Collector {
    /// `limit` is what all fields may count together, in bytes as in RFC 7541 section 4.1. There is
    /// room for `usual` fields before the map has to grow.
    pub(super) fn new(limit: usize, usual: usize) -> Self {
        Self {
            method: None,
            scheme: None,
            authority: None,
            path: None,
            status: None,
            has_protocol: false,
            fields: HeaderMap::with_capacity(usual),
            size: 0,
            limit,
            fault: None,
        }
    }

    pub(super) fn add(&mut self, field: Field) {
        self.size += field.size();
        if self.size > self.limit || self.fault.is_some() {
            return;
        }
        self.fault = match field {
            Field::Pseudo(name, value) => self.pseudo(name, value),
            Field::Regular(name, value) => self.regular(name, value),
            Field::Invalid(..) => Some(Malformed("a field that HTTP does not allow")),
        };
    }

    fn pseudo(&mut self, name: Pseudo, value: Bytes) -> Option<Malformed> {
        if !self.fields.is_empty() {
            return Some(Malformed("control data behind fields"));
        }
        let place = match name {
            Pseudo::Authority => &mut self.authority,
            Pseudo::Method => &mut self.method,
            Pseudo::Path => &mut self.path,
            Pseudo::Scheme => &mut self.scheme,
            Pseudo::Status => &mut self.status,
            Pseudo::Protocol => {
                self.has_protocol = true;
                return None;
            }
        };
        let before = place.replace(value);
        before.map(|_| Malformed("control data twice"))
    }

    fn regular(&mut self, name: HeaderName, value: HeaderValue) -> Option<Malformed> {
        let of_connection = [
            CONNECTION,
            TRANSFER_ENCODING,
            UPGRADE,
            KEEP_ALIVE,
            PROXY_CONNECTION,
        ];
        if of_connection.contains(&name) {
            return Some(Malformed("a field of HTTP/1 connections"));
        }
        if name == TE && value.as_bytes() != b"trailers" {
            return Some(Malformed("TE other than trailers"));
        }
        match self.fields.try_append(name, value) {
            Ok(_) => None,
            Err(_) => Some(Malformed("too many fields")),
        }
    }

    fn check(&self) -> Result<(), Unusable> {
        if self.size > self.limit {
            return Err(Unusable::TooLarge);
        }
        self.fault.map_or(Ok(()), |fault| Err(fault.into()))
    }

    /// The block as a request; with `any_authority`, one that is no host counts as none.
    pub(super) fn request(self, any_authority: bool) -> Result<request::Parts, Unusable> {
        self.check()?;
        if self.status.is_some() || self.has_protocol {
            return Err(Malformed("control data that a request does not have").into());
        }
        let method = self.method.ok_or(Malformed("no method"))?;
        let method = Method::from_bytes(&method).map_err(|_| Malformed("no method"))?;
        let mut target = uri::Parts::default();
        if let Some(authority) = self.authority.filter(|authority| !authority.is_empty()) {
            if !any_authority && !may_be_host(&authority) {
                return Err(NO_HOST.into());
            }
            let parsed = Authority::from_maybe_shared(authority);
            target.authority = match parsed {
                Ok(authority) => Some(authority),
                Err(_) if any_authority => None,
                Err(_) => return Err(NO_HOST.into()),
            };
        }
        if method == Method::CONNECT {
            if self.scheme.is_some() || self.path.is_some() || target.authority.is_none() {
                return Err(Malformed("CONNECT with anything but an authority").into());
            }
        } else {
            let scheme = self.scheme.ok_or(Malformed("no scheme"))?;
            let path = self.path.ok_or(Malformed("no path"))?;
            let asterisk = method == Method::OPTIONS && path == "*";
            if !path.starts_with(b"/") && !asterisk {
                return Err(Malformed("a path that does not start with /").into());
            }
            let path = PathAndQuery::from_maybe_shared(path);
            target.path_and_query = Some(path.map_err(|_| Malformed("no path"))?);
            if target.authority.is_some() {
                let scheme = Scheme::try_from(&*scheme).map_err(|_| Malformed("no scheme"))?;
                target.scheme = Some(scheme);
            }
        }
        let mut fields = self.fields;
        let host = fields.get(HOST).map(HeaderValue::as_bytes);
        if !any_authority && !host.is_none_or(may_be_host) {
            return Err(NO_HOST.into());
        }
        one_host(&mut fields, target.authority.as_ref())?;
        let (mut parts, ()) = http::Request::new(()).into_parts();
        parts.uri = Uri::from_parts(target).map_err(|_| Malformed("no target"))?;
        parts.method = method;
        parts.version = Version::HTTP_2;
        parts.headers = fields;
        Ok(parts)
    }

    /// The block as the head of a response.
    pub(super) fn response(self) -> Result<response::Parts, Unusable> {
        self.check()?;
        let has_other = [&self.method, &self.scheme, &self.authority, &self.path];
        if has_other.iter().any(|other| other.is_some()) || self.has_protocol {
            return Err(Malformed("control data that a response does not have").into());
        }
        let status = self.status.ok_or(Malformed("no status"))?;
        let status = StatusCode::from_bytes(&status).map_err(|_| Malformed("no status"))?;
        let (mut parts, ()) = http::Response::new(()).into_parts();
        parts.status = status;
        parts.version = Version::HTTP_2;
        parts.headers = self.fields;
        Ok(parts)
    }

    /// The block as trailers.
    pub(super) fn trailers(self) -> Result<HeaderMap, Unusable> {
        self.check()?;
        let all = [
            &self.method,
            &self.scheme,
            &self.authority,
            &self.path,
            &self.status,
        ];
        if all.iter().any(|one| one.is_some()) || self.has_protocol {
            return Err(Malformed("control data in trailers").into());
        }
        Ok(self.fields)
    }
}

// === impl Malformed ===

impl Malformed {
    /// The cause, as in HTTP/1: what names no host, or two, is told from the rest.
    pub(super) fn reason(self) -> Reason {
        if self == TWO_HOSTS || self == NO_HOST {
            Reason::HostInvalid
        } else {
            Reason::DownstreamProtocolError
        }
    }
}

// Section 8.3.1: what names the target twice must not name two. RFC 9110 section 7.2: nor may two
// Host fields, whatever they name.
fn one_host(fields: &mut HeaderMap, authority: Option<&Authority>) -> Result<(), Malformed> {
    let Some(authority) = authority else {
        let several = fields.get_all(HOST).iter().nth(1).is_some();
        return if several { Err(TWO_HOSTS) } else { Ok(()) };
    };
    let same = |host: &HeaderValue| {
        host.as_bytes()
            .eq_ignore_ascii_case(authority.as_str().as_bytes())
    };
    if !fields.get_all(HOST).iter().all(same) {
        return Err(TWO_HOSTS);
    }
    fields.remove(HOST);
    Ok(())
}

impl From<Malformed> for Unusable {
    fn from(fault: Malformed) -> Self {
        Self::Malformed(fault)
    }
}

/// What the message says of its body's length.
///
/// # Errors
/// If it is no number, or two.
pub(super) fn content_length(fields: &HeaderMap) -> Result<Option<u64>, Malformed> {
    let mut found = None;
    for value in fields.get_all(CONTENT_LENGTH) {
        let digits = value.as_bytes();
        let number = std::str::from_utf8(digits)
            .ok()
            .filter(|text| !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit()))
            .and_then(|text| text.parse::<u64>().ok())
            .ok_or(Malformed("a content-length that is no number"))?;
        if found.replace(number).is_some_and(|before| before != number) {
            return Err(Malformed("two content-lengths"));
        }
    }
    Ok(found)
}

/// Writes the fields of a request.
pub(super) fn put_request(parts: &request::Parts, encoder: &mut Encoder, out: &mut BytesMut) {
    encoder.begin(out);
    encoder.pseudo(Pseudo::Method, parts.method.as_str().as_bytes(), out);
    if parts.method != Method::CONNECT {
        let scheme = parts.uri.scheme_str().unwrap_or("http");
        encoder.pseudo(Pseudo::Scheme, scheme.as_bytes(), out);
    }
    if let Some(authority) = parts.uri.authority() {
        encoder.pseudo(Pseudo::Authority, authority.as_str().as_bytes(), out);
    }
    if parts.method != Method::CONNECT {
        let path = parts.uri.path_and_query().map_or("/", PathAndQuery::as_str);
        // `*` of an OPTIONS, and everything else, as it came.
        encoder.pseudo(Pseudo::Path, path.as_bytes(), out);
    }
    put_fields(&parts.headers, encoder, out);
}

/// Writes the fields of a response.
pub(super) fn put_response(parts: &response::Parts, encoder: &mut Encoder, out: &mut BytesMut) {
    encoder.begin(out);
    encoder.pseudo(Pseudo::Status, parts.status.as_str().as_bytes(), out);
    put_fields(&parts.headers, encoder, out);
}

/// Writes trailers.
pub(super) fn put_trailers(fields: &HeaderMap, encoder: &mut Encoder, out: &mut BytesMut) {
    encoder.begin(out);
    put_fields(fields, encoder, out);
}

fn put_fields(fields: &HeaderMap, encoder: &mut Encoder, out: &mut BytesMut) {
    for (name, value) in fields {
        encoder.field(name, value, out);
    }
}
