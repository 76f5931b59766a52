//! `proxyHeaders` of a ProxyConfig (Istio: mesh/v1alpha1/proxy.proto): header fields that Istio's
//! proxies add. Ours add less, so that much of what can be asked for holds anyway; the rest is named.

use serde_json::Value;

/// What holds for each field that has one value to choose.
const HOLDS: [(&str, &str, Holds); 6] = [
    // Nothing is written over the server's own.
    ("server", "disabled", Holds::Bool(true)),
    // Every request gets one.
    ("requestId", "disabled", Holds::Bool(false)),
    // Servers are told of retries and of the time that is left.
    ("attemptCount", "disabled", Holds::Bool(false)),
    ("envoyDebugHeaders", "disabled", Holds::Bool(false)),
    // Labels are told to peers that prove their identity.
    ("metadataExchangeHeaders", "mode", Holds::Text("IN_MESH")),
    ("xForwardedHost", "enabled", Holds::Bool(false)),
];

#[derive(Clone, Copy)]
enum Holds {
    Bool(bool),
    Text(&'static str),
}

/// Names of the fields that ask for something else than what proxies do.
///
/// # Errors
/// In one line, if it is no object.
pub fn proxy_headers_without_effect(value: &Value) -> Result<Vec<String>, String> {
    let fields = value.as_object().ok_or("proxyHeaders: write an object")?;
    let mut found = Vec::new();
    for (name, value) in fields.iter().filter(|(_, value)| !value.is_null()) {
        if name == "preserveHttp1HeaderCase" {
            // It is always kept.
            if value.as_bool() != Some(true) {
                found.push(format!("proxyHeaders.{name}"));
            }
            continue;
        }
        let inner = value
            .as_object()
            .filter(|_| HOLDS.iter().any(|one| one.0 == name));
        let Some(inner) = inner else {
            found.push(format!("proxyHeaders.{name}"));
            continue;
        };
        for (key, value) in inner.iter().filter(|(_, value)| !value.is_null()) {
            let holds = HOLDS.iter().find(|one| one.0 == name && one.1 == key);
            let holds = holds.is_some_and(|(_, _, holds)| match holds {
                Holds::Bool(wanted) => value.as_bool() == Some(*wanted),
                Holds::Text(wanted) => value.as_str() == Some(wanted),
            });
            if !holds {
                found.push(format!("proxyHeaders.{name}.{key}"));
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_holds_anyway_is_no_problem() {
        let quiet = json!({
            "server": {"disabled": true},
            "requestId": {"disabled": false},
            "metadataExchangeHeaders": {"mode": "IN_MESH"},
            "preserveHttp1HeaderCase": true,
            "setCurrentClientCertDetails": null,
        });
        assert_eq!(proxy_headers_without_effect(&quiet), Ok(Vec::new()));
    }

    #[test]
    fn what_does_not_is_named() {
        let loud = json!({
            // Servers are told of retries and of the time that is left.
            "attemptCount": {"disabled": true},
            "envoyDebugHeaders": {"disabled": true},
            "forwardedClientCert": "SANITIZE",
            "requestId": {"disabled": true},
            "server": {"value": "mine"},
            "setCurrentClientCertDetails": {"dns": true},
        });
        let want = [
            "proxyHeaders.attemptCount.disabled",
            "proxyHeaders.envoyDebugHeaders.disabled",
            "proxyHeaders.forwardedClientCert",
            "proxyHeaders.requestId.disabled",
            "proxyHeaders.server.value",
            "proxyHeaders.setCurrentClientCertDetails",
        ];
        assert_eq!(proxy_headers_without_effect(&loud).unwrap(), want);
        proxy_headers_without_effect(&json!(true)).unwrap_err();
    }
}
