//! Steps about who may call.

use std::time::Duration;

use anyhow::ensure;
use http::Request;
use http_body_util::Full;
use hyper::body::Bytes;

use super::{AUTHZ_FILE, MTLS_FILE, Tour, in_force, told};
use crate::call::{Answer, CallError, Via, call};

const PATIENCE: Duration = Duration::from_secs(10);
const REVIEWS_URL: &str = "http://reviews:9080/reviews/0";

pub(super) async fn steps(tour: &mut Tour) {
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

async fn strict(tour: &Tour) -> anyhow::Result<String> {
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
        in_force(&status)
    ))
}

/// A request as a process outside of the mesh sends it: straight to the workload.
async fn plain(tour: &Tour) -> Result<Answer, PlainError> {
    let reviews = tour.workload("reviews-v1").map_err(PlainError::Record)?;
    let address = std::net::SocketAddr::new(reviews.address, 9080);
    let request = Request::get(REVIEWS_URL)
        .body(Full::<Bytes>::default())
        .map_err(CallError::from)?;
    Ok(call(&Via::Address(address), request, PATIENCE).await?)
}

#[derive(Debug, thiserror::Error)]
enum PlainError {
    #[error(transparent)]
    Record(anyhow::Error),
    #[error(transparent)]
    Call(#[from] CallError),
}

async fn authorization(tour: &Tour) -> anyhow::Result<String> {
    let status = tour.apply(&[(AUTHZ_FILE, Some("80-authz.yaml"))]).await?;
    let allowed = tour
        .caller("productpage-v1")?
        .get(REVIEWS_URL, &[], PATIENCE)
        .await?;
    let denied = tour
        .caller("details-v1")?
        .get(REVIEWS_URL, &[], PATIENCE)
        .await?;
    let reason = denied.header("x-mesh-reason").to_owned();
    let seen = format!(
        "productpage: {}, details: {} ({reason})",
        allowed.status.as_u16(),
        denied.status.as_u16()
    );
    ensure!(allowed.status == 200 && denied.status == 403, "{seen}");
    ensure!(!reason.is_empty(), "{seen}: the refusal names no reason");
    Ok(format!("{seen}; {}", in_force(&status)))
}
