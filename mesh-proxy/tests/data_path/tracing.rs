//! Spans of both sidecars, as a collector of OpenTelemetry gets them.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::Response;
use http_body_util::{BodyExt as _, Full};
use mesh_api::v1::{MtlsMode, Protocol};
use serde_json::Value;

use crate::config::{Config, service};
use crate::peers::{App, Client, read_head, until, within};
use crate::proxy::{PORT, proxy};

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
        let time = |name: &str| span[name].as_str().unwrap().parse::<u128>().unwrap();
        assert!(time("startTimeUnixNano") <= time("endTimeUnixNano"));
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
