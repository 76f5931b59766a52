//! Heads of messages.

use std::mem::MaybeUninit;

use bytes::{Bytes, BytesMut};
use http::header::{CONNECTION, EXPECT, HOST};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, Version,
    request, response,
};
use httparse::Status;
use smallvec::SmallVec;

use super::written::{Field, Written};
use super::{Length, MAX_FIELDS, Malformed};
use crate::host::may_be_host;

/// The head of a request.
#[derive(Debug)]
pub struct RequestHead {
    /// Method, target and fields; [`Written`] is among the extensions.
    pub parts: request::Parts,
    /// How long the body is.
    pub length: Length,
    /// Whether the client may send more requests on the connection.
    pub keep_alive: bool,
    /// Whether the client waits for `100 Continue` before it sends the body.
    pub expects_continue: bool,
}

/// The head of a response.
#[derive(Debug)]
pub struct ResponseHead {
    /// Status and fields; [`Written`] is among the extensions.
    pub parts: response::Parts,
    /// How long the body is.
    pub length: Length,
    /// Whether the connection can carry another request after this response.
    pub keep_alive: bool,
}

// Where a field stands in the head.
struct Span {
    name: (usize, usize),
    value: (usize, usize),
}

type Spans = SmallVec<[Span; 24]>;

/// Where a head ends that begins with the first octet, if it is whole. The octets before `from`
/// were looked at before.
pub fn find_end(octets: &[u8], from: usize) -> Option<usize> {
    let start = from.saturating_sub(3);
    let rest = octets.get(start..)?;
    let mut at = 0;
    while let Some(found) = rest.get(at..)?.iter().position(|octet| *octet == b'\n') {
        at += found + 1;
        let behind = rest.get(at..).unwrap_or_default();
        if behind.starts_with(b"\n") {
            return Some(start + at + 1);
        }
        if behind.starts_with(b"\r\n") {
            return Some(start + at + 2);
        }
    }
    None
}

/// Takes the head of a request off the front of what was read; `None` if it is not whole.
///
/// # Errors
/// [`Malformed`].
pub fn parse_request(octets: &mut BytesMut) -> Result<Option<RequestHead>, Malformed> {
    let mut fields = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let mut parsed = httparse::Request::new(&mut []);
    let status = parsed.parse_with_uninit_headers(octets, &mut fields);
    let Status::Complete(end) = status.map_err(malformed)? else {
        return Ok(None);
    };
    let (Some(method), Some(target), Some(version)) = (parsed.method, parsed.path, parsed.version)
    else {
        return Err(Malformed::StartLine);
    };
    let method = Method::from_bytes(method.as_bytes()).map_err(|_| Malformed::StartLine)?;
    let version = version_of(version)?;
    let target = span(octets, target.as_bytes());
    let spans = spans(octets, parsed.headers);
    let head = octets.split_to(end).freeze();
    let uri = Uri::from_maybe_shared(head.slice(target.0..target.1));
    let uri = uri.map_err(|_| Malformed::Target)?;
    // RFC 3986 section 3.1; the parser takes other first letters, too.
    let begins = uri.scheme_str().and_then(|scheme| scheme.bytes().next());
    if begins.is_some_and(|first| !first.is_ascii_alphabetic()) {
        return Err(Malformed::Target);
    }
    let (fields, names) = fields_of(&head, &spans)?;
    if fields.get_all(HOST).iter().nth(1).is_some() {
        return Err(Malformed::Hosts);
    }
    let named = uri
        .authority()
        .map(|authority| authority.as_str().as_bytes());
    let named = named
        .into_iter()
        .chain(fields.get(HOST).map(HeaderValue::as_bytes));
    if !named.into_iter().all(may_be_host) {
        return Err(Malformed::Host);
    }
    let length = Length::of_request(&method, version, &fields)?;
    let expects_continue = version == Version::HTTP_11
        && length != Length::None
        && fields
            .get(EXPECT)
            .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"));
    let keep_alive = keeps_alive(version, &fields);
    let (mut parts, ()) = Request::new(()).into_parts();
    parts.method = method;
    parts.uri = uri;
    parts.version = version;
    parts.headers = fields;
    parts.extensions.insert(Written::new(head, names, None));
    Ok(Some(RequestHead {
        parts,
        length,
        keep_alive,
        expects_continue,
    }))
}

