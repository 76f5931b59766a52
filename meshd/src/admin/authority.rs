//! The operator's commands to the authority: how it stands, and the rotation of its root.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use mesh_ca::rotation::{RotateError, RotationStatus, Rotator};
use serde::Deserialize;

use super::{Admin, Shared};
use crate::clock;
use crate::identity::Desk;

#[derive(Debug, Deserialize)]
struct Named {
    name: String,
}

#[derive(Debug, Deserialize)]
struct Certificate {
    serial: String,
}

pub(super) fn routes() -> Router<Arc<Admin>> {
    Router::new()
        .route("/v1/ca", get(status))
        .route("/v1/ca/rotate", post(rotate))
        .route("/v1/ca/abort", post(abort))
        .route("/v1/ca/forget", post(forget))
        .route("/v1/ca/revoke", post(revoke))
}

async fn status(State(admin): Shared) -> Response {
    match rotator(&admin) {
        Ok((_, rotator)) => Json(rotator.status().await).into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

async fn rotate(State(admin): Shared, headers: HeaderMap) -> Response {
    match command(&admin, &headers) {
        Ok((_, rotator)) => answer(rotator.begin().await),
        Err(refusal) => refusal.into_response(),
    }
}

async fn abort(State(admin): Shared, headers: HeaderMap) -> Response {
    match command(&admin, &headers) {
        Ok((_, rotator)) => answer(rotator.abort().await),
        Err(refusal) => refusal.into_response(),
    }
}

async fn forget(
    State(admin): Shared,
    headers: HeaderMap,
    Query(Named { name }): Query<Named>,
) -> Response {
    match command(&admin, &headers) {
        Ok((_, rotator)) => answer(rotator.forget(&name).await),
        Err(refusal) => refusal.into_response(),
    }
}

async fn revoke(
    State(admin): Shared,
    headers: HeaderMap,
    Query(Certificate { serial }): Query<Certificate>,
) -> Response {
    let (desk, rotator) = match command(&admin, &headers) {
        Ok(found) => found,
        Err(refusal) => return refusal.into_response(),
    };
    match desk.authority.revoke(&serial, clock::now()) {
        Ok(()) => Json(rotator.status().await).into_response(),
        Err(error) => (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response(),
    }
}

fn answer(result: Result<RotationStatus, RotateError>) -> Response {
    match result {
        Ok(status) => Json(status).into_response(),
        Err(error) => {
            let code = match error {
                RotateError::Refused(_) => StatusCode::CONFLICT,
                RotateError::Unknown(_) => StatusCode::NOT_FOUND,
                RotateError::Store(_) | RotateError::Authority(_) | RotateError::Ledger(_) => {
                    StatusCode::INTERNAL_SERVER_ERROR
                }
            };
            (code, format!("{error}\n")).into_response()
        }
    }
}

type Found<'a> = (&'a Desk, &'a Arc<Rotator>);

/// Why there is nobody to carry a command out.
type Refusal = (StatusCode, &'static str);

fn rotator(admin: &Admin) -> Result<Found<'_>, Refusal> {
    let refuse = |why| Err((StatusCode::NOT_IMPLEMENTED, why));
    let Some(desk) = &admin.authority else {
        return refuse("the authority is another server: ask that one\n");
    };
    match &desk.rotator {
        Some(rotator) => Ok((desk, rotator)),
        None => refuse(
            "the authority's keys are in a directory that replicas of the cluster share: its root is replaced there\n",
        ),
    }
}

fn command<'a>(admin: &'a Admin, headers: &HeaderMap) -> Result<Found<'a>, Refusal> {
    // A page in the operator's browser must not give orders to what listens on localhost.
    if headers.contains_key(header::ORIGIN) {
        return Err((StatusCode::FORBIDDEN, "not from a web page\n"));
    }
    rotator(admin)
}
