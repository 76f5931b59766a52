//! External authorizers of the mesh configuration (Istio: meshConfig.extensionProviders) and the
//! normal form of paths.

use std::time::Duration;

use mesh_api::v1::{AuthorizerBody, ExternalAuthorizer, HeaderValue, PathNormalization};
use serde_json::{Map, Value};

use crate::telemetry_providers;

/// Reads `pathNormalization`.
pub(crate) fn path_normalization(value: &Value) -> Result<PathNormalization, String> {
    let form = value.get("normalization").unwrap_or(&Value::Null);
    match form.as_str() {
        None if form.is_null() => Ok(PathNormalization::Base),
        Some("DEFAULT" | "BASE") => Ok(PathNormalization::Base),
        Some("NONE") => Ok(PathNormalization::None),
        Some("MERGE_SLASHES") => Ok(PathNormalization::MergeSlashes),
        Some("DECODE_AND_MERGE_SLASHES") => Ok(PathNormalization::DecodeAndMergeSlashes),
        _ => Err(format!(
            "pathNormalization.normalization: {form} is not known; write BASE, NONE, MERGE_SLASHES or DECODE_AND_MERGE_SLASHES"
        )),
    }
}

/// Reads the authorizers of `extensionProviders`. Names of providers of kinds that nothing here
/// uses go to `unused`.
pub(crate) fn read(
    value: &Value,
    unused: &mut Vec<String>,
) -> Result<Vec<ExternalAuthorizer>, String> {
    let list = value
        .as_array()
        .ok_or("extensionProviders: it must be a list")?;
    let mut authorizers: Vec<ExternalAuthorizer> = Vec::new();
    for (index, provider) in list.iter().enumerate() {
        let at = format!("extensionProviders[{index}]");
        let name = text(provider, "name", &at)?;
        if name.is_empty() {
            return Err(format!("{at}.name: it must not be empty"));
        }
        let kinds = [("envoyExtAuthzHttp", false), ("envoyExtAuthzGrpc", true)];
        let mut found = kinds
            .into_iter()
            .filter_map(|(kind, grpc)| Some((kind, grpc, provider.get(kind)?)));
        let Some((kind, grpc, settings)) = found.next() else {
            if !telemetry_providers::is_one(provider) {
                unused.push(format!("extensionProviders[{name}]"));
            }
            continue;
        };
        if authorizers.iter().any(|known| known.name == name) {
            return Err(format!("{at}.name: `{name}` is there already"));
        }
        let at = format!("{at}.{kind}");
        authorizers.push(authorizer(name, grpc, settings, &at)?);
    }
    Ok(authorizers)
}

fn authorizer(
    name: String,
    grpc: bool,
    settings: &Value,
    at: &str,
) -> Result<ExternalAuthorizer, String> {
    let fields = settings
        .as_object()
        .ok_or_else(|| format!("{at}: it must hold fields"))?;
    check_known(fields, grpc, at)?;
    let host = text(settings, "service", at)?;
    if host.is_empty() {
        return Err(format!("{at}.service: it must not be empty"));
    }
    let port = settings.get("port").and_then(Value::as_u64);
    let port = port.filter(|port| (1..=65535).contains(port));
    let port = port.ok_or_else(|| format!("{at}.port: it must be a port, 1 to 65535"))?;
    Ok(ExternalAuthorizer {
        name,
        host,
        port: u32::try_from(port).unwrap_or_default(),
        grpc,
        timeout_ms: timeout(settings, at)?,
        fail_open: boolean(settings, "failOpen", at)?,
        status_on_error: status(settings, at)?,
        path_prefix: path_prefix(settings, at)?,
        include_request_headers: [
            words(settings, "includeRequestHeadersInCheck", at)?,
            words(settings, "includeHeadersInCheck", at)?,
        ]
        .concat(),
        additional_headers: additional(settings, at)?,
        body: body(settings, at)?,
        headers_to_upstream_on_allow: words(settings, "headersToUpstreamOnAllow", at)?,
        headers_to_downstream_on_deny: words(settings, "headersToDownstreamOnDeny", at)?,
        headers_to_downstream_on_allow: words(settings, "headersToDownstreamOnAllow", at)?,
        unusable: String::new(),
    })
}

fn check_known(fields: &Map<String, Value>, grpc: bool, at: &str) -> Result<(), String> {
    const BOTH: [&str; 7] = [
        "service",
        "port",
        "timeout",
        "failOpen",
        "statusOnError",
        "includeRequestBodyInCheck",
        // Routes are chosen after the answer anyway.
        "clearRouteCache",
    ];
    const HTTP: [&str; 7] = [
        "pathPrefix",
        "includeHeadersInCheck",
        "includeRequestHeadersInCheck",
        "includeAdditionalHeadersInCheck",
        "headersToUpstreamOnAllow",
        "headersToDownstreamOnDeny",
        "headersToDownstreamOnAllow",
    ];
    let known = |name: &str| BOTH.contains(&name) || (!grpc && HTTP.contains(&name));
    match fields.keys().find(|name| !known(name)) {
        Some(name) => Err(format!("{at}.{name}: it is not known")),
        None => Ok(()),
    }
}

fn text(value: &Value, name: &str, at: &str) -> Result<String, String> {
    match value.get(name) {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(_) => Err(format!("{at}.{name}: it must be text")),
    }
}

fn boolean(value: &Value, name: &str, at: &str) -> Result<bool, String> {
    match value.get(name) {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(value)) => Ok(*value),
        Some(_) => Err(format!("{at}.{name}: it must be true or false")),
    }
}

