//! Telemetry objects, from their YAML to what is scraped, logged and collected, and back.

use std::fs;
use std::time::Instant;

use bytes::Bytes;
use http::Request;
use mesh_tests::laptop::{LIMIT, exchange};
use serde_json::Value;
use tokio::net::TcpStream;

use crate::app::App;
use crate::{PAUSE, Place};

const ALL: &str = "
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {name: mesh, namespace: istio-system}
spec:
  metrics:
  - overrides:
    - match: {metric: REQUEST_COUNT}
      tagOverrides:
        source_app: {operation: REMOVE}
        method: {value: request.method}
    - match: {metric: REQUEST_DURATION, mode: SERVER}
      disabled: true
  accessLogging:
  - providers: [{name: envoy}]
    filter: {expression: response.code >= 400}
  tracing:
  - providers: [{name: spans}]
    randomSamplingPercentage: 100
    customTags:
      tenant: {header: {name: x-tenant, defaultValue: nobody}}
      mesh: {literal: {value: test}}
";

/// A mesh of a client and a server, whose proxies were started without tracing, and a collector
/// that the mesh configuration knows.
struct Reporting {
    place: Place,
    app: App,
    collector: App,
}

impl Reporting {
    async fn start() -> Self {
        let (app, collector) = (App::start("app").await, App::start("collector").await);
        let workload = format!(
            "  - {{name: server, serviceAccount: server, labels: {{app: server}}, \
             ports: [{{name: http, port: 8000, appPort: {}}}]}}\n  meshConfig: {{extensionProviders: [\
             {{name: spans, opentelemetry: {{service: 127.0.0.1, port: {}, http: {{path: /v1/traces}}}}}}]}}\n",
            app.port(),
            collector.port()
        );
        let place = Place::start(&workload, "");
        Self {
            place,
            app,
            collector,
        }
    }

    /// Two requests, of which the second fails, and their paths.
    async fn call(&self, name: &str) -> [String; 2] {
        let paths = [format!("/{name}"), format!("/fail/1/404/{name}")];
        for (path, status) in paths.iter().zip([200, 404]) {
            let url = format!("server:8000{path}");
            let answer = self.place.get(&url, &[("x-tenant", "one")]).await;
            assert_eq!(answer.status, status, "{path}");
        }
        paths
    }

    /// The paths that stand in a log, of those with a name, once the last of them is there.
    async fn logged(&self, workload: &str, name: &str) -> Vec<String> {
        let file = self.place.mesh.state();
        let file = file.join(format!("proxies/default.{workload}/access.log"));
        let deadline = Instant::now() + LIMIT;
        loop {
            let text = fs::read_to_string(&file).unwrap_or_default();
            let quoted = text.lines().filter_map(|line| line.split('"').nth(1));
            let paths = quoted.filter_map(|head| head.split(' ').nth(1));
            let paths: Vec<String> = paths
                .filter(|path| path.ends_with(name))
                .map(str::to_owned)
                .collect();
            if paths.iter().any(|path| path.starts_with("/fail")) {
                return paths;
            }
            assert!(Instant::now() < deadline, "{workload} {name}: {text}");
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// The series of a metric that a proxy shows, without their numbers.
    async fn series(&self, workload: &str, metric: &str) -> Vec<String> {
        let record = self.place.mesh.workload(workload).unwrap();
        let address = record["address"].as_str().unwrap();
        let stream = TcpStream::connect(format!("{address}:15090"))
            .await
            .unwrap();
        let request = Request::builder()
            .uri("/stats/prometheus")
            .header("host", "proxy")
            .body(Bytes::new())
            .unwrap();
        let page = exchange(stream, request).await.unwrap();
        let page = String::from_utf8(page.body.to_vec()).unwrap();
        let lines = page.lines().filter_map(|line| line.strip_prefix(metric));
        let series = lines.filter(|line| line.starts_with('{'));
        series.map(str::to_owned).collect()
    }

    /// The attributes of the spans for a path that both sides have sent, the client's first.
    async fn spans(&self, path: &str) -> [Value; 2] {
        let deadline = Instant::now() + LIMIT;
        loop {
            let messages = self.collector.bodies("/v1/traces");
            let messages = messages.iter().map(|body| serde_json::from_slice(body));
            let mut found: Vec<Value> = messages
                .flat_map(|message: Result<Value, _>| spans_of(&message.unwrap()))
                .filter(|span| attribute(span, "url.path") == path)
                .collect();
            found.sort_by_key(|span| std::cmp::Reverse(span["kind"].as_u64()));
            if let Ok(both) = <[Value; 2]>::try_from(found) {
                return both;
            }
            assert!(Instant::now() < deadline, "{path}");
            tokio::time::sleep(PAUSE).await;
        }
    }
}

fn spans_of(message: &Value) -> Vec<Value> {
    let lists = message["resourceSpans"].as_array().into_iter().flatten();
    let scopes = lists.flat_map(|list| list["scopeSpans"].as_array().into_iter().flatten());
    let spans = scopes.flat_map(|scope| scope["spans"].as_array().into_iter().flatten());
    spans.cloned().collect()
}

fn attribute<'a>(span: &'a Value, key: &str) -> &'a str {
    let mut all = span["attributes"].as_array().into_iter().flatten();
    let found = all.find(|attribute| attribute["key"] == key);
    let value = found.and_then(|attribute| attribute.pointer("/value/stringValue")?.as_str());
    value.unwrap_or_default()
}

