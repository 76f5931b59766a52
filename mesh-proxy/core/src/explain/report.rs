//! What is asked and what is told, in a form that is stable as JSON.

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use crate::ir::Origin;

/// Which side of the proxy a question is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// What the workload sends.
    #[default]
    Outbound,
    /// What the workload gets.
    Inbound,
    /// What a gateway gets.
    Gateway,
}

/// A request or connection to explain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ExplainRequest {
    /// Side of the proxy.
    pub direction: Direction,
    /// Host that the client asks for. Not needed for an inbound request.
    pub host: String,
    /// Port that the client calls; for an inbound request the workload's port, for a gateway the
    /// listener's.
    pub port: u16,
    /// Opaque bytes (or foreign TLS, with `sni`) instead of an HTTP request.
    pub tcp: bool,
    /// Method.
    pub method: String,
    /// Path with query.
    pub path: String,
    /// `http` or `https`.
    pub scheme: String,
    /// Header fields: names and values.
    pub headers: Vec<(String, String)>,
    /// Server name of the client's TLS.
    pub sni: Option<String>,
    /// Original destination of a captured connection.
    pub original: Option<SocketAddr>,
    /// Seed of the draws among destinations, faults and mirrors; without, only shares are told.
    pub seed: Option<u64>,
    /// Identity of an inbound caller, a SPIFFE ID; without, it calls in plain text. At a gateway
    /// it counts where a server asks clients for certificates.
    pub source_identity: Option<String>,
    /// Address of an inbound caller.
    pub source_ip: Option<IpAddr>,
    /// Address that an inbound caller connected to.
    pub destination_ip: Option<IpAddr>,
    /// Claims of the request's token, as if it had been verified.
    pub claims: Option<serde_json::Map<String, serde_json::Value>>,
}

/// A question that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidRequest(pub(super) String);

/// The answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ExplainReport {
    /// `<namespace>/<name>` of the workload whose proxy decides.
    pub workload: String,
    /// Its identity.
    pub identity: Option<String>,
    /// Revision of the configuration.
    pub revision: u64,
    /// Content digest of the configuration.
    pub digest: String,
    /// A resource that the proxy does not hold; then nothing is decided.
    pub missing: Option<String>,
    /// About an outbound request or connection, or a gateway's.
    pub outbound: Option<OutboundReport>,
    /// About an inbound one.
    pub inbound: Option<InboundReport>,
}

/// How an outbound request is routed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct OutboundReport {
    /// The resource that says it.
    pub resource: String,
    /// Canonical host name of the destination; absent if nobody declared it.
    pub host: Option<String>,
    /// Service port.
    pub port: u16,
    /// What is spoken there.
    pub protocol: String,
    /// Nobody declared it.
    pub undeclared: bool,
    /// `ALLOW_ANY` or `REGISTRY_ONLY`, if that decides.
    pub outbound_policy: Option<String>,
    /// Routes in the order in which they were tried; the last one is taken if it matched.
    pub tried: Vec<RouteReport>,
    /// `forward`, `respond` or `passthrough`; for bytes also `refuse`.
    pub action: String,
    /// Status of an answer that the proxy makes up.
    pub status: Option<u16>,
    /// Why the proxy answers or refuses by itself.
    pub reason: Option<String>,
    /// Location of a redirect.
    pub location: Option<String>,
    /// Edits of the request and response, one line each.
    pub edits: Vec<String>,
    /// Path and query as sent.
    pub sent_path: Option<String>,
    /// Authority as sent.
    pub sent_authority: Option<String>,
    /// Destinations with their shares.
    pub destinations: Vec<DestinationReport>,
    /// The destination that the seed draws.
    pub drawn: Option<String>,
    /// Place of the route that is taken.
    pub origin: Option<Origin>,
    /// Time limit in milliseconds.
    pub timeout_ms: Option<u64>,
    /// Retries.
    pub retry: Option<RetryReport>,
    /// Faults.
    pub fault: Option<FaultReport>,
    /// Copies.
    pub mirrors: Vec<MirrorReport>,
    /// The server of TLS that a gateway's client meets; absent without TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsReport>,
    /// Limits on what a gateway lets in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub admission: Vec<AdmissionReport>,
    /// What a gateway's policies decide; absent at sidecars.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization: Option<AuthorizationReport>,
}