/// Takes the head of a response to a request with this method off the front of what was read;
/// `None` if it is not whole.
///
/// # Errors
/// [`Malformed`].
pub fn parse_response(
    octets: &mut BytesMut,
    method: &Method,
) -> Result<Option<ResponseHead>, Malformed> {
    let mut fields = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let mut parsed = httparse::Response::new(&mut []);
    let status = httparse::ParserConfig::default().parse_response_with_uninit_headers(
        &mut parsed,
        octets,
        &mut fields,
    );
    let Status::Complete(end) = status.map_err(malformed)? else {
        return Ok(None);
    };
    let (Some(code), Some(version)) = (parsed.code, parsed.version) else {
        return Err(Malformed::StartLine);
    };
    let status = StatusCode::from_u16(code).map_err(|_| Malformed::StartLine)?;
    let version = version_of(version)?;
    let phrase = parsed.reason.map(|phrase| span(octets, phrase.as_bytes()));
    let spans = spans(octets, parsed.headers);
    let head = octets.split_to(end).freeze();
    let phrase = phrase.map(|(start, end)| (status, head.slice(start..end)));
    let (fields, names) = fields_of(&head, &spans)?;
    let length = Length::of_response(method, status, &fields)?;
    let keep_alive = length != Length::UntilClose && keeps_alive(version, &fields);
    let (mut parts, ()) = Response::new(()).into_parts();
    parts.status = status;
    parts.version = version;
    parts.headers = fields;
    parts.extensions.insert(Written::new(head, names, phrase));
    Ok(Some(ResponseHead {
        parts,
        length,
        keep_alive,
    }))
}

/// Trailer fields, with the empty line behind them.
pub(super) fn parse_trailers(octets: &[u8]) -> Result<HeaderMap, Malformed> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let parsed = httparse::parse_headers(octets, &mut fields);
    let Ok(Status::Complete((end, fields))) = parsed else {
        return Err(Malformed::Trailers);
    };
    if end != octets.len() {
        return Err(Malformed::Trailers);
    }
    let mut map = HeaderMap::with_capacity(fields.len());
    for field in fields {
        let name = HeaderName::from_bytes(field.name.as_bytes());
        let value = HeaderValue::from_bytes(field.value);
        let (Ok(name), Ok(value)) = (name, value) else {
            return Err(Malformed::Trailers);
        };
        map.append(name, value);
    }
    Ok(map)
}

fn malformed(error: httparse::Error) -> Malformed {
    match error {
        httparse::Error::HeaderName | httparse::Error::HeaderValue | httparse::Error::NewLine => {
            Malformed::Field
        }
        httparse::Error::TooManyHeaders => Malformed::HeadTooLarge,
        httparse::Error::Version => Malformed::Version,
        httparse::Error::Status | httparse::Error::Token => Malformed::StartLine,
    }
}

fn version_of(minor: u8) -> Result<Version, Malformed> {
    match minor {
        0 => Ok(Version::HTTP_10),
        1 => Ok(Version::HTTP_11),
        _ => Err(Malformed::Version),
    }
}

fn span(all: &[u8], part: &[u8]) -> (usize, usize) {
    let start = (part.as_ptr() as usize).saturating_sub(all.as_ptr() as usize);
    (start, start + part.len())
}

fn spans(all: &[u8], fields: &[httparse::Header<'_>]) -> Spans {
    let spans = fields.iter().map(|field| Span {
        name: span(all, field.name.as_bytes()),
        value: span(all, field.value),
    });
    spans.collect()
}

fn fields_of(head: &Bytes, spans: &[Span]) -> Result<(HeaderMap, Vec<Field>), Malformed> {
    // Room for what a proxy adds.
    let mut map = HeaderMap::with_capacity(spans.len() + 8);
    let mut names = Vec::with_capacity(spans.len());
    for span in spans {
        let name = head.get(span.name.0..span.name.1).unwrap_or_default();
        let name = HeaderName::from_bytes(name).map_err(|_| Malformed::Field)?;
        let value = HeaderValue::from_maybe_shared(head.slice(span.value.0..span.value.1));
        let value = value.map_err(|_| Malformed::Field)?;
        let again = map.append(name.clone(), value);
        let nth = if again {
            names
                .iter()
                .filter(|field: &&Field| field.name == name)
                .count()
        } else {
            0
        };
        names.push(Field {
            name,
            start: span.name.0,
            nth,
        });
    }
    Ok((map, names))
}

// RFC 9112 section 9.3.
fn keeps_alive(version: Version, fields: &HeaderMap) -> bool {
    let says = |option: &str| {
        fields
            .get_all(CONNECTION)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .any(|token| token.trim().eq_ignore_ascii_case(option))
    };
    if version == Version::HTTP_10 {
        says("keep-alive") && !says("close")
    } else {
        !fields.contains_key(CONNECTION) || !says("close")
    }
}
