//! Stopping, and the command line.

use std::sync::Arc;

use clap::Parser;
use http::Response;
use tokio::{net::TcpStream, sync::Semaphore};

use super::harness::{Stub, get, reviews_settings, settings, start, within};
use crate::{Command, Service, bind};

#[tokio::test]
async fn requests_in_flight_are_finished() {
    let (asked, release) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let ratings = Stub::start({
        let (asked, release) = (asked.clone(), release.clone());
        move |_| {
            let (asked, release) = (asked.clone(), release.clone());
            async move {
                asked.add_permits(1);
                let _permit = release.acquire().await.unwrap();
                Response::new(r#"{"ratings":{"Reviewer1":3,"Reviewer2":2}}"#.to_owned())
            }
        }
    })
    .await;
    let reviews = start(reviews_settings("v2", ratings.address)).await;
    let address = reviews.address;
    let request = tokio::spawn(get(address, "/reviews/0"));
    // A connection without a request does not hold the shutdown up.
    let _idle = TcpStream::connect(address).await.unwrap();
    let _asked = within(asked.acquire()).await.unwrap();

    drop(reviews.shutdown);
    // Once it has stopped accepting, the address is free again.
    let mut again = settings(Service::Details, "v1");
    again.port = address.port();
    let _again = within(async {
        loop {
            match bind(again.clone()).await {
                Ok(bound) => break bound,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    })
    .await;
    assert!(!reviews.task.is_finished());
    release.add_permits(1);
    let got = within(request).await.unwrap();
    assert_eq!(got.json()["reviews"][0]["rating"]["stars"], 3);
    within(reviews.task).await.unwrap();
}

#[tokio::test]
async fn an_address_in_use_is_an_error() {
    let details = start(settings(Service::Details, "v1")).await;
    let mut again = settings(Service::Details, "v1");
    again.port = details.address.port();
    let error = bind(again).await.unwrap_err().to_string();
    assert!(
        error.starts_with(&format!("cannot listen on {}: ", details.address)),
        "{error}"
    );
}

/// A program with its own `--version`, and subcommands.
#[derive(Debug, Parser)]
#[command(version = "9", propagate_version = true)]
enum Embedding {
    Bookinfo(Command),
}

#[test]
fn the_command_can_be_embedded() {
    let parse = |args: &str| Embedding::try_parse_from(args.split(' '));
    let Embedding::Bookinfo(command) =
        parse("meshctl bookinfo reviews --version v3 --port 0 --host ::1").unwrap();
    assert_eq!(command.service, Service::Reviews);
    assert_eq!((command.version.as_str(), command.port), ("v3", 0));
    assert_eq!(command.host, "::1");
    let error = parse("meshctl bookinfo cellar").unwrap_err().to_string();
    assert!(
        error.contains("productpage, details, reviews, ratings"),
        "{error}"
    );
}
