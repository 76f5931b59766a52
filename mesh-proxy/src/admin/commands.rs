//! What changes something.

use axum::extract::{Query, State};
use axum::http::StatusCode;
use serde::Deserialize;

use super::Admin;

#[derive(Deserialize)]
pub(super) struct Level {
    level: String,
}

pub(super) async fn rotate(State(admin): State<Admin>) -> (StatusCode, String) {
    match admin.rotate.rotate().await {
        Ok(()) => {
            let serial = admin
                .identity
                .current()
                .map(|identity| identity.serial().to_owned());
            (
                StatusCode::OK,
                format!("renewed, serial {}\n", serial.unwrap_or_default()),
            )
        }
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")),
    }
}

pub(super) async fn logging(
    State(admin): State<Admin>,
    Query(query): Query<Level>,
) -> (StatusCode, String) {
    let Some(level) = &admin.log_level else {
        return (
            StatusCode::NOT_IMPLEMENTED,
            "the log belongs to the program that embeds the proxy\n".to_owned(),
        );
    };
    match level.set(&query.level) {
        Ok(()) => (StatusCode::OK, format!("log level is {}\n", query.level)),
        Err(error) => (StatusCode::BAD_REQUEST, format!("{error}\n")),
    }
}

pub(super) async fn drain(State(admin): State<Admin>) -> String {
    admin.drain.start();
    format!("draining, {}\n", admin.drain.running())
}

pub(super) async fn quit(State(admin): State<Admin>) -> &'static str {
    admin.quit.cancel();
    "ending\n"
}
