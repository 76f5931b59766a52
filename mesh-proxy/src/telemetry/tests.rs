mod rules;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use mesh_proxy_core::authz::PolicyRef;
use mesh_proxy_core::labels::{
    ConnectionLabels, PeerLabels, PeerSource, Reporter, RequestLabels, RequestProtocol,
    SecurityPolicy, ServiceLabels,
};
use mesh_proxy_core::{Reason, ResponseFlags};

use super::record::{FlowRecord, RequestRecord, TcpRecord};
use super::series::MOST_SERIES;
use super::*;
use crate::authz::{Decision, Kind};
use crate::settings::{LogFormat, LogSink};

fn telemetry() -> Telemetry {
    Telemetry::new(&AccessLog {
        sink: LogSink::Off,
        format: LogFormat::Text,
    })
    .unwrap()
}

fn peer(workload: &str, version: &str) -> Arc<PeerLabels> {
    let source = PeerSource {
        workload,
        namespace: "default",
        cluster: "Kubernetes",
        ..PeerSource::default()
    };
    let app = workload.split('-').next().unwrap_or_default();
    let labels = [("app", app), ("version", version)];
    Arc::new(PeerLabels::new(
        &source,
        &labels
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into(),
    ))
}

fn connection(reporter: Reporter) -> ConnectionLabels {
    ConnectionLabels {
        reporter,
        source: peer("productpage-v1", "v1"),
        destination: peer("reviews-v2", "v2"),
        service: Arc::new(ServiceLabels::new(
            "reviews.default.svc.cluster.local",
            "",
            "",
        )),
        protocol: RequestProtocol::Http,
        flags: ResponseFlags::NONE,
        security: SecurityPolicy::MutualTls,
    }
}

fn labels(reporter: Reporter, code: u16) -> RequestLabels {
    RequestLabels {
        connection: connection(reporter),
        response_code: code,
        grpc_status: None,
    }
}

// 2024-05-01T12:34:56.789Z
fn start() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(1_714_566_896_789)
}

fn flow() -> FlowRecord<'static> {
    FlowRecord {
        bytes_received: 12,
        bytes_sent: 375,
        upstream_host: "127.77.3.5:9080",
        upstream_cluster: "outbound|9080|v2|reviews.default.svc.cluster.local",
        upstream_local: Some("127.0.0.1:40000".parse().unwrap()),
        downstream_local: Some("127.0.0.1:15080".parse().unwrap()),
        downstream_remote: Some("127.0.0.1:50000".parse().unwrap()),
        route: "default",
        ..FlowRecord::new(start(), Duration::from_millis(7))
    }
}

fn request<'a>(labels: &'a RequestLabels, flow: FlowRecord<'a>) -> RequestRecord<'a> {
    RequestRecord {
        labels,
        flow,
        upstream_service_time: Some(Duration::from_millis(6)),
        method: "GET",
        path: "/reviews/0?a=b",
        protocol: "HTTP/1.1",
        forwarded_for: "",
        user_agent: "curl/8.0",
        request_id: "4f3a",
        authority: "reviews:9080",
        span: None,
        rules: None,
    }
}

fn line(format: LogFormat, record: &RequestRecord<'_>) -> String {
    let mut line = String::new();
    access_log::request(&mut line, format, record);
    line
}

#[test]
fn a_request_in_istios_text() {
    let labels = labels(Reporter::Source, 200);
    assert_eq!(
        line(LogFormat::Text, &request(&labels, flow())),
        concat!(
            "[2024-05-01T12:34:56.789Z] \"GET /reviews/0?a=b HTTP/1.1\" 200 - via_upstream - \"-\" 12 375 7 6 ",
            "\"-\" \"curl/8.0\" \"4f3a\" \"reviews:9080\" \"127.77.3.5:9080\" ",
            "outbound|9080|v2|reviews.default.svc.cluster.local ",
            "127.0.0.1:40000 127.0.0.1:15080 127.0.0.1:50000 - default\n",
        )
    );
}