fn words(value: &Value, name: &str, at: &str) -> Result<Vec<String>, String> {
    let list = match value.get(name) {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(list) => list.as_array(),
    };
    let texts = list.and_then(|list| {
        let texts = list.iter().map(|word| word.as_str().map(str::to_owned));
        texts.collect::<Option<Vec<String>>>()
    });
    texts.ok_or_else(|| format!("{at}.{name}: it must be a list of texts"))
}

fn timeout(value: &Value, at: &str) -> Result<u64, String> {
    let text = text(value, "timeout", at)?;
    if text.is_empty() {
        return Ok(0);
    }
    let wrong = || format!("{at}.timeout: `{text}` is no duration; write 500ms, 0.5s or 10m");
    let time = duration(&text).ok_or_else(wrong)?;
    let ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    if ms == 0 {
        return Err(format!("{at}.timeout: it must be at least 1ms"));
    }
    Ok(ms)
}

/// A number, which may have a fraction, and its unit.
fn duration(text: &str) -> Option<Duration> {
    let unit = text.find(|letter: char| letter.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at_checked(unit)?;
    let seconds = match unit {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return None,
    };
    Duration::try_from_secs_f64(number.parse::<f64>().ok()? * seconds).ok()
}

fn status(value: &Value, at: &str) -> Result<u32, String> {
    let text = text(value, "statusOnError", at)?;
    if text.is_empty() {
        return Ok(0);
    }
    let code = text.parse::<u32>().ok();
    code.filter(|code| (200..600).contains(code))
        .ok_or_else(|| format!("{at}.statusOnError: `{text}` is no status of HTTP"))
}

fn path_prefix(value: &Value, at: &str) -> Result<String, String> {
    let prefix = text(value, "pathPrefix", at)?;
    if prefix.is_empty() || prefix.starts_with('/') {
        return Ok(prefix);
    }
    Err(format!(
        "{at}.pathPrefix: `{prefix}` does not begin with `/`"
    ))
}

fn additional(value: &Value, at: &str) -> Result<Vec<HeaderValue>, String> {
    let name = "includeAdditionalHeadersInCheck";
    let fields = match value.get(name) {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(fields) => fields.as_object(),
    };
    let fields = fields.ok_or_else(|| format!("{at}.{name}: it must hold headers"))?;
    fields
        .iter()
        .map(|(header, value)| {
            let value = value.as_str();
            let value = value.ok_or_else(|| format!("{at}.{name}.{header}: it must be text"))?;
            Ok(HeaderValue {
                name: header.to_ascii_lowercase(),
                value: value.to_owned(),
            })
        })
        .collect()
}

fn body(value: &Value, at: &str) -> Result<Option<AuthorizerBody>, String> {
    let name = "includeRequestBodyInCheck";
    let settings = match value.get(name) {
        None | Some(Value::Null) => return Ok(None),
        Some(settings) => settings,
    };
    let at = format!("{at}.{name}");
    let most = settings.get("maxRequestBytes").and_then(Value::as_u64);
    let most = most.and_then(|most| u32::try_from(most).ok());
    let max_bytes = most
        .filter(|most| *most > 0)
        .ok_or_else(|| format!("{at}.maxRequestBytes: it must be greater than 0"))?;
    Ok(Some(AuthorizerBody {
        max_bytes,
        allow_partial: boolean(settings, "allowPartialMessage", &at)?,
        as_bytes: boolean(settings, "packAsBytes", &at)?,
    }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn reads_authorizers_and_names_the_rest() {
        let mut unused = Vec::new();
        let list = json!([
            {"name": "http", "envoyExtAuthzHttp": {
                "service": "authz.default.svc.cluster.local", "port": 8000, "timeout": "0.5s",
                "failOpen": true, "statusOnError": "503", "pathPrefix": "/check",
                "includeRequestHeadersInCheck": ["x-a"],
                "includeAdditionalHeadersInCheck": {"X-B": "1"},
                "includeRequestBodyInCheck": {"maxRequestBytes": 10, "allowPartialMessage": true},
            }},
            {"name": "grpc", "envoyExtAuthzGrpc": {"service": "ns/a.b", "port": 9000}},
            {"name": "zipkin", "zipkin": {}},
        ]);
        let found = read(&list, &mut unused).unwrap();
        assert_eq!(unused, ["extensionProviders[zipkin]"]);
        assert_eq!((found[0].timeout_ms, found[0].status_on_error), (500, 503));
        assert_eq!(found[0].additional_headers[0].name, "x-b");
        assert_eq!(found[0].body.as_ref().unwrap().max_bytes, 10);
        assert!(found[0].fail_open && !found[0].grpc && found[1].grpc);
        assert_eq!(found[1].host, "ns/a.b");
    }

    #[test]
    fn names_what_is_wrong() {
        for (provider, want) in [
            (json!({"envoyExtAuthzHttp": {}}), "name"),
            (
                json!({"name": "a", "envoyExtAuthzGrpc": {"port": 1}}),
                "service",
            ),
            (
                json!({"name": "a", "envoyExtAuthzGrpc": {"service": "a"}}),
                "port",
            ),
            (
                json!({"name": "a", "envoyExtAuthzGrpc": {"service": "a", "port": 1, "pathPrefix": "/"}}),
                "pathPrefix: it is not known",
            ),
            (
                json!({"name": "a", "envoyExtAuthzHttp": {"service": "a", "port": 1, "statusOnError": "9"}}),
                "statusOnError",
            ),
        ] {
            let error = read(&json!([provider]), &mut Vec::new()).unwrap_err();
            assert!(error.contains(want), "{error}");
        }
        let form = json!({"normalization": "MERGE"});
        assert!(path_normalization(&form).is_err());
    }
}
