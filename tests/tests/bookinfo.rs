//! Bookinfo under `meshctl up`, with routing as in Istio's examples added, changed and deleted
//! while requests go through.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test says what went wrong by failing"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use mesh_tests::laptop::{Answer, LIMIT, exchange, free_address};
use mesh_tests::{LaptopMesh, Traffic};
use serde_json::Value;
use tokio::net::TcpStream;

const ENTRY: &str = "\
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: front-door}
spec:
  selector: {istio: ingressgateway}
  servers:
  - port: {number: 8080, name: http, protocol: HTTP}
    hosts: ['*']
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: front-door}
spec:
  hosts: ['*']
  gateways: [front-door]
  http:
  - match:
    - {uri: {exact: /productpage}}
    - {uri: {exact: /login}}
    - {uri: {exact: /logout}}
    - {uri: {prefix: /static}}
    - {uri: {prefix: /api/v1/products}}
    route: [{destination: {host: productpage, port: {number: 9080}}}]
";

const SUBSETS: &str = "\
apiVersion: networking.istio.io/v1beta1
kind: DestinationRule
metadata: {name: productpage}
spec: {host: productpage, subsets: [{name: v1, labels: {version: v1}}]}
---
apiVersion: networking.istio.io/v1beta1
kind: DestinationRule
metadata: {name: reviews}
spec:
  host: reviews
  subsets:
  - {name: v1, labels: {version: v1}}
  - {name: v2, labels: {version: v2}}
  - {name: v3, labels: {version: v3}}
---
apiVersion: networking.istio.io/v1beta1
kind: DestinationRule
metadata: {name: ratings}
spec: {host: ratings, subsets: [{name: v1, labels: {version: v1}}]}
---
apiVersion: networking.istio.io/v1beta1
kind: DestinationRule
metadata: {name: details}
spec: {host: details, subsets: [{name: v1, labels: {version: v1}}]}
";

/// Everything to version 1: four objects in a file.
fn all_v1() -> String {
    ["productpage", "reviews", "ratings", "details"]
        .map(|host| rule(host, &format!("  - route: [{}]\n", to(host, "v1"))))
        .join("---\n")
}

/// Everything to version 1, but that jason's requests for one service get something else.
fn for_jason(host: &str, what: &str) -> String {
    let jason = format!("  - match: [{{headers: {{end-user: {{exact: jason}}}}}}]\n{what}");
    let others = format!("  - route: [{}]\n", to(host, "v1"));
    rule(host, &(jason + &others))
}

fn rule(host: &str, http: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1alpha3\nkind: VirtualService\nmetadata: {{name: {host}}}\nspec:\n  hosts: [{host}]\n  http:\n{http}"
    )
}

fn to(host: &str, subset: &str) -> String {
    format!("{{destination: {{host: {host}, subset: {subset}}}}}")
}

struct Bookinfo {
    mesh: LaptopMesh,
    gateway: SocketAddr,
}

// === impl Bookinfo ===

impl Bookinfo {
    fn start() -> Self {
        let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/../samples/bookinfo/mesh.yaml");
        let text = fs::read_to_string(sample).unwrap();
        let gateway = free_address().unwrap();
        let port = "{name: http2, port: 8080}";
        assert!(text.contains(port), "the sample's gateway port");
        let text = text.replace(
            port,
            &format!("{{name: http2, port: 8080, listen: '{gateway}'}}"),
        );
        let mesh = LaptopMesh::start(&text, &[("a-entry.yaml", ENTRY)]).unwrap();
        Self { mesh, gateway }
    }

