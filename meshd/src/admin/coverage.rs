//! Which policy decides about whom.

use axum::Json;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use meshd_core::CoverageFilter;

use super::Shared;

/// Answers with the rows that the query asks for. A large mesh takes a while to look at, which
/// must not keep other questions waiting.
pub(super) async fn coverage(
    State(admin): Shared,
    Query(filter): Query<CoverageFilter>,
) -> Response {
    let world = admin.published.borrow().world.clone();
    let looked = tokio::task::spawn_blocking(move || world.coverage(&filter)).await;
    match looked {
        Ok(coverage) => Json(coverage).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}
