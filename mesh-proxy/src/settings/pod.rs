//! What a proxy does for its pod beside the data path: status, probes, DNS.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::SettingsSource;
use super::parse::{Reader, SettingError, both_families};
use super::telemetry::given;
use super::workload_api::{Users, WorkloadApiSettings};

/// What a proxy does for its pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodSettings {
    /// Merged metrics, probes of the application, readiness (Istio: 15020).
    pub status: Option<SocketAddr>,
    /// Readiness alone (Istio: 15021).
    pub readiness: Option<SocketAddr>,
    /// DNS over UDP and TCP (Istio: 15053). A single address, not all of them: the kernel takes
    /// an answer for a redirected question only from there.
    pub dns: Option<SocketAddr>,
    /// Where the DNS servers of the system stand.
    pub resolv_conf: PathBuf,
    /// Probes of the application by path.
    pub probes: BTreeMap<String, Probe>,
    /// Where the application's own metrics are.
    pub app_metrics: Option<AppMetrics>,
    /// Where the application gets the workload's identity for itself.
    pub workload_api: Option<WorkloadApiSettings>,
}

/// A probe of the kubelet that the proxy makes in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// What is done.
    pub check: Check,
    /// How long it may take.
    pub timeout: Duration,
}

/// What a probe does (Kubernetes: ProbeHandler).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Check {
    /// A GET request.
    Http(HttpGet),
    /// A connection.
    Tcp {
        /// Host to connect to; the pod if absent.
        host: Option<String>,
        /// Port.
        port: u16,
    },
    /// A call of `grpc.health.v1.Health/Check`.
    Grpc {
        /// Port.
        port: u16,
        /// Service to ask about; empty asks about the whole server.
        service: String,
    },
}

/// A GET request of a probe (Kubernetes: HTTPGetAction).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpGet {
    /// Host to connect to; the pod if absent.
    pub host: Option<String>,
    /// Port.
    pub port: u16,
    /// Path with query, begins with a slash.
    pub path: String,
    /// Whether over TLS; the certificate is not checked, as the kubelet does not.
    pub tls: bool,
    /// Header fields to set.
    pub headers: Vec<(String, String)>,
}