/// What the policies of a gateway decide.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AuthorizationReport {
    /// Policies in the order in which they were looked at.
    pub policies: Vec<PolicyReport>,
    /// External authorizers that are asked first.
    pub asked: Vec<AskedReport>,
    /// The decision.
    pub verdict: VerdictReport,
}

/// A gateway's server of TLS.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TlsReport {
    /// Server names that it answers to.
    pub server_names: Vec<String>,
    /// `SIMPLE`, `MUTUAL`, `OPTIONAL_MUTUAL`, `ISTIO_MUTUAL` or `PASSTHROUGH`.
    pub mode: String,
    /// Where its certificate comes from; absent if TLS is passed through.
    pub certificate: Option<String>,
    /// Why handshakes are refused.
    pub problem: Option<String>,
    /// The Gateway server.
    pub origin: Option<Origin>,
}

/// One route that was tried.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RouteReport {
    /// Its name, may be empty.
    pub name: String,
    /// Its place.
    pub origin: Option<Origin>,
    /// Whether it is taken.
    pub matched: bool,
    /// Its matches that were tried; none if it takes everything.
    pub matches: Vec<TriedMatch>,
}

/// One match that was tried.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TriedMatch {
    /// Which one, from 0.
    pub index: usize,
    /// Its name, may be empty.
    pub name: String,
    /// Its place.
    pub origin: Option<Origin>,
    /// The first condition that failed; absent if it matched.
    pub failed: Option<ConditionReport>,
}

/// A condition that failed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ConditionReport {
    /// `uri`, `method`, `headers[end-user]` and so on.
    pub condition: String,
    /// What it asks for.
    pub wanted: String,
    /// What the request has; absent if it has nothing there.
    pub actual: Option<String>,
}

/// One destination.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DestinationReport {
    /// `outbound|<port>|<subset>|<host>`.
    pub cluster: String,
    /// Weight as written.
    pub weight: u32,
    /// Share of the traffic in percent.
    pub percent: f64,
    /// Why it cannot be used.
    pub problem: Option<String>,
    /// Where the service is declared.
    pub service_origin: Option<Origin>,
    /// Where the subset is declared.
    pub subset_origin: Option<Origin>,
    /// Where the traffic policy stands; absent for the defaults.
    pub policy_origin: Option<Origin>,
    /// How endpoints are chosen.
    pub load_balancer: String,
    /// Time to connect in milliseconds.
    pub connect_timeout_ms: u64,
    /// What else its policy says, in words.
    #[serde(default)]
    pub traffic: Vec<String>,
    /// Its endpoints.
    pub endpoints: Vec<EndpointReport>,
}

/// One endpoint.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EndpointReport {
    /// Its unique name.
    pub uid: String,
    /// Where it is.
    pub address: String,
    /// Whether it takes requests.
    pub healthy: bool,
    /// Its weight.
    pub weight: u32,
    /// Endpoints of a number are used when there are not enough healthy ones of lower numbers.
    #[serde(default)]
    pub priority: u32,
    /// `plain`, `mesh`, `simple` or `mutual`.
    pub tls: String,
    /// Who it must prove to be.
    pub identity: Option<String>,
}

/// Retries.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RetryReport {
    /// Tries after the first.
    pub attempts: u32,
    /// Conditions.
    pub on: Vec<String>,
    /// Status codes.
    pub status_codes: Vec<u16>,
    /// Time for each try in milliseconds.
    pub per_try_timeout_ms: Option<u64>,
    /// Place; absent for the mesh's default.
    pub origin: Option<Origin>,
}

/// Faults.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FaultReport {
    /// Share that is delayed, in percent.
    pub delay_percent: f64,
    /// How long, in milliseconds.
    pub delay_ms: u64,
    /// Share that is aborted, in percent.
    pub abort_percent: f64,
    /// `HTTP 503` or `gRPC 14`.
    pub abort: String,
    /// Place.
    pub origin: Option<Origin>,
}

/// A copy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MirrorReport {
    /// `outbound|<port>|<subset>|<host>`.
    pub cluster: String,
    /// Share in percent.
    pub percent: f64,
}

