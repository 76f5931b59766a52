//! What routes say: answers, faults, edits, mirrors, configuration on demand.

use std::time::Duration;

use http::Response;
use http_body_util::{BodyExt as _, Full};
use mesh_api::v1::{
    Cors, DirectResponse, Fault, Field, FieldEdits, HeaderEdits, HttpMatch, HttpRoute,
    InvalidAction, Mirror, Protocol, Redirect, Rewrite, StringMatch, http_route::Action,
    string_match::Kind,
};

use crate::config::{Config, forward, route, service};
use crate::peers::{App, Client, NAME, within};
use crate::proxy::{Proxy, proxy};

fn with_route(app: &App, route: HttpRoute) -> Proxy {
    let service = service("app", 80, Protocol::Http)
        .plain(app.address)
        .route(route);
    proxy(Config::default().service(service)).start()
}

fn to_app() -> Action {
    Action::Forward(forward("app", 80))
}

#[tokio::test]
async fn routes_answer_redirect_and_fail_by_themselves() {
    let app = App::echo("a").await;
    let direct = route(Action::Direct(DirectResponse {
        status: 418,
        body: b"teapot".to_vec(),
    }));
    let answer = Client::to(with_route(&app, direct).explicit)
        .await
        .get("http://app/")
        .await;
    assert_eq!(
        (answer.status(), answer.reason(), &*answer.body),
        (418, "direct_response", "teapot")
    );
    let redirect = route(Action::Redirect(Redirect {
        uri: "/new".into(),
        code: 302,
        ..Default::default()
    }));
    let answer = Client::to(with_route(&app, redirect).explicit)
        .await
        .get("http://app/old?q=1")
        .await;
    assert_eq!(
        (answer.status(), answer.header("location")),
        (302, Some("http://app/new?q=1"))
    );
    let invalid = route(Action::Invalid(InvalidAction {
        status: 500,
        message: "no subset".into(),
    }));
    let answer = Client::to(with_route(&app, invalid).explicit)
        .await
        .get("http://app/")
        .await;
    assert_eq!((answer.status(), answer.reason()), (500, "route_invalid"));
    let missing = route(Action::Forward(forward("nowhere", 80)));
    let answer = Client::to(with_route(&app, missing).explicit)
        .await
        .get("http://app/")
        .await;
    assert_eq!(
        (answer.status(), answer.reason()),
        (503, "cluster_not_found")
    );
    assert_eq!(app.connections(), 0);
}

#[tokio::test]
async fn what_no_route_matches_is_not_found() {
    let app = App::echo("a").await;
    let only = HttpRoute {
        matches: vec![HttpMatch {
            uri: Some(StringMatch {
                kind: Some(Kind::Prefix("/only".into())),
            }),
            ..Default::default()
        }],
        ..route(to_app())
    };
    let proxy = with_route(&app, only);
    let mut client = Client::to(proxy.explicit).await;
    assert_eq!(client.get("http://app/only/this").await.status(), 200);
    let answer = client.get("http://app/other").await;
    assert_eq!((answer.status(), answer.reason()), (404, "route_not_found"));
}

#[tokio::test]
async fn faults_are_injected() {
    let app = App::echo("a").await;
    let fault = Fault {
        abort_per_million: 1_000_000,
        abort_http: 555,
        ..Default::default()
    };
    let proxy = with_route(
        &app,
        HttpRoute {
            fault: Some(fault),
            ..route(to_app())
        },
    );
    let answer = Client::to(proxy.explicit).await.get("http://app/").await;
    assert_eq!(
        (answer.status(), answer.reason(), &*answer.body),
        (555, "fault_abort", "fault filter abort")
    );
    assert!(proxy.telemetry.metrics().contains("response_flags=\"FI\""));
    let fault = Fault {
        delay_per_million: 1_000_000,
        delay_ms: 200,
        ..Default::default()
    };
    let proxy = with_route(
        &app,
        HttpRoute {
            fault: Some(fault),
            ..route(to_app())
        },
    );
    let began = std::time::Instant::now();
    assert_eq!(
        Client::to(proxy.explicit)
            .await
            .get("http://app/")
            .await
            .status(),
        200
    );
    assert!(began.elapsed() >= Duration::from_millis(200));
    assert!(proxy.telemetry.metrics().contains("response_flags=\"DI\""));
}