#[test]
fn decisions_are_named() {
    let labels = labels(Reporter::Destination, 403);
    let by = |name: &str, rule| {
        Some(PolicyRef {
            name: name.into(),
            rule,
            origin: None,
        })
    };
    let decision = Decision {
        said: vec![
            (Kind::Audit, by("default/a", 1)),
            (Kind::Deny, by("prod/b\"c", 0)),
            (Kind::ShadowDeny, None),
        ],
    };
    let flow = FlowRecord {
        decision: Some(&decision),
        ..flow()
    };
    let connection = TcpRecord {
        labels: &labels.connection,
        flow: flow.clone(),
        span: None,
    };
    let record = request(&labels, flow);
    let text = line(LogFormat::Text, &record);
    let want = concat!(
        " authz=\"audit ns[default]-policy[a]-rule[1], ",
        "deny ns[prod]-policy[b\\\"c]-rule[0], shadow_deny\"\n"
    );
    assert!(text.ends_with(want), "{text}");
    let json: serde_json::Value = serde_json::from_str(&line(LogFormat::Json, &record)).unwrap();
    let told = json["authz"].as_str().unwrap();
    assert!(
        told.starts_with("audit ns[default]-policy[a]-rule[1], deny "),
        "{told}"
    );
    // Of connections of opaque bytes as of requests.
    let mut text = String::new();
    access_log::tcp(&mut text, LogFormat::Text, &connection);
    assert!(text.ends_with(want), "{text}");
    text.clear();
    access_log::tcp(&mut text, LogFormat::Json, &connection);
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["authz"].as_str(), Some(&*decision.to_string()));
}

#[test]
fn a_failure_names_its_reason() {
    let mut labels = labels(Reporter::Source, 503);
    labels.connection.flags = Reason::UpstreamConnectFailure.flags();
    let flow = FlowRecord {
        reason: Some(Reason::UpstreamConnectFailure),
        upstream_failure: "connection \"refused\"\n",
        termination: "two words",
        server_name: "outbound_.9080_._.reviews",
        ..flow()
    };
    let record = RequestRecord {
        upstream_service_time: None,
        ..request(&labels, flow)
    };
    let text = line(LogFormat::Text, &record);
    assert!(
        text.contains(
            "503 UF upstream_connect_failure two_words \"connection \\\"refused\\\"\\u000a\" 12"
        ),
        "{text}"
    );
    assert!(
        text.ends_with("outbound_.9080_._.reviews default\n") && text.matches('\n').count() == 1,
        "{text}"
    );
    let json: serde_json::Value = serde_json::from_str(&line(LogFormat::Json, &record)).unwrap();
    assert_eq!(json["response_code_details"], "upstream_connect_failure");
    assert_eq!(
        json["upstream_transport_failure_reason"],
        "connection \"refused\"\n"
    );
    assert_eq!(json["upstream_service_time"], serde_json::Value::Null);
}

#[test]
fn json_has_istios_keys() {
    let labels = labels(Reporter::Source, 200);
    let text = line(LogFormat::Json, &request(&labels, flow()));
    let json: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&text).unwrap();
    let keys: Vec<&str> = json.keys().map(String::as_str).collect();
    let wanted = [
        "start_time",
        "route_name",
        "method",
        "path",
        "protocol",
        "response_code",
        "response_flags",
        "response_code_details",
        "connection_termination_details",
        "bytes_received",
        "bytes_sent",
        "duration",
        "upstream_service_time",
        "x_forwarded_for",
        "user_agent",
        "request_id",
        "authority",
        "upstream_host",
        "upstream_cluster",
        "upstream_local_address",
        "downstream_local_address",
        "downstream_remote_address",
        "requested_server_name",
        "upstream_transport_failure_reason",
    ];
    assert_eq!(keys, wanted);
    assert_eq!(json["response_code"], 200);
    assert_eq!(json["duration"], 7);
    assert_eq!(json["start_time"], "2024-05-01T12:34:56.789Z");
    assert_eq!(json["x_forwarded_for"], serde_json::Value::Null);
}

