//! What the four services share: dispatch, request bodies, the access log.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, request::Parts};
use hyper::body::Incoming;
use tokio::time::Instant;
use tracing::info;

use crate::{
    body::{self, BodyError},
    client::Client,
    details,
    forward::END_USER,
    productpage, ratings,
    reply::{self, Reply},
    reviews,
    settings::{Service, Settings},
};

/// Response headers that say which workload answered.
pub(crate) const POD_HEADER: &str = "x-bookinfo-pod";
pub(crate) const VERSION_HEADER: &str = "x-bookinfo-version";

/// How long a client may take to send a request's body.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(crate) struct App {
    pub(crate) settings: Settings,
    pub(crate) client: Client,
    pub(crate) ratings: ratings::Store,
}

/// What a handler needs of a request besides its body.
pub(crate) struct Head {
    /// `GET` for a `HEAD` too: hyper leaves the body out.
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
}

// === impl App ===

impl App {
    pub(crate) fn new(settings: Settings) -> Self {
        let client = Client::new(settings.proxy.clone());
        Self {
            settings,
            client,
            ratings: ratings::Store::default(),
        }
    }

    /// Answers a request, and writes its line of the access log.
    pub(crate) async fn handle(&self, request: Request<Incoming>) -> Reply {
        let start = Instant::now();
        let (
            Parts {
                method,
                uri,
                headers,
                ..
            },
            body,
        ) = request.into_parts();
        let head = Head {
            method: if method == Method::HEAD {
                Method::GET
            } else {
                method.clone()
            },
            path: uri.path().to_owned(),
            headers,
        };
        let mut reply = match self.settings.service {
            Service::Productpage => productpage::handle(self, &head, body).await,
            Service::Details => details::handle(&head),
            Service::Reviews => reviews::handle(self, &head).await,
            Service::Ratings => ratings::handle(self, &head, body).await,
        };
        let Settings {
            pod_name, version, ..
        } = &self.settings;
        for (name, value) in [(POD_HEADER, pod_name), (VERSION_HEADER, version)] {
            if let Ok(value) = HeaderValue::from_str(value) {
                reply.headers_mut().insert(name, value);
            }
        }
        info!(
            user = head.header(END_USER),
            request_id = head.header("x-request-id"),
            "{method} {path} {status} {ms:.1}ms",
            path = head.path,
            status = reply.status().as_u16(),
            ms = start.elapsed().as_secs_f64() * 1000.0,
        );
        reply
    }
}

// === impl Head ===

impl Head {
    /// The path's segments, without empty ones.
    pub(crate) fn segments(&self) -> Vec<&str> {
        self.path
            .split('/')
            .filter(|segment| !segment.is_empty())
            .collect()
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// Reads a request's body, or says what to answer instead.
pub(crate) async fn read_body(body: Incoming) -> Result<Bytes, Reply> {
    match tokio::time::timeout(BODY_TIMEOUT, body::collect(body)).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(BodyError::TooLarge)) => Err(reply::error(
            StatusCode::PAYLOAD_TOO_LARGE,
            "the body is too large",
        )),
        Ok(Err(BodyError::Broken(_))) => Err(reply::error(
            StatusCode::BAD_REQUEST,
            "the body is not complete",
        )),
        Err(_) => Err(reply::error(
            StatusCode::REQUEST_TIMEOUT,
            "the body did not arrive",
        )),
    }
}
