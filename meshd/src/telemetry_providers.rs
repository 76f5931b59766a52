//! Who takes what proxies report, in the mesh configuration (Istio: meshConfig.extensionProviders
//! and meshConfig.defaultProviders).

use mesh_api::v1::TraceCollector;
use meshd_core::{TelemetryProvider, TelemetrySettings};
use serde_json::Value;

const LOG: &str = "envoyFileAccessLog";
const COLLECTOR: &str = "opentelemetry";
const SCRAPER: &str = "prometheus";

/// Providers that are for something else.
const AUTHORIZERS: [&str; 2] = ["envoyExtAuthzHttp", "envoyExtAuthzGrpc"];

/// Fields of providers that are used, by kind.
const USED: [(&str, &[&str]); 3] = [
    (SCRAPER, &[]),
    (LOG, &[]),
    (COLLECTOR, &["service", "port", "http"]),
];

/// Whether a provider is of a kind that proxies report to.
pub(crate) fn is_one(provider: &Value) -> bool {
    USED.iter().any(|(kind, _)| provider.get(kind).is_some())
}

/// Reads `extensionProviders` beside Istio's own. Fields without effect go to `unused`; the list
/// has been read for authorizers, so that each has a name.
pub(crate) fn read(
    value: &Value,
    settings: &mut TelemetrySettings,
    unused: &mut Vec<String>,
) -> Result<(), String> {
    settings.providers = TelemetrySettings::default().providers;
    for provider in value.as_array().into_iter().flatten() {
        let name = provider.get("name").and_then(Value::as_str);
        let name = name.unwrap_or_default();
        let read = one(name, provider, unused)?;
        settings.providers.insert(name.to_owned(), read);
    }
    Ok(())
}

fn one(
    name: &str,
    provider: &Value,
    unused: &mut Vec<String>,
) -> Result<TelemetryProvider, String> {
    let Some((kind, used)) = USED.iter().find(|(kind, _)| provider.get(kind).is_some()) else {
        let is_authorizer = AUTHORIZERS.iter().any(|kind| provider.get(kind).is_some());
        return Ok(TelemetryProvider::Unusable(
            match is_authorizer {
                true => "it is for authorization",
                false => "proxies do not report in its form",
            }
            .to_owned(),
        ));
    };
    let at = format!("extensionProviders[{name}].{kind}");
    let fields = provider.get(kind).unwrap_or(&Value::Null);
    let given = fields.as_object().into_iter().flatten();
    for (field, value) in given.filter(|(field, _)| !used.contains(&field.as_str())) {
        // The standard output is where it goes anyway.
        let is_usual = matches!(value.as_str(), Some("" | "/dev/stdout"));
        if *kind != LOG || field != "path" || !is_usual {
            unused.push(format!("{at}.{field}"));
        }
    }
    match *kind {
        SCRAPER => Ok(TelemetryProvider::Prometheus),
        LOG => Ok(TelemetryProvider::FileLog),
        _ => collector(fields, &at, unused),
    }
}

/// A collector that takes OTLP over HTTP.
fn collector(
    fields: &Value,
    at: &str,
    unused: &mut Vec<String>,
) -> Result<TelemetryProvider, String> {
    let service = fields.get("service").and_then(Value::as_str);
    let service = service.unwrap_or_default();
    // `<namespace>/<host>`: the namespace chooses among equal names, which DNS does not have.
    let host = service.rsplit('/').next().unwrap_or_default();
    let is_part = |c: char| c.is_ascii_alphanumeric() || "-._:".contains(c);
    if host.is_empty() || !host.chars().all(is_part) {
        return Err(format!("{at}.service: it must be a host"));
    }
    let port = fields.get("port").and_then(Value::as_u64);
    let port = port.filter(|port| (1..=65535).contains(port));
    let port = port.ok_or_else(|| format!("{at}.port: it must be a port, 1 to 65535"))?;
    let Some(http) = fields.get("http").and_then(Value::as_object) else {
        let why = "it takes spans over gRPC, proxies send them over HTTP; write `http: {path: /v1/traces}`";
        return Ok(TelemetryProvider::Unusable(why.to_owned()));
    };
    let path = http.get("path").and_then(Value::as_str).unwrap_or_default();
    let is_path = path.starts_with('/') && path.bytes().all(|c| c.is_ascii_graphic());
    if !path.is_empty() && !is_path {
        return Err(format!("{at}.http.path: `{path}` is no path"));
    }
    let others = http.keys().filter(|field| *field != "path");
    unused.extend(others.map(|field| format!("{at}.http.{field}")));
    Ok(TelemetryProvider::Collector(TraceCollector {
        host: host.to_owned(),
        port: u32::try_from(port).unwrap_or_default(),
        path: path.to_owned(),
    }))
}

