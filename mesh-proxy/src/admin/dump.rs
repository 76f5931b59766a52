//! What only shows something.

use std::time::Duration;

use axum::Json;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mesh_api::v1;
use mesh_proxy_core::explain::{
    ExplainReport, ExplainRequest, explain_gateway, explain_inbound, explain_outbound,
};
use serde::{Deserialize, Serialize};

use super::Admin;
use crate::clock;
use crate::settings::ProxyKind;
use crate::shared::client_info;
use crate::telemetry::Edge;
use crate::tls::Leaf;

#[derive(Serialize)]
pub(super) struct Dump {
    revision: u64,
    digest: String,
    resources: Vec<v1::Resource>,
}

#[derive(Serialize)]
pub(super) struct Certificates {
    identity: String,
    chain: Vec<Certificate>,
    roots: Vec<Certificate>,
}

#[derive(Serialize)]
struct Certificate {
    uris: Vec<String>,
    serial: String,
    // Seconds since the Unix epoch.
    not_before: i64,
    not_after: i64,
    pem: String,
}

#[derive(Deserialize)]
pub(super) struct Direction {
    #[serde(default)]
    direction: Side,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Side {
    #[default]
    Outbound,
    Inbound,
}

const EXPLAIN_WAIT: Duration = Duration::from_secs(2);
const MOST_REJECTIONS: usize = 8;

pub(super) async fn status(State(admin): State<Admin>) -> Json<v1::ProxySelf> {
    let settings = &admin.settings;
    let snapshot = admin.store.load();
    let identity = admin.identity.current();
    let control = admin.control.get();
    let mut rejected = control.rejected;
    rejected.truncate(MOST_REJECTIONS);
    Json(v1::ProxySelf {
        workload: settings.workload.to_string(),
        kind: settings.kind.wire().into(),
        identity: identity
            .as_ref()
            .map(|identity| identity.id().to_string())
            .unwrap_or_default(),
        revision: snapshot.revision(),
        digest: snapshot.digest().to_owned(),
        connected: control.connected,
        ready: admin.readiness.is_ready(),
        draining: admin.drain.is_draining(),
        certificate_not_after: identity
            .as_ref()
            .map_or(0, |identity| clock::unix_seconds(identity.not_after())),
        certificate_serial: identity
            .as_ref()
            .map(|identity| identity.serial().to_owned())
            .unwrap_or_default(),
        rejected,
        build_version: env!("CARGO_PKG_VERSION").to_owned(),
        troubles: admin.telemetry.troubles.list(),
    })
}

pub(super) async fn configuration(State(admin): State<Admin>) -> Json<Dump> {
    let snapshot = admin.store.load();
    Json(Dump {
        revision: snapshot.revision(),
        digest: snapshot.digest().to_owned(),
        resources: snapshot.resources().collect(),
    })
}

pub(super) async fn certificates(State(admin): State<Admin>) -> Response {
    let Some(identity) = admin.identity.current() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "no certificate yet\n").into_response();
    };
    Json(Certificates {
        identity: identity.id().to_string(),
        chain: identity
            .chain()
            .iter()
            .map(|der| certificate(der))
            .collect(),
        roots: identity
            .roots_der()
            .iter()
            .map(|der| certificate(der))
            .collect(),
    })
    .into_response()
}

fn certificate(der: &[u8]) -> Certificate {
    let leaf = Leaf::parse(der).ok();
    let time = |pick: fn(&Leaf) -> std::time::SystemTime| {
        leaf.as_ref()
            .map_or(0, |leaf| clock::unix_seconds(pick(leaf)))
    };
    let mut pem = "-----BEGIN CERTIFICATE-----\n".to_owned();
    let text = STANDARD.encode(der);
    for (index, character) in text.chars().enumerate() {
        if index > 0 && index % 64 == 0 {
            pem.push('\n');
        }
        pem.push(character);
    }
    pem.push_str("\n-----END CERTIFICATE-----\n");
    Certificate {
        not_before: time(|leaf| leaf.not_before),
        not_after: time(|leaf| leaf.not_after),
        uris: leaf
            .as_ref()
            .map(|leaf| leaf.uris.clone())
            .unwrap_or_default(),
        serial: leaf.map(|leaf| leaf.serial).unwrap_or_default(),
        pem,
    }
}

pub(super) async fn edges(State(admin): State<Admin>) -> Json<Vec<Edge>> {
    Json(admin.telemetry.edges())
}

pub(super) async fn explain(
    State(admin): State<Admin>,
    Query(query): Query<Direction>,
    Json(request): Json<ExplainRequest>,
) -> Response {
    let decide = || {
        let snapshot = admin.store.load();
        let client = client_info(
            &admin.settings,
            admin.identity.current().as_deref(),
            &snapshot,
        );
        match (query.direction, admin.settings.kind) {
            (Side::Inbound, _) => explain_inbound(&snapshot, &client, &request),
            (Side::Outbound, ProxyKind::Gateway) => explain_gateway(&snapshot, &client, &request),
            (Side::Outbound, ProxyKind::Sidecar) => explain_outbound(&snapshot, &client, &request),
        }
    };
    let mut report = decide();
    if let Ok(ExplainReport {
        missing: Some(name),
        ..
    }) = &report
        && let Ok(name) = name.parse()
        && admin
            .store
            .need(&name, clock::monotonic() + EXPLAIN_WAIT)
            .await
            .is_ok()
    {
        // As a request would have it.
        report = decide();
    }
    match report {
        Ok(report) => Json(report).into_response(),
        Err(error) => (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response(),
    }
}
