//! The label sets of Istio's standard metrics, as typed values that are cheap to clone and to
//! hash.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use mesh_api::{SpiffeId, WorkloadName};

use crate::reason::ResponseFlags;

/// What Istio writes for a label whose value is not known.
pub const UNKNOWN: &str = "unknown";

/// One side of a request: the `source_*` or `destination_*` labels that say who it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PeerLabels {
    /// `*_workload`
    pub workload: Arc<str>,
    /// `*_workload_namespace`
    pub namespace: Arc<str>,
    /// `*_principal`: a SPIFFE ID.
    pub principal: Arc<str>,
    /// `*_app`
    pub app: Arc<str>,
    /// `*_version`
    pub version: Arc<str>,
    /// `*_cluster`
    pub cluster: Arc<str>,
    /// `*_canonical_service`
    pub canonical_service: Arc<str>,
    /// `*_canonical_revision`
    pub canonical_revision: Arc<str>,
}

/// The service that was called.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ServiceLabels {
    /// `destination_service`: the host name.
    pub host: Arc<str>,
    /// `destination_service_name`
    pub name: Arc<str>,
    /// `destination_service_namespace`
    pub namespace: Arc<str>,
}

/// Who reports: label `reporter`. Gateways report as source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reporter {
    /// The client's proxy.
    Source,
    /// The server's proxy.
    Destination,
}

/// Label `connection_security_policy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SecurityPolicy {
    /// Mutual TLS.
    MutualTls,
    /// Plain text.
    None,
    /// What the client's proxy reports, always.
    Unknown,
}

/// Label `request_protocol`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RequestProtocol {
    /// HTTP.
    Http,
    /// gRPC.
    Grpc,
    /// Opaque bytes.
    Tcp,
}

/// Labels of one connection, and the common part of those of one request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ConnectionLabels {
    /// Who reports.
    pub reporter: Reporter,
    /// The client.
    pub source: Arc<PeerLabels>,
    /// The server.
    pub destination: Arc<PeerLabels>,
    /// The service.
    pub service: Arc<ServiceLabels>,
    /// What is spoken.
    pub protocol: RequestProtocol,
    /// Envoy's flags.
    pub flags: ResponseFlags,
    /// How the connection was secured; reported by the server's side only.
    pub security: SecurityPolicy,
}

/// Labels of `istio_requests_total` and its fellows.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RequestLabels {
    /// The common part.
    pub connection: ConnectionLabels,
    /// HTTP status, 0 if there was no answer.
    pub response_code: u16,
    /// gRPC status of a gRPC request.
    pub grpc_status: Option<u32>,
}

// === impl PeerLabels ===

fn or_unknown(text: Option<&str>) -> Arc<str> {
    match text {
        Some(text) if !text.is_empty() => text.into(),
        _ => unknown(),
    }
}

// The same text as one of these, or text of its own.
fn one_of(text: Option<&str>, known: &[&Arc<str>]) -> Arc<str> {
    let same = known.iter().find(|known| Some(&****known) == text);
    same.map_or_else(|| or_unknown(text), |same| Arc::clone(same))
}

// One for all who do not know.
fn unknown() -> Arc<str> {
    static SHARED: LazyLock<Arc<str>> = LazyLock::new(|| UNKNOWN.into());
    Arc::clone(&SHARED)
}

/// What a workload says of itself, from which its labels are made.
#[derive(Clone, Copy, Debug, Default)]
pub struct PeerSource<'a> {
    /// Name of the workload.
    pub workload: &'a str,
    /// Its namespace.
    pub namespace: &'a str,
    /// Its identity.
    pub identity: Option<&'a SpiffeId>,
    /// Its cluster.
    pub cluster: &'a str,
    /// Istio's canonical service name; empty takes it from the labels.
    pub canonical_name: &'a str,
    /// Istio's canonical revision; empty takes it from the labels.
    pub canonical_revision: &'a str,
}

impl PeerLabels {
    /// Nobody knows.
    pub fn unknown() -> Arc<Self> {
        let unknown = unknown();
        Arc::new(Self {
            workload: Arc::clone(&unknown),
            namespace: Arc::clone(&unknown),
            principal: Arc::clone(&unknown),
            app: Arc::clone(&unknown),
            version: Arc::clone(&unknown),
            cluster: Arc::clone(&unknown),
            canonical_service: Arc::clone(&unknown),
            canonical_revision: unknown,
        })
    }