/// Reads `defaultProviders`. What it does not name stays as it is.
pub(crate) fn read_defaults(
    value: &Value,
    settings: &mut TelemetrySettings,
    unused: &mut Vec<String>,
) -> Result<(), String> {
    let fields = value
        .as_object()
        .ok_or("defaultProviders: it must hold fields")?;
    for (field, value) in fields.iter().filter(|(_, value)| !value.is_null()) {
        let place = match field.as_str() {
            "metrics" => &mut settings.metrics,
            "accessLogging" => &mut settings.access_logging,
            "tracing" => &mut settings.tracing,
            _ => {
                unused.push(format!("defaultProviders.{field}"));
                continue;
            }
        };
        let names = value.as_array().and_then(|list| {
            let names = list.iter().map(|name| name.as_str().map(str::to_owned));
            names.collect::<Option<Vec<String>>>()
        });
        *place =
            names.ok_or_else(|| format!("defaultProviders.{field}: it must be a list of names"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn providers_are_read_beside_istios() {
        let (mut settings, mut unused) = (TelemetrySettings::default(), Vec::new());
        let list = json!([
            {"name": "stdout", "envoyFileAccessLog": {"path": "/dev/stdout"}},
            {"name": "file", "envoyFileAccessLog": {"path": "/var/log/x", "logFormat": {}}},
            {"name": "scraper", "prometheus": {}},
            {"name": "otel", "opentelemetry": {
                "service": "observability/otel.observability.svc.cluster.local", "port": 4318,
                "maxTagLength": 10, "http": {"path": "/traces", "timeout": "1s"},
            }},
            {"name": "grpc", "opentelemetry": {"service": "otel", "port": 4317}},
            {"name": "zipkin", "zipkin": {"service": "zipkin", "port": 9411}},
            {"name": "authz", "envoyExtAuthzGrpc": {"service": "a", "port": 1}},
        ]);
        read(&list, &mut settings, &mut unused).unwrap();
        unused.sort();
        assert_eq!(
            unused,
            [
                "extensionProviders[file].envoyFileAccessLog.logFormat",
                "extensionProviders[file].envoyFileAccessLog.path",
                "extensionProviders[otel].opentelemetry.http.timeout",
                "extensionProviders[otel].opentelemetry.maxTagLength",
            ]
        );
        let collector = TraceCollector {
            host: "otel.observability.svc.cluster.local".to_owned(),
            port: 4318,
            path: "/traces".to_owned(),
        };
        for (name, want) in [
            ("envoy", Some(TelemetryProvider::FileLog)),
            ("Stdout", Some(TelemetryProvider::FileLog)),
            ("prometheus", Some(TelemetryProvider::Prometheus)),
            ("scraper", Some(TelemetryProvider::Prometheus)),
            ("otel", Some(TelemetryProvider::Collector(collector))),
            ("nobody", None),
        ] {
            assert_eq!(settings.provider(name), want.as_ref(), "{name}");
        }
        for (name, want) in [
            ("grpc", "over gRPC"),
            ("zipkin", "in its form"),
            ("authz", "for authorization"),
        ] {
            let found = settings.provider(name);
            let Some(TelemetryProvider::Unusable(why)) = found else {
                panic!("{name}: {found:?}");
            };
            assert!(why.contains(want), "{name}: {why}");
        }
    }

    #[test]
    fn defaults_are_read_one_by_one() {
        let (mut settings, mut unused) = (TelemetrySettings::default(), Vec::new());
        let fields = json!({"accessLogging": ["envoy"], "tracing": ["otel"], "logs": []});
        read_defaults(&fields, &mut settings, &mut unused).unwrap();
        assert_eq!(settings.metrics, ["prometheus"]);
        assert_eq!(settings.access_logging, ["envoy"]);
        assert_eq!(settings.tracing, ["otel"]);
        assert_eq!(unused, ["defaultProviders.logs"]);
    }

    #[test]
    fn names_what_is_wrong() {
        let otel = |fields: Value| json!([{"name": "a", "opentelemetry": fields}]);
        for (list, want) in [
            (otel(json!({"port": 1})), "opentelemetry.service"),
            (
                otel(json!({"service": "a b", "port": 1})),
                "opentelemetry.service",
            ),
            (
                otel(json!({"service": "a", "port": 0})),
                "opentelemetry.port",
            ),
            (
                otel(json!({"service": "a", "port": 1, "http": {"path": "x y"}})),
                "opentelemetry.http.path",
            ),
        ] {
            let mut settings = TelemetrySettings::default();
            let error = read(&list, &mut settings, &mut Vec::new()).unwrap_err();
            assert!(error.contains(want), "{error}");
        }
        let bad = json!({"metrics": "prometheus"});
        let mut settings = TelemetrySettings::default();
        let error = read_defaults(&bad, &mut settings, &mut Vec::new()).unwrap_err();
        assert!(error.contains("defaultProviders.metrics"), "{error}");
    }
}