/// Where the application's own metrics are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppMetrics {
    /// Port on the loopback interface.
    pub port: u16,
    /// Path with query, begins with a slash.
    pub path: String,
    /// Whether over TLS; the certificate is not checked.
    pub tls: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WrittenProbe {
    http_get: Option<WrittenHttp>,
    tcp_socket: Option<WrittenTcp>,
    grpc: Option<WrittenGrpc>,
    timeout_seconds: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WrittenHttp {
    host: Option<String>,
    port: Port,
    path: Option<String>,
    scheme: Option<String>,
    http_headers: Option<Vec<WrittenHeader>>,
}

#[derive(Deserialize)]
struct WrittenHeader {
    name: String,
    value: String,
}

#[derive(Deserialize)]
struct WrittenTcp {
    host: Option<String>,
    port: Port,
}

#[derive(Deserialize)]
struct WrittenGrpc {
    port: Port,
    service: Option<String>,
}

#[derive(Deserialize)]
struct WrittenMetrics {
    port: Port,
    path: Option<String>,
    scheme: Option<String>,
}

// Written as a number or as text; a name has to be resolved before.
#[derive(Clone, Copy)]
struct Port(u16);

const RESOLV_CONF: &str = "/etc/resolv.conf";
// Kubernetes: Probe.timeoutSeconds.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);
/// The proxy's own ports: metrics there are its own.
const OWN_PORTS: [u16; 8] = [15000, 15001, 15006, 15008, 15020, 15021, 15053, 15090];

// === impl PodSettings ===

impl PodSettings {
    pub(super) fn take_both_families(&mut self) {
        [self.status.as_mut(), self.readiness.as_mut()]
            .into_iter()
            .flatten()
            .for_each(both_families);
    }
}

// === impl Reader ===

impl Reader {
    pub(super) fn pod(&mut self, source: &SettingsSource) -> PodSettings {
        let settings = PodSettings {
            status: self.optional("status", given(source.status.as_deref())),
            readiness: self.optional("readiness", given(source.readiness.as_deref())),
            dns: self.optional("dns", given(source.dns.as_deref())),
            resolv_conf: source.resolv_conf.as_deref().unwrap_or(RESOLV_CONF).into(),
            probes: self.probes(source.probes.as_deref()),
            app_metrics: self.optional("app-metrics", given(source.app_metrics.as_deref())),
            workload_api: self.workload_api(source),
        };
        if settings.dns.is_some_and(|dns| dns.ip().is_unspecified()) {
            self.invalid("dns", "give one address, for example 127.0.0.1:15053");
        }
        let own = |metrics: &AppMetrics| {
            OWN_PORTS.contains(&metrics.port)
                || settings
                    .status
                    .is_some_and(|own| own.port() == metrics.port)
        };
        if settings.app_metrics.as_ref().is_some_and(own) {
            self.invalid("app-metrics", "the port is the proxy's own");
        }
        let needs_status = !settings.probes.is_empty() || settings.app_metrics.is_some();
        if needs_status && settings.status.is_none() {
            self.errors.push(SettingError::Conflict(
                "--probes and --app-metrics are served by --status, which is missing",
            ));
        }
        settings
    }

    fn workload_api(&mut self, source: &SettingsSource) -> Option<WorkloadApiSettings> {
        let users = self.or(
            "workload-api-users",
            source.workload_api_users.as_deref(),
            Users::Own,
        );
        let path = given(source.workload_api.as_deref())?.into();
        if source.resources.is_some() {
            self.errors.push(SettingError::Conflict(
                "--workload-api needs an authority that certifies keys: with --resources there is none, give the application the files",
            ));
        }
        Some(WorkloadApiSettings { path, users })
    }

    fn probes(&mut self, text: Option<&str>) -> BTreeMap<String, Probe> {
        let Some(text) = text.filter(|text| !text.is_empty()) else {
            return BTreeMap::new();
        };
        let written: BTreeMap<String, Value> = match serde_json::from_str(text) {
            Ok(written) => written,
            Err(error) => {
                self.invalid("probes", format_args!("a JSON object is expected: {error}"));
                return BTreeMap::new();
            }
        };
        let mut probes = BTreeMap::new();
        for (path, written) in written {
            match probe(&path, written) {
                Ok(probe) => {
                    probes.insert(path, probe);
                }
                Err(why) => self.invalid("probes", format_args!("`{path}`: {why}")),
            }
        }
        probes
    }
}

fn probe(path: &str, written: Value) -> Result<Probe, String> {
    if !is_probe_path(path) {
        return Err("a path is /app-health/<container>/{livez,readyz,startupz} or /app-lifecycle/<container>/{prestopz,poststartz}".to_owned());
    }
    let written: WrittenProbe =
        serde_json::from_value(written).map_err(|error| error.to_string())?;
    let check = match (written.http_get, written.tcp_socket, written.grpc) {
        (Some(http), None, None) => Check::Http(http_get(http)?),
        (None, Some(tcp), None) => Check::Tcp {
            host: tcp.host.filter(|host| !host.is_empty()),
            port: tcp.port.0,
        },
        (None, None, Some(grpc)) => Check::Grpc {
            port: grpc.port.0,
            service: grpc.service.unwrap_or_default(),
        },
        _ => return Err("exactly one of httpGet, tcpSocket and grpc is expected".to_owned()),
    };
    let timeout = match written.timeout_seconds {
        None | Some(0) => PROBE_TIMEOUT,
        Some(seconds) => Duration::from_secs(seconds.min(u64::from(u32::MAX))),
    };
    Ok(Probe { check, timeout })
}

fn is_probe_path(path: &str) -> bool {
    let mut parts = path.split('/');
    let head = (parts.next(), parts.next());
    let container = parts.next().is_some_and(|name| !name.is_empty());
    let kind = parts.next();
    let known = match head {
        (Some(""), Some("app-health")) => matches!(kind, Some("livez" | "readyz" | "startupz")),
        (Some(""), Some("app-lifecycle")) => matches!(kind, Some("prestopz" | "poststartz")),
        _ => false,
    };
    known && container && parts.next().is_none()
}

fn http_get(written: WrittenHttp) -> Result<HttpGet, String> {
    let mut headers = Vec::new();
    for WrittenHeader { name, value } in written.http_headers.unwrap_or_default() {
        if http::HeaderName::from_bytes(name.as_bytes()).is_err()
            || http::HeaderValue::from_str(&value).is_err()
        {
            return Err(format!("httpHeaders: `{name}: {value}` is no header field"));
        }
        headers.push((name, value));
    }
    Ok(HttpGet {
        host: written.host.filter(|host| !host.is_empty()),
        port: written.port.0,
        path: path(written.path.as_deref().unwrap_or("/"))?,
        tls: is_tls(written.scheme.as_deref())?,
        headers,
    })
}

fn path(text: &str) -> Result<String, String> {
    let path = if text.starts_with('/') {
        text.to_owned()
    } else {
        format!("/{text}")
    };
    match http::uri::PathAndQuery::try_from(path.as_str()) {
        Ok(_) => Ok(path),
        Err(_) => Err(format!("`{text}` is no path")),
    }
}

fn is_tls(scheme: Option<&str>) -> Result<bool, String> {
    match scheme {
        None => Ok(false),
        Some(text) if text.is_empty() || text.eq_ignore_ascii_case("http") => Ok(false),
        Some(text) if text.eq_ignore_ascii_case("https") => Ok(true),
        Some(text) => Err(format!("`{text}` is neither HTTP nor HTTPS")),
    }
}

// === impl AppMetrics ===

impl FromStr for AppMetrics {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let written: WrittenMetrics =
            serde_json::from_str(text).map_err(|error| format!("`{text}`: {error}"))?;
        Ok(Self {
            port: written.port.0,
            path: path(
                written
                    .path
                    .as_deref()
                    .filter(|path| !path.is_empty())
                    .unwrap_or("/metrics"),
            )?,
            tls: is_tls(written.scheme.as_deref())?,
        })
    }
}

// === impl Port ===

impl<'de> Deserialize<'de> for Port {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let number = match &value {
            Value::String(text) => text.parse().ok(),
            other => other.as_u64().and_then(|number| u16::try_from(number).ok()),
        };
        number.filter(|port| *port != 0).map(Self).ok_or_else(|| {
            serde::de::Error::custom(format_args!("{value} is no port number (1 to 65535)"))
        })
    }
}
