//! Istio's trap of the codes of its analysis; its number is that of the table of exact semantics.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use mesh_api::v1::Severity;
use meshd_core::code::{ISTIO_CODES, istio_level};

use crate::mesh::{virtual_service, world};

/// Code, level and name of all messages of Istio's analysis.
const TABLE: &str = "
IST0001 Error InternalError
IST0002 Warning Deprecated
IST0101 Error ReferencedResourceNotFound
IST0102 Info NamespaceNotInjected
IST0103 Warning PodMissingProxy
IST0106 Error SchemaValidationError
IST0107 Warning MisplacedAnnotation
IST0108 Warning UnknownAnnotation
IST0109 Error ConflictingMeshGatewayVirtualServiceHosts
IST0110 Error ConflictingSidecarWorkloadSelectors
IST0111 Error MultipleSidecarsWithoutWorkloadSelectors
IST0112 Error VirtualServiceDestinationPortSelectorRequired
IST0116 Warning DeploymentAssociatedToMultipleServices
IST0118 Info PortNameIsNotUnderNamingConvention
IST0123 Warning NamespaceMultipleInjectionLabels
IST0125 Warning InvalidAnnotation
IST0126 Error UnknownMeshNetworksServiceRegistry
IST0127 Warning NoMatchingWorkloadsFound
IST0128 Warning NoServerCertificateVerificationDestinationLevel
IST0129 Warning NoServerCertificateVerificationPortLevel
IST0130 Warning VirtualServiceUnreachableRule
IST0131 Info VirtualServiceIneffectiveMatch
IST0132 Warning VirtualServiceHostNotFoundInGateway
IST0133 Warning SchemaWarning
IST0134 Warning ServiceEntryAddressesRequired
IST0135 Info DeprecatedAnnotation
IST0136 Info AlphaAnnotation
IST0137 Warning DeploymentConflictingPorts
IST0138 Warning GatewayDuplicateCertificate
IST0139 Error InvalidWebhook
IST0140 Warning IngressRouteRulesNotAffected
IST0141 Error InsufficientPermissions
IST0142 Error UnsupportedKubernetesVersion
IST0143 Error LocalhostListener
IST0144 Warning InvalidApplicationUID
IST0145 Error ConflictingGateways
IST0146 Warning ImageAutoWithoutInjectionWarning
IST0147 Error ImageAutoWithoutInjectionError
IST0148 Info NamespaceInjectionEnabledByDefault
IST0149 Error JwtClaimBasedRoutingWithoutRequestAuthN
IST0150 Warning ExternalNameServiceTypeInvalidPortName
IST0151 Warning EnvoyFilterUsesRelativeOperation
IST0152 Error EnvoyFilterUsesReplaceOperationIncorrectly
IST0153 Error EnvoyFilterUsesAddOperationIncorrectly
IST0154 Error EnvoyFilterUsesRemoveOperationIncorrectly
IST0155 Warning EnvoyFilterUsesRelativeOperationWithProxyVersion
IST0156 Error UnsupportedGatewayAPIVersion
IST0157 Warning InvalidTelemetryProvider
IST0158 Warning PodsIstioProxyImageMismatchInNamespace
IST0159 Error ConflictingTelemetryWorkloadSelectors
IST0160 Error MultipleTelemetriesWithoutWorkloadSelectors
IST0161 Error InvalidGatewayCredential
IST0162 Warning GatewayPortNotDefinedOnService
IST0163 Warning InvalidExternalControlPlaneConfig
IST0164 Info ExternalControlPlaneAddressIsNotAHostname
IST0165 Warning ReferencedInternalGateway
IST0166 Warning IneffectiveSelector
IST0167 Warning IneffectivePolicy
IST0168 Warning UnknownUpgradeCompatibility
IST0169 Warning UpdateIncompatibility
IST0170 Warning MultiClusterInconsistentService
IST0171 Warning NegativeConditionStatus
IST0172 Warning FutureUnsupportedGatewayAPIVersion
IST0173 Error DestinationRuleSubsetNotSelectPods
IST0174 Warning UnknownDestinationRuleHost
IST0175 Warning JwksUriFetchUnrestricted
IST0176 Warning GatewayAPICRDVersionBelowMinimum
IST0177 Warning ConflictingServiceEntryProtocol
";

/// Findings of what cannot be used, by kind. All others are of objects that are in force.
const REFUSED: [(&str, &str); 2] = [("IST0106", "VirtualService"), ("IST0161", "Secret")];

