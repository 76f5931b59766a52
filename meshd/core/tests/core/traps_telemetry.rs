//! Istio's trap of inheritance, for Telemetry; its number is that of the table of exact semantics.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use mesh_api::v1::expression::Kind;
use mesh_api::v1::resource::Body;
use mesh_api::v1::span_tag::From as TagFrom;
use mesh_api::v1::{Telemetry, TelemetryMetric, TelemetrySide, TraceCollector, TracingRule};
use meshd_core::{MeshSettings, TelemetryProvider, World};

use crate::mesh::{gateway, good, problems, resources, sidecar, world, world_with};

fn telemetry(name: &str, namespace: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: telemetry.istio.io/v1\nkind: Telemetry\nmetadata: {{ name: {name}, namespace: {namespace} }}\nspec: {spec}\n"
    )
}

/// What a sidecar of `shop` with the label `app: web` is told.
fn told(world: &World) -> Telemetry {
    told_to(world, "shop/web-1")
}

fn told_to(world: &World, workload: &str) -> Telemetry {
    let scope = sidecar(world, workload, &[("app", "web")]);
    let all = resources(world, &scope, &["inbound/self"]);
    match &all[&"inbound/self".parse().unwrap()].body {
        Some(Body::Inbound(inbound)) => inbound.telemetry.clone().unwrap_or_default(),
        other => panic!("{other:?}"),
    }
}

fn sides(telemetry: Telemetry) -> [TelemetrySide; 2] {
    [telemetry.client, telemetry.server].map(Option::unwrap_or_default)
}

/// Metrics of a side by name: `off`, or labels with `-` for those that are left out.
fn metrics(side: &TelemetrySide) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for rule in &side.metrics {
        let mut text = String::new();
        if rule.disabled {
            text.push_str("off ");
        }
        for tag in &rule.tags {
            let value = tag.value.as_ref().map_or("-", |value| &value.source);
            write!(text, "{}={value} ", tag.name).unwrap();
        }
        found.insert(format!("{:?}", rule.metric()), text.trim_end().to_owned());
    }
    found
}

/// What is said of some metrics, on both sides; `same` of those that nothing is said of.
fn shown(specs: &[(&str, &str)]) -> String {
    let text: String = specs
        .iter()
        .enumerate()
        .map(|(index, (namespace, spec))| telemetry(&format!("t{index}"), namespace, spec))
        .collect();
    let [client, server] = sides(told(&good(&text))).map(|side| metrics(&side));
    let count = |side: &BTreeMap<String, String>| {
        let [count, size] = ["RequestCount", "ResponseSize"]
            .map(|name| side.get(name).map_or("same", String::as_str).to_owned());
        format!("{count}, {size}")
    };
    format!("{} | {}", count(&client), count(&server))
}

const ROOT: &str = "istio-system";
const WEB: &str = "selector: { matchLabels: { app: web } }, ";

fn overrides(text: &str) -> String {
    format!("{{ metrics: [{{ overrides: [{text}] }}] }}")
}

