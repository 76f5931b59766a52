//! Calls between the services: headers, timeouts, failures, proxies, connections.

use std::time::Duration;

use http::{HeaderMap, Response};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use super::harness::{
    Application, SHORT, Stub, get, page_settings, proxy, reviews_settings, send, start, within,
};
use crate::{
    ProxySettings,
    client::{CallError, Client},
};

const JSON: &[(&str, &str)] = &[("content-type", "application/json")];
const RATINGS: &str = r#"{"id":0,"ratings":{"Reviewer1":3,"Reviewer2":2}}"#;
const REVIEWS: &str = r#"{"id":"0","podname":"stub","reviews":[]}"#;
const LONG: Duration = Duration::from_secs(20);

const TRACED: &[(&str, &str)] = &[
    ("x-request-id", "r1"),
    ("x-ot-span-context", "o"),
    ("x-datadog-trace-id", "1"),
    ("x-datadog-parent-id", "2"),
    ("x-datadog-sampling-priority", "3"),
    ("traceparent", "00-1-2-01"),
    ("tracestate", "a=b"),
    ("x-cloud-trace-context", "c"),
    ("grpc-trace-bin", "AA"),
    ("x-b3-traceid", "t"),
    ("x-b3-spanid", "s"),
    ("x-b3-parentspanid", "p"),
    ("x-b3-sampled", "1"),
    ("x-b3-flags", "0"),
    ("b3", "1-2-1"),
    ("sw8", "w"),
    ("user-agent", "curl/8"),
    ("cookie", "session=jason"),
    ("authorization", "Bearer x"),
    ("jwt", "j"),
];

fn assert_traced(headers: &HeaderMap) {
    for (name, value) in TRACED {
        assert_eq!(headers.get(*name).unwrap(), value, "{name}");
    }
    assert!(!headers.contains_key("x-other"));
}

#[tokio::test]
async fn trace_and_session_headers_are_passed_on() {
    let ratings = Stub::fixed(200, JSON, RATINGS).await;
    let details = Stub::fixed(200, JSON, "{}").await;
    let reviews = start(reviews_settings("v2", ratings.address)).await;
    let page = start(page_settings(details.address, reviews.address)).await;

    let mut headers = TRACED.to_vec();
    headers.extend([("x-other", "no"), ("end-user", "forged")]);
    send(page.address, "GET", "/productpage", &headers, "").await;
    for seen in [details.seen(), ratings.seen()] {
        assert_traced(&seen[0].headers);
        assert_eq!(seen[0].headers["end-user"], "jason");
    }
    assert_eq!(
        details.seen()[0].headers["host"],
        details.address.to_string().as_str()
    );
    assert_eq!(details.seen()[0].uri, "/details/0");

    // Who is not signed in here is nobody, whatever the request says.
    send(
        page.address,
        "GET",
        "/api/v1/products/0",
        &[("end-user", "forged")],
        "",
    )
    .await;
    assert!(!details.seen()[1].headers.contains_key("end-user"));
    // Reviews is behind the product page, and passes the user on.
    send(
        reviews.address,
        "GET",
        "/reviews/0",
        &[("end-user", "anna")],
        "",
    )
    .await;
    assert_eq!(ratings.seen()[1].headers["end-user"], "anna");
}

#[tokio::test]
async fn silent_ratings_cost_the_stars_after_each_versions_timeout() {
    let ratings = Stub::silent().await;
    let mut red = reviews_settings("v3", ratings.address);
    red.timeouts.red_stars = SHORT;
    red.timeouts.black_stars = LONG;
    let mut black = reviews_settings("v2", ratings.address);
    black.timeouts.red_stars = LONG;
    black.timeouts.black_stars = SHORT;
    for settings in [red, black] {
        let reviews = start(settings).await;
        let json = get(reviews.address, "/reviews/0").await.json();
        for review in json["reviews"].as_array().unwrap() {
            let error = "Ratings service is currently unavailable";
            assert_eq!(review["rating"], serde_json::json!({ "error": error }));
        }
        let details = Stub::fixed(200, JSON, "{}").await;
        let page = start(page_settings(details.address, reviews.address)).await;
        let got = get(page.address, "/productpage").await;
        got.assert_contains("Ratings service is currently unavailable");
        got.assert_contains("<blockquote>");
    }
    assert_eq!(ratings.seen().len(), 4);
}

