//! Edits of requests and responses.

use mesh_api::v1::{Cors, Field, FieldEdits, HeaderEdits, Rewrite, StringMatch};

use crate::ingest::http_match::{check_regex, is_token, read_string_match};
use crate::yaml::{Fields, Place, Report, Value};

/// Reads `headers`.
pub(in crate::ingest) fn headers(mut fields: Fields<'_>, r: &mut Report) -> HeaderEdits {
    let request = fields
        .child("request", r)
        .map(|inner| field_edits(inner, true, r));
    let response = fields
        .child("response", r)
        .map(|inner| field_edits(inner, false, r));
    fields.close(r);
    HeaderEdits { request, response }
}

fn field_edits(mut fields: Fields<'_>, request: bool, r: &mut Report) -> FieldEdits {
    let set = read_fields(&mut fields, "set", request, r);
    let add = read_fields(&mut fields, "add", request, r);
    let mut remove = Vec::new();
    for word in fields.words("remove", r) {
        check_name(&word.text, false, word.place, r);
        remove.push(word.text.to_ascii_lowercase());
    }
    fields.close(r);
    FieldEdits { set, add, remove }
}

fn read_fields(
    fields: &mut Fields<'_>,
    name: &'static str,
    request: bool,
    r: &mut Report,
) -> Vec<Field> {
    let mut found = Vec::new();
    for (key, node) in fields.entries(name, r) {
        // The Host can be set, in a request, and nothing else of the request line.
        check_name(&key.text, request && name == "set", key.place, r);
        match &node.value {
            Value::Text(value) => {
                check_value(value, node.place, r);
                found.push(Field {
                    name: key.text.to_ascii_lowercase(),
                    value: value.clone(),
                });
            }
            _ => r.error(
                node.place,
                format!(
                    "{}.{}: expected a string, found {}; put it in quotes",
                    fields.path(name),
                    key.text,
                    node.kind()
                ),
            ),
        }
    }
    found
}

fn check_name(name: &str, may_set_host: bool, place: Place, r: &mut Report) {
    let lower = name.to_ascii_lowercase();
    if name.is_empty() {
        r.error(place, "header name cannot be empty");
    } else if lower == ":authority" || lower == "host" {
        if !may_set_host {
            r.error(
                place,
                format!("invalid header \"{name}\": cannot set Host header"),
            );
        }
    } else if name.starts_with(':') {
        r.error(
            place,
            format!("invalid header \"{name}\": header cannot have \":\" prefix"),
        );
    } else if !is_token(name) {
        r.error(
            place,
            format!("header name {name} is not a valid header name"),
        );
    }
}

fn check_value(value: &str, place: Place, r: &mut Report) {
    if value.bytes().any(|b| (b < 0x20 && b != b'\t') || b == 0x7f) {
        r.error(
            place,
            format!(
                "header value configuration {} is invalid",
                value.escape_debug()
            ),
        );
    } else if value.contains('%') {
        r.warn(
            place,
            "Envoy's `%COMMAND%` operators are not supported; the value is sent as it stands",
        );
    }
}

/// Reads `rewrite` (Istio: validateHTTPRewrite).
pub(in crate::ingest) fn rewrite(mut fields: Fields<'_>, r: &mut Report) -> Rewrite {
    let place = fields.place();
    let uri = fields.text("uri", r);
    let authority = fields.text("authority", r);
    let mut rewrite = Rewrite {
        uri,
        authority,
        ..Rewrite::default()
    };
    let expression = fields.child("uriRegexRewrite", r);
    if let Some(mut inner) = expression {
        let pattern = inner.word("match", r);
        let substitution = inner.text("rewrite", r);
        inner.close(r);
        match pattern {
            Some(pattern) if !pattern.text.is_empty() && !substitution.is_empty() => {
                check_regex(
                    &pattern.text,
                    "HTTPRewrite.UriRegexRewrite.Match",
                    pattern.place,
                    r,
                );
                rewrite.regex = pattern.text;
                rewrite.regex_substitution = substitution;
            }
            _ => r.error(
                place,
                "UriRegexRewrite requires both Rewrite and Match fields to be specified",
            ),
        }
        if !rewrite.uri.is_empty() {
            r.error(
                place,
                "rewrite may only contain one of URI or UriRegexRewrite",
            );
        }
    } else if rewrite.uri.is_empty() && rewrite.authority.is_empty() {
        r.error(
            place,
            "rewrite must specify at least one of URI, UriRegexRewrite, or authority",
        );
    }
    fields.close(r);
    rewrite
}

/// Reads `corsPolicy` (Istio: validateCORSPolicy).
pub(in crate::ingest) fn cors(mut fields: Fields<'_>, r: &mut Report) -> Cors {
    const METHODS: &[&str] = &[
        "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE", "*",
    ];
    use mesh_api::v1::string_match::Kind;
    let mut allow_origins = Vec::new();
    for origin in fields.children("allowOrigins", r) {
        let place = origin.place();
        let found = read_string_match(origin, "corsPolicy.allowOrigins", false, r);
        if matches!(found.kind, Some(Kind::Present(_))) {
            r.error(place, "'' is not a valid match type for CORS allow origins");
        }
        allow_origins.push(found);
    }
    // The older field takes exact names, and `*`.
    for word in fields.words("allowOrigin", r) {
        r.warn(
            word.place,
            "using deprecated setting \"allowOrigin\", use \"allowOrigins\" instead",
        );
        let kind = if word.text == "*" {
            Kind::Regex(".*".to_owned())
        } else {
            Kind::Exact(word.text)
        };
        allow_origins.push(StringMatch { kind: Some(kind) });
    }
    let allow_methods = fields.words("allowMethods", r);
    for word in &allow_methods {
        if !METHODS.contains(&word.text.as_str()) {
            r.error(
                word.place,
                format!("\"{}\" is not a supported HTTP method", word.text),
            );
        }
    }
    let mut names = |name: &'static str, r: &mut Report| -> Vec<String> {
        let words = fields.words(name, r);
        for word in words
            .iter()
            .filter(|word| word.text != "*" && !is_token(&word.text))
        {
            r.error(
                word.place,
                format!("header name {} is not a valid header name", word.text),
            );
        }
        words.into_iter().map(|word| word.text).collect()
    };
    let allow_headers = names("allowHeaders", r);
    let expose_headers = names("exposeHeaders", r);
    let max_age_seconds = fields.duration("maxAge", r).map_or(0, |(ms, place)| {
        if ms % 1000 != 0 {
            r.error(
                place,
                "max_age duration is accurate only to seconds precision",
            );
        }
        ms / 1000
    });
    let allow_credentials = fields.boolean("allowCredentials", r).unwrap_or_default();
    let choices = &[("UNSPECIFIED", true), ("FORWARD", true), ("IGNORE", false)];
    let forward_unmatched_preflights = fields
        .choice("unmatchedPreflights", choices, r)
        .is_none_or(|(forward, _)| forward);
    fields.close(r);
    let allow_methods = allow_methods.into_iter().map(|word| word.text).collect();
    Cors {
        allow_origins,
        allow_methods,
        allow_headers,
        expose_headers,
        max_age_seconds,
        allow_credentials,
        forward_unmatched_preflights,
    }
}
