//! What an HTTP rule does: destinations, redirects, edits.

mod edits;
mod effects;

use mesh_api::Hostname;
use mesh_api::v1::string_match::Kind;
use mesh_api::v1::{DirectResponse, HeaderEdits, Redirect, Retry, Severity};

pub(super) use edits::{cors, headers, rewrite};
pub(super) use effects::{fault, per_million};

use crate::model::{Delegation, ForwardRule, HttpAction, HttpCase, Inherited, Retries, Target};
use crate::problem::code;
use crate::translate::DEFAULT_RETRY_ON;
use crate::yaml::{Fields, Place, Report};

/// Reads the action. Istio: validateHTTPRouteConflict.
pub(super) fn read(
    rule: &mut Fields<'_>,
    cases: &[HttpCase],
    r: &mut Report,
) -> Option<HttpAction> {
    let place = rule.place();
    let targets = targets(rule, "route", true, r);
    let delegate = rule
        .child("delegate", r)
        .and_then(|fields| delegate(fields, r));
    let redirect = rule
        .child("redirect", r)
        .and_then(|fields| redirect(fields, cases, r));
    let direct = rule
        .child("directResponse", r)
        .and_then(|fields| direct_response(fields, r));
    let rewrite = rule.child("rewrite", r).map(|fields| rewrite(fields, r));
    let timeout_ms = rule.duration("timeout", r).map(|(ms, _)| ms);
    let retries = rule
        .child("retries", r)
        .map_or(Retries::Default, |fields| retries(fields, r));
    let mirrors = mirrors(rule, r);
    let mut conflict = |a: &'static str, b: &'static str| {
        let (a_set, b_set) = (rule.has(a), rule.has(b));
        if a_set && b_set {
            r.error(place, format!("HTTP route cannot contain both {a} and {b}"));
        }
    };
    for (a, b) in [
        ("route", "redirect"),
        ("fault", "redirect"),
        ("rewrite", "redirect"),
        ("directResponse", "redirect"),
        ("route", "directResponse"),
        ("fault", "directResponse"),
        ("rewrite", "directResponse"),
        ("mirror", "mirrors"),
        ("delegate", "route"),
        ("delegate", "redirect"),
        ("delegate", "directResponse"),
    ] {
        conflict(a, b);
    }
    if let Some((name, namespace)) = delegate {
        return Some(HttpAction::Delegate(Box::new(Delegation {
            name,
            namespace,
            inherited: Inherited {
                rewrite,
                timeout_ms,
                retries,
                mirrors,
            },
        })));
    }
    if let Some(redirect) = redirect {
        return Some(HttpAction::Redirect(redirect));
    }
    if let Some(direct) = direct {
        return Some(HttpAction::Direct(direct));
    }
    if targets.is_empty() {
        if !rule.has("delegate")
            && !rule.has("redirect")
            && !rule.has("directResponse")
            && !r.failed()
        {
            r.error(place, "HTTP route, redirect or direct_response is required");
        }
        return None;
    }
    Some(HttpAction::Forward(Box::new(ForwardRule {
        targets,
        rewrite,
        timeout_ms,
        retries,
        mirrors,
        per_try_timeout_ms: 0,
        lost: Vec::new(),
    })))
}

fn delegate(mut fields: Fields<'_>, r: &mut Report) -> Option<(String, String)> {
    let place = fields.place();
    let name = fields.text("name", r);
    let namespace = fields.text("namespace", r);
    fields.close(r);
    if name.is_empty() {
        r.error(place, "delegate virtual service name is required");
        return None;
    }
    Some((name, namespace))
}

/// The Host can be set in one place only (Istio: validateAuthorityRewrite).
pub(super) fn check_authority(
    action: &HttpAction,
    headers: Option<&HeaderEdits>,
    place: Place,
    r: &mut Report,
) {
    let HttpAction::Forward(forward) = action else {
        return;
    };
    let mut current = forward
        .rewrite
        .as_ref()
        .map_or("", |rewrite| rewrite.authority.as_str());
    let request = headers.and_then(|headers| headers.request.as_ref());
    for field in request
        .iter()
        .flat_map(|edits| edits.set.iter().chain(&edits.add))
    {
        if field.name != ":authority" && field.name != "host" {
            continue;
        }
        if !current.is_empty() {
            r.error(
                place,
                format!("authority header cannot be set multiple times: have \"{current}\", attempting to set \"{}\"", field.value),
            );
        }
        current = &field.value;
    }
}

