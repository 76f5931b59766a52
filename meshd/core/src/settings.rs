//! Mesh-wide settings of the compiler.

use std::collections::BTreeMap;
use std::fmt;

use mesh_api::TrustDomain;
use mesh_api::v1::{
    ExternalAuthorizer, GatewayTopology, OutboundPolicy, PathNormalization, TraceCollector,
};

/// What holds for the whole mesh and is not in any object (Istio: `MeshConfig`).
#[derive(Clone, Debug, PartialEq)]
pub struct MeshSettings {
    /// Trust domain of the mesh (Istio: `trustDomain`).
    pub trust_domain: TrustDomain,
    /// Other names of the same trust domain, accepted in policies and from peers
    /// (Istio: `trustDomainAliases`).
    pub trust_domain_aliases: Vec<TrustDomain>,
    /// Namespace whose policies hold for the whole mesh (Istio: `rootNamespace`).
    pub root_namespace: String,
    /// Suffix of service names: `<name>.<namespace>.svc.<cluster domain>`.
    pub cluster_domain: String,
    /// Name of the cluster in metrics (Istio: `multiCluster.clusterName`).
    pub cluster_name: String,
    /// Treatment of undeclared destinations (Istio: `outboundTrafficPolicy.mode`).
    pub outbound_policy: OutboundPolicy,
    /// Roots that proxies trust for their peers, DER.
    pub roots_der: Vec<Vec<u8>>,
    /// Revocation lists of the authorities below those roots, DER.
    pub crls_der: Vec<Vec<u8>>,
    /// Changes whenever all proxies are to renew their certificates at once.
    pub renew_certificates: String,
    /// Keys that verify JWT-SVIDs of the trust domain, a JSON Web Key Set; empty if unknown.
    pub jwks: String,
    /// Other trust domains whose workloads are taken as peers (Istio: `caCertificates` with
    /// `trustDomains`).
    pub federated: Vec<TrustBundle>,
    /// Where bundles of other trust domains are fetched (Istio: `caCertificates` with
    /// `spiffeBundleUrl`).
    pub bundle_endpoints: Vec<BundleEndpoint>,
    /// What was fetched there last, by trust domain.
    pub bundles: BTreeMap<String, TrustBundle>,
    /// Give services without an address one from 240.240.0.0/16.
    pub allocate_addresses: bool,
    /// Only proxies of workloads that an object declares get configuration. So it is on
    /// Kubernetes, where there is a Pod for each, which may only come late to the control plane:
    /// what a proxy says of itself counts for nothing there.
    pub declared_workloads_only: bool,
    /// Call endpoints through HBONE if they say that they take it, also where they take Istio's
    /// mutual TLS on their ports (Istio: `PILOT_PREFER_SENDING_HBONE`).
    pub prefer_hbone: bool,
    /// Which Ingresses are served, and by which gateways.
    pub ingress: IngressSettings,
    /// Normal form of paths (Istio: `pathNormalization`).
    pub path_normalization: PathNormalization,
    /// Whom CUSTOM policies may name (Istio: `extensionProviders`). `host` is as written.
    pub authorizers: Vec<ExternalAuthorizer>,
    /// Who takes what proxies report.
    pub telemetry: TelemetrySettings,
    /// What stands before gateways that do not say it themselves (Istio:
    /// `defaultConfig.gatewayTopology`).
    pub gateway_topology: GatewayTopology,
    /// Keys of token issuers, as they were fetched last.
    pub key_sets: BTreeMap<KeySource, KeySet>,
}

/// Whom Telemetry objects may name, and who is meant where they name nobody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TelemetrySettings {
    /// By name (Istio: `extensionProviders`).
    pub providers: BTreeMap<String, TelemetryProvider>,
    /// For metrics (Istio: `defaultProviders.metrics`).
    pub metrics: Vec<String>,
    /// For access logs (Istio: `defaultProviders.accessLogging`); none leaves them as each proxy
    /// was started.
    pub access_logging: Vec<String>,
    /// For spans (Istio: `defaultProviders.tracing`), the first counts; none leaves it as each
    /// proxy was started.
    pub tracing: Vec<String>,
}

/// Who takes what proxies report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TelemetryProvider {
    /// Whoever scrapes metrics.
    Prometheus,
    /// The access log of each proxy.
    FileLog,
    /// A collector of spans: OTLP over HTTP.
    Collector(TraceCollector),
    /// One that proxies cannot report to, with the reason.
    Unusable(String),
}

/// Where the keys of an issuer of tokens are.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeySource {
    /// At this URI (Istio: `jwksUri`).
    Uri(String),
    /// Where the issuer's own description says (OpenID Connect Discovery 1.0, section 4).
    Issuer(String),
}

/// Keys of an issuer of tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeySet {
    /// JSON Web Key Set (RFC 7517); empty if it could never be had.
    pub jwks: String,
    /// Why it cannot be had now, in one line; empty if it can.
    pub problem: String,
}

/// The roots of another trust domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustBundle {
    /// Whose roots they are.
    pub trust_domain: TrustDomain,
    /// The roots, DER.
    pub roots_der: Vec<Vec<u8>>,
    /// Keys that verify its JWT-SVIDs, a JSON Web Key Set; empty if none are known.
    pub jwks: String,
}

/// Where the bundle of another trust domain is (SPIFFE Federation, section 5.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BundleEndpoint {
    /// Whose bundle it is.
    pub trust_domain: TrustDomain,
    /// `https://...`.
    pub url: String,
    /// How the server is known.
    pub profile: EndpointProfile,
}

