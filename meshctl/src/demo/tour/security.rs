//! Steps about who may call.

use anyhow::ensure;

use super::{AUTHZ_FILE, Ground, MTLS_FILE, Tour, told};
use crate::call::Answer;

const REVIEWS_URL: &str = "http://reviews:9080/reviews/0";
/// The same, of a workload's own port.
const REVIEWS_PORT: u16 = 9080;
const REVIEWS_PATH: &str = "/reviews/0";

pub(super) async fn steps<G: Ground>(tour: &mut Tour<G>) {
    tour.step(
        "reviews accept mutual TLS only",
        "reviews-v1 in plain text from outside of the mesh, before and after; then 20 requests through the gateway",
        strict,
    )
    .await;
    tour.step(
        "reviews answer productpage and refuse details",
        "reviews as productpage and as details",
        authorization,
    )
    .await;
}

async fn strict<G: Ground>(tour: &Tour<G>) -> anyhow::Result<String> {
    let before = plain(tour).await?;
    ensure!(before.status == 200, "before: {}", before.status);
    let status = tour
        .apply(&[(MTLS_FILE, Some("70-mtls-strict.yaml"))])
        .await?;
    let refused = match plain(tour).await {
        Ok(answer) => anyhow::bail!("plain text is still answered with {}", answer.status),
        Err(error) => error,
    };
    let by = tour.reviewers(None, 20).await?;
    Ok(format!(
        "200 before, after it: {refused}; through the mesh {}; {}",
        told(&by),
        status
    ))
}

/// A request as a process outside of the mesh sends it: straight to the workload.
async fn plain<G: Ground>(tour: &Tour<G>) -> anyhow::Result<Answer> {
    tour.ground
        .get_outside("reviews-v1", REVIEWS_PORT, REVIEWS_PATH)
        .await
}

async fn authorization<G: Ground>(tour: &Tour<G>) -> anyhow::Result<String> {
    let status = tour.apply(&[(AUTHZ_FILE, Some("80-authz.yaml"))]).await?;
    let allowed = tour.get_as("productpage-v1", REVIEWS_URL, &[]).await?;
    let denied = tour.get_as("details-v1", REVIEWS_URL, &[]).await?;
    let reason = denied.header("x-mesh-reason").to_owned();
    let seen = format!(
        "productpage: {}, details: {} ({reason})",
        allowed.status.as_u16(),
        denied.status.as_u16()
    );
    ensure!(allowed.status == 200 && denied.status == 403, "{seen}");
    ensure!(!reason.is_empty(), "{seen}: the refusal names no reason");
    Ok(format!("{seen}; {status}"))
}
