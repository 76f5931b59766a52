//! Codes of Istio's analysis that findings carry (Istio: pkg/config/analysis/msg/messages.yaml).
//! A finding of a rule that Istio does not have carries a code in words.
//!
//! The severity of a finding says what becomes of the object: an error is in quarantine. Istio's
//! level says how bad its analysis takes it to be, and Istio leaves the object in force either
//! way. So a code of Istio's level Error is an error here where the object is refused, and a
//! warning where it is in force; the other levels are the same.

use mesh_api::v1::Severity;

/// A code of Istio's analysis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IstioCode {
    /// `IST` and four digits.
    pub code: &'static str,
    /// Istio's name of it.
    pub name: &'static str,
    /// Istio's level of it.
    pub level: Severity,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $constant:ident = $code:literal $name:ident $level:ident;)*) => {
        $($(#[$doc])* pub const $constant: &str = $code;)*

        /// All that findings carry.
        pub const ISTIO_CODES: &[IstioCode] = &[$(
            IstioCode { code: $code, name: stringify!($name), level: Severity::$level },
        )*];
    };
}

codes! {
    /// An object, host, port, subset or section that is named is not there.
    REFERENCED_RESOURCE_NOT_FOUND = "IST0101" ReferencedResourceNotFound Error;
    /// The object cannot be used.
    SCHEMA_VALIDATION_ERROR = "IST0106" SchemaValidationError Error;
    /// Two VirtualServices for sidecars have a host in common.
    CONFLICTING_MESH_GATEWAY_HOSTS = "IST0109" ConflictingMeshGatewayVirtualServiceHosts Error;
    /// Two Sidecars select the same workload.
    CONFLICTING_SIDECAR_SELECTORS = "IST0110" ConflictingSidecarWorkloadSelectors Error;
    /// Two Sidecars of a namespace select nothing in particular.
    SIDECARS_WITHOUT_SELECTORS = "IST0111" MultipleSidecarsWithoutWorkloadSelectors Error;
    /// The destination has several ports, of which none is named.
    DESTINATION_PORT_REQUIRED = "IST0112" VirtualServiceDestinationPortSelectorRequired Error;
    /// The selector selects nothing.
    NO_MATCHING_WORKLOADS = "IST0127" NoMatchingWorkloadsFound Warning;
    /// TLS with servers has no roots of its own.
    NO_ROOTS = "IST0128" NoServerCertificateVerificationDestinationLevel Warning;
    /// The same for one port.
    NO_ROOTS_OF_PORT = "IST0129" NoServerCertificateVerificationPortLevel Warning;
    /// No request reaches the rule.
    UNREACHABLE_RULE = "IST0130" VirtualServiceUnreachableRule Warning;
    /// No request reaches one match of the rule.
    INEFFECTIVE_MATCH = "IST0131" VirtualServiceIneffectiveMatch Info;
    /// The Gateway has none of the VirtualService's hosts.
    HOST_NOT_IN_GATEWAY = "IST0132" VirtualServiceHostNotFoundInGateway Warning;
    /// Not all of the object means what it seems to.
    SCHEMA_WARNING = "IST0133" SchemaWarning Warning;
    /// A port of opaque bytes has no address.
    ADDRESSES_REQUIRED = "IST0134" ServiceEntryAddressesRequired Warning;
    /// Two Gateways have a certificate in common.
    DUPLICATE_CERTIFICATE = "IST0138" GatewayDuplicateCertificate Warning;
    /// Two Gateways want the same of one port.
    CONFLICTING_GATEWAYS = "IST0145" ConflictingGateways Error;
    /// Claims decide about a route where no token is verified.
    CLAIMS_WITHOUT_AUTHENTICATION = "IST0149" JwtClaimBasedRoutingWithoutRequestAuthN Error;
    /// A Telemetry names nobody who can take what it is about.
    INVALID_TELEMETRY_PROVIDER = "IST0157" InvalidTelemetryProvider Warning;
    /// Two Telemetries select the same workload.
    CONFLICTING_TELEMETRY_SELECTORS = "IST0159" ConflictingTelemetryWorkloadSelectors Error;
    /// Two Telemetries of a namespace select nothing in particular.
    TELEMETRIES_WITHOUT_SELECTORS = "IST0160" MultipleTelemetriesWithoutWorkloadSelectors Error;
    /// A Secret of a Gateway is of no use.
    INVALID_GATEWAY_CREDENTIAL = "IST0161" InvalidGatewayCredential Error;
    /// The policy has no effect.
    INEFFECTIVE_POLICY = "IST0167" IneffectivePolicy Warning;
    /// The subset has no endpoint.
    EMPTY_SUBSET = "IST0173" DestinationRuleSubsetNotSelectPods Error;
    /// The DestinationRule is for a host that is not there.
    UNKNOWN_RULE_HOST = "IST0174" UnknownDestinationRuleHost Warning;
}

/// Istio's level of a code, where it is Istio's.
pub fn istio_level(code: &str) -> Option<Severity> {
    let mut codes = ISTIO_CODES.iter();
    codes
        .find(|known| known.code == code)
        .map(|known| known.level)
}