/// Each override is laid over those before it, by metric and mode, each label by itself; those of
/// the namespace come after the root's, those that select the workload last.
#[test]
fn trap_73_the_last_override_of_a_metric_and_mode_wins() {
    let remove = |label: &str| format!("{label}: {{ operation: REMOVE }}");
    let upsert = |label: &str, value: &str| format!("{label}: {{ value: \"{value}\" }}");
    let of = |matched: &str, tags: &str| format!("{{ {matched}tagOverrides: {{ {tags} }} }}");
    let count = "match: { metric: REQUEST_COUNT }, ";
    let server = "match: { metric: REQUEST_COUNT, mode: SERVER }, ";
    let all = of("", &remove("source_app"));
    let host = upsert("host", "request.host");
    let off = |matched: &str, off: bool| format!("{{ {matched}disabled: {off} }}");
    let every = "match: { metric: ALL_METRICS }, ";
    let client = "match: { mode: CLIENT }, ";
    let selected = |text: &str| overrides(text).replacen("{ ", &format!("{{ {WEB}"), 1);
    for (specs, want) in [
        (
            vec![(ROOT, overrides(&all))],
            "source_app=-, source_app=- | source_app=-, source_app=-",
        ),
        (
            vec![
                (ROOT, overrides(&all)),
                ("shop", overrides(&of(count, &host))),
            ],
            "host=request.host source_app=-, source_app=- | host=request.host source_app=-, source_app=-",
        ),
        // The last word on one label.
        (
            vec![
                (ROOT, overrides(&of(count, &remove("host")))),
                ("shop", overrides(&of(server, &host))),
            ],
            "host=-, same | host=request.host, same",
        ),
        (
            vec![
                (ROOT, overrides(&of(count, &host))),
                ("shop", selected(&of(count, &remove("host")))),
                ("shop", overrides(&of(count, &upsert("host", "'x'")))),
            ],
            "host=-, same | host=-, same",
        ),
        // Within one list, too.
        (
            vec![(
                ROOT,
                overrides(&format!("{}, {}", off(count, true), off(server, false))),
            )],
            "off, same | same, same",
        ),
        // Of metrics that are all off, none is on but those that are spoken of later.
        (
            vec![(ROOT, overrides(&off(every, true)))],
            "off, off | off, off",
        ),
        (
            vec![(ROOT, overrides(&off(client, true)))],
            "off, off | same, same",
        ),
        (
            vec![
                (ROOT, overrides(&off(every, true))),
                ("shop", overrides(&off(server, false))),
            ],
            "off, off | same, same",
        ),
        // Elsewhere, or without the label.
        (vec![("other", overrides(&all))], "same, same | same, same"),
        (
            vec![("shop", selected(&all).replace("web", "db"))],
            "same, same | same, same",
        ),
        // A selector of the root namespace selects there only.
        (vec![(ROOT, selected(&all))], "same, same | same, same"),
    ] {
        let specs: Vec<(&str, &str)> = specs
            .iter()
            .map(|(namespace, spec)| (*namespace, spec.as_str()))
            .collect();
        assert_eq!(shown(&specs), want, "{specs:#?}");
    }
}

/// Metrics go to whoever is named last; without anybody who scrapes there are none.
#[test]
fn trap_73_providers_replace_those_that_are_inherited() {
    let named = |provider: &str, more: &str| {
        format!("{{ metrics: [{{ providers: [{{ name: {provider} }}]{more} }}] }}")
    };
    let off = ", overrides: [{ match: { metric: REQUEST_COUNT }, disabled: true }]";
    let scraped = named("prometheus", off);
    let elsewhere = named("stackdriver", "");
    assert_eq!(shown(&[(ROOT, &scraped)]), "off, same | off, same");
    assert_eq!(
        shown(&[(ROOT, &scraped), ("shop", &elsewhere)]),
        "off, off | off, off"
    );
    assert_eq!(
        shown(&[(ROOT, &elsewhere), ("shop", &scraped)]),
        "off, same | off, same"
    );
    let said = problems(&good(&telemetry("t", "shop", &elsewhere))).join("\n");
    assert!(
        said.contains("input.yaml:5:41: warning: metrics: the provider `stackdriver` cannot be used: no extensionProvider of the mesh configuration has this name")
            && said.contains("[IST0157]"),
        "{said}"
    );
}

fn tracing(specs: &[(&str, &str)]) -> [Option<TracingRule>; 2] {
    let text: String = specs
        .iter()
        .enumerate()
        .map(|(index, (namespace, spec))| {
            let (selector, rule) = spec.split_once('|').unwrap_or(("", spec));
            let spec = format!("{{ {selector}tracing: [{{ {rule} }}] }}");
            telemetry(&format!("t{index}"), namespace, &spec)
        })
        .collect();
    sides(told(&good(&text))).map(|side| side.tracing)
}

