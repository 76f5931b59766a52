//! What becomes of a request: retries, time limits, edits, answers of the route, delegates.

use std::time::{Duration, Instant};

use crate::app::App;
use crate::{Place, by, header, host, object, outcome, policy, refused, routes, served};

const TO_APP: &str = "route: [{destination: {host: app.example.com}}]";

/// A field of the so-manieth request that the server has seen for a path.
fn told(app: &App, path: &str, number: usize, name: &str) -> String {
    let seen = app.seen(path);
    let value = seen.get(number).and_then(|one| one.headers.get(name));
    value.map_or_else(String::new, |value| value.to_str().unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn retries_and_time_limits_are_those_of_the_route() {
    let app = App::start("app").await;
    let rules = format!(
        "
  - {{match: [{{uri: {{prefix: /fail/2/503/twice}}}}], {TO_APP}, retries: {{attempts: 2, retryOn: '503', backoff: 1ms}}}}
  - {{match: [{{uri: {{prefix: /fail/2/503/once}}}}], {TO_APP}, retries: {{attempts: 1, retryOn: '503', backoff: 1ms}}}}
  - {{match: [{{uri: {{prefix: /fail/1/500}}}}], {TO_APP}, retries: {{attempts: 5, retryOn: '503'}}}}
  - {{match: [{{uri: {{prefix: /fail/1/502}}}}], {TO_APP}, retries: {{attempts: 5, retryOn: gateway-error}}}}
  - {{match: [{{uri: {{prefix: /fail/9}}}}], {TO_APP}, retries: {{attempts: 0}}}}
  - {{match: [{{uri: {{prefix: /hang/1/try}}}}], {TO_APP}, retries: {{attempts: 1, perTryTimeout: 300ms, retryOn: reset}}}}
  - {{match: [{{uri: {{prefix: /hang}}}}], {TO_APP}, timeout: 300ms}}
  - {{{TO_APP}}}"
    );
    // More retries for each request than the mesh allows by itself.
    let budget = "{retryBudget: {percent: 100, minRetryConcurrency: 10}}";
    let config = [
        host("app.example.com", &[(&app, "")]),
        policy("app.example.com", budget),
        routes("app.example.com", &rules),
    ]
    .concat();
    let place = Place::start("", &config);
    place.is_sound().await;
    let cases = [
        ("/fail/2/503/twice", served(), 3, "-"),
        ("/fail/2/503/once", refused(503, ""), 2, "URX"),
        // Other failures than those that the route names.
        ("/fail/1/500/x", refused(500, ""), 1, "-"),
        ("/fail/1/502/x", served(), 2, "-"),
        ("/fail/9/503/x", refused(503, ""), 1, "-"),
        ("/hang/1/try", served(), 2, "-"),
        ("/hang/9/x", refused(504, "request_timeout"), 1, "UT"),
        // Istio's default: a status is no reason to try again.
        ("/fail/1/503/default", refused(503, ""), 1, "-"),
    ];
    for (path, want, tries, flags) in cases {
        let seen = place.outcome(&format!("app.example.com{path}")).await;
        assert_eq!((seen, app.count(path)), (want, tries), "{path}");
        assert_eq!(place.flags(path).await, flags, "{path}");
    }
    let attempts = [0, 1, 2].map(|n| told(&app, "/fail/2/503/twice", n, "x-envoy-attempt-count"));
    assert_eq!(attempts, ["", "2", "3"]);
    let limit = told(&app, "/hang/1/try", 0, "x-envoy-expected-rq-timeout-ms");
    assert!((1..=300).contains(&limit.parse().unwrap()), "{limit}");
}

// Takes two seconds, of which the server asks for.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_asks_for_time_gets_it() {
    let app = App::start("app").await;
    let retries = "retries: {attempts: 1, retryOn: '503', backoff: 1ms}";
    let rules = format!(
        "
  - {{match: [{{uri: {{prefix: /fail/1/503/time}}}}], {TO_APP}, {retries}}}
  - {{match: [{{uri: {{prefix: /fail/1/503/none}}}}], {TO_APP}, timeout: 500ms, {retries}}}
  - {{match: [{{uri: {{prefix: /fail/1/200}}}}], {TO_APP}, {retries}}}"
    );
    let config = host("app.example.com", &[(&app, "")]) + &routes("app.example.com", &rules);
    let place = Place::start("", &config);
    place.is_sound().await;
    let began = Instant::now();
    let seen = place.outcome("app.example.com/fail/1/503/time/later").await;
    assert_eq!((seen, app.count("/fail/1/503/time/later")), (served(), 2));
    assert!(began.elapsed() >= Duration::from_secs(1));
    // Later than the request may last: the client learns of it at once.
    let began = Instant::now();
    let answer = place
        .get("app.example.com/fail/1/503/none/later", &[])
        .await;
    assert_eq!(outcome(&answer), refused(503, ""));
    assert_eq!(header(&answer, "retry-after"), "1");
    assert_eq!(app.count("/fail/1/503/none/later"), 1);
    assert!(began.elapsed() < Duration::from_secs(1));
    // An answer that is none to try again after says nothing by it.
    let seen = place.outcome("app.example.com/fail/1/200/later").await;
    assert_eq!((seen, app.count("/fail/1/200/later")), (served(), 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn deadlines_of_grpc_go_on_to_the_server() {
    let app = App::start("app").await;
    let rules = format!(
        "
  - {{match: [{{uri: {{prefix: /short}}}}], {TO_APP}, timeout: 20s}}
  - {{match: [{{uri: {{prefix: /held/short}}}}], {TO_APP}, timeout: 300ms}}
  - {{{TO_APP}}}"
    );
    let config = host("app.example.com", &[(&app, "")]) + &routes("app.example.com", &rules);
    let place = Place::start("", &config);
    place.is_sound().await;
    let call = async |path: &str, timeout: &str| {
        let fields = [
            ("content-type", "application/grpc"),
            ("grpc-timeout", timeout),
        ];
        let url = format!("app.example.com{path}");
        place.call("POST", &url, &fields).await
    };
    // What is left, in milliseconds: of the client's time, or of the route's if that is less.
    for (path, timeout, most) in [
        ("/long", "30S", 30_000),
        ("/short/route", "30S", 20_000),
        ("/short/client", "10S", 10_000),
    ] {
        assert_eq!(call(path, timeout).await.status, 200);
        let said = told(&app, path, 0, "grpc-timeout");
        let left: u64 = said.strip_suffix('m').unwrap().parse().unwrap();
        assert!((1..=most).contains(&left), "{path}: {said}");
    }
    for (path, timeout) in [("/held/client", "300m"), ("/held/short", "30S")] {
        let late = call(path, timeout).await;
        assert_eq!(outcome(&late), refused(200, "request_timeout"), "{path}");
        assert_eq!(header(&late, "grpc-status"), "4", "DEADLINE_EXCEEDED");
        assert_eq!(place.flags(path).await, "UT", "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn edits_answers_and_preflights_are_those_of_the_route() {
    let app = App::start("app").await;
    let rules = format!(
        "
  - {{match: [{{uri: {{prefix: /edited}}}}], rewrite: {{uri: /new}}, headers: {{request: {{set: {{x-added: 'yes'}}}}, response: {{add: {{x-told: 'yes'}}}}}}, {TO_APP}}}
  - {{match: [{{uri: {{prefix: /moved}}}}], redirect: {{uri: /elsewhere, redirectCode: 308}}}}
  - {{match: [{{uri: {{prefix: /said}}}}], directResponse: {{status: 418, body: {{string: teapot}}}}}}
  - {{match: [{{uri: {{prefix: /shared}}}}], corsPolicy: {{allowOrigins: [{{exact: 'https://shop.example.com'}}], allowMethods: [PUT], maxAge: 1m}}, {TO_APP}}}
  - {{match: [{{uri: {{exact: /}}}}], {TO_APP}}}"
    );
    let config = host("app.example.com", &[(&app, "")]) + &routes("app.example.com", &rules);
    let place = Place::start("", &config);
    place.is_sound().await;
    let url = |path: &str| format!("app.example.com{path}");
    for (path, want, flags) in [
        ("/", served(), "-"),
        ("/said", refused(418, "direct_response"), "-"),
        ("/moved", refused(308, "redirect"), "-"),
        ("/nowhere", refused(404, "route_not_found"), "NR"),
    ] {
        assert_eq!(place.outcome(&url(path)).await, want, "{path}");
        assert_eq!(place.flags(path).await, flags, "{path}");
    }
    let answer = place.get(&url("/edited/x"), &[]).await;
    assert_eq!(
        (by(&answer), header(&answer, "x-told")),
        ("app".into(), "yes".into())
    );
    let seen = app.seen("/new/x");
    assert_eq!(seen[0].headers["x-added"], "yes");
    let preflight = [
        ("origin", "https://shop.example.com"),
        ("access-control-request-method", "PUT"),
    ];
    let answer = place.call("OPTIONS", &url("/shared"), &preflight).await;
    assert_eq!(outcome(&answer), refused(200, "cors_preflight"));
    assert_eq!(header(&answer, "access-control-allow-methods"), "PUT");
    assert_eq!(header(&answer, "access-control-max-age"), "60");
    assert_eq!(app.count("/shared"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn delegates_say_the_rest_of_a_route() {
    let (app, other) = (App::start("app").await, App::start("other").await);
    let rules = format!(
        "
  - {{match: [{{uri: {{prefix: /own}}}}], delegate: {{name: own}}}}
  - {{match: [{{uri: {{prefix: /far}}}}], delegate: {{name: far, namespace: shop}}, timeout: 300ms}}
  - {{match: [{{uri: {{prefix: /lost}}}}], delegate: {{name: lost}}}}
  - {{match: [{{uri: {{exact: /}}}}], {TO_APP}}}"
    );
    let to_other = "route: [{destination: {host: other.example.com}}]";
    let own = format!(
        "
  http:
  - {{match: [{{uri: {{prefix: /own/away}}}}], {to_other}}}
  - {{match: [{{uri: {{prefix: /own/again}}, method: {{exact: PUT}}}}], {TO_APP}}}"
    );
    let far = format!("\n  http: [{{headers: {{request: {{set: {{x-far: 'yes'}}}}}}, {TO_APP}}}]");
    let far = object("VirtualService", "far", &far)
        .replace("{name: far}", "{name: far, namespace: shop}");
    let config = [
        host("app.example.com", &[(&app, "")]),
        host("other.example.com", &[(&other, "")]),
        routes("app.example.com", &rules),
        object("VirtualService", "own", &own),
        far,
    ]
    .concat();
    let place = Place::start("", &config);
    let problems = place.mesh.meshd("/v1/problems").await.unwrap().to_string();
    assert!(problems.contains("lost"), "{problems}");
    let url = |path: &str| format!("app.example.com{path}");
    for (method, path, want) in [
        ("GET", "/", "app"),
        ("GET", "/own/away/x", "other"),
        ("PUT", "/own/again", "app"),
        ("GET", "/far/x", "app"),
    ] {
        let answer = place.call(method, &url(path), &[]).await;
        assert_eq!(
            (answer.status.as_u16(), by(&answer)),
            (200, want.to_owned()),
            "{path}"
        );
    }
    assert_eq!(told(&app, "/far/x", 0, "x-far"), "yes");
    // What neither the delegate nor another route takes; nobody delegates to nobody.
    for path in ["/own/kept", "/own/again", "/lost"] {
        let seen = place.outcome(&url(path)).await;
        assert_eq!(seen, refused(404, "route_not_found"), "{path}");
    }
    // A change of the delegate is one of the route.
    let changed = object(
        "VirtualService",
        "given",
        &format!("\n  http: [{{{to_other}}}]"),
    );
    let root = routes("new.example.com", "[{delegate: {name: given}}]");
    let entry = host("new.example.com", &[(&app, "")]);
    let file = [changed, root, entry].concat();
    place.mesh.apply("new.yaml", Some(&file)).await.unwrap();
    assert_eq!(by(&place.get("new.example.com/", &[]).await), "other");
    let file = file.replace("host: other.example.com", "host: app.example.com");
    place.mesh.apply("new.yaml", Some(&file)).await.unwrap();
    assert_eq!(by(&place.get("new.example.com/", &[]).await), "app");
}
