//! What Telemetry objects make of metrics and logs.

use http::{HeaderMap, HeaderName, HeaderValue};
use mesh_proxy_core::expression::{Attribute, Comparison, Expression};
use mesh_proxy_core::ir::{
    LogRule, Metric, MetricRule, SpanTag, SpanTagSource, TagValue, TelemetrySide, TraceRule,
};

use super::super::rules::span_tags;
use super::*;

/// Rules that can be changed, and what they change.
struct Ruled {
    telemetry: Telemetry,
    rules: Arc<Mutex<Option<Arc<TelemetryRules>>>>,
}

impl Ruled {
    fn new(log: &AccessLog) -> Self {
        let telemetry = Telemetry::new(log).unwrap();
        let rules: Arc<Mutex<Option<Arc<TelemetryRules>>>> = Arc::default();
        let in_force = Arc::clone(&rules);
        telemetry.follow(move || lock(&in_force).clone());
        Self { telemetry, rules }
    }

    fn set(&self, rules: Option<TelemetryRules>) -> Option<Arc<TelemetryRules>> {
        let rules = rules.map(Arc::new);
        lock(&self.rules).clone_from(&rules);
        rules
    }

    /// The series of a metric, sorted, with their numbers.
    fn series(&self, metric: &str) -> Vec<String> {
        let text = self.telemetry.metrics();
        let lines = text.lines().filter_map(|line| line.strip_prefix(metric));
        let mut lines: Vec<String> = lines
            .filter(|line| line.starts_with('{'))
            .map(str::to_owned)
            .collect();
        lines.sort();
        lines
    }
}

fn metric(metric: Metric, rule: MetricRule) -> TelemetrySide {
    let mut side = TelemetrySide::default();
    side.metrics.set(metric, rule);
    side
}

fn removed(labels: &[&str]) -> MetricRule {
    MetricRule {
        disabled: false,
        tags: labels.iter().map(|name| ((*name).into(), None)).collect(),
    }
}

fn path_label() -> TelemetrySide {
    let source: Arc<str> = "request.url_path".into();
    let tags = ["path", "response_flags"].map(|name| (name.into(), Some(Arc::clone(&source))));
    let rule = MetricRule {
        disabled: false,
        tags: tags.into(),
    };
    TelemetrySide {
        request_tags: vec![TagValue {
            source,
            expression: Expression::Attribute(Attribute::RequestUrlPath),
        }],
        ..metric(Metric::RequestCount, rule)
    }
}

fn record(ruled: &Ruled, recorder: &Recorder, labels: &RequestLabels, path: &str) {
    let rules = lock(&ruled.rules).clone();
    let side = rules
        .as_ref()
        .map(|rules| rules.side(labels.connection.reporter));
    recorder.record_request(&RequestRecord {
        path,
        ..request(
            labels,
            FlowRecord {
                telemetry: side,
                ..flow()
            },
        )
    });
}

fn value(series: &str, label: &str) -> Option<String> {
    let (_, rest) = series.split_once(&format!("{label}=\""))?;
    Some(rest.split('"').next().unwrap().to_owned())
}

#[test]
fn labels_are_left_out_where_metrics_are_shown() {
    let ruled = Ruled::new(&AccessLog {
        sink: LogSink::Off,
        format: LogFormat::Text,
    });
    let recorder = ruled.telemetry.recorder();
    let count = "istio_requests_total";
    for code in [200, 404] {
        for reporter in [Reporter::Source, Reporter::Destination] {
            record(&ruled, &recorder, &labels(reporter, code), "/");
        }
    }
    assert_eq!(ruled.series(count).len(), 4);
    let server = metric(Metric::RequestCount, removed(&["response_code", "none"]));
    ruled.set(Some(TelemetryRules {
        server,
        ..TelemetryRules::default()
    }));
    let series = ruled.series(count);
    let [server, others @ ..] = series.as_slice() else {
        panic!("{series:?}");
    };
    assert!(server.contains("reporter=\"destination\"") && server.ends_with("} 2"));
    assert_eq!(value(server, "response_code"), None);
    assert_eq!(others.len(), 2, "{others:?}");
    assert_eq!(ruled.series("istio_request_bytes_count").len(), 4);
    // What was counted meanwhile is there when the rule has gone.
    record(&ruled, &recorder, &labels(Reporter::Destination, 404), "/");
    ruled.set(None);
    let series = ruled.series(count);
    let find = |reporter: &str| {
        let mut of = series.iter().filter(|one| one.contains(reporter));
        of.find(|one| value(one, "response_code").as_deref() == Some("404"))
    };
    assert!(find("destination").unwrap().ends_with("} 2"), "{series:?}");
}

