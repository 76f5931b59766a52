//! Pages, JSON shapes, sessions.

use serde_json::json;

use super::harness::{Application, Got, Running, Stub, get, page_settings, send, settings, start};
use crate::{MAX_BODY, Service};

const PLAIN: &[(&str, &str)] = &[("content-type", "application/json")];

async fn page(page: &Running) -> Got {
    let got = get(page.address, "/productpage").await;
    assert_eq!(got.status, 200);
    assert_eq!(got.headers["content-type"], "text/html; charset=utf-8");
    got
}

#[tokio::test]
async fn the_page_shows_the_stars_of_each_version() {
    let app = Application::start().await;
    for (version, stars) in [("v1", None), ("v2", Some("black")), ("v3", Some("red"))] {
        let got = page(&app.page(version).await).await;
        got.assert_contains("The Comedy of Errors");
        got.assert_contains("<dt>ISBN-10</dt><dd>1234567890</dd>");
        got.assert_contains(&format!(
            "Reviews served by: <code>reviews-{version}</code>"
        ));
        got.assert_contains(&format!("<span class=\"tag\">version {version}</span>"));
        got.assert_contains("Details served by: <code>details-v1</code>");
        got.assert_contains("Page served by: <code>productpage-v1</code>");
        assert_eq!(got.headers["x-bookinfo-pod"], "productpage-v1");
        assert_eq!(got.headers["x-bookinfo-version"], "v1");
        got.assert_lacks("role=\"alert\"");
        match stars {
            None => got.assert_lacks("class=\"stars"),
            Some(color) => {
                got.assert_contains(&format!("aria-label=\"5 of 5 stars, {color}\""));
                got.assert_contains(&format!("aria-label=\"4 of 5 stars, {color}\""));
                assert_eq!(
                    got.body
                        .matches(&format!("class=\"stars {color}\""))
                        .count(),
                    2
                );
            }
        }
    }
}

#[tokio::test]
async fn the_api_has_the_originals_shapes() {
    let app = Application::start().await;
    let running = app.page("v2").await;
    let page = running.address;
    let products = get(page, "/api/v1/products").await.json();
    assert_eq!(products[0]["id"], 0);
    assert_eq!(products[0]["title"], "The Comedy of Errors");
    assert!(products[0]["descriptionHtml"].is_string());

    let details = json!({
        "id": 0, "author": "William Shakespeare", "year": 1595, "type": "paperback",
        "pages": 200, "publisher": "PublisherA", "language": "English",
        "ISBN-10": "1234567890", "ISBN-13": "123-1234567890",
    });
    assert_eq!(get(page, "/api/v1/products/0").await.json(), details);
    assert_eq!(get(app.details.address, "/details/0").await.json(), details);

    let ratings = json!({ "id": 0, "ratings": { "Reviewer1": 5, "Reviewer2": 4 } });
    assert_eq!(
        get(page, "/api/v1/products/0/ratings").await.json(),
        ratings
    );
    assert_eq!(get(app.ratings.address, "/ratings/0").await.json(), ratings);

    let reviews = get(page, "/api/v1/products/0/reviews").await.json();
    assert_eq!(reviews["id"], "0");
    assert_eq!(reviews["podname"], "reviews-v2");
    assert_eq!(reviews["clustername"], "null");
    assert_eq!(reviews["reviews"][0]["reviewer"], "Reviewer1");
    assert_eq!(
        reviews["reviews"][0]["rating"],
        json!({ "stars": 5, "color": "black" })
    );
    assert_eq!(
        reviews["reviews"][1]["rating"],
        json!({ "stars": 4, "color": "black" })
    );
    let plain = get(app.reviews["v1"].address, "/reviews/0").await.json();
    let names: Vec<_> = plain["reviews"][1].as_object().unwrap().keys().collect();
    assert_eq!(names, ["reviewer", "text"]);
}

#[tokio::test]
async fn ratings_can_be_set() {
    let app = Application::start().await;
    let ratings = app.ratings.address;
    let set = json!({ "id": 0, "ratings": { "Reviewer1": 1, "Reviewer2": 9 } });
    let body = set["ratings"].to_string();
    let got = send(ratings, "POST", "/ratings/0", &[], &body).await;
    assert_eq!((got.status.as_u16(), got.json()), (200, set));
    let got = page(&app.page("v3").await).await;
    got.assert_contains("aria-label=\"1 of 5 stars, red\"");
    got.assert_contains("aria-label=\"5 of 5 stars, red\"");

    for (body, status) in [
        ("nonsense", 400),
        ("[1]", 400),
        (&*"1".repeat(MAX_BODY + 1), 413),
    ] {
        let got = send(ratings, "POST", "/ratings/0", &[], body).await;
        assert_eq!(got.status, status, "{}", got.body);
    }
}