    async fn ask(&self, method: Method, path: &str, cookie: Option<&str>) -> Answer {
        let body = if method == Method::POST {
            Bytes::from("username=jason")
        } else {
            Bytes::new()
        };
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "shop.example");
        request = request.header("content-type", "application/x-www-form-urlencoded");
        if let Some(cookie) = cookie {
            request = request.header("cookie", cookie);
        }
        let stream = TcpStream::connect(self.gateway).await.unwrap();
        exchange(stream, request.body(body).unwrap()).await.unwrap()
    }

    /// Signs in as jason, as a browser does.
    async fn sign_in(&self) -> String {
        let answer = self.ask(Method::POST, "/login", None).await;
        assert_eq!(answer.status, StatusCode::FOUND, "{answer:?}");
        let cookie = answer.headers["set-cookie"].to_str().unwrap();
        cookie.split(';').next().unwrap().to_owned()
    }

    /// The reviews that a visitor of the gateway gets.
    async fn reviews(&self, cookie: Option<&str>) -> Value {
        let answer = self
            .ask(Method::GET, "/api/v1/products/0/reviews", cookie)
            .await;
        assert_eq!(answer.status, 200, "{answer:?}");
        serde_json::from_slice(&answer.body).unwrap()
    }

    /// How often which version of reviews answers.
    async fn versions(&self, cookie: Option<&str>, count: usize) -> BTreeMap<String, usize> {
        let mut seen = BTreeMap::new();
        for _ in 0..count {
            let reviews = self.reviews(cookie).await;
            let pod = reviews["podname"].as_str().unwrap();
            *seen
                .entry(pod.strip_prefix("reviews-").unwrap().to_owned())
                .or_default() += 1;
        }
        seen
    }

    async fn only(&self, cookie: Option<&str>, version: &str) {
        let seen = self.versions(cookie, 12).await;
        assert_eq!(seen, BTreeMap::from([(version.to_owned(), 12)]));
    }

    /// Without rules the versions take turns, the faster ones more often.
    async fn all_versions(&self) {
        let mut seen = BTreeSet::new();
        let deadline = Instant::now() + LIMIT;
        while seen.len() < 3 {
            assert!(Instant::now() < deadline, "only {seen:?}");
            seen.extend(self.versions(None, 1).await.into_keys());
        }
    }

    async fn page(&self, cookie: Option<&str>) -> String {
        let answer = self.ask(Method::GET, "/productpage", cookie).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        String::from_utf8_lossy(&answer.body).into_owned()
    }

    /// Visitors that are not signed in.
    fn visitors(&self) -> Traffic {
        let request = || {
            Request::get("/productpage")
                .header("host", "shop.example")
                .body(Bytes::new())
                .unwrap()
        };
        Traffic::start(self.gateway, request, |answer| {
            mesh_tests::traffic::is_ok(answer)?;
            // The page hides what fails behind it.
            let page = String::from_utf8_lossy(&answer.body);
            match page.contains("Reviewer1")
                && !page.contains("unavailable")
                && page.contains("Publisher")
            {
                true => Ok(()),
                false => Err(page.into_owned()),
            }
        })
    }

    async fn no_problems(&self) {
        let list = self.mesh.meshd("/v1/problems").await.unwrap();
        let none = list["problems"].as_array().is_none_or(Vec::is_empty);
        assert!(none, "{list:#}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules_are_added_changed_and_deleted_while_visitors_come() {
    let bookinfo = Bookinfo::start();
    let mesh = &bookinfo.mesh;
    assert_eq!(bookinfo.ask(Method::GET, "/foo", None).await.status, 404);
    assert_eq!(
        bookinfo
            .ask(Method::GET, "/productpage/x", None)
            .await
            .status,
        404
    );
    let jason = bookinfo.sign_in().await;
    let mut visitors = bookinfo.visitors();
    bookinfo.all_versions().await;

    mesh.apply("b-subsets.yaml", Some(SUBSETS)).await.unwrap();
    mesh.apply("c-rules.yaml", Some(&all_v1())).await.unwrap();
    bookinfo.no_problems().await;
    bookinfo.only(None, "v1").await;
    visitors.more(5).await.unwrap();

    let half = format!(
        "  - route:\n    - {{{}, weight: 50}}\n    - {{{}, weight: 50}}\n",
        inner("v1"),
        inner("v3")
    );
    let changed = all_v1().replace(
        &rule(
            "reviews",
            &format!("  - route: [{}]\n", to("reviews", "v1")),
        ),
        &rule("reviews", &half),
    );
    mesh.apply("c-rules.yaml", Some(&changed)).await.unwrap();
    let seen = bookinfo.versions(None, 200).await;
    // Five standard deviations of a fair coin thrown 200 times.
    assert!(
        seen.keys().eq(["v1", "v3"]) && seen.values().all(|count| (65..=135).contains(count)),
        "{seen:?}"
    );

    mesh.apply(
        "c-rules.yaml",
        Some(&changed.replace("weight: 50}\n    - {", "weight: 0}\n    - {")),
    )
    .await
    .unwrap();
    bookinfo.only(None, "v3").await;

    let jason_v2 = for_jason(
        "reviews",
        &format!("    route: [{}]\n", to("reviews", "v2")),
    );
    let others = all_v1().replace(
        &rule(
            "reviews",
            &format!("  - route: [{}]\n", to("reviews", "v1")),
        ),
        &jason_v2,
    );
    mesh.apply("c-rules.yaml", Some(&others)).await.unwrap();
    bookinfo.only(None, "v1").await;
    bookinfo.only(Some(&jason), "v2").await;
    assert!(bookinfo.page(Some(&jason)).await.contains("reviews-v2"));
    assert!(!bookinfo.page(None).await.contains("reviews-v2"));
    visitors.more(5).await.unwrap();

    mesh.apply("c-rules.yaml", None).await.unwrap();
    mesh.apply("b-subsets.yaml", None).await.unwrap();
    bookinfo.all_versions().await;
    bookinfo.no_problems().await;
    visitors.more(5).await.unwrap();
    visitors.stop().await.unwrap();
    bookinfo.mesh.stop().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_hit_jason_alone_and_go_when_their_rule_goes() {
    let bookinfo = Bookinfo::start();
    let mesh = &bookinfo.mesh;
    mesh.apply("b-subsets.yaml", Some(SUBSETS)).await.unwrap();
    let jason_v2 = for_jason(
        "reviews",
        &format!("    route: [{}]\n", to("reviews", "v2")),
    );
    mesh.apply("c-reviews.yaml", Some(&jason_v2)).await.unwrap();
    let jason = bookinfo.sign_in().await;
    let mut visitors = bookinfo.visitors();
    bookinfo.only(Some(&jason), "v2").await;
    assert_eq!(
        bookinfo.reviews(Some(&jason)).await["reviews"][0]["rating"]["stars"],
        5
    );

    let fault = |what: &str| {
        for_jason(
            "ratings",
            &format!(
                "    fault: {{{what}}}\n    route: [{}]\n",
                to("ratings", "v1")
            ),
        )
    };
    mesh.apply(
        "d-ratings.yaml",
        Some(&fault("abort: {httpStatus: 500, percentage: {value: 100}}")),
    )
    .await
    .unwrap();
    let reviews = bookinfo.reviews(Some(&jason)).await;
    assert!(
        reviews["reviews"][0]["rating"]["error"].is_string(),
        "{reviews}"
    );
    visitors.more(5).await.unwrap();

    mesh.apply(
        "d-ratings.yaml",
        Some(&fault("delay: {fixedDelay: 2s, percentage: {value: 100}}")),
    )
    .await
    .unwrap();
    let begin = Instant::now();
    let reviews = bookinfo.reviews(Some(&jason)).await;
    let took = begin.elapsed();
    assert!(took >= Duration::from_secs(2) && took < LIMIT, "{took:?}");
    assert_eq!(reviews["reviews"][0]["rating"]["stars"], 5, "{reviews}");

    mesh.apply("d-ratings.yaml", None).await.unwrap();
    let begin = Instant::now();
    assert_eq!(
        bookinfo.reviews(Some(&jason)).await["reviews"][0]["rating"]["stars"],
        5
    );
    assert!(begin.elapsed() < Duration::from_secs(2));
    visitors.more(5).await.unwrap();
    visitors.stop().await.unwrap();
    bookinfo.mesh.stop().unwrap();
}

/// A destination without its braces, for a weight beside it.
fn inner(subset: &str) -> String {
    format!("destination: {{host: reviews, subset: {subset}}}")
}
