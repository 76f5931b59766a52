//! `http[].match` (Istio: HTTPMatchRequest).

use mesh_api::v1::string_match::Kind;
use mesh_api::v1::{FieldMatch, HttpMatch, Severity, StringMatch};
use regex::Regex;

use super::virtual_service::gateways;
use crate::model::{ClientFilter, HttpCase};
use crate::yaml::{Fields, Place, Report, Value};

/// Longest expression that Istio takes.
const LONGEST_REGEX: usize = 1024;

pub(super) fn read(case: &mut Fields<'_>, namespace: &str, r: &mut Report) -> HttpCase {
    let wire = conditions(case, r);
    case.unsupported(
        "statPrefix",
        Severity::Warning,
        "metrics are not split by it",
        r,
    );
    HttpCase {
        wire,
        filter: client_filter(case, namespace, r),
    }
}

/// The parts that are decided for each request.
pub(super) fn conditions(case: &mut Fields<'_>, r: &mut Report) -> HttpMatch {
    let origin = Some(r.at(case.place()));
    let mut wire = HttpMatch {
        name: case.text("name", r),
        uri: string_match(case, "uri", r),
        ignore_uri_case: case.boolean("ignoreUriCase", r).unwrap_or_default(),
        scheme: present_is_any(string_match(case, "scheme", r)),
        method: present_is_any(string_match(case, "method", r)),
        authority: present_is_any(string_match(case, "authority", r)),
        headers: Vec::new(),
        without_headers: field_matches(case, "withoutHeaders", r),
        query_params: field_matches(case, "queryParams", r),
        origin,
    };
    for field in field_matches(case, "headers", r) {
        // Pseudo-header fields are the request line by another name.
        match field.name.as_str() {
            ":method" => wire.method = field.value,
            ":authority" => wire.authority = field.value,
            ":scheme" => wire.scheme = field.value,
            _ => wire.headers.push(field),
        }
    }
    let present = Some(Kind::Present(true));
    if wire.uri.as_ref().is_some_and(|uri| uri.kind == present) {
        wire.uri = None;
    }
    wire
}

/// The parts that are decided for each proxy, not for each request.
pub(super) fn client_filter(
    case: &mut Fields<'_>,
    namespace: &str,
    r: &mut Report,
) -> ClientFilter {
    ClientFilter {
        gateways: gateways(&case.words("gateways", r), namespace, r),
        source_labels: case.labels("sourceLabels", r).unwrap_or_default(),
        source_namespace: case.text("sourceNamespace", r),
        port: case.port("port", r).map_or(0, u32::from),
    }
}

/// Being there at all is no condition on a part that every request has.
fn present_is_any(found: Option<StringMatch>) -> Option<StringMatch> {
    found.filter(|found| !matches!(found.kind, Some(Kind::Present(_))))
}

fn string_match(
    fields: &mut Fields<'_>,
    name: &'static str,
    r: &mut Report,
) -> Option<StringMatch> {
    let inner = fields.child(name, r)?;
    Some(read_string_match(inner, name, name == "uri", r))
}

/// Reads a StringMatch. An empty one, an empty exact value and the expression `*` mean: there
/// at all.
pub(super) fn read_string_match(
    mut fields: Fields<'_>,
    what: &str,
    empty_prefix: bool,
    r: &mut Report,
) -> StringMatch {
    let place = fields.place();
    let exact = fields.word("exact", r);
    let prefix = fields.word("prefix", r);
    let regex = fields.word("regex", r);
    fields.close(r);
    if usize::from(exact.is_some()) + usize::from(prefix.is_some()) + usize::from(regex.is_some())
        > 1
    {
        r.error(
            place,
            format!("\"{what}\": only one of exact, prefix and regex can be set"),
        );
    }
    let kind = match (exact, prefix, regex) {
        (Some(exact), ..) if !exact.text.is_empty() => Kind::Exact(exact.text),
        (None, Some(prefix), _) => {
            if prefix.text.is_empty() && !empty_prefix {
                r.error(
                    prefix.place,
                    format!("\"{what}\": prefix string match should not be empty"),
                );
            }
            if prefix.text.is_empty() {
                Kind::Present(true)
            } else {
                Kind::Prefix(prefix.text)
            }
        }
        (None, None, Some(regex)) if regex.text == "*" => Kind::Present(true),
        (None, None, Some(regex)) => {
            check_regex(&regex.text, what, regex.place, r);
            Kind::Regex(regex.text)
        }
        _ => Kind::Present(true),
    };
    StringMatch { kind: Some(kind) }
}

/// Refuses what RE2 does not take. The `regex` crate has RE2's syntax and guarantees.
pub(super) fn check_regex(text: &str, what: &str, place: Place, r: &mut Report) {
    if text.is_empty() {
        r.error(
            place,
            format!("\"{what}\": regex string match should not be empty"),
        );
    } else if text.len() > LONGEST_REGEX {
        r.error(
            place,
            format!("\"{what}\": regex is too large, max length allowed is {LONGEST_REGEX}"),
        );
    } else if let Err(error) = Regex::new(text) {
        let why = error.to_string();
        let why = why.lines().last().unwrap_or_default();
        r.error(
            place,
            format!("\"{what}\": {why}; Istio uses RE2 style regex-based match (https://github.com/google/re2/wiki/Syntax)"),
        );
    }
}

/// Begins what is no header but a claim of the request's token, which gateways verify (Istio: JWT
/// claim based routing).
pub(crate) const CLAIMS: &str = "@request.auth.claims";

fn field_matches(case: &mut Fields<'_>, field: &'static str, r: &mut Report) -> Vec<FieldMatch> {
    let mut matches = Vec::new();
    for (key, node) in case.entries(field, r) {
        let name = if field == "queryParams" || key.text.starts_with(CLAIMS) {
            key.text.clone()
        } else {
            key.text.to_ascii_lowercase()
        };
        if field != "queryParams" {
            check_header_name(&name, field, key.place, r);
        }
        if node.value == Value::Null {
            if field == "headers" {
                r.error(
                    key.place,
                    format!("header match {} cannot be null", key.text),
                );
            }
            matches.push(FieldMatch {
                name,
                value: Some(StringMatch {
                    kind: Some(Kind::Present(true)),
                }),
            });
            continue;
        }
        if let Some(inner) = Fields::open(node, &case.path(field), r) {
            let value = Some(read_string_match(inner, field, false, r));
            matches.push(FieldMatch { name, value });
        }
    }
    matches
}

fn check_header_name(name: &str, field: &str, place: Place, r: &mut Report) {
    if let Some(claim) = name.strip_prefix(CLAIMS) {
        if !names_claim(claim) {
            let message = format!(
                "{field}: `{name}` names no claim; write `{CLAIMS}.sub` or `{CLAIMS}[name.with.dots]`"
            );
            r.error(place, message);
        }
    } else if matches!(name, ":method" | ":authority" | ":scheme") {
        if field == "withoutHeaders" {
            r.error(place, format!("withoutHeaders: `{name}` is always there"));
        }
    } else if !is_token(name) {
        r.error(
            place,
            format!("header name {name} is not a valid header name"),
        );
    }
}

/// `.a.b` or `[a][b]`.
fn names_claim(text: &str) -> bool {
    let inner = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let filled = |mut names: std::str::Split<'_, &str>| names.all(|name| !name.is_empty());
    match (inner, text.strip_prefix('.')) {
        (Some(inner), _) => filled(inner.split("][")),
        (None, Some(rest)) => filled(rest.split(".")),
        (None, None) => false,
    }
}

/// A token of RFC 9110, section 5.6.2.
pub(super) fn is_token(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}