#[test]
fn a_connection_in_both_formats() {
    let labels = ConnectionLabels {
        protocol: RequestProtocol::Tcp,
        ..connection(Reporter::Destination)
    };
    let record = TcpRecord {
        labels: &labels,
        flow: flow(),
        span: None,
    };
    let mut text = String::new();
    access_log::tcp(&mut text, LogFormat::Text, &record);
    assert!(text.starts_with("[2024-05-01T12:34:56.789Z] \"- - -\" 0 - - - \"-\" 12 375 7 - \"-\" \"-\" \"-\" \"-\" \"127.77.3.5:9080\" "), "{text}");
    text.clear();
    access_log::tcp(&mut text, LogFormat::Json, &record);
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (&json["method"], &json["response_code"]),
        (&serde_json::Value::Null, &0.into())
    );
}

#[test]
fn shards_are_added_up() {
    let telemetry = telemetry();
    let (one, two) = (telemetry.recorder(), telemetry.recorder());
    for recorder in [&one, &two] {
        // Equal labels in other allocations are the same series.
        recorder.record_request(&request(&labels(Reporter::Destination, 200), flow()));
    }
    let text = telemetry.metrics();
    let find = |name: &str| {
        text.lines()
            .find(|line| line.starts_with(name))
            .unwrap_or_else(|| panic!("{name} in:\n{text}"))
    };
    let total = find("istio_requests_total{");
    assert!(total.ends_with("} 2"), "{total}");
    for label in [
        "reporter=\"destination\"",
        "source_workload=\"productpage-v1\"",
        "source_workload_namespace=\"default\"",
        "source_principal=\"unknown\"",
        "source_app=\"productpage\"",
        "source_version=\"v1\"",
        "source_cluster=\"Kubernetes\"",
        "source_canonical_service=\"productpage\"",
        "source_canonical_revision=\"v1\"",
        "destination_workload=\"reviews-v2\"",
        "destination_service=\"reviews.default.svc.cluster.local\"",
        "destination_service_name=\"reviews\"",
        "destination_service_namespace=\"default\"",
        "destination_version=\"v2\"",
        "request_protocol=\"http\"",
        "response_code=\"200\"",
        "response_flags=\"-\"",
        "grpc_response_status=\"\"",
        "connection_security_policy=\"mutual_tls\"",
    ] {
        assert!(total.contains(label), "{label} in {total}");
    }
    assert!(
        text.contains("# TYPE istio_request_duration_milliseconds histogram"),
        "{text}"
    );
    assert!(find("istio_request_duration_milliseconds_sum").ends_with(" 14.0"));
    assert!(find("istio_request_bytes_count").ends_with(" 2"));
    assert!(find("istio_response_bytes_sum").ends_with(" 750.0"));
    let buckets = text
        .lines()
        .filter(|line| line.starts_with("istio_request_duration_milliseconds_bucket"))
        .count();
    assert_eq!(buckets, 20);
    assert!(
        text.lines()
            .any(|line| line.contains("le=\"10.0\"") && line.ends_with(" 2")),
        "{text}"
    );
    assert!(text.ends_with("# EOF\n"));
}

#[test]
fn the_source_never_reports_the_security() {
    let telemetry = telemetry();
    let recorder = telemetry.recorder();
    for security in [SecurityPolicy::MutualTls, SecurityPolicy::None] {
        let mut labels = labels(Reporter::Source, 200);
        labels.connection.security = security;
        recorder.record_request(&request(&labels, flow()));
    }
    let text = telemetry.metrics();
    let totals: Vec<_> = text
        .lines()
        .filter(|line| line.starts_with("istio_requests_total{"))
        .collect();
    assert_eq!(totals.len(), 1, "{totals:?}");
    assert!(
        totals[0].contains("connection_security_policy=\"unknown\"") && totals[0].ends_with(" 2"),
        "{totals:?}"
    );
    let edges = telemetry.edges();
    assert_eq!(
        edges
            .iter()
            .map(|edge| (edge.mutual_tls, edge.count))
            .collect::<Vec<_>>(),
        [(false, 1), (true, 1)]
    );
}

