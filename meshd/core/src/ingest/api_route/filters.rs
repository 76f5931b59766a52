//! `filters` of a rule or of a backend (Gateway API: HTTPRouteFilter, GRPCRouteFilter).

use mesh_api::v1::string_match::Kind;
use mesh_api::v1::{Cors, Field, FieldEdits, Redirect, Severity, StringMatch};

use super::{Place as Where, read_backend};
use crate::ingest::http_match::is_token;
use crate::model::{ApiBackend, ApiFilters, PathModifier};
use crate::yaml::{Fields, Place, Report};

/// Code of findings about filters that the mesh does not do.
const UNSUPPORTED: &str = "unsupported";

/// Nothing asked for.
pub(super) fn none() -> ApiFilters {
    ApiFilters::default()
}

/// Lets the rule, or the backend, answer with an error: a filter must not be passed by (Gateway
/// API: HTTPRouteFilter).
pub(super) fn give_up(filters: &mut ApiFilters, place: Place, why: String, r: &mut Report) {
    let message = format!("{why}; requests that it is for are answered with 500");
    r.push(Severity::Warning, place, message, UNSUPPORTED);
    filters.unusable.get_or_insert(why);
}

pub(super) fn read(fields: &mut Fields<'_>, at: Where, r: &mut Report) -> ApiFilters {
    let mut filters = none();
    let mut seen: Vec<String> = Vec::new();
    for mut filter in fields.children("filters", r) {
        let place = filter.place();
        let kind = filter.text("type", r);
        if seen.contains(&kind) && kind != "RequestMirror" {
            r.error(place, format!("filters: {kind} cannot be repeated"));
        }
        if !fits(&kind, at) {
            let of = match at {
                Where::Backend => "of a backend ",
                Where::HttpRule | Where::GrpcRule => "",
            };
            give_up(
                &mut filters,
                place,
                format!("filters: {kind} {of}is not supported"),
                r,
            );
            // What it says is nothing to look at.
            filter.ignore(KNOWN);
        } else {
            one(&kind, &mut filter, &mut filters, r);
        }
        filter.close(r);
        seen.push(kind);
    }
    if filters.redirect.is_some() && seen.iter().any(|kind| kind == "URLRewrite") {
        let why = "filters: RequestRedirect and URLRewrite exclude each other".to_owned();
        give_up(&mut filters, fields.place(), why, r);
    }
    filters
}

/// Fields of all filters.
const KNOWN: &[&str] = &[
    "requestHeaderModifier",
    "responseHeaderModifier",
    "requestMirror",
    "requestRedirect",
    "urlRewrite",
    "cors",
    "externalAuth",
    "extensionRef",
];

fn fits(kind: &str, at: Where) -> bool {
    match kind {
        "RequestHeaderModifier" | "ResponseHeaderModifier" => true,
        "RequestMirror" => at != Where::Backend,
        "RequestRedirect" | "URLRewrite" | "CORS" => at == Where::HttpRule,
        _ => false,
    }
}

fn one(kind: &str, filter: &mut Fields<'_>, into: &mut ApiFilters, r: &mut Report) {
    let place = filter.place();
    let name = match kind {
        "RequestHeaderModifier" => "requestHeaderModifier",
        "ResponseHeaderModifier" => "responseHeaderModifier",
        "RequestMirror" => "requestMirror",
        "RequestRedirect" => "requestRedirect",
        "URLRewrite" => "urlRewrite",
        _ => "cors",
    };
    let Some(mut inner) = filter.child(name, r) else {
        r.error(place, format!("{} is required", filter.path(name)));
        return;
    };
    match kind {
        "RequestHeaderModifier" => into.headers.request = Some(edits(&mut inner, true, into, r)),
        "ResponseHeaderModifier" => into.headers.response = Some(edits(&mut inner, false, into, r)),
        "RequestMirror" => into.mirrors.extend(mirror(&mut inner, r)),
        "RequestRedirect" => {
            into.redirect = Some(redirect(&mut inner, r));
            into.path = path(&mut inner, r);
        }
        "URLRewrite" => {
            into.authority = inner.text("hostname", r);
            into.path = path(&mut inner, r);
        }
        _ => into.cors = Some(cors(&mut inner, r)),
    }
    inner.close(r);
}

/// Reads `set`, `add` and `remove`; of one name the first entry counts.
fn edits(
    fields: &mut Fields<'_>,
    request: bool,
    filters: &mut ApiFilters,
    r: &mut Report,
) -> FieldEdits {
    let mut edits = FieldEdits::default();
    for (list, into) in [("set", &mut edits.set), ("add", &mut edits.add)] {
        for mut entry in fields.children(list, r) {
            let place = entry.place();
            let name = entry.text("name", r).to_ascii_lowercase();
            let value = entry.text("value", r);
            entry.close(r);
            // The Host can be set, in a request.
            if let Err(why) = check_name(&name, request && list == "set") {
                give_up(filters, place, why, r);
            } else if value.bytes().any(|b| (b < 0x20 && b != b'\t') || b == 0x7f) {
                let why = format!("header {name} has a value with control characters");
                give_up(filters, place, why, r);
            } else if !into.iter().any(|field: &Field| field.name == name) {
                into.push(Field { name, value });
            }
        }
    }
    for word in fields.words("remove", r) {
        let name = word.text.to_ascii_lowercase();
        match check_name(&name, false) {
            Ok(()) => edits.remove.push(name),
            Err(why) => give_up(filters, word.place, why, r),
        }
    }
    edits
}

