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
    let (attribute, header) = attribute(&key, r)?;
    let account = key.text == "source.serviceAccount";
    let check: fn(&Word, &str, &mut Report) = match attribute {
        AuthorizationAttribute::SourceIp | AuthorizationAttribute::DestinationIp => {
            values::check_ip
        }
        AuthorizationAttribute::DestinationPort => values::check_port,
        AuthorizationAttribute::SourceNamespace => values::check_filled,
        _ if account => values::check_service_account,
        _ => values::check_pattern,
    };
    given
        .iter()
        .chain(&given_not)
        .for_each(|word| check(word, &key.text, r));
    let texts = |words: Vec<Word>| -> Vec<String> {
        let texts = words.into_iter().map(|word| word.text);
        match attribute {
            AuthorizationAttribute::SourcePrincipal if account => texts
                .map(|text| values::account_pattern(&text, namespace))
                .collect(),
            AuthorizationAttribute::SourcePrincipal => values::principals(texts.collect()),
            _ => texts.collect(),
        }
    };
    Some(AuthorizationCondition {
        attribute: attribute.into(),
        header,
        values: texts(given),
        not_values: texts(given_not),
    })
}

fn attribute(key: &Word, r: &mut Report) -> Option<(AuthorizationAttribute, String)> {
    let plain = |attribute| Some((attribute, String::new()));
    let text = key.text.as_str();
    match text {
        "source.ip" => return plain(AuthorizationAttribute::SourceIp),
        "source.namespace" => return plain(AuthorizationAttribute::SourceNamespace),
        "source.principal" | "source.serviceAccount" => {
            return plain(AuthorizationAttribute::SourcePrincipal);
        }
        "destination.ip" => return plain(AuthorizationAttribute::DestinationIp),
        "destination.port" => return plain(AuthorizationAttribute::DestinationPort),
        "connection.sni" => return plain(AuthorizationAttribute::ConnectionSni),
        _ => {}
    }
    if let Some(rest) = text.strip_prefix("request.headers") {
        let name = rest
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .filter(|name| !name.is_empty());
        if name.is_none() {
            r.error(
                key.place,
                format!("bad key ({text}): should have format a[b]"),
            );
        }
        return Some((
            AuthorizationAttribute::RequestHeader,
            name?.to_ascii_lowercase(),
        ));
    }
    let known = ["remote.ip", "source.trustDomain"].contains(&text)
        || text.starts_with("request.auth.")
        || text.starts_with("experimental.envoy.filters.");
    if known {
        let message = format!(
            "`when` with key {text} is not supported yet; the rule would take requests it should not"
        );
        r.push(Severity::Error, key.place, message, "unsupported");
    } else {
        r.error(key.place, format!("unknown attribute: {text}"));
    }
    None
}