#[tokio::test]
async fn paths_and_methods() {
    let app = Application::start().await;
    let running = app.page("v1").await;
    let page = running.address;
    let (details, ratings) = (app.details.address, app.ratings.address);
    let reviews = app.reviews["v1"].address;
    for (address, method, path, status) in [
        (page, "GET", "/", 200),
        (page, "GET", "/index.html", 200),
        (page, "GET", "/health", 200),
        (page, "GET", "/productpage?u=test", 200),
        (page, "HEAD", "/productpage", 200),
        (page, "POST", "/productpage", 405),
        (page, "GET", "/login", 405),
        (page, "GET", "/foo", 404),
        (page, "GET", "/api/v1/products/x", 400),
        (page, "GET", "/api/v1/products/7/ratings", 200),
        (details, "GET", "/health", 200),
        (details, "GET", "/details/x", 400),
        (details, "DELETE", "/details/0", 405),
        (details, "GET", "/details", 404),
        (ratings, "GET", "/health", 200),
        (ratings, "GET", "/ratings/x", 400),
        (ratings, "PUT", "/ratings/0", 405),
        (reviews, "GET", "/health", 200),
        (reviews, "GET", "/reviews/x", 404),
        (reviews, "POST", "/reviews/0", 405),
        (reviews, "GET", "/", 404),
    ] {
        let got = send(address, method, path, &[], "").await;
        assert_eq!(got.status, status, "{method} {path}: {}", got.body);
        assert_eq!(got.headers.contains_key("allow"), status == 405);
        assert_eq!(got.body.is_empty(), method == "HEAD");
    }
}

#[tokio::test]
async fn signing_in_and_out() {
    let reviews = Stub::fixed(200, PLAIN, r#"{"reviews": []}"#).await;
    let details = Stub::fixed(200, PLAIN, "{}").await;
    let running = start(page_settings(details.address, reviews.address)).await;
    let page = running.address;

    let got = get(page, "/productpage").await;
    got.assert_contains("<form class=\"account\" method=\"post\" action=\"/login\">");
    assert!(!reviews.seen()[0].headers.contains_key("end-user"));

    let got = send(
        page,
        "POST",
        "/login",
        &[],
        "username=j%C3%B6rg+%3Cb%3E&passwd=",
    )
    .await;
    assert_eq!(
        (got.status.as_u16(), &got.headers["location"]),
        (302, &"/productpage".parse().unwrap())
    );
    let cookie = got.headers["set-cookie"].to_str().unwrap();
    assert!(
        cookie.ends_with("; Path=/; HttpOnly; SameSite=Lax"),
        "{cookie}"
    );
    let (session, _) = cookie.split_once(';').unwrap();

    let got = send(page, "GET", "/productpage", &[("cookie", session)], "").await;
    got.assert_contains("Signed in as <strong>jörg &lt;b&gt;</strong>");
    got.assert_lacks("<form");
    let user = reviews.seen()[1].headers["end-user"].clone();
    assert_eq!(user.as_bytes(), "jörg <b>".as_bytes());
    assert_eq!(details.seen()[1].headers["end-user"], user);

    let got = send(page, "GET", "/logout", &[("cookie", session)], "").await;
    assert_eq!(got.status, 302);
    let cookie = got.headers["set-cookie"].to_str().unwrap();
    assert!(
        cookie.starts_with("session=;") && cookie.contains("Max-Age=0"),
        "{cookie}"
    );

    for body in ["", "username=", "username=a%0d%0ab", "user=x"] {
        let got = send(page, "POST", "/login", &[], body).await;
        assert_eq!(got.status, 400, "{body}");
        assert!(!got.headers.contains_key("set-cookie"));
    }
}

#[tokio::test]
async fn what_comes_from_outside_is_escaped() {
    let evil = "<script>alert('x')</script>\"&";
    let details = json!({ evil: evil, "list": [evil] }).to_string();
    let reviews = json!({
        "podname": evil, "clustername": evil,
        "reviews": [
            { "reviewer": evil, "text": evil, "rating": { "stars": 99, "color": evil } },
            { "reviewer": evil, "text": evil, "rating": { "error": evil } },
            { "reviewer": 5, "text": null, "rating": "five" },
            "not a review",
        ],
    })
    .to_string();
    let headers = [
        ("content-type", "application/json"),
        ("x-bookinfo-version", evil),
    ];
    let details = Stub::fixed(200, &headers, &details).await;
    let good = Stub::fixed(200, &headers, &reviews).await;
    let bad = Stub::fixed(503, &[("x-mesh-reason", evil)], evil).await;
    for reviews in [good, bad] {
        let running = start(page_settings(details.address, reviews.address)).await;
        let page = running.address;
        let got = get(page, "/productpage").await;
        got.assert_lacks("<script");
        got.assert_lacks("alert('x')");
        got.assert_contains("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&quot;&amp;");
        assert!(
            got.headers["content-security-policy"]
                .to_str()
                .unwrap()
                .contains("default-src 'none'")
        );
    }
}

#[tokio::test]
async fn a_service_can_be_given_its_pod_name() {
    let mut settings = settings(Service::Reviews, "v1");
    settings.pod_name = "reviews-v1-7c9f".to_owned();
    settings.cluster_name = Some("east".to_owned());
    let reviews = start(settings).await;
    let json = get(reviews.address, "/reviews/0").await.json();
    assert_eq!(json["podname"], "reviews-v1-7c9f");
    assert_eq!(json["clustername"], "east");
    let details = Stub::fixed(200, PLAIN, "{}").await;
    let page = start(page_settings(details.address, reviews.address)).await;
    get(page.address, "/productpage")
        .await
        .assert_contains("on cluster <code>east</code>");
}