/// Code, and an example of what Istio's analysis has it for.
type Example = (&'static str, String);

fn object(group: &str, kind: &str, name: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: {group}.istio.io/v1\nkind: {kind}\nmetadata: {{ name: {name} }}\nspec: {spec}\n"
    )
}

fn networking(kind: &str, name: &str, spec: &str) -> String {
    object("networking", kind, name, spec)
}

fn to(host: &str) -> String {
    format!("route: [{{ destination: {{ host: {host} }} }}]")
}

fn of_routes() -> Vec<Example> {
    let to_a = to("a");
    let named = |name: &str, rules: &str| {
        virtual_service(name, &format!("{{ hosts: [a], http: [{rules}] }}"))
    };
    let with = |rules: &str| named("v", rules);
    let matching = |matches: &str| format!("{{ match: [{matches}], {to_a} }}");
    let (x, y) = ("{ uri: { prefix: /x } }", "{ uri: { prefix: /y } }");
    let rule = format!("{{ {to_a} }}");
    let covered = matching(&format!("{x}, {y}"));
    vec![
        ("IST0101", with(&format!("{{ {} }}", to("nobody")))),
        ("IST0106", with(&format!("{{ {to_a}, retry: 3 }}"))),
        ("IST0109", named("v", &rule) + &named("w", &rule)),
        ("IST0112", with(&format!("{{ {} }}", to("multi")))),
        ("IST0130", with(&format!("{rule}, {rule}"))),
        ("IST0131", with(&format!("{}, {covered}", matching(x)))),
    ]
}

fn of_gateways() -> Vec<Example> {
    let gateway = |name: &str, server: &str| {
        let spec = format!("{{ selector: {{ app: b }}, servers: [{{ {server} }}] }}");
        networking("Gateway", name, &spec)
    };
    let http = "port: { number: 80, name: http, protocol: HTTP }, hosts: [x.example.com]";
    let https = |host: &str| {
        format!(
            "port: {{ number: 443, name: https, protocol: HTTPS }}, hosts: [{host}], tls: {{ mode: SIMPLE, credentialName: pair }}"
        )
    };
    let (x, y) = (https("x.example.com"), https("y.example.com"));
    let routed = |host: &str, matches: &str| {
        let rule = format!("{{ {matches}{} }}", to("a"));
        let spec = format!("{{ hosts: [{host}], gateways: [g], http: [{rule}] }}");
        gateway("g", http) + &virtual_service("v", &spec)
    };
    let claim = "match: [{ headers: { '@request.auth.claims.group': { exact: x } } }], ";
    let secret = "---\napiVersion: v1\nkind: Secret\nmetadata: { name: pair }\nstringData: { tls.crt: none, tls.key: none }\n";
    vec![
        ("IST0132", routed("y.example.com", "")),
        ("IST0138", gateway("g", &x) + &gateway("h", &y)),
        ("IST0145", gateway("g", &x) + &gateway("h", &x)),
        ("IST0149", routed("x.example.com", claim)),
        ("IST0161", gateway("g", &x) + secret),
    ]
}

fn of_destinations() -> Vec<Example> {
    let rule = |rest: &str| networking("DestinationRule", "r", &format!("{{ host: a, {rest} }}"));
    let simple = "tls: { mode: SIMPLE }";
    let random = "trafficPolicy: { loadBalancer: { simple: RANDOM, warmup: { duration: 1s } } }";
    let of_port = format!("portLevelSettings: [{{ port: {{ number: 80 }}, {simple} }}]");
    let of_policy = |policy: &str| format!("trafficPolicy: {{ {policy} }}");
    let subset = |version: &str, rest: &str| {
        format!("subsets: [{{ name: s, labels: {{ version: {version} }}, {rest} }}]")
    };
    let opaque = "{ hosts: [x.example.com], resolution: NONE, ports: [{ number: 9000, name: tcp, protocol: TCP }] }";
    vec![
        ("IST0128", rule(&of_policy(simple))),
        ("IST0128", rule(&subset("v1", &of_policy(simple)))),
        ("IST0129", rule(&of_policy(&of_port))),
        ("IST0133", rule(random)),
        ("IST0134", networking("ServiceEntry", "s", opaque)),
        ("IST0173", rule(&subset("v9", ""))),
        ("IST0174", rule(random).replace("host: a", "host: nobody")),
    ]
}

