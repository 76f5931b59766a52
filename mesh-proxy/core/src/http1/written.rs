//! How a head was written.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{HOST, HeaderName};
use http::{HeaderMap, StatusCode};

/// The spelling and the order of a head's fields, among the extensions of requests and responses
/// that came over HTTP/1. It serves only to write the head again. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Written(Arc<Head>);

#[derive(Debug)]
struct Head {
    octets: Bytes,
    fields: Vec<Field>,
    phrase: Option<(StatusCode, Bytes)>,
}

#[derive(Debug)]
pub(super) struct Field {
    /// The name, as it is compared.
    pub(super) name: HeaderName,
    /// Where it begins in the head.
    pub(super) start: usize,
    /// How many of the same name stand before it.
    pub(super) nth: usize,
}

/// A line to be written again, or an additional one.
pub(super) struct Line<'a> {
    pub(super) name: &'a HeaderName,
    pub(super) spelling: &'a [u8],
    pub(super) value: &'a [u8],
}

// === impl Written ===

impl Written {
    pub(super) fn new(
        octets: Bytes,
        fields: Vec<Field>,
        phrase: Option<(StatusCode, Bytes)>,
    ) -> Self {
        Self(Arc::new(Head {
            octets,
            fields,
            phrase,
        }))
    }

    /// What the server wrote behind the status, unless the status has changed.
    pub(super) fn phrase(&self, status: StatusCode) -> Option<&[u8]> {
        let (written, phrase) = self.0.phrase.as_ref()?;
        (*written == status).then_some(phrase)
    }

    fn has(&self, name: &HeaderName) -> bool {
        self.0.fields.iter().any(|field| field.name == *name)
    }

    fn each<'a>(&'a self, map: &'a HeaderMap, mut line: impl FnMut(Line<'a>)) {
        let mut count = 0;
        for (index, field) in self.0.fields.iter().enumerate() {
            let end = field.start + field.name.as_str().len();
            let spelling = self.0.octets.get(field.start..end).unwrap_or_default();
            let mut values = map.get_all(&field.name).iter().skip(field.nth);
            let mut write = |value: &'a http::HeaderValue| {
                count += 1;
                let name = &field.name;
                let value = value.as_bytes();
                line(Line {
                    name,
                    spelling,
                    value,
                });
            };
            let Some(first) = values.next() else {
                continue;
            };
            write(first);
            if let Some(second) = values.next() {
                let later = self.0.fields.iter().skip(index + 1);
                if !later.into_iter().any(|other| other.name == field.name) {
                    // Values that were added to those that came.
                    write(second);
                    values.for_each(write);
                }
            }
        }
        if count < map.len() {
            for (name, value) in map {
                if !self.has(name) {
                    line(plain(name, value));
                }
            }
        }
    }
}

/// All fields, those that came as they came and where they came, the others behind them.
pub(super) fn each_line<'a>(
    map: &'a HeaderMap,
    written: Option<&'a Written>,
    mut line: impl FnMut(Line<'a>),
) {
    if let Some(written) = written {
        return written.each(map, line);
    }
    // RFC 9112 section 3.2: Host should be the first.
    for value in map.get_all(HOST) {
        line(plain(&HOST, value));
    }
    for (name, value) in map {
        if *name != HOST {
            line(plain(name, value));
        }
    }
}

fn plain<'a>(name: &'a HeaderName, value: &'a http::HeaderValue) -> Line<'a> {
    Line {
        name,
        spelling: name.as_str().as_bytes(),
        value: value.as_bytes(),
    }
}