#[test]
fn connections_show_their_bytes_while_they_run() {
    let telemetry = telemetry();
    let recorder = telemetry.recorder();
    let labels = ConnectionLabels {
        protocol: RequestProtocol::Tcp,
        ..connection(Reporter::Source)
    };
    let mut open = recorder.tcp_opened(&labels, None);
    open.progress(5, 100);
    let find = |name: &str| {
        let text = telemetry.metrics();
        text.lines()
            .find(|line| line.starts_with(name))
            .and_then(|line| line.rsplit(' ').next())
            .unwrap_or("none")
            .to_owned()
    };
    assert_eq!(find("istio_tcp_connections_opened_total"), "1");
    assert_eq!(find("istio_tcp_received_bytes_total"), "5");
    assert_eq!(find("istio_tcp_connections_closed_total"), "0");
    recorder.record_tcp(
        open,
        &TcpRecord {
            labels: &labels,
            flow: flow(),
            span: None,
        },
    );
    assert_eq!(find("istio_tcp_received_bytes_total"), "12");
    assert_eq!(find("istio_tcp_sent_bytes_total"), "375");
    assert_eq!(find("istio_tcp_connections_closed_total"), "1");
    let edges = telemetry.edges();
    assert_eq!(
        (edges[0].response, edges[0].bytes_sent),
        (ResponseClass::Tcp, 375)
    );
}

#[test]
fn invented_labels_do_not_fill_the_memory() {
    let telemetry = telemetry();
    let recorder = telemetry.recorder();
    for index in 0..MOST_SERIES + 50 {
        let mut labels = labels(Reporter::Source, 200);
        labels.connection.service =
            Arc::new(ServiceLabels::new(&format!("host-{index}.example"), "", ""));
        recorder.record_request(&request(&labels, flow()));
    }
    let text = telemetry.metrics();
    let series = text
        .lines()
        .filter(|line| line.starts_with("istio_requests_total{"))
        .count();
    assert_eq!(series, MOST_SERIES + 1);
    assert!(text.contains("mesh_telemetry_overflow_total 50"), "{text}");
    assert!(
        text.lines()
            .any(|line| line.contains("destination_service=\"unknown\"") && line.ends_with("} 50"))
    );
}

#[test]
fn edges_sum_up_classes_and_percentiles() {
    let telemetry = telemetry();
    let recorder = telemetry.recorder();
    for (code, milliseconds) in [(200, 10), (201, 20), (503, 30)] {
        let labels = labels(Reporter::Source, code);
        recorder.record_request(&request(
            &labels,
            FlowRecord {
                duration: Duration::from_millis(milliseconds),
                ..flow()
            },
        ));
    }
    let edges = telemetry.edges();
    assert_eq!(
        edges
            .iter()
            .map(|edge| (edge.response, edge.count))
            .collect::<Vec<_>>(),
        [(ResponseClass::Success, 2), (ResponseClass::ServerError, 1)]
    );
    assert_eq!(edges[0].source.workload, "productpage-v1");
    assert_eq!(
        edges[0].destination_service,
        "reviews.default.svc.cluster.local"
    );
    assert!(
        (10.0..13.0).contains(&edges[0].p50_ms),
        "{}",
        edges[0].p50_ms
    );
    assert!(
        (20.0..26.0).contains(&edges[0].p99_ms),
        "{}",
        edges[0].p99_ms
    );
    let json = serde_json::to_value(&edges[0]).unwrap();
    assert_eq!(
        (&json["response"], &json["mutual_tls"]),
        (&"2xx".into(), &true.into())
    );
}
