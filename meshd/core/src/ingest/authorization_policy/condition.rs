//! `when`.

use mesh_api::v1::{AuthorizationAttribute, AuthorizationCondition, Severity};

use super::values;
use crate::yaml::{Fields, Report, Word};

/// Reads one condition (Istio: ValidateAttribute).
pub(super) fn read(
    mut fields: Fields<'_>,
    namespace: &str,
    r: &mut Report,
) -> Option<AuthorizationCondition> {
    let place = fields.place();
    let key = fields.word("key", r);
    let given = fields.words("values", r);
    let given_not = fields.words("notValues", r);
    fields.close(r);
    let Some(key) = key.filter(|key| !key.text.is_empty()) else {
        r.error(place, "`key` must not be empty");
        return None;
    };
    if given.is_empty() && given_not.is_empty() {
        r.error(
            place,
            format!(
                "at least one of `values` or `notValues` must be set for key {}",
                key.text
            ),
        );
    }
    let (attribute, names) = attribute(&key, r)?;
    let check: fn(&Word, &str, &mut Report) = match attribute {
        AuthorizationAttribute::SourceIp
        | AuthorizationAttribute::RemoteIp
        | AuthorizationAttribute::DestinationIp => values::check_ip,
        AuthorizationAttribute::DestinationPort => values::check_port,
        AuthorizationAttribute::SourceNamespace => values::check_filled,
        AuthorizationAttribute::SourceServiceAccount => values::check_service_account,
        _ => values::check_pattern,
    };
    given
        .iter()
        .chain(&given_not)
        .for_each(|word| check(word, &key.text, r));
    let texts = |words: Vec<Word>| -> Vec<String> {
        let texts = words.into_iter().map(|word| word.text);
        match attribute {
            AuthorizationAttribute::SourceServiceAccount => texts
                .map(|text| values::account(&text, namespace))
                .collect(),
            AuthorizationAttribute::SourcePrincipal => values::principals(texts.collect()),
            _ => texts.collect(),
        }
    };
    let mut condition = AuthorizationCondition {
        attribute: attribute.into(),
        values: texts(given),
        not_values: texts(given_not),
        ..AuthorizationCondition::default()
    };
    match attribute {
        AuthorizationAttribute::RequestHeader => condition.header = names.concat(),
        _ => condition.claim = names,
    }
    Some(condition)
}

/// What a key means, and the names in its brackets.
fn attribute(key: &Word, r: &mut Report) -> Option<(AuthorizationAttribute, Vec<String>)> {
    const PLAIN: &[(&str, AuthorizationAttribute)] = &[
        ("source.ip", AuthorizationAttribute::SourceIp),
        ("remote.ip", AuthorizationAttribute::RemoteIp),
        ("source.namespace", AuthorizationAttribute::SourceNamespace),
        ("source.principal", AuthorizationAttribute::SourcePrincipal),
        (
            "source.serviceAccount",
            AuthorizationAttribute::SourceServiceAccount,
        ),
        (
            "source.trustDomain",
            AuthorizationAttribute::SourceTrustDomain,
        ),
        (
            "request.auth.principal",
            AuthorizationAttribute::RequestPrincipal,
        ),
        (
            "request.auth.audiences",
            AuthorizationAttribute::RequestAudiences,
        ),
        (
            "request.auth.presenter",
            AuthorizationAttribute::RequestPresenter,
        ),
        ("destination.ip", AuthorizationAttribute::DestinationIp),
        ("destination.port", AuthorizationAttribute::DestinationPort),
        ("connection.sni", AuthorizationAttribute::ConnectionSni),
    ];
    let text = key.text.as_str();
    if let Some((_, attribute)) = PLAIN.iter().find(|(name, _)| *name == text) {
        return Some((*attribute, Vec::new()));
    }
    let named = [
        ("request.headers", AuthorizationAttribute::RequestHeader),
        ("request.auth.claims", AuthorizationAttribute::RequestClaim),
    ];
    for (prefix, attribute) in named {
        let Some(rest) = text.strip_prefix(prefix) else {
            continue;
        };
        let mut names = brackets(rest);
        if attribute == AuthorizationAttribute::RequestHeader {
            names = names
                .filter(|names| names.len() == 1)
                .map(|names| names.iter().map(|name| name.to_ascii_lowercase()).collect());
        }
        if names.is_none() {
            let form = "should have format a[b]";
            r.error(key.place, format!("bad key ({text}): {form}"));
        }
        return Some((attribute, names?));
    }
    if text.starts_with("experimental.envoy.filters.") {
        let message = format!(
            "`when` with key {text}: it is about what a filter of Envoy tells, and no such filter runs here; the condition would never hold"
        );
        r.push(Severity::Error, key.place, message, "unsupported");
    } else {
        r.error(key.place, format!("unknown attribute: {text}"));
    }
    None
}

/// The names in `[a][b]`; none if it has another form.
fn brackets(text: &str) -> Option<Vec<String>> {
    let inner = text.strip_prefix('[')?.strip_suffix(']')?;
    let names: Vec<String> = inner.split("][").map(str::to_owned).collect();
    let good = |name: &String| !name.is_empty() && !name.contains(['[', ']']);
    names.iter().all(good).then_some(names)
}
