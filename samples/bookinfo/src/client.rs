//! Calls to the other services: HTTP/1.1 over reused connections, straight or through the
//! environment's HTTP proxy.

mod connection;
mod pool;
pub(crate) mod proxy;

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, StatusCode, Uri, Version, header};
use http_body_util::Empty;
use tracing::debug;

use self::{connection::Connection, pool::Pool, proxy::ProxySettings};
use crate::settings::Target;

/// What a service answered, its body read to the end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// Why a call has no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    #[error("cannot connect: {0}")]
    Connect(std::io::Error),
    #[error("cannot connect to the proxy {proxy}: {source}")]
    Proxy {
        proxy: Target,
        source: std::io::Error,
    },
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    #[error("the connection failed: {0}")]
    Connection(#[from] hyper::Error),
    #[error("the answer is larger than {} bytes", crate::MAX_BODY)]
    TooLarge,
    #[error("the request cannot be written: {0}")]
    Request(#[from] http::Error),
}

#[derive(Debug)]
pub(crate) struct Client {
    proxy: ProxySettings,
    pool: Pool,
}

// === impl Answer ===

impl Answer {
    /// A response header, when it is there and is text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

// === impl Client ===

impl Client {
    pub(crate) fn new(proxy: ProxySettings) -> Self {
        Self {
            proxy,
            pool: Pool::default(),
        }
    }

    /// GETs `path` from `target`; `limit` covers everything from connecting to the last byte.
    pub(crate) async fn get(
        &self,
        target: &Target,
        path: &str,
        headers: HeaderMap,
        limit: Duration,
    ) -> Result<Answer, CallError> {
        match tokio::time::timeout(limit, self.exchange(target, path, headers)).await {
            Ok(result) => result,
            Err(_) => Err(CallError::Timeout(limit)),
        }
    }

    async fn exchange(
        &self,
        target: &Target,
        path: &str,
        headers: HeaderMap,
    ) -> Result<Answer, CallError> {
        let proxy = self.proxy.proxy_for(target.host());
        let mut request = request(target, path, headers, proxy.is_some())?;
        if let Some(authorization) = proxy.and_then(|proxy| proxy.authorization.as_ref()) {
            request
                .headers_mut()
                .insert(header::PROXY_AUTHORIZATION, authorization.clone());
        }
        let dial = proxy.map_or(target, |proxy| &proxy.target);
        let key = pool::Key {
            dial: dial.clone(),
            target: target.clone(),
        };

        if let Some(mut connection) = self.pool.take(&key) {
            let before = connection.bytes_received();
            match connection.send(request.clone()).await {
                Ok(answer) => {
                    self.pool.put(key, connection);
                    return Ok(answer);
                }
                // The peer may close an idle connection just as it is used again. A GET that
                // got no byte of an answer may be sent anew (RFC 9110, section 9.2.2).
                Err(error) if connection.bytes_received() == before => {
                    debug!(%target, %error, "a reused connection was closed; trying a new one");
                }
                Err(error) => return Err(error),
            }
        }
        let mut connection = Connection::open(dial).await.map_err(|error| match error {
            CallError::Connect(source) if proxy.is_some() => {
                let proxy = dial.clone();
                CallError::Proxy { proxy, source }
            }
            error => error,
        })?;
        let answer = connection.send(request).await?;
        self.pool.put(key, connection);
        Ok(answer)
    }
}

/// The request line is in absolute form for a proxy and in origin form for the service
/// itself (RFC 9112, section 3.2); `Host` is the service's in both.
fn request(
    target: &Target,
    path: &str,
    headers: HeaderMap,
    absolute: bool,
) -> Result<Request<Empty<Bytes>>, http::Error> {
    let authority = target.to_string();
    let mut uri = Uri::builder().path_and_query(path);
    if absolute {
        uri = uri.scheme("http").authority(authority.as_str());
    }
    let mut request = Request::get(uri.build()?)
        .version(Version::HTTP_11)
        .header(header::HOST, &authority)
        .header(header::ACCEPT, HeaderValue::from_static("application/json"))
        .body(Empty::new())?;
    request.headers_mut().extend(headers);
    Ok(request)
}