fn of_selectors() -> Vec<Example> {
    let sidecar = |name: &str, selector: &str| {
        let spec = format!("{{ {selector}egress: [{{ hosts: ['./*'] }}] }}");
        networking("Sidecar", name, &spec)
    };
    let both = |selector: &str| sidecar("s", selector) + &sidecar("t", selector);
    let selecting = |app: &str, rest: &str| {
        format!("{{ selector: {{ matchLabels: {{ app: {app} }} }}, {rest} }}")
    };
    let nobody = selecting("nobody", "rules: [{}]");
    let strict = selecting("a", "mtls: { mode: STRICT }");
    let in_root = object("security", "PeerAuthentication", "p", &strict)
        .replace("{ name: p }", "{ name: p, namespace: istio-system }");
    vec![
        (
            "IST0110",
            both("workloadSelector: { labels: { app: a } }, "),
        ),
        ("IST0111", both("")),
        (
            "IST0127",
            object("security", "AuthorizationPolicy", "p", &nobody),
        ),
        ("IST0167", in_root),
    ]
}

fn of_telemetries() -> Vec<Example> {
    let telemetry = |name: &str, spec: &str| object("telemetry", "Telemetry", name, spec);
    let both = |selector: &str| {
        let spec = format!("{{ {selector}tracing: [{{ disableSpanReporting: true }}] }}");
        telemetry("s", &spec) + &telemetry("t", &spec)
    };
    let nobody = "{ tracing: [{ providers: [{ name: nobody }] }] }";
    let without = "{ accessLogging: [{ filter: { expression: response.code >= 400 } }] }";
    vec![
        ("IST0157", telemetry("t", nobody)),
        ("IST0157", telemetry("t", without)),
        ("IST0159", both("selector: { matchLabels: { app: a } }, ")),
        ("IST0160", both("")),
    ]
}

fn examples() -> impl Iterator<Item = Example> {
    let all = [
        of_routes(),
        of_gateways(),
        of_destinations(),
        of_selectors(),
        of_telemetries(),
    ];
    all.into_iter().flatten()
}

/// Only what is refused is an error here, so that Istio's errors are warnings of what is in
/// force. Its other levels are ours.
fn severity(level: Severity, is_refused: bool) -> Severity {
    match level {
        Severity::Error if !is_refused => Severity::Warning,
        level => level,
    }
}

#[test]
fn trap_78_codes_are_istio_s() {
    let table: BTreeMap<&str, (&str, &str)> = TABLE
        .split_whitespace()
        .collect::<Vec<_>>()
        .chunks(3)
        .map(|row| (row[0], (row[1], row[2])))
        .collect();
    assert_eq!(table.len(), 68);
    for known in ISTIO_CODES {
        let level = format!("{:?}", known.level);
        assert_eq!(table[known.code], (level.as_str(), known.name), "{known:?}");
    }
}

#[test]
fn trap_78_codes_are_told_of_what_istio_has_them_for() {
    let told: BTreeSet<&str> = ISTIO_CODES.iter().map(|known| known.code).collect();
    let shown: BTreeSet<&str> = examples().map(|(code, _)| code).collect();
    assert_eq!(shown, told, "each code has an example");
    for (code, text) in examples() {
        let world = world(&text);
        let mut met = false;
        for problem in world.problems() {
            let Some(level) = istio_level(&problem.code) else {
                assert!(!problem.code.starts_with("IST"), "{problem:?}");
                continue;
            };
            let kind = problem.origin.as_ref().unwrap().kind.as_str();
            let is_refused = REFUSED.contains(&(&problem.code, kind));
            let want = severity(level, is_refused);
            assert_eq!(problem.severity(), want, "{problem:?}");
            met |= problem.code == code;
        }
        assert!(met, "{code} {text}: {:#?}", world.problems());
    }
}

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// No source of the control plane or of its tool names a code that is not in the list.
#[test]
fn trap_78_no_other_codes_are_told() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut files = Vec::new();
    for directory in ["meshd/src", "meshd/core/src", "meshctl/src"] {
        sources(&root.join(directory), &mut files);
    }
    let mut named = BTreeSet::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        for (at, _) in text.match_indices("IST0") {
            let code = text.get(at..at + 7).unwrap_or_default();
            assert!(istio_level(code).is_some(), "{}: {code}", file.display());
            named.insert(code.to_owned());
        }
    }
    assert_eq!(named.len(), ISTIO_CODES.len(), "all were read");
}
