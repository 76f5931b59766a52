//! Taking out what nobody else may see.

use serde_json::Value;

const REDACTED: &str = "REDACTED";
/// Parts of field names whose text is nobody's business.
const SECRET_FIELDS: [&str; 8] = [
    "private_key",
    "privatekey",
    "password",
    "secret",
    "token",
    "key_pem",
    "key_der",
    "cookie",
];
/// Fields of Secrets and of credentials.
const SECRET_NAMES: [&str; 4] = ["key", "tls.key", "data", "stringdata"];
/// Names that only sound like it.
const HARMLESS: [&str; 3] = ["token_audience", "secret_name", "cookie_name"];

/// A JSON document without secrets, as text.
pub(super) fn json(mut value: Value) -> String {
    clean(&mut value, false);
    let text = serde_json::to_string_pretty(&value).unwrap_or_default();
    // What stands in a text field of another name is found by its looks.
    self::text(&text)
}

fn clean(value: &mut Value, credential: bool) {
    match value {
        Value::Object(fields) => {
            let credential = credential || is_credential(fields);
            for (name, value) in fields.iter_mut() {
                let name = name.to_ascii_lowercase();
                let secret = SECRET_FIELDS.iter().any(|part| name.contains(part))
                    || (credential && SECRET_NAMES.contains(&name.as_str()));
                if secret && !HARMLESS.contains(&name.as_str()) {
                    hide(value);
                } else {
                    clean(value, credential);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| clean(item, credential)),
        _ => {}
    }
}

/// A resource that carries a credential, or a Secret.
fn is_credential(fields: &serde_json::Map<String, Value>) -> bool {
    let text = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default();
    fields.contains_key("credential")
        || text("name").starts_with("credential/")
        || text("kind") == "Secret"
}

/// Text and bytes go; whether something was set, and how it is built, stays.
fn hide(value: &mut Value) {
    match value {
        Value::String(text) if !text.is_empty() => REDACTED.clone_into(text),
        Value::Number(_) => {}
        Value::Array(items) => items.iter_mut().for_each(hide),
        Value::Object(fields) => fields.values_mut().for_each(hide),
        _ => {}
    }
}

/// A text without private keys in PEM, JSON Web Tokens, and what follows `Bearer` or `Basic`.
pub(super) fn text(text: &str) -> String {
    let text = without_keys(text);
    let mut out = String::with_capacity(text.len());
    let mut hide_next = false;
    for piece in text.split_inclusive(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ','))
    {
        let end = piece
            .trim_end_matches(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ','))
            .len();
        let (word, tail) = piece.split_at(end);
        if word.is_empty() {
            out.push_str(piece);
            continue;
        }
        if hide_next || is_jwt(word) {
            out.push_str(REDACTED);
        } else {
            out.push_str(word);
        }
        out.push_str(tail);
        hide_next = matches!(word.to_ascii_lowercase().as_str(), "bearer" | "basic")
            && tail.starts_with(' ');
    }
    out
}

/// RFC 7515 section 3.1: three parts of base64url, of which the first two are JSON.
fn is_jwt(word: &str) -> bool {
    let start = word.find("eyJ").unwrap_or(word.len());
    let word = word.get(start..).unwrap_or_default();
    word.split('.').count() == 3
        && word
            .split('.')
            .nth(1)
            .is_some_and(|part| part.starts_with("eyJ"))
}

fn without_keys(text: &str) -> String {
    let (mut rest, mut out) = (text, String::new());
    while let Some(at) = rest.find("PRIVATE KEY-----") {
        let (before, key) = rest.split_at(at);
        out.push_str(before);
        out.push_str("PRIVATE KEY----- ");
        out.push_str(REDACTED);
        let key = key.get("PRIVATE KEY-----".len()..).unwrap_or_default();
        rest = match key.find("PRIVATE KEY-----") {
            Some(end) => key
                .get(end + "PRIVATE KEY-----".len()..)
                .unwrap_or_default(),
            None => "",
        };
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn secrets_go_and_the_rest_stays() {
        let dump = json!({
            "revision": 3,
            "resources": [
                {"name": "credential/istio-system/shop", "credential": {"certificate": "PUBLIC", "key": "S3CRET"}},
                {"name": "routes/a:80", "key": "hash key"},
                {"metadata": {"name": "x"}, "kind": "Secret", "data": {"ca.crt": "S3CRET", "n": 1}},
                {"join_token": "S3CRET", "secret_name": "shop", "cookie_name": "user", "tokens": ["S3CRET"]},
            ],
            "pem": "-----BEGIN EC PRIVATE KEY-----\nS3CRET\n-----END EC PRIVATE KEY-----\nafter",
        });
        let text = json_text(dump);
        assert!(!text.contains("S3CRET"), "{text}");
        for kept in [
            "PUBLIC",
            "hash key",
            "\"shop\"",
            "\"user\"",
            "after",
            "\"revision\": 3",
        ] {
            assert!(text.contains(kept), "{kept}: {text}");
        }
    }

    fn json_text(value: Value) -> String {
        super::json(value)
    }

    #[test]
    fn tokens_in_logs_go() {
        let log =
            "GET / authorization=\"Bearer abc.def\" 200\nx eyJhbGciOi.eyJzdWIi.c2ln y basic 1\n";
        assert_eq!(
            text(log),
            "GET / authorization=\"Bearer REDACTED\" 200\nx REDACTED y basic REDACTED\n"
        );
        assert_eq!(text("no secrets, 'here'"), "no secrets, 'here'");
    }
}
