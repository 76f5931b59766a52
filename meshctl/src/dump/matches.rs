//! Conditions of routes in words.

use mesh_api::v1::string_match::Kind;
use mesh_api::v1::{FieldMatch, HttpMatch, StringMatch};

/// Any of these.
pub(super) fn all(matches: &[HttpMatch]) -> String {
    if matches.is_empty() {
        return "all".to_owned();
    }
    matches.iter().map(one).collect::<Vec<_>>().join(" or ")
}

fn one(part: &HttpMatch) -> String {
    let mut parts = Vec::new();
    let fields = [
        ("path", &part.uri),
        ("scheme", &part.scheme),
        ("method", &part.method),
        ("authority", &part.authority),
    ];
    for (name, value) in fields {
        if let Some(value) = value {
            parts.push(format!("{name} {}", string(value)));
        }
    }
    parts.extend(
        part.headers
            .iter()
            .map(|header| format!("header {}", field(header))),
    );
    parts.extend(
        part.without_headers
            .iter()
            .map(|header| format!("not header {}", field(header))),
    );
    parts.extend(
        part.query_params
            .iter()
            .map(|query| format!("query {}", field(query))),
    );
    if parts.is_empty() {
        "all".to_owned()
    } else {
        parts.join(" and ")
    }
}

fn field(field: &FieldMatch) -> String {
    let value = field.value.as_ref().map(string).unwrap_or_default();
    format!("{} {value}", field.name)
}

fn string(value: &StringMatch) -> String {
    match &value.kind {
        Some(Kind::Exact(text)) => format!("= {text}"),
        Some(Kind::Prefix(text)) => format!("= {text}*"),
        Some(Kind::Regex(text)) => format!("~ {text}"),
        Some(Kind::Present(_)) | None => "is there".to_owned(),
    }
}