#[test]
fn metrics_are_off_on_one_side() {
    let ruled = Ruled::new(&AccessLog {
        sink: LogSink::Off,
        format: LogFormat::Text,
    });
    let recorder = ruled.telemetry.recorder();
    let off = MetricRule {
        disabled: true,
        tags: Vec::new(),
    };
    ruled.set(Some(TelemetryRules {
        client: metric(Metric::RequestDuration, off),
        ..TelemetryRules::default()
    }));
    for reporter in [Reporter::Source, Reporter::Destination] {
        record(&ruled, &recorder, &labels(reporter, 200), "/");
    }
    let duration = ruled.series("istio_request_duration_milliseconds_count");
    let [only] = duration.as_slice() else {
        panic!("{duration:?}");
    };
    assert!(only.contains("reporter=\"destination\""));
    assert_eq!(ruled.series("istio_requests_total").len(), 2);
}

/// Values make series of their own, as many as other labels may, and go with the rule.
#[test]
fn labels_are_added_with_a_value_for_each_request() {
    let ruled = Ruled::new(&AccessLog {
        sink: LogSink::Off,
        format: LogFormat::Text,
    });
    let recorder = ruled.telemetry.recorder();
    let labels = labels(Reporter::Source, 200);
    let count = "istio_requests_total";
    record(&ruled, &recorder, &labels, "/early");
    let rules = TelemetryRules {
        client: path_label(),
        ..TelemetryRules::default()
    };
    ruled.set(Some(rules.clone()));
    for path in ["/a?x=y", "/a?x=z", "/b"] {
        record(&ruled, &recorder, &labels, path);
    }
    let shown: Vec<(Option<String>, Option<String>)> = ruled
        .series(count)
        .iter()
        .map(|one| (value(one, "path"), value(one, "response_flags")))
        .collect();
    let both = |text: &str| (Some(text.to_owned()), Some(text.to_owned()));
    assert_eq!(shown.len(), 3, "{shown:?}");
    for want in ["/a", "/b", "unknown"] {
        assert!(shown.contains(&both(want)), "{shown:?}");
    }
    // Others are not changed, and together they are what they were.
    let bytes = ruled.series("istio_request_bytes_count");
    assert!(bytes.len() == 1 && bytes[0].ends_with("} 4"), "{bytes:?}");
    ruled.set(None);
    let series = ruled.series(count);
    assert!(
        series.len() == 1 && series[0].ends_with("} 4"),
        "{series:?}"
    );
    assert_eq!(ruled.telemetry.edges()[0].count, 4);
    ruled.set(Some(rules));
    // A caller's text can neither end the value nor be of any length.
    record(&ruled, &recorder, &labels, "/a\"b\\");
    let long = format!("/{}", "é".repeat(1000));
    record(&ruled, &recorder, &labels, &long);
    let series = ruled.series(count).join("\n");
    assert!(series.contains(r#"path="/a\"b\\""#), "{series}");
    let long = format!("path=\"/{}\"", "é".repeat(127));
    assert!(series.contains(&long), "{series}");
    for number in 0..=MOST_SERIES {
        record(&ruled, &recorder, &labels, &format!("/{number}"));
    }
    assert!(ruled.series(count).len() <= MOST_SERIES + 1);
}

fn errors_only() -> LogRule {
    let operands = [
        Expression::Attribute(Attribute::ResponseCode),
        Expression::Number(400),
    ];
    LogRule {
        disabled: false,
        filter: Some(Expression::Compare(
            Comparison::GreaterOrEqual,
            Box::new(operands),
        )),
    }
}

#[test]
fn logs_hold_what_a_rule_lets_in() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("access.log");
    let ruled = Ruled::new(&AccessLog {
        sink: LogSink::File(path.clone()),
        format: LogFormat::Text,
    });
    let recorder = ruled.telemetry.recorder();
    let ok = labels(Reporter::Source, 200);
    let bad = labels(Reporter::Source, 503);
    let none = labels(Reporter::Source, 0);
    let tcp = connection(Reporter::Source);
    for (name, rule) in [
        ("free", None),
        ("errors", Some(errors_only())),
        (
            "off",
            Some(LogRule {
                disabled: true,
                filter: None,
            }),
        ),
        ("again", None),
    ] {
        let client = TelemetrySide {
            log: rule,
            ..TelemetrySide::default()
        };
        let rules = ruled.set(Some(TelemetryRules {
            client,
            ..TelemetryRules::default()
        }));
        for labels in [&ok, &bad, &none] {
            record(&ruled, &recorder, labels, &format!("/{name}"));
        }
        let open = recorder.tcp_opened(&tcp, None);
        let flow = FlowRecord {
            route: name,
            telemetry: rules.as_ref().map(|rules| &rules.client),
            ..flow()
        };
        let record = TcpRecord {
            labels: &tcp,
            flow,
            span: None,
        };
        recorder.record_tcp(open, &record);
    }
    ruled.telemetry.close();
    let text = std::fs::read_to_string(&path).unwrap();
    let count = |what: &str| text.lines().filter(|line| line.contains(what)).count();
    let lines = ["/free", "/errors", "/off", "/again"].map(count);
    assert_eq!(lines, [3, 1, 0, 3], "{text}");
    let connections = [" free\n", " errors\n", " off\n"].map(|end| text.matches(end).count());
    assert_eq!(connections, [1, 0, 0], "{text}");
}

#[test]
fn spans_get_tags_from_the_request_and_the_environment() {
    let tag = |name: &str, from, default: &str| SpanTag {
        name: name.into(),
        from,
        default: default.into(),
    };
    let header = |name| SpanTagSource::Header(HeaderName::from_static(name));
    let variable = |name: &str| SpanTagSource::Environment(name.into());
    let tracing = TraceRule {
        disabled: false,
        fraction: None,
        tags: vec![
            tag("literal", SpanTagSource::Literal("text".into()), ""),
            tag("there", header("x-there"), "default"),
            tag("absent", header("x-absent"), "default"),
            tag("nothing", header("x-absent"), ""),
            tag("path", variable("PATH"), ""),
            tag("unset", variable("NO_SUCH_VARIABLE_AT_ALL"), "unset"),
        ],
        without_istio_tags: false,
        without_propagation: false,
        collector: None,
    };
    let client = TelemetrySide {
        tracing: Some(tracing),
        headers: vec![
            HeaderName::from_static("x-there"),
            HeaderName::from_static("x-absent"),
        ],
        ..TelemetrySide::default()
    };
    let rules = Arc::new(TelemetryRules {
        client,
        ..TelemetryRules::default()
    });
    let headers: HeaderMap = [(
        HeaderName::from_static("x-there"),
        HeaderValue::from_static("value"),
    )]
    .into_iter()
    .collect();
    let rules = RequestRules::new(rules, Reporter::Source, &headers);
    let labels = labels(Reporter::Source, 200);
    let record = RequestRecord {
        rules: Some(&rules),
        ..request(&labels, flow())
    };
    let path = std::env::var("PATH").unwrap();
    let found: Vec<(&str, String)> = span_tags(&record)
        .map(|(name, value)| (name, value.into_owned()))
        .collect();
    assert_eq!(
        found,
        [
            ("literal", "text".to_owned()),
            ("there", "value".to_owned()),
            ("absent", "default".to_owned()),
            ("path", path),
            ("unset", "unset".to_owned()),
        ]
    );
}

#[test]
fn workers_see_new_rules_at_the_next_request() {
    let (epoch, changed) = tokio::sync::watch::channel(0);
    let mut live = LiveRules::new(changed);
    let rules = Arc::new(TelemetryRules::default());
    assert!(live.current(|| Some(Arc::clone(&rules))).is_some());
    // Nothing is loaded while nothing changes.
    assert!(live.current(|| None).is_some());
    epoch.send_modify(|number| *number += 1);
    assert!(live.current(|| None).is_none());
    assert!(live.current(|| Some(rules)).is_none());
}
