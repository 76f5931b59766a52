//! `matches` of a rule (Gateway API: HTTPRouteMatch, GRPCRouteMatch).

use mesh_api::v1::string_match::Kind;
use mesh_api::v1::{FieldMatch, HttpMatch, StringMatch};
use regex::Regex;

use super::filters::give_up;
use crate::model::{ApiCase, ApiFilters, PathMatch};
use crate::yaml::{Fields, Place, Report};

/// Methods that a route may name (Gateway API: HTTPMethod).
const METHODS: &[(&str, ())] = &[
    ("GET", ()),
    ("HEAD", ()),
    ("POST", ()),
    ("PUT", ()),
    ("DELETE", ()),
    ("CONNECT", ()),
    ("OPTIONS", ()),
    ("TRACE", ()),
    ("PATCH", ()),
];

/// Whether values are compared by an expression.
const TYPES: &[(&str, bool)] = &[("Exact", false), ("RegularExpression", true)];

#[derive(Clone, Copy)]
enum PathType {
    Exact,
    Prefix,
    Regex,
}

pub(super) fn read(
    mut fields: Fields<'_>,
    grpc: bool,
    filters: &mut ApiFilters,
    r: &mut Report,
) -> ApiCase {
    let mut wire = HttpMatch {
        origin: Some(r.at(fields.place())),
        ..HttpMatch::default()
    };
    let path = if grpc {
        let method = fields.child("method", r);
        method.map_or(PathMatch::All, |method| grpc_method(method, filters, r))
    } else {
        let method = fields.peek("method");
        if fields.choice("method", METHODS, r).is_some() {
            let method = method.unwrap_or_default().to_owned();
            wire.method = Some(StringMatch {
                kind: Some(Kind::Exact(method)),
            });
        }
        wire.query_params = named(&mut fields, "queryParams", filters, r);
        let path = fields.child("path", r);
        path.map_or(PathMatch::All, |path| path_match(path, filters, r))
    };
    for field in named(&mut fields, "headers", filters, r) {
        let name = field.name.to_ascii_lowercase();
        wire.headers.push(FieldMatch { name, ..field });
    }
    fields.close(r);
    // Of one header or parameter the first entry counts (Gateway API: HTTPHeaderMatch).
    wire.headers = first_of_each(wire.headers);
    wire.query_params = first_of_each(wire.query_params);
    ApiCase { path, wire }
}

fn path_match(mut fields: Fields<'_>, filters: &mut ApiFilters, r: &mut Report) -> PathMatch {
    const TYPES: &[(&str, PathType)] = &[
        ("Exact", PathType::Exact),
        ("PathPrefix", PathType::Prefix),
        ("RegularExpression", PathType::Regex),
    ];
    let kind = fields.choice("type", TYPES, r);
    let kind = kind.map_or(PathType::Prefix, |(kind, _)| kind);
    let place = fields.place();
    let value = fields.word("value", r);
    let path = fields.path("value");
    fields.close(r);
    let value = value.map_or_else(|| "/".to_owned(), |word| word.text);
    if !matches!(kind, PathType::Regex) && !value.starts_with('/') {
        r.error(place, format!("{path}: `{value}` does not begin with `/`"));
    }
    match kind {
        PathType::Exact => PathMatch::Exact(value),
        PathType::Prefix => match value.trim_end_matches('/') {
            "" => PathMatch::All,
            prefix => PathMatch::Prefix(prefix.to_owned()),
        },
        PathType::Regex => {
            check(&value, &path, place, filters, r);
            PathMatch::Regex(value)
        }
    }
}

/// `method` of a gRPC match: a call is the path `/<service>/<method>` (Istio: createGRPCURIMatch).
fn grpc_method(mut fields: Fields<'_>, filters: &mut ApiFilters, r: &mut Report) -> PathMatch {
    let place = fields.place();
    let by_regex = fields
        .choice("type", TYPES, r)
        .is_some_and(|(regex, _)| regex);
    let service = fields.text("service", r);
    let method = fields.text("method", r);
    let path = fields.path("service");
    fields.close(r);
    if service.is_empty() && method.is_empty() {
        r.error(place, format!("{path} or `method` is required"));
        return PathMatch::All;
    }
    match (by_regex, service.as_str(), method.as_str()) {
        (false, service, "") => PathMatch::Prefix(format!("/{service}")),
        (false, "", method) => PathMatch::Regex(format!("/[^/]+/{}", regex::escape(method))),
        (false, service, method) => PathMatch::Exact(format!("/{service}/{method}")),
        (true, service, method) => {
            let any = |text: &str, any: &str| match text {
                "" => any.to_owned(),
                text => format!("(?:{text})"),
            };
            let (service, method) = (any(service, "[^/]+"), any(method, ".+"));
            let whole = format!("/{service}/{method}");
            check(&whole, &path, place, filters, r);
            PathMatch::Regex(whole)
        }
    }
}

/// Reads a list of names with values.
fn named(
    fields: &mut Fields<'_>,
    list: &'static str,
    filters: &mut ApiFilters,
    r: &mut Report,
) -> Vec<FieldMatch> {
    let mut found = Vec::new();
    for mut entry in fields.children(list, r) {
        let by_regex = entry.choice("type", TYPES, r);
        let by_regex = by_regex.is_some_and(|(regex, _)| regex);
        let place = entry.place();
        let name = entry.text("name", r);
        let value = entry.text("value", r);
        let path = entry.path("value");
        if name.is_empty() {
            r.error(place, format!("{} is required", entry.path("name")));
        }
        entry.close(r);
        let kind = if by_regex {
            check(&value, &path, place, filters, r);
            Kind::Regex(value)
        } else {
            Kind::Exact(value)
        };
        found.push(FieldMatch {
            name,
            value: Some(StringMatch { kind: Some(kind) }),
        });
    }
    found
}

fn first_of_each(fields: Vec<FieldMatch>) -> Vec<FieldMatch> {
    let mut kept: Vec<FieldMatch> = Vec::new();
    for field in fields {
        if !kept.iter().any(|known| known.name == field.name) {
            kept.push(field);
        }
    }
    kept
}

/// The API server does not look at expressions: a bad one makes the rule unusable, and the object
/// stays.
fn check(text: &str, path: &str, place: Place, filters: &mut ApiFilters, r: &mut Report) {
    let why = match Regex::new(text) {
        Ok(_) if text.len() <= 1024 => return,
        Ok(_) => "is longer than 1024 bytes".to_owned(),
        Err(error) => {
            let text = error.to_string();
            text.lines().last().unwrap_or_default().to_owned()
        }
    };
    give_up(filters, place, format!("{path}: the expression {why}"), r);
}
