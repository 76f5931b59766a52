//! How a proxy is started.

mod parse;
mod pod;
mod provider;
mod source;
mod telemetry;
mod topology;
mod tracing;
mod workload_api;

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use mesh_api::{WorkloadName, v1};

pub use parse::{SettingError, SettingErrors};
pub(crate) use parse::{parse_duration, parse_mark};
pub use pod::{AppMetrics, Check, HttpGet, PodSettings, Probe};
pub use provider::{ControlPlane, IdentityFiles, Provider, StaticFiles};
pub use source::SettingsSource;
pub use topology::OwnTopology;
pub use tracing::{DEFAULT_FRACTION, TraceEndpoint, Tracing};
pub use workload_api::{InvalidUsers, Users, WorkloadApiSettings};

/// Everything a proxy is told at its start. Made from a [`SettingsSource`] (command line and
/// environment), which finds all errors at once, or as a plain struct.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The workload that the proxy stands beside, or the gateway's own.
    pub workload: WorkloadName,
    /// Sidecar or gateway.
    pub kind: ProxyKind,
    /// Service account of the workload, for the log before the first certificate; the authority
    /// decides what is certified.
    pub service_account: String,
    /// Labels of the workload: select policies and gateways, and give the metrics their names.
    pub labels: BTreeMap<String, String>,
    /// Addresses that the workload answers on.
    pub addresses: Vec<IpAddr>,
    /// Ports by name, if the workload registers itself as an endpoint at its first address.
    pub registration: Option<BTreeMap<String, u16>>,
    /// `region/zone/subzone`; may be empty.
    pub locality: String,
    /// Cluster name in metrics.
    pub cluster: String,
    /// Who gives configuration and certificate.
    pub provider: Provider,
    /// Directory for the last snapshot, so that a restart serves without the control plane.
    pub state: Option<PathBuf>,
    /// Unix socket by which another process with these settings takes over the open sockets of
    /// this one, and this one those of an earlier process (see [`hand_over`](crate::hand_over)).
    pub hand_over: Option<PathBuf>,
    /// Explicit proxy for the workload's outgoing calls: HTTP and SOCKS5.
    pub explicit: Option<SocketAddr>,
    /// Transparent proxy for captured outgoing connections.
    pub outbound: Option<SocketAddr>,
    /// How calls to the workload come in.
    pub inbound: InboundMode,
    /// Connections to the workload by HTTP/2 CONNECT over mutual TLS (HBONE).
    pub hbone: Option<SocketAddr>,
    /// Address that a gateway binds its listeners on.
    pub gateway_listen: IpAddr,
    /// Added to a gateway's port numbers to get the ports that are bound, so that a gateway
    /// without privileges can serve port 80.
    pub gateway_port_offset: i32,
    /// What stands before a gateway, as far as it is said here and not by the control plane.
    pub topology: OwnTopology,
    /// Admin endpoint over TCP, loopback only.
    pub admin: Option<SocketAddr>,
    /// Admin endpoint over a Unix socket.
    pub admin_socket: Option<PathBuf>,
    /// Metrics and readiness alone over TCP, for scrapers (Istio: 15090).
    pub metrics: Option<SocketAddr>,
    /// Number of data threads.
    pub concurrency: NonZeroUsize,
    /// Where the access log goes.
    pub access_log: AccessLog,
    /// What the proxy does for its pod: status, probes, DNS.
    pub pod: PodSettings,
    /// Recording of requests and connections in traces; without it requests pass with the trace
    /// headers they have.
    pub tracing: Option<Tracing>,
    /// How long a draining proxy lets connections finish.
    pub drain: Duration,
    /// How long connections may finish after another process has taken over: nothing waits for
    /// the end of this one then, so it may take its time.
    pub replaced_drain: Duration,
    /// How long a proxy that is told to end serves on at least, even if nothing runs: a sidecar
    /// that is told together with its application, which may still make calls.
    pub drain_minimum: Duration,
    /// How long a request waits for a destination's configuration.
    pub need_timeout: Duration,
    /// How long an unused destination's configuration is kept.
    pub lease: Duration,
    /// How long a first byte is awaited where the protocol is to be detected.
    pub detect_timeout: Duration,
    /// Wished lifetime of the certificate; zero leaves it to the authority.
    pub certificate_ttl: Duration,
    /// Packet mark for the proxy's own connections, where the capture recognises them by it.
    pub own_mark: Option<u32>,
    /// Print `ready {json}` on standard output once the proxy serves.
    pub on_ready: bool,
}

/// Sidecar or gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyKind {
    /// Stands beside one workload.
    Sidecar,
    /// Serves Gateway servers.
    Gateway,
}

/// How calls to the workload come in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InboundMode {
    /// One listener for each port; none for gateways and pure clients.
    Explicit(Vec<InboundBinding>),
    /// One listener for captured connections; the original destination says which port.
    Transparent(SocketAddr),
}