#[tokio::test]
async fn silent_reviews_are_asked_twice_and_cost_only_the_reviews() {
    let app = Application::start().await;
    let reviews = Stub::silent().await;
    let mut settings = page_settings(app.details.address, reviews.address);
    settings.timeouts.page = SHORT;
    let page = start(settings).await;
    let got = get(page.address, "/productpage").await;
    got.assert_contains("Error fetching product reviews!");
    got.assert_contains("Sorry, product reviews are currently unavailable for this book.");
    got.assert_contains("no answer within 250ms");
    got.assert_contains("ISBN-13");
    assert_eq!(reviews.seen().len(), 2);

    let got = get(page.address, "/api/v1/products/0/reviews").await;
    assert_eq!(got.status, 500);
    let error = "Sorry, product reviews are currently unavailable for this book.";
    assert_eq!(got.json(), serde_json::json!({ "error": error }));
}

#[tokio::test]
async fn the_page_says_what_went_wrong() {
    let reviews = Stub::fixed(
        503,
        &[
            ("content-type", "text/plain"),
            ("x-mesh-reason", "no_healthy_endpoint"),
        ],
        "nobody home",
    )
    .await;
    let details = Stub::fixed(555, JSON, r#"{"error": "out of print"}"#).await;
    let page = start(page_settings(details.address, reviews.address)).await;
    let got = get(page.address, "/productpage").await;
    got.assert_contains("Sorry, product details are currently unavailable for this book.");
    got.assert_contains("answered 555 &lt;unknown status code&gt;: \u{201c}out of print\u{201d}");
    got.assert_contains("answered 503 Service Unavailable: \u{201c}nobody home\u{201d}");
    got.assert_contains("<dt>Mesh reason</dt><dd><code>no_healthy_endpoint</code></dd>");
    assert_eq!((details.seen().len(), reviews.seen().len()), (1, 2));

    assert_eq!(get(page.address, "/api/v1/products/0").await.status, 555);
    assert_eq!(
        get(page.address, "/api/v1/products/0/reviews").await.status,
        503
    );
}

#[tokio::test]
async fn answers_that_are_not_json_or_too_large_are_failures() {
    let large = format!("\"{}\"", "x".repeat(crate::MAX_BODY));
    for (body, cause) in [
        ("<html>", "did not answer JSON"),
        (large.as_str(), "larger than"),
    ] {
        let reviews = Stub::fixed(200, JSON, body).await;
        let page = start(page_settings(reviews.address, reviews.address)).await;
        let got = get(page.address, "/productpage").await;
        got.assert_contains(cause);
        assert_eq!(get(page.address, "/api/v1/products/0").await.status, 500);
    }
}

#[tokio::test]
async fn one_failure_of_reviews_is_made_good_by_the_second_try() {
    let (count, ok) = (
        std::sync::atomic::AtomicUsize::new(0),
        Response::new(REVIEWS.to_owned()),
    );
    let count = std::sync::Arc::new(count);
    let reviews = Stub::start(move |_| {
        let first = count.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 0;
        let mut response = ok.clone();
        if first {
            *response.status_mut() = http::StatusCode::SERVICE_UNAVAILABLE;
        }
        std::future::ready(response)
    })
    .await;
    let page = start(page_settings(reviews.address, reviews.address)).await;
    let got = get(page.address, "/api/v1/products/0/reviews").await;
    assert_eq!(got.json()["podname"], "stub");
}

#[tokio::test]
async fn calls_go_through_the_proxy_in_absolute_form() {
    let through = Stub::fixed(200, JSON, "{}").await;
    let mut settings = page_settings(through.address, through.address);
    settings.upstreams = crate::Upstreams::from_env(&std::collections::BTreeMap::new()).unwrap();
    settings.proxy = proxy(&format!("http://{}", through.address), "localhost");
    let page = start(settings).await;
    for _ in 0..3 {
        assert_eq!(get(page.address, "/productpage").await.status, 200);
    }
    let mut asked: Vec<_> = through
        .seen()
        .iter()
        .map(|seen| format!("{} {}", seen.uri, seen.headers["host"].to_str().unwrap()))
        .collect();
    asked.sort();
    asked.dedup();
    assert_eq!(
        asked,
        [
            "http://details:9080/details/0 details:9080",
            "http://reviews:9080/reviews/0 reviews:9080"
        ]
    );
    assert_eq!((through.seen().len(), through.connections()), (6, 2));
}

#[tokio::test]
async fn exceptions_go_straight() {
    let (never, details) = (Stub::silent().await, Stub::fixed(200, JSON, "{}").await);
    let mut settings = page_settings(details.address, details.address);
    settings.proxy = proxy(&never.address.to_string(), "10.0.0.0/8,127.0.0.0/8");
    let page = start(settings).await;
    assert_eq!(get(page.address, "/api/v1/products/0").await.status, 200);
    assert_eq!((details.seen().len(), never.connections()), (1, 0));
    assert_eq!(details.seen()[0].uri, "/details/0");
}

#[tokio::test]
async fn the_page_says_what_cannot_be_reached() {
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = nobody.local_addr().unwrap();
    drop(nobody);
    let page = start(page_settings(address, address)).await;
    let got = get(page.address, "/productpage").await;
    got.assert_contains(&format!(
        "<dd>{address}: cannot connect: Connection refused"
    ));

    let mut settings = page_settings(address, address);
    settings.proxy = proxy(&address.to_string(), "");
    let page = start(settings).await;
    let got = get(page.address, "/productpage").await;
    got.assert_contains(&format!("cannot connect to the proxy {address}: "));
}

#[tokio::test]
async fn connections_are_reused_and_a_closed_one_is_replaced() {
    let (client, target, listener) = client_and_listener().await;
    let server = tokio::spawn(async move {
        let (mut first, _) = listener.accept().await.unwrap();
        for _ in 0..2 {
            read_head(&mut first).await;
            answer(&mut first, "first").await;
        }
        // The third request comes on the same connection and is lost with it.
        read_head(&mut first).await;
        drop(first);
        let (mut second, _) = listener.accept().await.unwrap();
        read_head(&mut second).await;
        answer(&mut second, "second").await;
        second
    });
    for expected in ["first", "first", "second"] {
        let got = within(client.get(&target, "/", HeaderMap::new(), LONG))
            .await
            .unwrap();
        assert_eq!(got.body, expected);
    }
    server.await.unwrap();
}

#[tokio::test]
async fn a_request_with_part_of_an_answer_is_not_sent_again() {
    let (client, target, listener) = client_and_listener().await;
    let server = tokio::spawn(async move {
        let (mut first, _) = listener.accept().await.unwrap();
        read_head(&mut first).await;
        answer(&mut first, "whole").await;
        read_head(&mut first).await;
        first
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Le")
            .await
            .unwrap();
        drop(first);
        listener
    });
    within(client.get(&target, "/", HeaderMap::new(), LONG))
        .await
        .unwrap();
    let error = within(client.get(&target, "/", HeaderMap::new(), LONG))
        .await
        .unwrap_err();
    assert!(matches!(error, CallError::Connection(_)), "{error}");
    assert_nobody_connects(server.await.unwrap());
}

#[tokio::test]
async fn a_new_connection_that_is_closed_is_a_failure() {
    let (client, target, listener) = client_and_listener().await;
    let server = tokio::spawn(async move {
        let (mut first, _) = listener.accept().await.unwrap();
        read_head(&mut first).await;
        drop(first);
        listener
    });
    let error = within(client.get(&target, "/", HeaderMap::new(), LONG))
        .await
        .unwrap_err();
    assert!(matches!(error, CallError::Connection(_)), "{error}");
    assert_nobody_connects(server.await.unwrap());
}

async fn client_and_listener() -> (Client, crate::Target, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = listener.local_addr().unwrap().into();
    (Client::new(ProxySettings::default()), target, listener)
}

/// The call is over, so a second connection would be waiting in the kernel already.
fn assert_nobody_connects(listener: TcpListener) {
    let error = listener.into_std().unwrap().accept().unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
}

async fn read_head(stream: &mut TcpStream) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(within(stream.read_u8()).await.unwrap());
    }
}

async fn answer(stream: &mut TcpStream, body: &str) {
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(answer.as_bytes()).await.unwrap();
}
