//! Where spans go, and how many.

use std::fmt;
use std::str::FromStr;

use mesh_proxy_core::ir::TraceCollector;

use super::InvalidValue;

/// Tracing of requests, and of connections that policies decide about.
#[derive(Clone, Debug, PartialEq)]
pub struct Tracing {
    /// Collector of spans.
    pub endpoint: TraceEndpoint,
    /// Of 1, how many of the traces that begin here are recorded.
    pub fraction: f64,
}

/// A collector that takes OTLP over HTTP in JSON, written `http://host:port[/path]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TraceEndpoint {
    /// Name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Path of the request; `/v1/traces` if none is given.
    pub path: String,
}

/// Of 1, how many of the traces that begin here are recorded if nobody says it (Istio: 1 %).
pub const DEFAULT_FRACTION: f64 = 0.01;

/// Per cent of the traces that begin here, from 0 to 100.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sampling(pub(super) f64);

// === impl TraceEndpoint ===

impl FromStr for TraceEndpoint {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidValue::new(text, "`http://host:port`");
        let uri: http::Uri = text.parse().map_err(|_| invalid())?;
        let host = uri.host().filter(|host| !host.is_empty());
        if uri.scheme_str() != Some("http") {
            return Err(invalid());
        }
        let host = host.ok_or_else(invalid)?;
        let path = match uri.path() {
            "" | "/" => "/v1/traces",
            path => path,
        };
        Ok(Self {
            host: host
                .trim_start_matches('[')
                .trim_end_matches(']')
                .to_owned(),
            port: uri.port_u16().unwrap_or(4318),
            path: path.to_owned(),
        })
    }
}

impl From<&TraceCollector> for TraceEndpoint {
    fn from(collector: &TraceCollector) -> Self {
        let TraceCollector { host, port, path } = collector.clone();
        Self { host, port, path }
    }
}

impl fmt::Display for TraceEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port, path } = self;
        write!(f, "http://{host}:{port}{path}")
    }
}

// === impl Sampling ===

impl FromStr for Sampling {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let percent: Option<f64> = text.trim_end_matches('%').parse().ok();
        percent
            .filter(|percent| (0.0..=100.0).contains(percent))
            .map(Self)
            .ok_or_else(|| InvalidValue::new(text, "a number from 0 to 100"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints() {
        let read = |text: &str| text.parse::<TraceEndpoint>().map(|e| e.to_string()).ok();
        for (text, told) in [
            ("http://jaeger:4318", Some("http://jaeger:4318/v1/traces")),
            ("http://jaeger", Some("http://jaeger:4318/v1/traces")),
            ("http://[::1]:99/x", Some("http://::1:99/x")),
            ("https://jaeger:4318", None),
            ("jaeger:4318", None),
            ("", None),
        ] {
            assert_eq!(read(text).as_deref(), told, "{text}");
        }
        assert!("101".parse::<Sampling>().is_err());
        assert_eq!("12.5%".parse(), Ok(Sampling(12.5)));
    }
}