/// One port of the workload in explicit mode. Written `port=listen=app`, for example
/// `9080=127.77.3.5:9080=127.0.0.1:34567`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InboundBinding {
    /// Port of the workload, as its services and policies name it.
    pub port: u16,
    /// Where the proxy listens for it.
    pub listen: SocketAddr,
    /// Where the application listens.
    pub app: SocketAddr,
}

/// Where the control plane is reached: `unix:///path/to.sock` or `https://host:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ControlAddress {
    /// A Unix socket.
    Unix(PathBuf),
    /// A host name or IP address, and a port.
    Tcp {
        /// Host name or IP address, without brackets.
        host: String,
        /// Port.
        port: u16,
    },
}

/// Where the access log goes: `off`, `stdout` or a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessLog {
    /// Destination.
    pub sink: LogSink,
    /// Form of the lines.
    pub format: LogFormat,
}

/// Destination of the access log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogSink {
    /// Nowhere.
    Off,
    /// Standard output.
    Stdout,
    /// A file, appended to; opened again on SIGUSR1.
    File(PathBuf),
}

/// Form of the access log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Istio's default text.
    Text,
    /// One JSON object a line with Istio's keys.
    Json,
}

/// A value is not what it has to be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{value}` is not {expected}")]
pub struct InvalidValue {
    value: String,
    expected: &'static str,
}

impl InvalidValue {
    fn new(value: &str, expected: &'static str) -> Self {
        Self {
            value: value.to_owned(),
            expected,
        }
    }
}

// === impl Settings ===

impl Settings {
    /// The node as the control plane is told.
    pub fn node(&self) -> v1::Node {
        v1::Node {
            workload: self.workload.to_string(),
            kind: self.kind.wire().into(),
            labels: self.labels.clone().into_iter().collect(),
            addresses: self.addresses.iter().map(ToString::to_string).collect(),
            locality: self.locality.clone(),
            cluster: self.cluster.clone(),
            build_version: env!("CARGO_PKG_VERSION").to_owned(),
            admin_address: self.admin_address(),
            registration: self.registration.as_ref().map(|ports| v1::Registration {
                ports: ports
                    .iter()
                    .map(|(name, port)| (name.clone(), u32::from(*port)))
                    .collect(),
                weight: 1,
            }),
        }
    }

    /// Where the admin endpoint is, in the form of the operator's tools; empty if there is none.
    pub fn admin_address(&self) -> String {
        match (&self.admin_socket, self.admin) {
            (Some(path), _) => format!("unix://{}", path.display()),
            (None, Some(address)) => format!("http://{address}"),
            (None, None) => String::new(),
        }
    }
}

// === impl ProxyKind ===

impl ProxyKind {
    /// The kind on the wire.
    pub fn wire(self) -> v1::ProxyKind {
        match self {
            Self::Sidecar => v1::ProxyKind::Sidecar,
            Self::Gateway => v1::ProxyKind::Gateway,
        }
    }
}

impl FromStr for ProxyKind {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "sidecar" => Ok(Self::Sidecar),
            "gateway" => Ok(Self::Gateway),
            _ => Err(InvalidValue::new(text, "`sidecar` or `gateway`")),
        }
    }
}

// === impl ControlAddress ===

impl FromStr for ControlAddress {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || InvalidValue::new(text, "`unix:///path/to.sock` or `https://host:port`");
        if let Some(path) = text.strip_prefix("unix://") {
            return if path.starts_with('/') {
                Ok(Self::Unix(path.into()))
            } else {
                Err(wrong())
            };
        }
        let rest = text.strip_prefix("https://").ok_or_else(wrong)?;
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = rest.rsplit_once(':').ok_or_else(wrong)?;
        let port: u16 = port.parse().map_err(|_| wrong())?;
        let host: mesh_api::Hostname = host.parse().map_err(|_| wrong())?;
        if port == 0 || host.is_wildcard() {
            return Err(wrong());
        }
        Ok(Self::Tcp {
            host: host.as_str().to_owned(),
            port,
        })
    }
}

impl fmt::Display for ControlAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Tcp { host, port } if host.contains(':') => write!(f, "https://[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "https://{host}:{port}"),
        }
    }
}

// === impl InboundBinding ===

impl FromStr for InboundBinding {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || InvalidValue::new(text, "`port=listen-address:port=app-address:port`");
        let mut parts = text.split('=');
        let (Some(port), Some(listen), Some(app), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(wrong());
        };
        let port = port.parse().ok().filter(|p| *p != 0).ok_or_else(wrong)?;
        let listen = listen.parse().map_err(|_| wrong())?;
        let app = app.parse().map_err(|_| wrong())?;
        Ok(Self { port, listen, app })
    }
}

// === impl LogSink, LogFormat ===

impl FromStr for LogSink {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "" => Err(InvalidValue::new(text, "`off`, `stdout` or a path")),
            "off" => Ok(Self::Off),
            "stdout" | "-" => Ok(Self::Stdout),
            path => Ok(Self::File(path.into())),
        }
    }
}

impl FromStr for LogFormat {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(InvalidValue::new(text, "`text` or `json`")),
        }
    }
}

#[cfg(test)]
mod tests;