/// Other fields are inherited one by one; `customTags` are those of the last who gives any.
#[test]
fn trap_73_custom_tags_are_replaced_not_merged() {
    let root = "randomSamplingPercentage: 50, customTags: { a: { literal: { value: root } }, b: { literal: { value: root } } }";
    let own = "customTags: { b: { header: { name: X-B, defaultValue: none } }, c: { environment: { name: HOME } } }";
    let names = |rule: &TracingRule| -> Vec<String> {
        rule.tags.iter().map(|tag| tag.name.clone()).collect()
    };
    let [client, server] = tracing(&[(ROOT, root), ("shop", own)]).map(Option::unwrap);
    assert_eq!(client, server);
    assert_eq!(names(&client), ["b", "c"]);
    assert_eq!(client.sampling, Some(50.0));
    assert_eq!(client.tags[0].from, Some(TagFrom::Header("x-b".to_owned())));
    assert_eq!(client.tags[0].default_value, "none");
    assert_eq!(
        client.tags[1].from,
        Some(TagFrom::Environment("HOME".to_owned()))
    );
    // Whoever says nothing of them inherits them all; an empty map is something said.
    let quiet = format!("{WEB}|enableIstioTags: false, disableContextPropagation: true");
    let [client, _] = tracing(&[(ROOT, root), ("shop", &quiet)]).map(Option::unwrap);
    assert_eq!(names(&client), ["a", "b"]);
    assert!(client.without_istio_tags && client.without_propagation);
    let [client, _] = tracing(&[(ROOT, root), ("shop", "customTags: {}")]).map(Option::unwrap);
    assert_eq!(names(&client), [""; 0]);
    // A side by itself.
    let servers =
        "match: { mode: SERVER }, disableSpanReporting: true, randomSamplingPercentage: 0";
    let [client, server] = tracing(&[(ROOT, root), ("shop", servers)]).map(Option::unwrap);
    assert_eq!((client.disabled, client.sampling), (false, Some(50.0)));
    assert_eq!((server.disabled, server.sampling), (true, Some(0.0)));
    assert_eq!(names(&server), ["a", "b"]);
    let [client, server] = tracing(&[(
        "shop",
        "match: { mode: CLIENT }, disableSpanReporting: true",
    )]);
    assert!(client.is_some_and(|rule| rule.disabled) && server.is_none());
}

/// What is told of the log on both sides: `-` as started, `off`, `all`, or the number that the
/// filter compares the status with.
fn log(specs: &[(&str, &str)], settings: &MeshSettings) -> [String; 2] {
    let text: String = specs
        .iter()
        .enumerate()
        .map(|(index, (namespace, rules))| {
            let spec = format!("{{ accessLogging: [{rules}] }}");
            telemetry(&format!("t{index}"), namespace, &spec)
        })
        .collect();
    sides(told(&world_with(&text, settings))).map(|side| match side.access_log {
        None => "-".to_owned(),
        Some(rule) if rule.disabled => "off".to_owned(),
        Some(rule) => rule.filter.map_or_else(
            || "all".to_owned(),
            |filter| match filter.kind {
                Some(Kind::Operation(operation)) => match operation.operands[1].kind {
                    Some(Kind::Number(number)) => number.to_string(),
                    ref other => panic!("{other:?}"),
                },
                other => panic!("{other:?}"),
            },
        ),
    })
}

#[test]
fn trap_73_logs_are_ruled_by_the_last_level() {
    let envoy = "providers: [{ name: envoy }]";
    let errors = |from: u32| format!("filter: {{ expression: response.code >= {from} }}");
    let rule = |text: &str| format!("{{ {text} }}");
    let all = rule(envoy);
    let filtered = rule(&format!("{envoy}, {}", errors(400)));
    let servers = rule(&format!(
        "match: {{ mode: SERVER }}, {envoy}, {}",
        errors(500)
    ));
    let off = rule("disabled: true");
    let on = rule("disabled: false");
    let narrow = rule(&errors(300));
    let plain = MeshSettings::default();
    let mut logging = MeshSettings::default();
    logging.telemetry.access_logging = vec!["envoy".to_owned()];
    let unknown = rule("providers: [{ name: nobody }]");
    for (specs, settings, want) in [
        (vec![], &plain, ["-", "-"]),
        (vec![], &logging, ["all", "all"]),
        (vec![(ROOT, &all)], &plain, ["all", "all"]),
        (vec![(ROOT, &filtered)], &plain, ["400", "400"]),
        (vec![(ROOT, &servers)], &plain, ["-", "500"]),
        (
            vec![(ROOT, &filtered), ("shop", &servers)],
            &plain,
            ["400", "500"],
        ),
        (
            vec![(ROOT, &filtered), ("shop", &off)],
            &plain,
            ["off", "off"],
        ),
        (vec![(ROOT, &off), ("shop", &on)], &plain, ["all", "all"]),
        (vec![(ROOT, &off)], &logging, ["off", "off"]),
        // A filter by itself is for whoever takes the log already; for nobody, if nobody does.
        (
            vec![(ROOT, &all), ("shop", &narrow)],
            &plain,
            ["300", "300"],
        ),
        (vec![("shop", &narrow)], &logging, ["300", "300"]),
        (vec![("shop", &narrow)], &plain, ["-", "-"]),
        // One who cannot be reported to changes nothing.
        (vec![("shop", &unknown)], &plain, ["-", "-"]),
    ] {
        let specs: Vec<(&str, &str)> = specs
            .iter()
            .map(|(namespace, rule)| (*namespace, rule.as_str()))
            .collect();
        assert_eq!(log(&specs, settings), want, "{specs:#?}");
    }
}

