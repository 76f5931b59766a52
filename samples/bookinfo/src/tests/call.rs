//! `bookinfo call`, without its printing.

use clap::Parser;

use super::harness::{Stub, proxy, settings, start};
use crate::{Call, ProxySettings, Service};

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    call: Call,
}

fn call(arguments: &[&str]) -> Call {
    Cli::try_parse_from(["call"].iter().chain(arguments))
        .unwrap()
        .call
}

#[tokio::test]
async fn prints_what_the_service_answers() {
    let ratings = start(settings(Service::Ratings, "v1")).await;
    let url = format!("http://{}/ratings/0", ratings.address);
    let call = call(&["-H", "x-a: b", &url]);
    let answer = call
        .send(&call.target().unwrap(), &ProxySettings::default())
        .await
        .unwrap();
    assert_eq!(answer["status"], 200);
    assert_eq!(answer["headers"]["x-bookinfo-pod"], "ratings-v1");
    assert!(answer["body"].as_str().unwrap().contains("Reviewer1"));
}

#[tokio::test]
async fn sends_method_headers_and_host_and_goes_through_the_proxy() {
    let stub = Stub::fixed(418, &[("x-twice", "1"), ("x-twice", "2")], "tea").await;
    let call = call(&[
        "-X",
        "PUT",
        "-H",
        "end-user: jason",
        "-d",
        "x",
        "http://reviews:9080/a?b=c",
    ]);
    let proxy = proxy(&format!("http://{}", stub.address), "");
    let answer = call.send(&call.target().unwrap(), &proxy).await.unwrap();
    assert_eq!(answer["status"], 418);
    assert_eq!(answer["headers"]["x-twice"], "1, 2");
    assert_eq!(answer["body"], "tea");
    let seen = stub.seen();
    assert_eq!(seen[0].method, "PUT");
    assert_eq!(seen[0].uri, "http://reviews:9080/a?b=c");
    assert_eq!(seen[0].headers["host"], "reviews:9080");
    assert_eq!(seen[0].headers["end-user"], "jason");
}

#[tokio::test]
async fn says_why_there_is_no_answer() {
    let silent = Stub::silent().await;
    let url = format!("http://{}/", silent.address);
    let late = call(&["--timeout", "50", &url]);
    let error = late
        .send(&late.target().unwrap(), &ProxySettings::default())
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "no answer within 50ms");
    for url in ["https://a/", "/path"] {
        assert!(call(&[url]).target().is_err(), "{url}");
    }
}
