//! Steps about where requests go.

use anyhow::ensure;

use super::{Ground, REVIEWS_FILE, Tour, told};

/// Requests of the 50/50 step, and how far from the half each side may be: five standard
/// deviations of the binomial distribution (sqrt(200)/2 is 7.1), missed once in two million.
const SPLIT: usize = 200;
const TOLERANCE: usize = 35;

pub(super) async fn steps<G: Ground>(tour: &mut Tour<G>) {
    tour.step(
        "all reviews go to v1",
        "50 requests for reviews through the gateway",
        all_v1,
    )
    .await;
    tour.step(
        "half of the reviews go to v1, half to v3",
        "200 requests for reviews through the gateway",
        split,
    )
    .await;
    tour.step(
        "reviews for the user jason go to v2",
        "30 requests as jason, 30 as nobody",
        jason,
    )
    .await;
}

async fn all_v1<G: Ground>(tour: &Tour<G>) -> anyhow::Result<String> {
    let status = tour
        .apply(&[(REVIEWS_FILE, Some("10-reviews-all-v1.yaml"))])
        .await?;
    let by = tour.reviewers(None, 50).await?;
    ensure!(by.get("reviews-v1") == Some(&50), "{}", told(&by));
    Ok(format!("{}; {}", told(&by), status))
}

async fn split<G: Ground>(tour: &Tour<G>) -> anyhow::Result<String> {
    let status = tour
        .apply(&[(REVIEWS_FILE, Some("20-reviews-50-50-v1-v3.yaml"))])
        .await?;
    let by = tour.reviewers(None, SPLIT).await?;
    let (v1, v3) = (
        by.get("reviews-v1").copied().unwrap_or(0),
        by.get("reviews-v3").copied().unwrap_or(0),
    );
    ensure!(v1 + v3 == SPLIT, "{}", told(&by));
    ensure!(
        v1.abs_diff(SPLIT / 2) <= TOLERANCE,
        "{}, more than {TOLERANCE} from the half",
        told(&by)
    );
    Ok(format!("{}; {}", told(&by), status))
}

async fn jason<G: Ground>(tour: &Tour<G>) -> anyhow::Result<String> {
    let status = tour
        .apply(&[(REVIEWS_FILE, Some("30-reviews-jason-v2.yaml"))])
        .await?;
    let jason = tour.reviewers(Some("jason"), 30).await?;
    let nobody = tour.reviewers(None, 30).await?;
    ensure!(
        jason.get("reviews-v2") == Some(&30),
        "jason: {}",
        told(&jason)
    );
    ensure!(
        nobody.get("reviews-v1") == Some(&30),
        "nobody: {}",
        told(&nobody)
    );
    Ok(format!(
        "jason: {}, nobody: {}; {}",
        told(&jason),
        told(&nobody),
        status
    ))
}