/// Who may call.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct InboundReport {
    /// Workload port.
    pub port: u16,
    /// What is spoken there.
    pub protocol: String,
    /// `<host>:<port>` of the service in front of it.
    pub service: Option<String>,
    /// `STRICT`, `PERMISSIVE` or `DISABLE`.
    pub mtls: String,
    /// PeerAuthentication that says so.
    pub mtls_origin: Option<Origin>,
    /// `terminate`, `plaintext` or `refuse`.
    pub transport: String,
    /// Policies in the order in which they were looked at.
    pub policies: Vec<PolicyReport>,
    /// External authorizers that are asked first; what they say is not known here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub asked: Vec<AskedReport>,
    /// The decision.
    pub verdict: VerdictReport,
    /// Limits on what is let in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub admission: Vec<AdmissionReport>,
}

/// An external authorizer that is asked.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AskedReport {
    /// Its name.
    pub authorizer: String,
    /// The CUSTOM policy that names it.
    pub policy: String,
    /// The policy's rule, from 0.
    pub rule: usize,
    /// Place of the rule.
    pub origin: Option<Origin>,
}

/// What would be decided if policies that are tried out were in force.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ShadowReport {
    /// Whether it might go on.
    pub allowed: bool,
    /// The policy that would decide.
    pub policy: Option<String>,
    /// Its rule, from 0.
    pub rule: Option<usize>,
}

/// A limit on what is let in.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AdmissionReport {
    /// `<namespace>/<name>` of the policy.
    pub policy: String,
    /// Name of the limit.
    pub name: String,
    /// What it says, in words.
    pub text: String,
    /// Whether it is for what is asked about.
    pub applies: bool,
    /// Its place.
    pub origin: Option<Origin>,
}

/// One policy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PolicyReport {
    /// `<namespace>/<name>`.
    pub name: String,
    /// `ALLOW`, `DENY`, `AUDIT` or `CUSTOM`.
    pub action: String,
    /// It decides nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
    /// Its place.
    pub origin: Option<Origin>,
    /// Whether one of its rules matched.
    pub matched: bool,
    /// Its rules that were looked at.
    pub rules: Vec<RuleReport>,
}

/// One rule.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RuleReport {
    /// Which one, from 0.
    pub index: usize,
    /// Its place.
    pub origin: Option<Origin>,
    /// Whether it matched.
    pub matched: bool,
    /// Why it did not; empty if it did.
    pub why: String,
}

/// The decision.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct VerdictReport {
    /// Whether it may go on.
    pub allowed: bool,
    /// The policy that decided.
    pub policy: Option<String>,
    /// Its rule, from 0.
    pub rule: Option<usize>,
    /// Place of the rule.
    pub origin: Option<Origin>,
    /// Why it was denied.
    pub reason: Option<String>,
    /// The AUDIT policy and rule that matched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audit: Option<String>,
    /// What policies that are tried out would make of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shadow: Option<ShadowReport>,
}

// === impl ExplainRequest ===

impl Default for ExplainRequest {
    /// `GET / HTTP/1.1` to nobody.
    fn default() -> Self {
        Self {
            direction: Direction::Outbound,
            host: String::new(),
            port: 80,
            tcp: false,
            method: "GET".to_owned(),
            path: "/".to_owned(),
            scheme: "http".to_owned(),
            headers: Vec::new(),
            sni: None,
            original: None,
            seed: None,
            source_identity: None,
            source_ip: None,
            destination_ip: None,
            claims: None,
        }
    }
}

impl ExplainRequest {
    /// The request as the data path sees it.
    pub(super) fn parts(&self) -> Result<http::request::Parts, InvalidRequest> {
        let invalid = |what: &str| InvalidRequest(format!("{what} of the request is malformed"));
        let mut builder = http::Request::builder().method(self.method.as_bytes());
        if self.scheme == "http" || self.host.is_empty() {
            builder = builder.uri(&self.path);
        } else {
            builder = builder.uri(format!("{}://{}{}", self.scheme, self.host, self.path));
        }
        for (name, value) in &self.headers {
            builder = builder.header(name.as_str(), value.as_str());
        }
        let named = self
            .headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("host"));
        if !named && !self.host.is_empty() {
            builder = builder.header(http::header::HOST, self.host.as_str());
        }
        let request = builder
            .body(())
            .map_err(|_| invalid("method, path or a header field"))?;
        Ok(request.into_parts().0)
    }
}
