//! One health check of one endpoint, on a connection of its own: whether new ones can be made is
//! part of the question.

use std::pin::pin;
use std::rc::Rc;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, TE, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::TokioIo;
use mesh_proxy_core::ir::{Cluster, HealthCheck, Probe, Protocol};

use super::{Member, Secure};
use crate::http::headers::X_MESH_PEER;
use crate::net::Stream;
use crate::pod_status::{health_answer, health_question};
use crate::tls::Alpn;
use crate::worker::Worker;

/// How health checks call themselves.
pub const HEALTH_CHECKER: &str = "mesh-health-check/1";

// Nobody needs more of an answer.
const LONGEST: usize = 64 * 1024;

#[derive(Clone, Copy)]
struct Local;

impl<F> hyper::rt::Executor<F> for Local
where
    F: Future + 'static,
    F::Output: 'static,
{
    fn execute(&self, task: F) {
        tokio::task::spawn_local(task);
    }
}

/// Makes a check. An error says in words why the endpoint is not well.
pub(super) async fn make(
    worker: &Rc<Worker>,
    cluster: &Cluster,
    member: &Member,
    check: &HealthCheck,
) -> Result<(), String> {
    let all = async {
        let http2 = matches!(cluster.protocol, Protocol::Http2 | Protocol::Grpc)
            || matches!(check.probe, Probe::Grpc { .. });
        let alpn = match check.probe {
            Probe::Tcp => Alpn::Tcp,
            _ if http2 => Alpn::Http2,
            _ => Alpn::Http1,
        };
        let connector = worker.upstreams.connector();
        let stream = connector.to_member(member, alpn, check.timeout).await;
        let stream = stream.map_err(|error| error.to_string())?;
        let host = cluster.id.host.as_str();
        let mut request = match &check.probe {
            Probe::Tcp => return Ok(()),
            Probe::Http {
                method,
                path,
                host: own,
                ..
            } => {
                let host = own
                    .as_ref()
                    .and_then(|own| own.to_str().ok())
                    .unwrap_or(host);
                request(method, host, path.as_str(), Bytes::new())?
            }
            Probe::Grpc { service } => {
                let path = "/grpc.health.v1.Health/Check";
                let mut asks = request(&Method::POST, host, path, health_question(service))?;
                let headers = asks.headers_mut();
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
                headers.insert(TE, HeaderValue::from_static("trailers"));
                asks
            }
        };
        if let Some(own) = worker.own_header.as_ref()
            && matches!(member.secure, Secure::Mesh { .. })
        {
            request.headers_mut().insert(X_MESH_PEER, own.clone());
        }
        let (response, trailers) = exchange(stream, request, http2).await?;
        judge(check, &response, trailers.as_ref())
    };
    match tokio::time::timeout(check.timeout, all).await {
        Ok(result) => result,
        Err(_) => Err(format!("no answer within {:?}", check.timeout)),
    }
}

fn request(
    method: &Method,
    host: &str,
    path: &str,
    body: Bytes,
) -> Result<Request<Full<Bytes>>, String> {
    let uri: Uri = format!("http://{host}{path}")
        .parse()
        .map_err(|error: http::uri::InvalidUri| error.to_string())?;
    Request::builder()
        .method(method)
        .uri(uri)
        .header(HOST, host)
        .header(USER_AGENT, HEALTH_CHECKER)
        .body(Full::new(body))
        .map_err(|error| error.to_string())
}

type Whole = (Response<Bytes>, Option<HeaderMap>);

async fn exchange(
    stream: Stream,
    mut request: Request<Full<Bytes>>,
    over_http2: bool,
) -> Result<Whole, String> {
    let words = |error: hyper::Error| error.to_string();
    let io = TokioIo::new(stream);
    if over_http2 {
        // HTTP/2 has the host in its own field.
        request.headers_mut().remove(HOST);
        let (mut sender, connection) = http2::handshake(Local, io).await.map_err(words)?;
        let answer = async { whole(sender.send_request(request).await.map_err(words)?).await };
        return alongside(answer, connection).await;
    }
    let path = request.uri().path_and_query().map(ToString::to_string);
    *request.uri_mut() = path
        .unwrap_or_default()
        .parse()
        .map_err(|error: http::uri::InvalidUri| error.to_string())?;
    let (mut sender, connection) = http1::handshake(io).await.map_err(words)?;
    let answer = async { whole(sender.send_request(request).await.map_err(words)?).await };
    alongside(answer, connection).await
}

// A connection moves only while somebody looks at it.
async fn alongside<T>(
    answer: impl Future<Output = Result<T, String>>,
    connection: impl Future,
) -> Result<T, String> {
    let mut answer = pin!(answer);
    tokio::select! {
        biased;
        answer = &mut answer => answer,
        _ = connection => answer.await,
    }
}

async fn whole(response: Response<Incoming>) -> Result<Whole, String> {
    let (parts, body) = response.into_parts();
    let body = Limited::new(body, LONGEST).collect().await;
    let body = body.map_err(|error| error.to_string())?;
    let trailers = body.trailers().cloned();
    Ok((Response::from_parts(parts, body.to_bytes()), trailers))
}

fn judge(
    check: &HealthCheck,
    response: &Response<Bytes>,
    trailers: Option<&HeaderMap>,
) -> Result<(), String> {
    match &check.probe {
        Probe::Http { expected, .. } => {
            let status = response.status();
            let good = expected
                .iter()
                .any(|range| range.contains(&status.as_u16()));
            good.then_some(())
                .ok_or_else(|| format!("it answered {status}"))
        }
        Probe::Grpc { .. } if response.status() == StatusCode::OK => {
            health_answer(response.headers(), trailers, response.body())
        }
        Probe::Grpc { .. } => Err(format!("it answered {}", response.status())),
        Probe::Tcp => Ok(()),
    }
}
