//! Values of rules: what is allowed in them, and their form on the wire.

use crate::yaml::{Report, Word};

/// Istio: CheckEmptyValues.
pub(super) fn check_filled(word: &Word, name: &str, r: &mut Report) {
    if word.text.is_empty() {
        r.error(
            word.place,
            format!("empty value not allowed, found in {name}"),
        );
    }
}

/// Exact, `prefix*`, `*suffix` or `*`. A `*` elsewhere would be taken literally: a warning.
pub(super) fn check_pattern(word: &Word, name: &str, r: &mut Report) {
    check_filled(word, name, r);
    let text = word.text.as_str();
    let inner = text.strip_prefix('*').unwrap_or(text);
    let inner = if inner.len() == text.len() {
        inner.strip_suffix('*').unwrap_or(inner)
    } else {
        inner
    };
    if inner.contains('*') {
        r.warn(word.place, format!("{name}: in `{text}`, a `*` that is not the first or the last letter is taken literally"));
    }
}

/// Istio: CheckValidPathTemplate.
pub(super) fn check_path(word: &Word, name: &str, r: &mut Report) {
    check_filled(word, name, r);
    let path = word.text.as_str();
    let template = path.contains("{*}") || path.contains("{**}");
    if !template {
        if path.contains(['{', '}']) {
            r.error(
                word.place,
                format!("invalid or unsupported path {path}, found in {name}. Contains '{{' or '}}' beyond a supported path template"),
            );
            return;
        }
        check_pattern(word, name, r);
        return;
    }
    let mut rest_taken = false;
    for segment in path.trim_matches('/').split('/') {
        if segment == "{*}" || segment == "{**}" {
            if rest_taken {
                r.error(word.place, format!("invalid or unsupported path {path}, found in {name}. {{**}} is not the last operator"));
                return;
            }
            rest_taken = segment == "{**}";
        } else if segment.contains(['{', '}']) {
            r.error(
                word.place,
                format!("invalid or unsupported path {path}, found in {name}. Contains '{{' or '}}' beyond a supported path template"),
            );
            return;
        } else if segment.is_empty()
            || !segment
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-._~%!$&'()+,;:@=".contains(&b))
        {
            r.error(
                word.place,
                format!("invalid or unsupported path {path}, found in {name}. Contains segment {segment} with invalid string literal"),
            );
            return;
        }
    }
}

/// Istio: ValidateIPs.
pub(super) fn check_ip(word: &Word, name: &str, r: &mut Report) {
    let text = word.text.as_str();
    if text.contains('/') {
        if text.parse::<ipnet::IpNet>().is_err() {
            r.error(word.place, format!("{name}: bad CIDR range ({text})"));
        }
    } else if text.parse::<std::net::IpAddr>().is_err() {
        r.error(word.place, format!("{name}: bad IP address ({text})"));
    }
}

/// Istio: ValidatePorts.
pub(super) fn check_port(word: &Word, name: &str, r: &mut Report) {
    if word.text.parse::<u16>().is_err() {
        r.error(word.place, format!("{name}: bad port ({})", word.text));
    }
}

/// Istio: CheckServiceAccount.
pub(super) fn check_service_account(word: &Word, name: &str, r: &mut Report) {
    let text = word.text.as_str();
    if text.is_empty() {
        r.error(
            word.place,
            format!("empty value not allowed, found in {name}"),
        );
    } else if text.contains('*') {
        r.error(word.place, format!("wildcard not allowed, found in {name}"));
    } else if text.split('/').count() > 2 || text.starts_with('/') || text.ends_with('/') {
        r.error(word.place, format!("expected format 'serviceAccount' or 'namespace/serviceAccount', found \"{text}\" in {name}"));
    } else if text.len() > 320 {
        r.error(
            word.place,
            format!("value cannot exceed 320 characters, found \"{text}\" in {name}"),
        );
    }
}

/// `account` as `namespace/account`.
pub(super) fn account(account: &str, namespace: &str) -> String {
    if account.contains('/') {
        return account.to_owned();
    }
    format!("{namespace}/{account}")
}

/// Principals stand without the scheme.
pub(super) fn principals(words: Vec<String>) -> Vec<String> {
    words
        .into_iter()
        .map(|word| {
            word.strip_prefix("spiffe://")
                .map_or(word.clone(), str::to_owned)
        })
        .collect()
}

/// Port numbers; what is none has been reported.
pub(super) fn ports(words: &[String]) -> Vec<u32> {
    words
        .iter()
        .filter_map(|word| word.parse::<u16>().ok())
        .map(u32::from)
        .collect()
}