/// Each of them with the label, and without the other.
fn all_have(series: &[String], with: &str, without: &str) {
    assert!(!series.is_empty());
    for one in series {
        assert!(one.contains(with) && !one.contains(without), "{one}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn telemetry_holds_while_it_is_there() {
    const COUNT: &str = "istio_requests_total";
    const DURATION: &str = "istio_request_duration_milliseconds_count";
    const LABEL: &str = "source_app=\"client\"";
    const METHOD: &str = "method=\"GET\"";
    let mesh = Reporting::start().await;
    let sides = ["client", "server"];
    let is_traced = |path: &str| {
        let seen = mesh.app.seen(path);
        seen.iter()
            .all(|head| head.headers.contains_key("traceparent"))
    };

    let [good, bad] = mesh.call("before").await;
    for side in sides {
        assert_eq!(mesh.logged(side, "before").await, [good.as_str(), &bad]);
        all_have(&mesh.series(side, COUNT).await, LABEL, METHOD);
        assert!(!mesh.series(side, DURATION).await.is_empty());
    }
    assert!(!is_traced(&good));

    mesh.place.mesh.apply("all.yaml", Some(ALL)).await.unwrap();
    mesh.place.is_sound().await;
    let [good, bad] = mesh.call("while").await;
    for side in sides {
        assert_eq!(mesh.logged(side, "while").await, [bad.as_str()], "{side}");
        // What was counted before has no value of the new label.
        let series = mesh.series(side, COUNT).await;
        all_have(&series, "method=\"", LABEL);
        let codes = |method: &str| series.iter().filter(|one| one.contains(method)).count();
        assert_eq!((codes(METHOD), codes("method=\"unknown\"")), (2, 2));
    }
    assert!(!mesh.series("client", DURATION).await.is_empty());
    assert!(mesh.series("server", DURATION).await.is_empty());
    for span in mesh.spans(&good).await {
        let tags = ["tenant", "mesh"].map(|name| attribute(&span, name));
        assert_eq!(tags, ["one", "test"], "{span:#}");
    }
    assert!(is_traced(&good));

    mesh.place.mesh.apply("all.yaml", None).await.unwrap();
    let [good, bad] = mesh.call("after").await;
    for side in sides {
        assert_eq!(mesh.logged(side, "after").await, [good.as_str(), &bad]);
        all_have(&mesh.series(side, COUNT).await, LABEL, "method=\"");
        assert!(!mesh.series(side, DURATION).await.is_empty());
    }
    assert!(!is_traced(&good));
}
