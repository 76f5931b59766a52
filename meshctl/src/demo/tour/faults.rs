//! Steps about faults, limits and copies.

use std::time::Duration;

use anyhow::ensure;

use super::{EVERYTHING, Ground, RATINGS_FILE, REVIEWS_FILE, Tour, WITHOUT_REVIEWS, told};
use crate::demo::traffic;

const RATINGS_URL: &str = "http://ratings:9080/ratings/0";
const REVIEWS_URL: &str = "http://reviews:9080/reviews/0";
const JASON: &[(&str, &str)] = &[("end-user", "jason")];
/// As the sample's delay says.
const DELAY: Duration = Duration::from_secs(7);

pub(super) async fn steps<G: Ground>(tour: &mut Tour<G>) {
    tour.step(
        "ratings are 7 s late for jason only",
        "ratings as reviews-v2, for jason and for nobody",
        delay,
    )
    .await;
    tour.step(
        "ratings fail with 500 for jason only",
        "ratings as reviews-v2 and the page through the gateway, for jason and for nobody",
        abort,
    )
    .await;
    tour.step(
        "a call to reviews ends after 1 s, in three tries of 0.3 s",
        "reviews as productpage, while ratings take 2 s",
        timeout_and_retry,
    )
    .await;
    tour.step(
        "reviews-v3 gets a copy of each request",
        "20 requests for reviews through the gateway",
        mirror,
    )
    .await;
}

async fn delay<G: Ground>(tour: &Tour<G>) -> anyhow::Result<String> {
    let status = tour
        .apply(&[(RATINGS_FILE, Some("40-ratings-delay-jason.yaml"))])
        .await?;
    let (jason, nobody) = tokio::join!(
        tour.get_as("reviews-v2", RATINGS_URL, JASON),
        tour.get_as("reviews-v2", RATINGS_URL, &[])
    );
    let (jason, nobody) = (jason?, nobody?);
    ensure!(
        jason.status == 200 && nobody.status == 200,
        "jason: {}, nobody: {}",
        jason.status,
        nobody.status
    );
    let seen = format!(
        "jason: 200 after {:.1?}, nobody: 200 after {:.1?}",
        jason.took, nobody.took
    );
    ensure!(jason.took >= DELAY && jason.took < DELAY * 2, "{seen}");
    ensure!(nobody.took < DELAY / 2, "{seen}");
    Ok(format!("{seen}; {status}"))
}

async fn abort<G: Ground>(tour: &Tour<G>) -> anyhow::Result<String> {
    let status = tour
        .apply(&[(RATINGS_FILE, Some("41-ratings-abort-jason.yaml"))])
        .await?;
    let jason = tour.get_as("reviews-v2", RATINGS_URL, JASON).await?;
    let nobody = tour.get_as("reviews-v2", RATINGS_URL, &[]).await?;
    let reason = jason.header("x-mesh-reason").to_owned();
    let seen = format!(
        "jason: {} ({reason}), nobody: {}",
        jason.status.as_u16(),
        nobody.status.as_u16()
    );
    ensure!(jason.status == 500 && nobody.status == 200, "{seen}");
    ensure!(!reason.is_empty(), "the 500 has no x-mesh-reason");
    let page = traffic::get(tour.ground.gateway(), "/productpage", Some("jason")).await?;
    ensure!(
        page.text()
            .contains("Ratings service is currently unavailable"),
        "{seen}, but jason's page has ratings"
    );
    let page = traffic::get(tour.ground.gateway(), "/productpage", None).await?;
    ensure!(
        !page.text().contains("currently unavailable"),
        "{seen}, but nobody's page has an error"
    );
    Ok(format!(
        "{seen}, jason's page says that ratings are unavailable; {status}"
    ))
}

async fn timeout_and_retry<G: Ground>(tour: &Tour<G>) -> anyhow::Result<String> {
    tour.traffic.switch(WITHOUT_REVIEWS).await;
    // First one, then the other: the new file declares what the old one did.
    tour.apply(&[(RATINGS_FILE, None)]).await?;
    let status = tour
        .apply(&[(REVIEWS_FILE, Some("50-timeout-retry.yaml"))])
        .await?;
    let before = tour.received("reviews-v2").await?;
    let answer = tour.get_as("productpage-v1", REVIEWS_URL, &[]).await?;
    let seen = format!(
        "{} ({}) after {:.1?}",
        answer.status.as_u16(),
        answer.header("x-mesh-reason"),
        answer.took
    );
    ensure!(answer.status == 504, "{seen}");
    ensure!(
        answer.took >= Duration::from_millis(800) && answer.took < Duration::from_secs(2),
        "{seen}"
    );
    let tries = tour.receives("reviews-v2", before + 3).await? - before;
    ensure!(tries == 3, "{seen}, {tries} tries");
    Ok(format!("{seen}, {tries} tries at reviews-v2; {status}"))
}

async fn mirror<G: Ground>(tour: &Tour<G>) -> anyhow::Result<String> {
    let status = tour
        .apply(&[(REVIEWS_FILE, Some("60-mirror.yaml"))])
        .await?;
    // What the step before has made fail works again.
    tour.traffic.switch(EVERYTHING).await;
    let before = tour.received("reviews-v3").await?;
    let by = tour.reviewers(None, 20).await?;
    ensure!(by.get("reviews-v1") == Some(&20), "{}", told(&by));
    let copies = tour.receives("reviews-v3", before + 20).await? - before;
    Ok(format!(
        "{}, and {copies} copies at reviews-v3, with those of the traffic; {}",
        told(&by),
        status
    ))
}
