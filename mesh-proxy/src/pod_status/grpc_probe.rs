//! gRPC's health check (grpc.health.v1, Kubernetes: pkg/probe/grpc).

use std::pin::pin;

use axum::http::{HeaderMap, StatusCode};
use bytes::{BufMut, Bytes, BytesMut};
use http::header::{CONTENT_TYPE, TE, USER_AGENT};
use http::{HeaderValue, Request};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;

use super::call::{CallError, application};
use super::probe::Outcome;
use crate::net;
use crate::settings::Settings;

#[derive(Clone, PartialEq, prost::Message)]
struct HealthCheckRequest {
    #[prost(string, tag = "1")]
    service: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct HealthCheckResponse {
    #[prost(int32, tag = "1")]
    status: i32,
}

const SERVING: i32 = 1;
const LONGEST: usize = 64 * 1024;

/// Asks for the health of a service.
pub(super) async fn make(
    settings: &Settings,
    port: u16,
    service: &str,
    asked: &HeaderMap,
) -> Result<Outcome, CallError> {
    let (ip, dialer) = application(settings);
    let to = (ip, port).into();
    let stream = net::connect(to, std::time::Duration::MAX, dialer).await?;
    let mut request = Request::post(format!("http://{to}/grpc.health.v1.Health/Check"))
        .body(Full::new(frame(service)))
        .map_err(|_| CallError::Request(to.to_string()))?;
    let headers = request.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(TE, HeaderValue::from_static("trailers"));
    if let Some(agent) = asked.get(USER_AGENT) {
        headers.insert(USER_AGENT, agent.clone());
    }
    let (mut sender, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
    let mut answer = pin!(async {
        let (parts, body) = sender.send_request(request).await?.into_parts();
        let body = Limited::new(body, LONGEST)
            .collect()
            .await
            .map_err(|error| CallError::Handshake(std::io::Error::other(error)))?;
        let trailers = body.trailers().cloned();
        Ok::<_, CallError>(verdict(&parts.headers, trailers.as_ref(), &body.to_bytes()))
    });
    let result = tokio::select! {
        biased;
        answer = &mut answer => answer,
        _ = connection => answer.await,
    };
    let (status, text) = match result? {
        Ok(()) => (StatusCode::OK, String::new()),
        Err(why) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{why}\n")),
    };
    Ok(Outcome {
        status,
        body: text.into(),
    })
}

/// The question for the health of a service, as gRPC frames it.
pub(crate) fn frame(service: &str) -> Bytes {
    let message = HealthCheckRequest {
        service: service.to_owned(),
    };
    let body = message.encode_to_vec();
    let mut frame = BytesMut::with_capacity(5 + body.len());
    frame.put_u8(0);
    frame.put_u32(u32::try_from(body.len()).unwrap_or(u32::MAX));
    frame.extend_from_slice(&body);
    frame.freeze()
}

/// What an answer says; an error says in words why it is not well.
pub(crate) fn verdict(
    headers: &HeaderMap,
    trailers: Option<&HeaderMap>,
    body: &[u8],
) -> Result<(), String> {
    let field = |name| {
        trailers
            .and_then(|trailers| trailers.get(name))
            .or_else(|| headers.get(name))
            .and_then(|value| value.to_str().ok())
    };
    match field("grpc-status") {
        Some("0") => {}
        Some(code) => {
            let message = field("grpc-message").unwrap_or_default();
            return Err(format!("gRPC status {code} {message}"));
        }
        None => return Err("no gRPC status in the answer".to_owned()),
    }
    let message = body.get(5..).unwrap_or_default();
    match HealthCheckResponse::decode(message) {
        Ok(response) if response.status == SERVING => Ok(()),
        Ok(response) => Err(format!("health status {}, not serving", response.status)),
        Err(error) => Err(format!("no health status in the answer: {error}")),
    }
}