/// Reads weighted destinations; those of `http` may edit headers.
pub(super) fn targets(
    rule: &mut Fields<'_>,
    name: &'static str,
    http: bool,
    r: &mut Report,
) -> Vec<Target> {
    let place = rule.place();
    let mut targets = Vec::new();
    for mut entry in rule.children(name, r) {
        let weight = entry.number("weight", r).map_or(0, |(weight, _)| weight);
        let headers = if http {
            entry.child("headers", r).map(|fields| headers(fields, r))
        } else {
            None
        };
        match entry.child("destination", r) {
            Some(destination) => {
                targets.extend(destination_target(destination, weight, headers, r));
            }

            None => r.error(entry.place(), "destination is required"),
        }
        entry.close(r);
    }
    if targets.len() > 1 && targets.iter().all(|target| target.weight == 0) {
        r.error(place, "total destination weight = 0");
    }
    targets
}

pub(super) fn destination_target(
    mut fields: Fields<'_>,
    weight: u32,
    headers: Option<HeaderEdits>,
    r: &mut Report,
) -> Option<Target> {
    let place = fields.place();
    let host = fields.word("host", r);
    let subset = fields.text("subset", r);
    let port = fields.child("port", r).and_then(|mut port| {
        let number = port.port("number", r);
        if number.is_none() && !port.has("number") {
            r.error(port.place(), format!("{} is required", port.path("number")));
        }
        port.close(r);
        number
    });
    fields.close(r);
    let Some(mut host) = host else {
        r.error(place, "destination host is required");
        return None;
    };
    match host.text.parse::<Hostname>() {
        Ok(name) if name.as_str() == "*" => r.error(host.place, "invalid destination host *"),
        Ok(name) => name.as_str().clone_into(&mut host.text),
        Err(error) => r.error(host.place, error.to_string()),
    }
    Some(Target {
        host,
        port,
        subset,
        weight,
        headers,
    })
}

fn mirrors(rule: &mut Fields<'_>, r: &mut Report) -> Vec<(Target, u32)> {
    const WHOLE: u32 = 1_000_000;
    let mut mirrors = Vec::new();
    let old = rule.number("mirrorPercent", r);
    if let Some((percent, place)) = old {
        r.warn(
            place,
            "using deprecated setting \"mirrorPercent\", use \"mirrorPercentage\" instead",
        );
        if percent > 100 {
            r.error(
                place,
                format!("mirror_percent must have a max value of 100 (it has {percent})"),
            );
        }
    }
    let share = per_million(rule, "mirrorPercentage", "mirror_percentage", r);
    if let Some(destination) = rule.child("mirror", r) {
        let share = share
            .or(old.map(|(percent, _)| percent.saturating_mul(10_000)))
            .unwrap_or(WHOLE);
        mirrors.extend(destination_target(destination, 0, None, r).map(|target| (target, share)));
    }
    for mut mirror in rule.children("mirrors", r) {
        let share = per_million(&mut mirror, "percentage", "mirror percentage", r).unwrap_or(WHOLE);
        match mirror.child("destination", r) {
            Some(destination) => mirrors
                .extend(destination_target(destination, 0, None, r).map(|target| (target, share))),
            None => r.error(mirror.place(), "destination is required for mirrors"),
        }
        mirror.close(r);
    }
    mirrors.retain(|(_, share)| *share > 0);
    mirrors
}

/// Reads `retries` (Istio: ValidateHTTPRetry, retry.ConvertPolicy).
fn retries(mut fields: Fields<'_>, r: &mut Report) -> Retries {
    const KNOWN: &[&str] = &[
        "5xx",
        "gateway-error",
        "reset",
        "reset-before-request",
        "connect-failure",
        "retriable-4xx",
        "refused-stream",
        "retriable-status-codes",
        "retriable-headers",
        "envoy-ratelimited",
        "http3-post-connect-failure",
        "cancelled",
        "deadline-exceeded",
        "internal",
        "resource-exhausted",
        "unavailable",
    ];
    let place = fields.place();
    let attempts = fields
        .number("attempts", r)
        .map_or(0, |(attempts, _)| attempts);
    let per_try_timeout_ms = fields.positive_duration("perTryTimeout", r);
    let retry_on = fields
        .word("retryOn", r)
        .filter(|word| !word.text.is_empty());
    // Endpoints of all localities are candidates for every try anyway.
    let remote = fields.boolean("retryRemoteLocalities", r);
    let ignore_previous = fields
        .boolean("retryIgnorePreviousHosts", r)
        .unwrap_or(true);
    let backoff = fields.positive_duration("backoff", r).unwrap_or(25);
    fields.close(r);
    if attempts == 0 {
        if per_try_timeout_ms.is_some() || retry_on.is_some() || remote.is_some() {
            r.error(
                place,
                "http retry policy configured when attempts are set to 0 (disabled)",
            );
        }
        return Retries::Off;
    }
    let mut policy = Retry {
        attempts,
        per_try_timeout_ms: per_try_timeout_ms.unwrap_or(0),
        retry_on: DEFAULT_RETRY_ON
            .iter()
            .map(|&condition| condition.to_owned())
            .collect(),
        status_codes: Vec::new(),
        backoff_base_ms: backoff,
        backoff_max_ms: backoff.saturating_mul(10),
        allow_previous_hosts: !ignore_previous,
        origin: Some(r.at(place)),
    };
    if let Some(word) = retry_on {
        policy.retry_on.clear();
        for condition in word
            .text
            .split(',')
            .map(str::trim)
            .filter(|condition| !condition.is_empty())
        {
            match condition.parse::<u32>() {
                Ok(code) if is_status_code(code) => policy.status_codes.push(code),
                _ if KNOWN.contains(&condition) => policy.retry_on.push(condition.to_owned()),
                _ => r.error(
                    word.place,
                    format!("\"{condition}\" is not a valid retryOn policy"),
                ),
            }
        }
        let by_code = "retriable-status-codes";
        if !policy.status_codes.is_empty()
            && !policy.retry_on.iter().any(|condition| condition == by_code)
        {
            policy.retry_on.push(by_code.to_owned());
        }
    }
    Retries::Policy(policy)
}