    /// From what the workload says and from its labels. Canonical name and revision fall back to
    /// Istio's order of labels: `service.istio.io/canonical-name`, `app.kubernetes.io/name`,
    /// `app`, then the workload's name; and for the revision `service.istio.io/canonical-revision`,
    /// `app.kubernetes.io/version`, `version`, then `latest`.
    pub fn new(source: &PeerSource<'_>, labels: &BTreeMap<String, String>) -> Self {
        let label = |keys: &[&str]| {
            keys.iter()
                .find_map(|key| labels.get(*key))
                .map(String::as_str)
        };
        let given = |text: &'static str, given| {
            if str::is_empty(given) {
                label(&[text])
            } else {
                Some(given)
            }
        };
        let workload = or_unknown(Some(source.workload));
        let name = given("service.istio.io/canonical-name", source.canonical_name)
            .or_else(|| label(&["app.kubernetes.io/name", "app"]))
            .or(Some(source.workload));
        let known = !source.workload.is_empty();
        let revision = given(
            "service.istio.io/canonical-revision",
            source.canonical_revision,
        )
        .or_else(|| label(&["app.kubernetes.io/version", "version"]))
        .or(known.then_some("latest"));
        let app = or_unknown(label(&["app"]));
        let version = or_unknown(label(&["version"]));
        Self {
            namespace: or_unknown(Some(source.namespace)),
            principal: or_unknown(source.identity.map(SpiffeId::as_str)),
            cluster: or_unknown(Some(source.cluster)),
            canonical_service: one_of(name, &[&app, &workload]),
            canonical_revision: one_of(revision, &[&version]),
            workload,
            app,
            version,
        }
    }

    /// All that an authenticated peer's certificate tells.
    pub fn of_identity(identity: &SpiffeId) -> Self {
        Self {
            namespace: identity.namespace().into(),
            principal: identity.as_str().into(),
            ..Self::clone(&Self::unknown())
        }
    }
}

// === impl ServiceLabels ===

impl ServiceLabels {
    /// Nobody knows.
    pub fn unknown() -> Arc<Self> {
        let unknown = unknown();
        Arc::new(Self {
            host: Arc::clone(&unknown),
            name: Arc::clone(&unknown),
            namespace: unknown,
        })
    }

    /// An undeclared destination that was passed through: Istio names it `PassthroughCluster`.
    pub fn passthrough(host: &str) -> Self {
        Self {
            host: or_unknown(Some(host)),
            name: "PassthroughCluster".into(),
            namespace: unknown(),
        }
    }

    /// From the host name; name and namespace fall back to the first two labels of a name in the
    /// cluster's form (`reviews.default.svc.cluster.local`).
    pub fn new(host: &str, name: &str, namespace: &str) -> Self {
        let mut parts = host.split('.');
        let in_cluster = host.contains(".svc.");
        let (first, second) = (
            parts.next().filter(|_| in_cluster),
            parts.next().filter(|_| in_cluster),
        );
        let pick = |given: &str, other: Option<&str>| {
            or_unknown(Some(given).filter(|g| !g.is_empty()).or(other))
        };
        Self {
            host: or_unknown(Some(host)),
            name: pick(name, first.or(Some(host))),
            namespace: pick(namespace, second),
        }
    }
}

// === impl RequestProtocol ===

impl RequestProtocol {
    /// The label's value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Grpc => "grpc",
            Self::Tcp => "tcp",
        }
    }

    /// gRPC by content type, HTTP otherwise.
    pub fn of_request(headers: &http::HeaderMap) -> Self {
        if crate::filter::is_grpc(headers) {
            Self::Grpc
        } else {
            Self::Http
        }
    }
}

impl Reporter {
    /// The label's value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Destination => "destination",
        }
    }
}

impl SecurityPolicy {
    /// The label's value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MutualTls => "mutual_tls",
            Self::None => "none",
            Self::Unknown => UNKNOWN,
        }
    }
}

// === impl ConnectionLabels ===