#[tokio::test]
async fn requests_and_responses_are_edited() {
    let app = App::echo("a").await;
    let edits = |name: &str| FieldEdits {
        set: vec![Field {
            name: format!("x-{name}"),
            value: "1".into(),
        }],
        remove: vec![format!("x-not-{name}")],
        ..Default::default()
    };
    let mut to = forward("app", 80);
    to.rewrite = Some(Rewrite {
        uri: "/new".into(),
        authority: "other:81".into(),
        ..Default::default()
    });
    let headers = HeaderEdits {
        request: Some(edits("asked")),
        response: Some(edits("answered")),
    };
    let cors = Cors {
        allow_origins: vec![StringMatch {
            kind: Some(Kind::Exact("http://web".into())),
        }],
        ..Default::default()
    };
    let uri = Some(StringMatch {
        kind: Some(Kind::Prefix("/old".into())),
    });
    let matches = vec![HttpMatch {
        uri,
        ..Default::default()
    }];
    let route = HttpRoute {
        headers: Some(headers),
        cors: Some(cors),
        matches,
        ..route(Action::Forward(to))
    };
    let proxy = with_route(&app, route);
    let mut client = Client::to(proxy.explicit).await;
    client.send("GET http://app/old/x HTTP/1.1\r\nHost: app\r\nOrigin: http://web\r\nX-Not-Asked: 1\r\n\r\n").await;
    let answer = client.answer().await;
    assert!(
        answer.body.starts_with("GET /new/x HTTP/1.1\n"),
        "{answer:?}"
    );
    assert!(
        answer.body.contains("host: other:81\n") && answer.body.contains("x-asked: 1\n"),
        "{answer:?}"
    );
    assert!(!answer.body.contains("x-not-asked"), "{answer:?}");
    assert_eq!(answer.header("x-answered"), Some("1"));
    assert_eq!(
        answer.header("access-control-allow-origin"),
        Some("http://web")
    );
}

#[tokio::test]
async fn mirrors_get_a_copy_and_nobody_waits_for_them() {
    let app = App::echo("a").await;
    let (copies, mut seen) = tokio::sync::mpsc::unbounded_channel();
    let shadow = App::http(move |request| {
        let copies = copies.clone();
        async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            copies.send((parts, body)).unwrap();
            Response::builder()
                .status(500)
                .body(Full::default())
                .unwrap()
        }
    })
    .await;
    let mut to = forward("app", 80);
    let copy = forward("shadow", 80).destinations.into_iter().next();
    to.mirrors = vec![Mirror {
        destination: copy,
        per_million: 1_000_000,
    }];
    let config = Config::default()
        .service(
            service("app", 80, Protocol::Http)
                .plain(app.address)
                .route(route(Action::Forward(to))),
        )
        .service(service("shadow", 80, Protocol::Http).plain(shadow.address));
    let proxy = proxy(config).start();
    let mut client = Client::to(proxy.explicit).await;
    client
        .send("POST http://app/x HTTP/1.1\r\nHost: app\r\nContent-Length: 4\r\n\r\nbody")
        .await;
    let answer = client.answer().await;
    assert_eq!((answer.status(), answer.header(NAME)), (200, Some("a")));
    let (parts, body) = within(seen.recv()).await.unwrap();
    assert_eq!(
        (parts.uri.path(), &parts.headers["host"], &body[..]),
        ("/x", &"app-shadow".parse().unwrap(), &b"body"[..])
    );
}

#[tokio::test]
async fn configuration_comes_on_demand() {
    let app = App::echo("a").await;
    let mut proxy = proxy(Config::default())
        .need(crate::peers::DEADLINE)
        .start();
    let mut client = Client::to(proxy.explicit).await;
    client
        .send("GET http://app/ HTTP/1.1\r\nHost: app\r\n\r\n")
        .await;
    let asked = within(proxy.adjuster.demanded()).await.unwrap();
    assert_eq!(asked.to_string(), "routes/app:80");
    let config = Config::default().service(service("app", 80, Protocol::Http).plain(app.address));
    proxy.adjuster.set(config.snapshot());
    assert_eq!(client.answer().await.status(), 200);
}

#[tokio::test]
async fn configuration_that_does_not_come_is_a_reason() {
    let proxy = proxy(Config::default()).start();
    let answer = Client::to(proxy.explicit).await.get("http://app/").await;
    assert_eq!(
        (answer.status(), answer.reason()),
        (503, "configuration_timeout")
    );
}

#[tokio::test]
async fn live_connections_see_new_routes_and_endpoints() {
    let (one, two) = (App::echo("one").await, App::echo("two").await);
    let config = |app: &App| {
        Config::default().service(service("app", 80, Protocol::Http).plain(app.address))
    };
    let proxy = proxy(config(&one)).start();
    let mut client = Client::to(proxy.explicit).await;
    assert_eq!(client.get("http://app/").await.header(NAME), Some("one"));
    proxy.adjuster.set(config(&two).snapshot());
    assert_eq!(client.get("http://app/").await.header(NAME), Some("two"));
}

#[tokio::test]
async fn endpoints_may_be_names() {
    let app = App::echo("a").await;
    let service = |host| service("app", 80, Protocol::Http).named(host, app.address.port());
    let known = proxy(Config::default().service(service("localhost"))).start();
    assert_eq!(
        Client::to(known.explicit)
            .await
            .get("http://app/")
            .await
            .header(NAME),
        Some("a")
    );
    let unknown = proxy(Config::default().service(service("nothing.invalid"))).start();
    let answer = Client::to(unknown.explicit).await.get("http://app/").await;
    assert_eq!(
        (answer.status(), answer.reason()),
        (503, "upstream_name_unresolved")
    );
}
