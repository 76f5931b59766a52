//! Spans of both sidecars, as a collector of OpenTelemetry gets them.

use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use bytes::Bytes;
use http::Response;
use http_body_util::{BodyExt as _, Full};
use mesh_api::v1::{AuthorizationAction as Action, AuthorizationPolicy, MtlsMode, Protocol};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

use crate::config::{Config, policy, service, spiffe};
use crate::explicit::connect;
use crate::peers::{App, Client, read_head, until, within};
use crate::policy::from;
use crate::proxy::{PORT, Proxy, proxy};

const CALLER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

type Spans = Arc<Mutex<Vec<(String, Value)>>>;

/// Keeps each span with the name of the service that sent it.
async fn collector(spans: &Spans) -> App {
    let spans = Arc::clone(spans);
    App::http(move |request| {
        let spans = Arc::clone(&spans);
        async move {
            assert_eq!(request.uri().path(), "/v1/traces");
            assert_eq!(request.headers()["content-type"], "application/json");
            let body = request.into_body().collect().await.unwrap().to_bytes();
            let message: Value = serde_json::from_slice(&body).unwrap();
            for resource in message.get("resourceSpans").unwrap().as_array().unwrap() {
                let name = attribute(&resource["resource"], "service.name");
                for scope in resource["scopeSpans"].as_array().unwrap() {
                    for span in scope["spans"].as_array().unwrap() {
                        spans.lock().unwrap().push((name.clone(), span.clone()));
                    }
                }
            }
            Response::new(Full::new(Bytes::from_static(b"{}")))
        }
    })
    .await
}

fn attribute(of: &Value, key: &str) -> String {
    let attributes = of["attributes"].as_array().unwrap();
    let found = attributes.iter().find(|attribute| attribute["key"] == key);
    let value = &found.unwrap()["value"];
    let text = value["stringValue"].as_str();
    text.or(value["intValue"].as_str()).unwrap().to_owned()
}

/// When it began and ended, in nanoseconds since 1970.
fn times(span: &Value) -> (u128, u128) {
    let time = |name: &str| span[name].as_str().unwrap().parse().unwrap();
    (time("startTimeUnixNano"), time("endTimeUnixNano"))
}

fn now() -> u128 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.unwrap().as_nanos()
}

/// A sidecar that calls the application of a server as this account.
fn caller(server: &Proxy, account: &str) -> Proxy {
    let app = service("app", 80, Protocol::Tcp).mesh(server.served(), "server");
    proxy(Config::default().service(app))
        .account(account)
        .start()
}