impl ConnectionLabels {
    /// Calls `write` with each label's name and value, in Istio's order.
    pub fn each(&self, mut write: impl FnMut(&'static str, &str)) {
        let (source, destination) = (&self.source, &self.destination);
        write("reporter", self.reporter.as_str());
        write("source_workload", &source.workload);
        write("source_canonical_service", &source.canonical_service);
        write("source_canonical_revision", &source.canonical_revision);
        write("source_workload_namespace", &source.namespace);
        write("source_principal", &source.principal);
        write("source_app", &source.app);
        write("source_version", &source.version);
        write("source_cluster", &source.cluster);
        write("destination_workload", &destination.workload);
        write("destination_workload_namespace", &destination.namespace);
        write("destination_principal", &destination.principal);
        write("destination_app", &destination.app);
        write("destination_version", &destination.version);
        write("destination_service", &self.service.host);
        write(
            "destination_canonical_service",
            &destination.canonical_service,
        );
        write(
            "destination_canonical_revision",
            &destination.canonical_revision,
        );
        write("destination_service_name", &self.service.name);
        write("destination_service_namespace", &self.service.namespace);
        write("destination_cluster", &destination.cluster);
        write("request_protocol", self.protocol.as_str());
        write("response_flags", &self.flags.to_string());
        let security = match self.reporter {
            Reporter::Source => SecurityPolicy::Unknown,
            Reporter::Destination => self.security,
        };
        write("connection_security_policy", security.as_str());
    }
}

// === impl RequestLabels ===

impl RequestLabels {
    /// Calls `write` with each label's name and value, in Istio's order.
    pub fn each(&self, mut write: impl FnMut(&'static str, &str)) {
        self.connection.each(&mut write);
        write("response_code", &self.response_code.to_string());
        let grpc = self
            .grpc_status
            .map(|status| status.to_string())
            .unwrap_or_default();
        write("grpc_response_status", &grpc);
    }
}

/// Who the proxy works for: the client of every outbound decision.
#[derive(Clone, Debug)]
pub struct ClientInfo {
    /// The workload.
    pub workload: WorkloadName,
    /// Its identity, once it has one.
    pub identity: Option<SpiffeId>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Name of its cluster, may be empty.
    pub cluster: String,
}

// === impl ClientInfo ===

impl ClientInfo {
    /// Its metric labels.
    pub fn peer(&self) -> PeerLabels {
        let source = PeerSource {
            workload: self.workload.name(),
            namespace: self.workload.namespace(),
            identity: self.identity.as_ref(),
            cluster: &self.cluster,
            ..PeerSource::default()
        };
        PeerLabels::new(&source, &self.labels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn missing_is_unknown() {
        let peer = PeerLabels::unknown();
        assert_eq!(
            (&*peer.workload, &*peer.canonical_revision, &*peer.principal),
            (UNKNOWN, UNKNOWN, UNKNOWN)
        );
    }

    #[test]
    fn canonical_names_follow_istios_order() {
        let source = PeerSource {
            workload: "reviews-v1",
            namespace: "default",
            ..PeerSource::default()
        };
        let peer = PeerLabels::new(&source, &labels(&[("app", "reviews"), ("version", "v1")]));
        assert_eq!(
            (&*peer.canonical_service, &*peer.canonical_revision),
            ("reviews", "v1")
        );
        let peer = PeerLabels::new(&source, &labels(&[]));
        assert_eq!(
            (&*peer.canonical_service, &*peer.canonical_revision),
            ("reviews-v1", "latest")
        );
        assert_eq!(&*peer.app, UNKNOWN);
    }

    #[test]
    fn request_labels_are_istios() {
        let request = RequestLabels {
            connection: ConnectionLabels {
                reporter: Reporter::Source,
                source: PeerLabels::unknown(),
                destination: PeerLabels::unknown(),
                service: Arc::new(ServiceLabels::new(
                    "reviews.default.svc.cluster.local",
                    "",
                    "",
                )),
                protocol: RequestProtocol::Http,
                flags: ResponseFlags::NONE,
                security: SecurityPolicy::MutualTls,
            },
            response_code: 200,
            grpc_status: None,
        };
        let mut seen = BTreeMap::new();
        request.each(|name, value| {
            assert!(
                seen.insert(name, value.to_owned()).is_none(),
                "{name} twice"
            );
        });
        assert_eq!(seen.len(), 25);
        assert_eq!(seen["destination_service_name"], "reviews");
        assert_eq!(seen["destination_service_namespace"], "default");
        assert_eq!(
            seen["connection_security_policy"], "unknown",
            "the source never reports it"
        );
        assert_eq!(seen["response_flags"], "-");
    }
}