/// Of those without selector in a namespace the oldest counts; of those that select a workload all
/// do, and the youngest has the last word.
#[test]
fn trap_73_of_several_at_one_level() {
    let off = |disabled: bool| format!("disableSpanReporting: {disabled}");
    let [client, _] = tracing(&[("shop", &off(true)), ("shop", &off(false))]);
    assert!(client.unwrap().disabled);
    let selected = |rule: &str| format!("{WEB}|{rule}");
    let (first, second) = (
        selected("disableSpanReporting: true, randomSamplingPercentage: 7"),
        selected("disableSpanReporting: false"),
    );
    let [client, _] = tracing(&[("shop", &first), ("shop", &second)]);
    let client = client.unwrap();
    assert_eq!((client.disabled, client.sampling), (false, Some(7.0)));
    // The root namespace has one wide level only.
    let both = telemetry("t", ROOT, "{ tracing: [{ randomSamplingPercentage: 3 }] }");
    let telemetry = told_to(&good(&both), "istio-system/web-1");
    assert_eq!(
        telemetry.client.unwrap().tracing.unwrap().sampling,
        Some(3.0)
    );
}

/// Gateways report as clients, and are named by targetRefs, too.
#[test]
fn trap_73_gateways_are_told_as_well() {
    let spec = "{ targetRefs: [{ group: gateway.networking.k8s.io, kind: Gateway, name: door }], tracing: [{ disableSpanReporting: true }] }";
    let world = good(&telemetry("t", "shop", spec));
    for (label, want) in [("door", true), ("other", false)] {
        let labels = [("gateway.networking.k8s.io/gateway-name", label)];
        let scope = gateway(&world, "shop/gw-1", &labels);
        let all = resources(&world, &scope, &["gateway/self"]);
        let Some(Body::Gateway(gateway)) = &all[&"gateway/self".parse().unwrap()].body else {
            panic!("{all:?}");
        };
        let told = gateway.telemetry.clone().unwrap_or_default();
        let tracing = told.client.unwrap_or_default().tracing;
        assert_eq!(tracing.is_some(), want, "{label}");
    }
    let waypoint = spec.replace("kind: Gateway,", "kind: GatewayClass,");
    let said = problems(&crate::mesh::world(&telemetry("t", "shop", &waypoint))).join("\n");
    assert!(said.contains("holds in waypoints only"), "{said}");
}

