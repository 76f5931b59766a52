//! What Istio's admission refuses. Where the definitions of its kinds and its validation have
//! different words for one mistake, those of the validation.

use crate::mesh::{problems, world};

fn object(kind: &str, spec: &str) -> String {
    let group = match kind {
        "AuthorizationPolicy" | "PeerAuthentication" | "RequestAuthentication" => "security",
        "Telemetry" => "telemetry",
        _ => "networking",
    };
    let version = match kind {
        "ProxyConfig" => "v1beta1",
        _ => "v1",
    };
    format!(
        "apiVersion: {group}.istio.io/{version}\nkind: {kind}\nmetadata: {{ name: x }}\nspec: {spec}\n"
    )
}

const TO_A: &str = "route: [{ destination: { host: a } }]";

/// Kind, spec, what has to be in the error.
fn refused() -> Vec<(&'static str, String, &'static str)> {
    let entry = |more: &str| {
        format!(
            "{{ hosts: [x.example.com], ports: [{{ number: 80, name: http, protocol: HTTP }}], {more} }}"
        )
    };
    let source = |source: &str| format!("{{ rules: [{{ from: [{{ source: {source} }}] }}] }}");
    let tls = |matches: &str| {
        format!("{{ hosts: [x.example.com], tls: [{{ match: [{matches}], {TO_A} }}] }}")
    };
    let near = "from: us, to: { us: 100 }";
    vec![
        ("AuthorizationPolicy", source("{ serviceAccounts: [a], namespaces: [b] }"), "cannot set serviceAccounts with namespaces or principals"),
        ("AuthorizationPolicy", source("{ serviceAccounts: [a], principals: [b] }"), "cannot set serviceAccounts with namespaces or principals"),
        ("AuthorizationPolicy", "{ selector: { matchLabels: { app: a } }, targetRefs: [{ kind: Service, name: a }] }".to_owned(), "only one of targetRefs or selector can be set"),
        ("AuthorizationPolicy", "{ targetRefs: [{ kind: Service, name: a, namespace: other }] }".to_owned(), "cross namespace referencing is not currently supported"),
        ("PeerAuthentication", "{ portLevelMtls: { 80: { mode: STRICT } } }".to_owned(), "portLevelMtls requires selector"),
        ("PeerAuthentication", "{ selector: { matchLabels: { app: a } }, portLevelMtls: { 0: { mode: STRICT } } }".to_owned(), "port must be in range 1..65535"),
        ("PeerAuthentication", "{ selector: { matchLabels: { app: a } }, portLevelMtls: { 70000: { mode: STRICT } } }".to_owned(), "port must be in range 1..65535"),
        ("ProxyConfig", "{ concurrency: -1 }".to_owned(), "concurrency: it must be a whole number, greater than or equal to 0, found the number -1"),
        ("ProxyConfig", "{ concurrency: 2147483648 }".to_owned(), "concurrency: it must be a whole number"),
        ("ProxyConfig", "{ concurrency: '2' }".to_owned(), "concurrency: it must be a whole number"),
        ("ProxyConfig", "{ selector: { matchLabels: { app: 'a*' } } }".to_owned(), "wildcard is not supported in selector"),
        ("ProxyConfig", "{ selector: { matchLabels: { '': a } } }".to_owned(), "empty key is not supported in selector"),
        ("ProxyConfig", "{ environmentVariables: { A: 1 } }".to_owned(), "environmentVariables.A: expected a string, found the number 1; put it in quotes"),
        ("ProxyConfig", format!("{{ environmentVariables: {{ A: {} }} }}", "x".repeat(2049)), "environmentVariables.A: it may have 2048 characters at most"),
        ("ProxyConfig", "{ image: { imagetype: debug } }".to_owned(), "unknown field `spec.image.imagetype`; did you mean `imageType`?"),
        ("Telemetry", "{ metrics: [{ providers: [{ name: '' }] }] }".to_owned(), "providers.name may not be empty"),
        ("Telemetry", "{ metrics: [{ overrides: [{ tagOverrides: { a: { operation: UPSERT } } }] }] }".to_owned(), "tagOverrides.value must be set when operation is UPSERT"),
        ("Telemetry", "{ metrics: [{ overrides: [{ tagOverrides: { a: { operation: REMOVE, value: '1' } } }] }] }".to_owned(), "tagOverrides.value may only be set when operation is UPSERT"),
        ("Telemetry", "{ metrics: [{ overrides: [{ tagOverrides: { a: null } }] }] }".to_owned(), "tagOverrides may not be null"),
        ("Telemetry", "{ metrics: [{ overrides: [{ match: { customMetric: '' } }] }] }".to_owned(), "customMetric may not be empty"),
        ("Telemetry", "{ metrics: [{ overrides: [{ match: { metric: REQUEST_COUNT, customMetric: a } }] }] }".to_owned(), "only one of metric or customMetric can be set"),
        ("Telemetry", "{ metrics: [{ overrides: [{ match: { metric: REQUEST_COUNTS } }] }] }".to_owned(), "did you mean `REQUEST_COUNT`?"),
        ("Telemetry", "{ tracing: [{ randomSamplingPercentage: 100.5 }] }".to_owned(), "randomSamplingPercentage must be in range [0.0, 100.0]"),
        ("Telemetry", "{ tracing: [{ customTags: { a: { literal: { value: '' } } } }] }".to_owned(), "literal tag value may not be empty"),
        ("Telemetry", "{ tracing: [{ customTags: { a: { header: {} } } }] }".to_owned(), "header tag name may not be empty"),
        ("Telemetry", "{ tracing: [{ customTags: { a: { header: { name: 'a b' } } } }] }".to_owned(), "`a b` is no name of a header field"),
        ("Telemetry", "{ tracing: [{ customTags: { a: { environment: {} } } }] }".to_owned(), "environment tag name may not be empty"),
        ("Telemetry", "{ tracing: [{ customTags: { a: null } }] }".to_owned(), "tag 'a' may not have a nil value"),
        ("Telemetry", "{ accessLogging: [{ match: { mode: OUTBOUND } }] }".to_owned(), "is none of CLIENT_AND_SERVER, CLIENT, SERVER"),
        ("Telemetry", "{ selector: { matchLabels: { app: 'a*' } } }".to_owned(), "wildcard is not supported in selector"),
        ("ServiceEntry", entry("resolution: NONE, endpoints: [{ address: 192.0.2.1 }]"), "NONE mode cannot set endpoints"),
        ("ServiceEntry", "{ hosts: ['*'], ports: [{ number: 80, name: http, protocol: HTTP }], resolution: NONE }".to_owned(), "invalid host *"),
        ("ServiceEntry", entry("resolution: DNS_ROUND_ROBIN, endpoints: [{ address: a.example.com }, { address: b.example.com }]"), "DNS_ROUND_ROBIN mode cannot have multiple endpoints"),
        ("ServiceEntry", entry("resolution: STATIC, workloadSelector: { labels: { app: a } }, endpoints: [{ address: 192.0.2.1 }]"), "only one of WorkloadSelector or Endpoints is allowed"),
        ("ServiceEntry", entry("resolution: STATIC, endpoints: [{ address: 'unix:///run/x.sock', ports: { http: 80 } }]"), "must not include ports"),
        ("VirtualService", "{ hosts: [a], http: [{ route: [{ destination: { host: a }, weight: 0 }, { destination: { host: b }, weight: 0 }] }] }".to_owned(), "total destination weight = 0"),
        ("VirtualService", tls("{ sniHosts: [] }"), "TLS match must have at least one SNI host"),
        ("VirtualService", tls("{ sniHosts: [y.example.org] }"), "SNI host \"y.example.org\" is not a compatible subset"),
        ("VirtualService", "{ hosts: [a], http: [{ redirect: { uri: /x, redirectCode: 200 } }] }".to_owned(), "200 is not a valid redirect code"),
        ("DestinationRule", "{ host: a, subsets: [{ name: v1, labels: { version: v1 } }, { name: v1 }] }".to_owned(), "subset"),
        ("DestinationRule", format!("{{ host: a, trafficPolicy: {{ loadBalancer: {{ localityLbSetting: {{ distribute: [{{ {near} }}], failover: [{{ from: us, to: eu }}] }} }} }} }}"), "can not simultaneously specify 'distribute' and 'failover'"),
    ]
}

#[test]
fn trap_77_what_admission_refuses() {
    let mut wrong = Vec::new();
    for (kind, spec, want) in refused() {
        let found = problems(&world(&object(kind, &spec)));
        let mut errors = found.iter().filter(|line| line.contains(": error: "));
        if !errors.any(|line| line.contains(want)) {
            wrong.push(format!("{kind} {spec}\n  want: {want}\n  found: {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