fn check_name(name: &str, may_be_host: bool) -> Result<(), String> {
    match name {
        "host" if may_be_host => Ok(()),
        "host" => Err("the Host can only be set, in a request".to_owned()),
        name if is_token(name) => Ok(()),
        name => Err(format!("`{name}` is no name of a header")),
    }
}

fn mirror(fields: &mut Fields<'_>, r: &mut Report) -> Option<(ApiBackend, u32)> {
    const WHOLE: u32 = 1_000_000;
    let place = fields.place();
    let percent = fields.number("percent", r);
    let fraction = fields.child("fraction", r).map(|mut fraction| {
        let numerator = fraction.number("numerator", r).map_or(0, |(n, _)| n);
        let denominator = fraction.number("denominator", r).map_or(100, |(n, _)| n);
        fraction.close(r);
        (numerator, denominator)
    });
    let share = match (percent, fraction) {
        (Some(_), Some(_)) => {
            r.error(place, "only one of percent and fraction can be set");
            0
        }
        (Some((percent, _)), None) => u64::from(percent) * 10_000,
        (None, Some((numerator, denominator))) => {
            (u64::from(numerator) * u64::from(WHOLE)) / u64::from(denominator.max(1))
        }
        (None, None) => u64::from(WHOLE),
    };
    let share = u32::try_from(share)
        .ok()
        .filter(|share| *share <= WHOLE)
        .unwrap_or_else(|| {
            r.error(place, "more than all requests cannot be mirrored");
            0
        });
    let Some(mut inner) = fields.child("backendRef", r) else {
        r.error(place, format!("{} is required", fields.path("backendRef")));
        return None;
    };
    let backend = read_backend(&mut inner, r);
    inner.close(r);
    backend
        .filter(|_| share > 0)
        .map(|backend| (backend, share))
}

/// All but the path. An absent port is the scheme's own, or, without a scheme, that of the
/// request; the default code is 302.
fn redirect(fields: &mut Fields<'_>, r: &mut Report) -> Redirect {
    const SCHEMES: &[(&str, (&str, u32))] = &[("http", ("http", 80)), ("https", ("https", 443))];
    let scheme = fields.choice("scheme", SCHEMES, r).map(|(found, _)| found);
    let authority = fields.text("hostname", r);
    let port = fields.port("port", r).map(u32::from);
    let code = match fields.number("statusCode", r) {
        None => 302,
        Some((code, _)) if matches!(code, 301 | 302 | 303 | 307 | 308) => code,
        Some((code, place)) => {
            let path = fields.path("statusCode");
            r.error(
                place,
                format!("{path}: {code} is none of 301, 302, 303, 307, 308"),
            );
            302
        }
    };
    Redirect {
        authority,
        scheme: scheme.map_or("", |(name, _)| name).to_owned(),
        port: port.or(scheme.map(|(_, port)| port)).unwrap_or(0),
        port_from_request: port.is_none() && scheme.is_none(),
        code,
        ..Redirect::default()
    }
}

fn path(fields: &mut Fields<'_>, r: &mut Report) -> Option<PathModifier> {
    const TYPES: &[(&str, bool)] = &[("ReplaceFullPath", false), ("ReplacePrefixMatch", true)];
    let mut inner = fields.child("path", r)?;
    let place = inner.place();
    let kind = inner.choice("type", TYPES, r);
    let full = inner.word("replaceFullPath", r);
    let prefix = inner.word("replacePrefixMatch", r);
    inner.close(r);
    match (kind?.0, full, prefix) {
        (false, Some(full), None) => Some(PathModifier::Full(full.text)),
        (true, None, Some(prefix)) => Some(PathModifier::Prefix(prefix.text)),
        _ => {
            let path = fields.path("path");
            r.error(
                place,
                format!("{path}: the field that `type` names is required, and no other"),
            );
            None
        }
    }
}

fn cors(fields: &mut Fields<'_>, r: &mut Report) -> Cors {
    let origins = fields.texts("allowOrigins", r);
    Cors {
        allow_origins: origins.iter().map(|origin| origin_match(origin)).collect(),
        allow_credentials: fields.boolean("allowCredentials", r).unwrap_or_default(),
        allow_methods: fields.texts("allowMethods", r),
        allow_headers: fields.texts("allowHeaders", r),
        expose_headers: fields.texts("exposeHeaders", r),
        // The definition's default.
        max_age_seconds: fields.number("maxAge", r).map_or(5, |(age, _)| age.into()),
        // The gateway answers them (Istio: UnmatchedPreflights_IGNORE).
        forward_unmatched_preflights: false,
    }
}

/// `*` is any origin, or any part of one.
fn origin_match(origin: &str) -> StringMatch {
    let kind = if origin == "*" {
        Kind::Present(true)
    } else if origin.contains('*') {
        let parts: Vec<String> = origin.split('*').map(regex::escape).collect();
        Kind::Regex(parts.join(".*"))
    } else {
        Kind::Exact(origin.to_owned())
    };
    StringMatch { kind: Some(kind) }
}