#[tokio::test]
async fn both_sidecars_tell_of_their_part() {
    let spans = Spans::default();
    let collector = collector(&spans).await;
    let app = App::echo("app").await;
    let inbound = Config::default().inbound(PORT, Protocol::Http, MtlsMode::Strict);
    let server = proxy(inbound)
        .account("server")
        .app(app.address)
        .traced(collector.address)
        .start();
    let service = service("app", 80, Protocol::Http).mesh(server.served(), "server");
    let client = proxy(Config::default().service(service))
        .account("client")
        .traced(collector.address)
        .start();

    let mut caller = Client::to(client.explicit).await;
    caller
        .send(&format!(
            "GET http://app/a?secret=1 HTTP/1.1\r\nHost: app\r\ntraceparent: {CALLER}\r\nConnection: close\r\n\r\n"
        ))
        .await;
    let head = within(read_head(&mut caller.0)).await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let echoed = caller.rest().await.unwrap();

    until(|| spans.lock().unwrap().len() == 2).await;
    let spans = spans.lock().unwrap().clone();
    let of_kind = |kind: u64| {
        let found = spans.iter().find(|(_, span)| span["kind"] == kind);
        found.map(|(_, span)| span.clone()).unwrap()
    };
    let (outbound, inbound) = (of_kind(3), of_kind(2));
    assert!(spans.iter().all(|(service, _)| service == "test.default"));
    for span in [&outbound, &inbound] {
        assert_eq!(span["traceId"], "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(attribute(span, "http.response.status_code"), "200");
        assert_eq!(attribute(span, "url.path"), "/a");
        assert_eq!(span["status"]["code"], 0);
        let (start, end) = times(span);
        assert!(start <= end);
    }
    assert_eq!(outbound["parentSpanId"], "00f067aa0ba902b7");
    assert_eq!(inbound["parentSpanId"], outbound["spanId"]);
    // The application passes on what it got, so its own calls are part of the server's span.
    let last = inbound["spanId"].as_str().unwrap();
    assert!(
        echoed.contains(&format!(
            "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-{last}-01"
        )),
        "{echoed}"
    );
}

#[tokio::test]
async fn a_trace_that_is_not_recorded_passes_unseen() {
    let spans = Spans::default();
    let collector = collector(&spans).await;
    let app = App::echo("app").await;
    let service = service("app", 80, Protocol::Http).plain(app.address);
    let client = proxy(Config::default().service(service))
        .traced(collector.address)
        .start();
    let ask = |flags: &'static str| {
        let explicit = client.explicit;
        async move {
            let mut caller = Client::to(explicit).await;
            let parent = CALLER.replace("-01", flags);
            caller
                .send(&format!(
                    "GET http://app/ HTTP/1.1\r\nHost: app\r\ntraceparent: {parent}\r\nConnection: close\r\n\r\n"
                ))
                .await;
            within(read_head(&mut caller.0)).await;
            caller.rest().await.unwrap()
        }
    };
    assert!(ask("-00").await.contains("-00\n"));
    ask("-01").await;
    // What came later is there, so what came before never will be.
    until(|| !spans.lock().unwrap().is_empty()).await;
    assert_eq!(spans.lock().unwrap().len(), 1);
}

/// A sidecar before opaque bytes.
struct Server {
    proxy: Proxy,
    spans: Spans,
    log: tempfile::NamedTempFile,
    _peers: [App; 2],
}

impl Server {
    async fn start(config: Config) -> Self {
        let spans = Spans::default();
        let (collector, app) = (collector(&spans).await, App::repeating().await);
        let log = tempfile::NamedTempFile::new().unwrap();
        let spec = proxy(config).account("server").app(app.address);
        Self {
            proxy: spec.traced(collector.address).logged(log.path()).start(),
            spans,
            log,
            _peers: [collector, app],
        }
    }

    /// The lines of its log; the last may be half written.
    fn logged(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.log.path()).unwrap();
        let whole = text
            .split_inclusive('\n')
            .filter(|line| line.ends_with('\n'));
        let lines = whole.map(serde_json::from_str);
        lines.collect::<Result<_, _>>().unwrap()
    }

    async fn has_logged(&self, count: usize) {
        until(|| self.logged().len() == count).await;
    }

    fn spans(&self) -> Vec<Value> {
        let spans = self.spans.lock().unwrap();
        spans.iter().map(|(_, span)| span.clone()).collect()
    }

    /// What a span says of a connection to it.
    fn is_told(&self, span: &Value, account: &str, decision: &str, failed: Option<&str>) {
        let port = self.proxy.served().port().to_string();
        for (key, value) in [
            ("mesh.authz", decision),
            ("mesh.source_principal", &spiffe(account)),
            ("network.transport", "tcp"),
            ("network.type", "ipv4"),
            ("client.address", "127.0.0.1"),
            ("server.address", "127.0.0.1"),
            ("server.port", &port),
        ] {
            assert_eq!(attribute(span, key), value, "{key}");
        }
        let named = (&span["kind"], &span["name"], &span["parentSpanId"]);
        assert_eq!(named, (&json!(2), &json!("tcp"), &Value::Null));
        let status = json!({"code": if failed.is_some() { 2 } else { 0 }});
        assert_eq!(span["status"], status);
        if let Some(reason) = failed {
            assert_eq!(attribute(span, "error.type"), reason);
            assert_eq!(attribute(span, "mesh.reason"), reason);
        }
    }
}