/// Spans go to the collector that is named last, if proxies can reach it.
#[test]
fn trap_73_the_last_collector_takes_the_spans() {
    let collector = |host: &str| TraceCollector {
        host: host.to_owned(),
        port: 4318,
        path: String::new(),
    };
    let mut settings = MeshSettings::default();
    let providers = &mut settings.telemetry.providers;
    for name in ["one", "two"] {
        providers.insert(
            name.to_owned(),
            TelemetryProvider::Collector(collector(name)),
        );
    }
    let why = "it takes spans over gRPC".to_owned();
    providers.insert("grpc".to_owned(), TelemetryProvider::Unusable(why));
    settings.telemetry.tracing = vec!["one".to_owned()];
    let spec = |name: &str| format!("{{ tracing: [{{ providers: [{{ name: {name} }}] }}] }}");
    let found = |text: &str| {
        let world = world_with(text, &settings);
        let [client, _] = sides(told(&world));
        let collector = client.tracing.and_then(|rule| rule.collector);
        (
            collector.map(|collector| collector.host),
            problems(&world).join("\n"),
        )
    };
    assert_eq!(found("").0.as_deref(), Some("one"));
    assert_eq!(
        found(&telemetry("t", ROOT, &spec("TWO"))).0.as_deref(),
        Some("two")
    );
    let (host, said) = found(&telemetry("t", ROOT, &spec("grpc")));
    assert_eq!(host, None);
    assert!(
        said.contains("tracing: the provider `grpc` cannot be used: it takes spans over gRPC; spans go where proxies were started to send them [IST0157]"),
        "{said}"
    );
    let (_, said) = found(&telemetry("t", ROOT, &spec("envoy")));
    assert!(said.contains("it is for something else"), "{said}");
}

/// What cannot be done is named at its place, and the rest holds.
#[test]
fn trap_73_what_a_telemetry_cannot_do_is_named() {
    let text = telemetry(
        "t",
        "shop",
        "
  metrics:
  - reportingInterval: 5s
    overrides:
    - match: { customMetric: my_metric }
      disabled: true
    - match: { metric: GRPC_REQUEST_MESSAGES }
      disabled: true
    - match: { customMetric: istio_requests_total }
      tagOverrides:
        'a b': { operation: REMOVE }
        le: { value: 'request.method' }
        bad: { value: 'node.id' }
        good: { value: 'request.method' }
  accessLogging:
  - providers: [{ name: envoy }]
    filter: { expression: 'response.code & 1' }
  - providers: [{ name: envoy }]
    filter: { expression: response.code }
  tracing:
  - useRequestIdForTraceSampling: true
    customTags:
      formatted: { formatter: { value: '%REQ(x)%' } }
      plain: { literal: { value: x } }",
    );
    let world = world(&text);
    let said = problems(&world);
    let want = [
        ":7:24: warning: spec.metrics[0].reportingInterval: it has no effect: metrics are as they are when they are scraped",
        ":9:30: warning: customMetric: proxies have no metric `my_metric`",
        ":11:24: warning: proxies do not count the messages of gRPC: this has no effect",
        ":15:9: warning: spec.metrics[0].overrides[2].tagOverrides: `a b` is no name of a label; it has no effect",
        ":16:9: warning: spec.metrics[0].overrides[2].tagOverrides: `le` is no name of a label; it has no effect",
        ":17:23: warning: spec.metrics[0].overrides[2].tagOverrides.bad.value: `node.id`: the attribute `node.id` is not known; the label stays as it was",
        ":21:27: warning: spec.accessLogging[0].filter.expression: `response.code & 1`: unexpected `&`; nothing is filtered",
        ":23:27: warning: spec.accessLogging[1].filter.expression: `response.code` is neither true nor false; nothing is filtered",
        ":25:35: warning: spec.tracing[0].useRequestIdForTraceSampling: it has no effect",
        ":27:31: warning: spec.tracing[0].customTags.formatted.formatter: it has no effect",
    ];
    assert_eq!(said.len(), want.len(), "{said:#?}");
    for (found, want) in said.iter().zip(want) {
        assert!(found.contains(want), "{found}\n{want}\n{said:#?}");
    }
    let [client, server] = sides(told(&world));
    assert_eq!(client, server);
    let [only] = client.metrics.as_slice() else {
        panic!("{client:?}");
    };
    assert_eq!(only.metric(), TelemetryMetric::RequestCount);
    assert_eq!(only.tags.len(), 1);
    assert_eq!(client.access_log.unwrap().filter, None);
    assert_eq!(client.tracing.unwrap().tags.len(), 1);
    let elsewhere = text.replace("telemetry.istio.io/v1", "telemetry.istio.io/v2");
    let said = problems(&crate::mesh::world(&elsewhere)).join("\n");
    assert!(
        said.contains("unknown apiVersion `telemetry.istio.io/v2` for Telemetry; write `telemetry.istio.io/v1`"),
        "{said}"
    );
}
