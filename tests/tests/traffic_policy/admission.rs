//! Rates and limits, on the side of the server and on routes.

use crate::app::App;
use crate::{Place, header, host, refused, routes, served};

fn rates(name: &str, target: &str, limits: &str) -> String {
    format!(
        "---
apiVersion: mesh.dev/v1alpha1
kind: ResiliencePolicy
metadata: {{name: {name}}}
spec:
  targetRefs: [{target}]
{limits}
"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn rates_of_a_virtual_service_hold_where_its_routes_are() {
    let app = App::start("app").await;
    let config = [
        host("app.example.com", &[(&app, "")]),
        routes(
            "app.example.com",
            "
  - name: write
    match: [{method: {exact: POST}}]
    route: [{destination: {host: app.example.com}}]
  - name: read
    route: [{destination: {host: app.example.com}}]",
        ),
        rates(
            "writes",
            "{group: networking.istio.io, kind: VirtualService, name: app-example-com, sectionName: write}",
            "  rateLimits: [{name: few, requests: 2, interval: 1h, keys: [{type: Header, name: x-user}], responseHeaders: {x-contact: sre}}]",
        ),
        rates(
            "all",
            "{kind: VirtualService, name: app-example-com}",
            "  rateLimits: [{name: many, requests: 1000, interval: 1h}]",
        ),
    ]
    .concat();
    let place = Place::start("", &config);
    place.is_sound().await;
    let write = async |user: &str| {
        place
            .call("POST", "app.example.com/", &[("x-user", user)])
            .await
    };
    for user in ["jo", "al"] {
        for _ in 0..2 {
            assert_eq!(write(user).await.status, 200, "{user}");
        }
        let answer = write(user).await;
        assert_eq!(crate::outcome(&answer), refused(429, "rate_limited"));
        assert_eq!(header(&answer, "x-contact"), "sre");
        assert!(!header(&answer, "retry-after").is_empty(), "{answer:?}");
    }
    // Of the other route only the rate of all counts.
    for _ in 0..5 {
        assert_eq!(place.outcome("app.example.com/").await, served());
    }
    assert_eq!(app.count("/"), 9);
    let lost = rates(
        "lost",
        "{kind: VirtualService, name: nobody}",
        "  rateLimits: [{requests: 1}]",
    );
    place.mesh.apply("lost.yaml", Some(&lost)).await.unwrap();
    let problems = place.mesh.meshd("/v1/problems").await.unwrap().to_string();
    assert!(problems.contains("nobody"), "{problems}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rates_and_limits_of_a_service_hold_at_its_servers() {
    let app = App::start("app").await;
    let workload = format!(
        "  - {{name: server, serviceAccount: server, labels: {{app: server}}, \
         ports: [{{name: http, port: 8000, appPort: {}}}]}}\n",
        app.port()
    );
    let config = [
        rates(
            "server",
            "{kind: Service, name: server}",
            "  rateLimits: [{requests: 1, interval: 1h, match: [{uri: {prefix: /rare}}], keys: [{type: SourceIdentity}]}]",
        ),
        "---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: server}
spec:
  workloadSelector: {labels: {app: server}}
  inboundConnectionPool: {http: {http2MaxRequests: 1}}
"
        .to_owned(),
    ]
    .concat();
    let place = Place::start(&workload, &config);
    place.is_sound().await;
    assert_eq!(place.outcome("server:8000/rare").await, served());
    assert_eq!(
        place.outcome("server:8000/rare").await,
        refused(429, "rate_limited")
    );
    assert_eq!(app.count("/rare"), 1);
    let held = place.outcome("server:8000/held");
    let others = async {
        app.has_seen("/held", 1).await;
        let seen = place.outcome("server:8000/").await;
        app.release();
        seen
    };
    let (held, other) = tokio::join!(held, others);
    assert_eq!((held, other), (served(), refused(503, "too_many_requests")));
}