/// Status codes that have a name (IANA's registry, as Go's net/http knows it).
fn is_status_code(code: u32) -> bool {
    matches!(code, 100..=103 | 200..=208 | 226 | 300..=305 | 307 | 308 | 400..=418 | 421..=426 | 428 | 429 | 431 | 451 | 500..=508 | 510 | 511)
}

/// Reads `redirect` (Istio: validateHTTPRedirect).
fn redirect(mut fields: Fields<'_>, cases: &[HttpCase], r: &mut Report) -> Option<Redirect> {
    let place = fields.place();
    let uri = fields.text("uri", r);
    let uri_prefix = fields.text("prefixRewrite", r);
    let authority = fields.text("authority", r);
    let port = fields.port("port", r).map_or(0, u32::from);
    let derive = fields.choice(
        "derivePort",
        &[
            ("FROM_PROTOCOL_DEFAULT", false),
            ("FROM_REQUEST_PORT", true),
        ],
        r,
    );
    let scheme = fields
        .choice("scheme", &[("http", "http"), ("https", "https")], r)
        .map_or("", |(scheme, _)| scheme)
        .to_owned();
    let code = fields.number("redirectCode", r);
    fields.close(r);
    if !uri.is_empty() && !uri_prefix.is_empty() {
        r.error(
            place,
            "redirect may only specify one of uri or prefix_rewrite",
        );
    }
    let by_prefix = |case: &HttpCase| {
        case.wire
            .uri
            .as_ref()
            .is_none_or(|uri| matches!(uri.kind, Some(Kind::Prefix(_))))
    };
    if !uri_prefix.is_empty() && !cases.iter().all(by_prefix) {
        r.error(
            place,
            "redirect prefix_rewrite requires all URI matches to use prefix match type",
        );
    }
    if uri.is_empty()
        && uri_prefix.is_empty()
        && authority.is_empty()
        && port == 0
        && derive.is_none()
        && scheme.is_empty()
    {
        r.error(
            place,
            "redirect must specify URI, authority, scheme, or port",
        );
    }
    let code = match code {
        None | Some((0, _)) => 301,
        Some((code, _)) if matches!(code, 301 | 302 | 303 | 307 | 308) => code,
        Some((code, place)) => {
            r.error(
                place,
                format!(
                    "{code} is not a valid redirect code, must be 301, 302, 303, 307 or 308 (3xx)"
                ),
            );
            return None;
        }
    };
    let port_from_request = derive.is_some_and(|(from_request, _)| from_request);
    Some(Redirect {
        uri,
        uri_prefix,
        authority,
        scheme,
        port,
        port_from_request,
        code,
    })
}

/// Reads `directResponse`.
fn direct_response(mut fields: Fields<'_>, r: &mut Report) -> Option<DirectResponse> {
    const LARGEST: usize = 1 << 20;
    let place = fields.place();
    let status = fields.number("status", r);
    let mut body = Vec::new();
    if let Some(mut inner) = fields.child("body", r) {
        if let Some(text) = inner.word("string", r) {
            body = text.text.into_bytes();
        }
        if let Some(encoded) = inner.word("bytes", r) {
            use base64::Engine as _;
            match base64::engine::general_purpose::STANDARD.decode(&encoded.text) {
                Ok(bytes) => body = bytes,
                Err(error) => r.error(
                    encoded.place,
                    format!("{}: this is no base64: {error}", inner.path("bytes")),
                ),
            }
        }
        inner.close(r);
    }
    fields.close(r);
    if body.len() > LARGEST {
        r.error(
            place,
            "large direct_responses may impact control plane performance, must be less than 1MB",
        );
    }
    match status {
        Some((status, _)) if (200..600).contains(&status) => Some(DirectResponse { status, body }),
        Some((status, place)) => {
            r.error(
                place,
                format!("HTTP status {status} is not in range 200-599"),
            );
            None
        }
        None => {
            r.push(
                Severity::Error,
                place,
                "directResponse.status is required".to_owned(),
                code::SCHEMA_VALIDATION_ERROR,
            );
            None
        }
    }
}