/// How the server of a bundle is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndpointProfile {
    /// By its name in DNS, vouched for by these roots (DER), or those of the operating system
    /// where there are none (`https_web`).
    Web {
        /// The roots.
        roots_der: Vec<Vec<u8>>,
    },
    /// By its identity (`https_spiffe`).
    Spiffe {
        /// SPIFFE ID of the server.
        id: String,
        /// What vouches for the trust domain until its bundle was fetched once; absent where the
        /// server is of another trust domain, whose bundle is known already.
        first: Option<TrustBundle>,
    },
}

/// Which Ingresses are served, and by which gateways (Istio: `ingressControllerMode`,
/// `ingressClass`, `ingressService`, `ingressSelector`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IngressSettings {
    /// Which Ingresses are served.
    pub mode: IngressMode,
    /// Value of the annotation `kubernetes.io/ingress.class` that asks for it.
    pub class: String,
    /// Name of the Service of the gateways, in the root namespace; its address is shown as that
    /// of the Ingresses.
    pub service: String,
    /// Value of the label `istio` of the gateways; empty takes it from the name of the Service.
    pub selector: String,
}

/// Which Ingresses are served (Istio: `ingressControllerMode`). Those of an IngressClass with the
/// controller `istio.io/ingress-controller` are, unless the annotation says something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IngressMode {
    /// None by annotation.
    Off,
    /// Those with the annotation, and those that name no class.
    Default,
    /// Those with the annotation.
    Strict,
}

impl Default for MeshSettings {
    /// Istio's defaults: `cluster.local`, `istio-system`, `ALLOW_ANY`, addresses allocated.
    fn default() -> Self {
        Self {
            trust_domain: TrustDomain::default(),
            trust_domain_aliases: Vec::new(),
            root_namespace: "istio-system".to_owned(),
            cluster_domain: "cluster.local".to_owned(),
            cluster_name: "Kubernetes".to_owned(),
            outbound_policy: OutboundPolicy::AllowAny,
            roots_der: Vec::new(),
            crls_der: Vec::new(),
            renew_certificates: String::new(),
            jwks: String::new(),
            federated: Vec::new(),
            bundle_endpoints: Vec::new(),
            bundles: BTreeMap::new(),
            allocate_addresses: true,
            declared_workloads_only: false,
            prefer_hbone: false,
            ingress: IngressSettings::default(),
            path_normalization: PathNormalization::Base,
            authorizers: Vec::new(),
            telemetry: TelemetrySettings::default(),
            gateway_topology: GatewayTopology::default(),
            key_sets: BTreeMap::new(),
        }
    }
}

// === impl MeshSettings ===

impl MeshSettings {
    /// Everything that vouches for other trust domains: what is configured, and what was fetched
    /// where that is configured. Where nothing was fetched yet, the first bundle, if there is one.
    pub fn federation(&self) -> Vec<TrustBundle> {
        let mut all: BTreeMap<&str, TrustBundle> = BTreeMap::new();
        let mut add = |bundle: &'_ TrustBundle, domain| {
            let known = all.entry(domain).or_insert_with(|| TrustBundle {
                trust_domain: bundle.trust_domain.clone(),
                roots_der: Vec::new(),
                jwks: String::new(),
            });
            for root in &bundle.roots_der {
                if !known.roots_der.contains(root) {
                    known.roots_der.push(root.clone());
                }
            }
            if known.jwks.is_empty() {
                known.jwks.clone_from(&bundle.jwks);
            }
        };
        for bundle in &self.federated {
            add(bundle, bundle.trust_domain.as_str());
        }
        for endpoint in &self.bundle_endpoints {
            let domain = endpoint.trust_domain.as_str();
            let first = match &endpoint.profile {
                EndpointProfile::Spiffe { first, .. } => first.as_ref(),
                EndpointProfile::Web { .. } => None,
            };
            if let Some(bundle) = self.bundles.get(domain).or(first) {
                add(bundle, domain);
            }
        }
        all.into_values().collect()
    }
}

// === impl TelemetrySettings ===

impl Default for TelemetrySettings {
    /// Istio's: `prometheus` takes metrics, `envoy` is the access log.
    fn default() -> Self {
        let known = [
            ("prometheus", TelemetryProvider::Prometheus),
            ("envoy", TelemetryProvider::FileLog),
        ];
        Self {
            providers: known.map(|(name, kind)| (name.to_owned(), kind)).into(),
            metrics: vec!["prometheus".to_owned()],
            access_logging: Vec::new(),
            tracing: Vec::new(),
        }
    }
}

impl TelemetrySettings {
    /// A provider; letters may be large or small (Istio: fetchProvider).
    pub fn provider(&self, name: &str) -> Option<&TelemetryProvider> {
        let mut all = self.providers.iter();
        let found = all.find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, provider)| provider)
    }
}

// === impl KeySource ===

impl fmt::Display for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uri(uri) => f.write_str(uri),
            Self::Issuer(issuer) => write!(f, "the issuer {issuer}"),
        }
    }
}

impl Default for IngressSettings {
    /// Istio's defaults: STRICT, class `istio`, the Service `istio-ingressgateway`.
    fn default() -> Self {
        Self {
            mode: IngressMode::Strict,
            class: "istio".to_owned(),
            service: "istio-ingressgateway".to_owned(),
            selector: String::new(),
        }
    }
}

// === impl IngressSettings ===

impl IngressSettings {
    /// Value of the label `istio` of the gateways that serve Ingresses (Istio:
    /// getIngressGatewaySelector).
    pub fn gateway_label(&self) -> &str {
        if !self.selector.is_empty() {
            &self.selector
        } else if matches!(self.service.as_str(), "" | "istio-ingressgateway") {
            "ingressgateway"
        } else {
            &self.service
        }
    }
}

// === impl IngressMode ===

impl IngressMode {
    /// Istio's name of it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Off => "OFF",
            Self::Default => "DEFAULT",
            Self::Strict => "STRICT",
        }
    }
}