#[tokio::test]
async fn connections_that_policies_decide_about_have_spans() {
    let open = Config::default().inbound(PORT, Protocol::Tcp, MtlsMode::Strict);
    let server = Server::start(open.clone()).await;
    let set = |config: Config| server.proxy.adjuster.set(config.snapshot());
    let client = caller(&server.proxy, "client");
    // Nobody decides about this one.
    connect(&client, "app:80").await.is_repeated().await;
    server.has_logged(1).await;

    let tried = AuthorizationPolicy {
        dry_run: true,
        ..policy("tried", Action::Deny, from("client"))
    };
    let decided = open.clone();
    let decided = decided
        .policy(policy("allow", Action::Allow, from("client")))
        .policy(policy("audit", Action::Audit, from("client")));
    set(decided.policy(tried));
    connect(&client, "app:80").await.is_repeated().await;
    server.has_logged(2).await;
    let stranger = caller(&server.proxy, "stranger");
    let mut refused = connect(&stranger, "app:80").await;
    // It may be cut before it is taken.
    let _ = refused.0.write_all(b"x").await;
    assert!(refused.rest().await.map_or(true, |rest| rest.is_empty()));
    server.has_logged(3).await;
    let before = now();
    let mut cut = connect(&client, "app:80").await;
    cut.is_repeated().await;
    let carried = now();
    set(open.policy(policy("closed", Action::Deny, from("client"))));
    cut.rest().await.unwrap_err();
    server.has_logged(4).await;

    until(|| server.spans().len() == 3).await;
    let spans = server.spans();
    let allowed = "allow ns[default]-policy[allow]-rule[0], audit ns[default]-policy[audit]-rule[0], shadow_deny ns[default]-policy[tried]-rule[0]";
    server.is_told(&spans[0], "client", allowed, None);
    let failed = Some("authorization_not_allowed");
    server.is_told(&spans[1], "stranger", "deny, shadow_deny", failed);
    let (closed, failed) = (
        "deny ns[default]-policy[closed]-rule[0]",
        Some("authorization_denied"),
    );
    server.is_told(&spans[2], "client", closed, failed);
    // The log says the same, and nothing where nobody decided.
    let authz: Vec<Value> = server
        .logged()
        .iter()
        .map(|line| line["authz"].clone())
        .collect();
    assert_eq!(
        authz,
        [
            json!(null),
            json!(allowed),
            json!("deny, shadow_deny"),
            json!(closed)
        ]
    );
    // It lasts as long as the connection, whose trace is its own.
    let (start, end) = times(&spans[2]);
    assert!(before <= start && start <= carried && carried <= end);
    assert_ne!(spans[0]["traceId"], spans[2]["traceId"]);
}

#[tokio::test]
async fn what_is_cut_by_the_end_of_the_proxy_is_told() {
    let config = Config::default().inbound(PORT, Protocol::Tcp, MtlsMode::Strict);
    let allow = policy("allow", Action::Allow, from("client"));
    let server = Server::start(config.policy(allow)).await;
    let client = caller(&server.proxy, "client");
    let mut cut = connect(&client, "app:80").await;
    cut.is_repeated().await;
    server.proxy.drain.close();
    server.proxy.ended().await;
    server.proxy.telemetry.close();
    let (spans, lines) = (server.spans(), server.logged());
    assert_eq!((spans.len(), lines.len()), (1, 1));
    let decision = "allow ns[default]-policy[allow]-rule[0]";
    server.is_told(&spans[0], "client", decision, Some("draining"));
    assert_eq!(lines[0]["authz"], decision);
    assert_eq!(lines[0]["response_code_details"], "draining");
    assert_eq!(lines[0]["bytes_received"], 1);
    let metrics = server.proxy.telemetry.metrics();
    let closed = "istio_tcp_connections_closed_total{";
    assert!(metrics.contains(closed), "{metrics}");
}
