//! RequestAuthentication (Istio: security/v1beta1/request_authentication.proto).

use std::collections::BTreeSet;

use mesh_api::v1::{JwtClaimHeader, JwtHeader, JwtRule};
use serde_json::Value;

use super::placement;
use crate::KeySource;
use crate::model::{Meta, RequestAuthentication, TokenRule};
use crate::yaml::{Fields, Report, Word};

/// Claims that are lists of words in one string, unless a rule says otherwise (Istio).
const SPACE_DELIMITED: [&str; 2] = ["scope", "permission"];

pub(super) fn read(meta: Meta, spec: &mut Fields<'_>, r: &mut Report) -> RequestAuthentication {
    let placement = placement::read(spec, meta.namespace(), r);
    let rules = spec
        .children("jwtRules", r)
        .into_iter()
        .map(|rule| read_rule(rule, r))
        .collect();
    RequestAuthentication {
        meta,
        placement,
        rules,
    }
}

/// Reads a rule (Istio: validateJwtRule).
fn read_rule(mut fields: Fields<'_>, r: &mut Report) -> TokenRule {
    let place = fields.place();
    let issuer = fields.text("issuer", r);
    if issuer.is_empty() {
        r.error(place, "issuer must be non-empty string");
    }
    let audiences = filled(&mut fields, "audiences", "audience", r);
    let from_params = filled(&mut fields, "fromParams", "location query", r);
    let from_cookies = filled(&mut fields, "fromCookies", "cookie name", r);
    let from_headers = fields
        .children("fromHeaders", r)
        .into_iter()
        .filter_map(|header| location(header, r))
        .collect();
    let output_claim_to_headers = claim_headers(&mut fields, r);
    let output_payload_to_header = header(fields.word("outputPayloadToHeader", r), r);
    let space_delimited = fields.has("spaceDelimitedClaims");
    let mut space_delimited_claims = fields.texts("spaceDelimitedClaims", r);
    if !space_delimited {
        space_delimited_claims = SPACE_DELIMITED.map(str::to_owned).to_vec();
    }
    let (jwks, keys) = keys(&mut fields, &issuer, r);
    let wire = JwtRule {
        issuer,
        audiences,
        jwks,
        from_headers,
        from_params,
        from_cookies,
        forward_original_token: fields.boolean("forwardOriginalToken", r).unwrap_or(false),
        output_payload_to_header,
        output_claim_to_headers,
        space_delimited_claims,
        unavailable: String::new(),
        origin: Some(r.at(place)),
    };
    // How long keys may take: the control plane has a limit of its own for that.
    fields.duration("timeout", r);
    fields.close(r);
    TokenRule { wire, keys }
}

/// Keys that stand in the rule, or where they are.
fn keys(fields: &mut Fields<'_>, issuer: &str, r: &mut Report) -> (String, Option<KeySource>) {
    let inline = fields.word("jwks", r);
    let uri = fields.word("jwksUri", r);
    match (inline, uri) {
        (Some(inline), uri) if !inline.text.is_empty() => {
            if let Some(uri) = uri.filter(|uri| !uri.text.is_empty()) {
                r.warn(uri.place, "jwksUri is not used, for there are keys in jwks");
            }
            if let Err(why) = check_keys(&inline.text) {
                r.error(inline.place, format!("jwks: {why}"));
            }
            (inline.text, None)
        }
        (_, Some(uri)) if !uri.text.is_empty() => {
            let text = uri.text.as_str();
            if !text.starts_with("https://") && !text.starts_with("http://") {
                let message = format!("jwksUri: `{text}` is no URI of http or https");
                r.error(uri.place, message);
            } else if text.starts_with("http://") {
                r.warn(
                    uri.place,
                    "jwksUri: keys come in plain text; who is between can give others",
                );
            }
            (String::new(), Some(KeySource::Uri(uri.text)))
        }
        _ => (String::new(), Some(KeySource::Issuer(issuer.to_owned()))),
    }
}

fn check_keys(text: &str) -> Result<(), String> {
    let set: Value = serde_json::from_str(text)
        .map_err(|error| format!("this is no JSON Web Key Set: {error}"))?;
    match set.get("keys").and_then(Value::as_array) {
        Some(keys) if !keys.is_empty() => Ok(()),
        Some(_) => Err("there is no key in it".to_owned()),
        None => Err("this is no JSON Web Key Set: it has no `keys`".to_owned()),
    }
}

fn location(mut fields: Fields<'_>, r: &mut Report) -> Option<JwtHeader> {
    let place = fields.place();
    let name = header(fields.word("name", r), r);
    let prefix = fields.text("prefix", r);
    fields.close(r);
    if name.is_empty() {
        r.error(place, "location header name must be non-empty string");
        return None;
    }
    Some(JwtHeader { name, prefix })
}

fn claim_headers(fields: &mut Fields<'_>, r: &mut Report) -> Vec<JwtClaimHeader> {
    let mut seen = BTreeSet::new();
    let mut list = Vec::new();
    for mut entry in fields.children("outputClaimToHeaders", r) {
        let place = entry.place();
        let header = header(entry.word("header", r), r);
        let claim = entry.text("claim", r);
        entry.close(r);
        if header.is_empty() || claim.is_empty() {
            let message = "outputClaimToHeaders header and claim value must be non-empty string";
            r.error(place, message);
        } else if seen.insert(header.clone()) {
            list.push(JwtClaimHeader { header, claim });
        } else {
            let message = format!("duplicated outputClaimToHeaders header {header}");
            r.error(place, message);
        }
    }
    list
}

/// A header's name, lower case.
fn header(word: Option<Word>, r: &mut Report) -> String {
    let Some(word) = word else {
        return String::new();
    };
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    if !word.text.bytes().all(good) {
        let message = format!("`{}` is no name of a header", word.text);
        r.error(word.place, message);
    }
    word.text.to_ascii_lowercase()
}

fn filled(fields: &mut Fields<'_>, name: &'static str, what: &str, r: &mut Report) -> Vec<String> {
    let words = fields.words(name, r);
    for word in words.iter().filter(|word| word.text.is_empty()) {
        r.error(word.place, format!("{what} must be non-empty string"));
    }
    words.into_iter().map(|word| word.text).collect()
}
