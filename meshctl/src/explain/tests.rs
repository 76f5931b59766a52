use std::path::Path;

use meshd_core::Store;

use super::*;
use crate::mesh_file::MeshFile;
use crate::offline::{self, Model};

/// The sample's mesh with the base configuration and these steps of the tour.
fn model(steps: &[&str]) -> Model {
    let sample = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../samples/bookinfo"));
    let mesh = MeshFile::read(&sample.join("mesh.yaml")).unwrap();
    let mut paths = vec![sample.join("config/base")];
    paths.extend(
        steps
            .iter()
            .map(|step| sample.join("config/tour").join(step)),
    );
    let mut store = Store::new();
    for (path, text) in offline::files(&paths, Some(&mesh)).unwrap().files {
        let name = Path::new(&path)
            .file_name()
            .unwrap()
            .to_string_lossy()
            .into_owned();
        store.set_file(&name, &text);
    }
    Model::new(store.world(&offline::settings(&mesh)))
}

fn ask(model: &Model, from: &str, url: &str, headers: &[(&'static str, &'static str)]) -> String {
    let question = Question {
        from: from.to_owned(),
        method: http::Method::GET,
        url: url.parse().unwrap(),
        claims: Vec::new(),
        headers: headers
            .iter()
            .map(|(name, value)| {
                (
                    http::HeaderName::from_static(name),
                    http::HeaderValue::from_static(value),
                )
            })
            .collect(),
    };
    explain_saved(model, &question).unwrap().to_string()
}

#[track_caller]
fn assert_has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "`{part}` is missing in\n{text}");
    }
}

#[test]
fn tells_the_route_and_what_lost() {
    let model = model(&["30-reviews-jason-v2.yaml"]);
    let anonymous = ask(
        &model,
        "productpage-v1",
        "http://reviews:9080/reviews/0",
        &[],
    );
    assert_has(
        &anonymous,
        &[
            "from default/productpage-v1 (spiffe://cluster.local/ns/default/sa/bookinfo-productpage), by the configuration files",
            "destination    reviews.default.svc.cluster.local:9080",
            "route lost     30-reviews-jason-v2.yaml:",
            "end-user",
            "the request has none",
            "route taken    30-reviews-jason-v2.yaml:",
            "subset by subsets.yaml:",
            "endpoint default/reviews-v1",
            "mutual TLS with spiffe://cluster.local/ns/default/sa/bookinfo-reviews",
            "at default/reviews-v1",
            "mutual TLS     PERMISSIVE",
            "authorization  allowed",
        ],
    );
    let jason = ask(
        &model,
        "productpage-v1",
        "http://reviews:9080/reviews/0",
        &[("end-user", "jason")],
    );
    assert_has(&jason, &["endpoint default/reviews-v2"]);
    assert!(!jason.contains("endpoint default/reviews-v1"), "{jason}");
}

#[test]
fn tells_who_may_not_call() {
    let model = model(&["70-mtls-strict.yaml", "80-authz.yaml"]);
    let url = "http://reviews:9080/reviews/0";
    let allowed = ask(&model, "productpage-v1", url, &[]);
    assert_has(
        &allowed,
        &[
            "mutual TLS     STRICT",
            "70-mtls-strict.yaml:",
            "authorization  allowed by default/reviews rule 0",
        ],
    );
    let denied = ask(&model, "details-v1", url, &[]);
    assert_has(
        &denied,
        &[
            "policy         ALLOW default/reviews does not match (80-authz.yaml:",
            "authorization  denied",
        ],
    );
}

#[test]
fn tells_what_a_gateway_does() {
    let model = model(&[]);
    let page = ask(
        &model,
        "istio-ingressgateway",
        "http://localhost:8080/productpage",
        &[],
    );
    assert_has(
        &page,
        &[
            "route taken    gateway.yaml:",
            "endpoint default/productpage-v1",
        ],
    );
    let nothing = ask(
        &model,
        "istio-ingressgateway",
        "http://localhost:8080/nothing",
        &[],
    );
    assert_has(&nothing, &["answered with 404"]);
}

#[test]
fn tells_faults_and_limits() {
    let model = model(&["50-timeout-retry.yaml"]);
    let reviews = ask(&model, "productpage", "http://reviews:9080/reviews/0", &[]);
    assert_has(
        &reviews,
        &[
            "timeout        1000 ms (50-timeout-retry.yaml:",
            "retry          2 more on 5xx, reset, 300 ms each",
        ],
    );
    let ratings = ask(&model, "reviews-v2", "http://ratings:9080/ratings/0", &[]);
    assert_has(&ratings, &["fault          2000 ms delay for 100%"]);
}

#[test]
fn refuses_questions_that_make_no_sense() {
    let model = model(&[]);
    let ask = |from: &str, url: &str| {
        let question = Question {
            from: from.to_owned(),
            method: http::Method::GET,
            url: url.parse().unwrap(),
            headers: vec![],
            claims: Vec::new(),
        };
        explain_saved(&model, &question).unwrap_err().to_string()
    };
    assert!(ask("nobody", "http://reviews:9080/").contains("no workload is called `nobody`"));
    assert!(
        ask("reviews", "http://reviews:9080/").contains("default/reviews-v1, default/reviews-v2")
    );
    assert!(ask("reviews-v1", "/reviews/0").contains("write http://host:port/path"));
    assert!(ask("reviews-v1", "ftp://reviews/").contains("no URL of a request"));
}
