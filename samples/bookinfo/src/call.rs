//! `bookinfo call`: sends requests as the workload would, for containers that have no curl.

use std::{collections::BTreeMap, io::Write as _, time::Duration};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, header,
    uri::{PathAndQuery, Scheme},
};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{net::TcpStream, time::Instant};
use tokio_util::task::AbortOnDropHandle;

use crate::{
    client::proxy::{InvalidProxy, ProxySettings},
    settings::{InvalidTarget, Target},
};

/// The largest answer that is read, in bytes.
const MAX_ANSWER: usize = 4 * 1024 * 1024;

/// Send a request and print the answer as a line of JSON.
///
/// The line has `status`, `headers` (names in lower case), `body` and `ms`, or `error` when there
/// is no answer; then the exit code is 1. Through the HTTP proxy that the environment names, if
/// it names one.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Examples:\n  \
    bookinfo call http://reviews:9080/reviews/0\n  \
    bookinfo call -X POST -H 'end-user: jason' -d '{}' http://ratings:9080/ratings/0\n  \
    bookinfo call --count 100 --interval 50 http://reviews:9080/health")]
pub struct Call {
    /// The method.
    #[arg(short = 'X', long, default_value = "GET")]
    pub method: Method,

    /// A header; may be repeated.
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = parse_header)]
    pub headers: Vec<(HeaderName, HeaderValue)>,

    /// The body.
    #[arg(short, long, value_name = "TEXT")]
    pub data: Option<String>,

    /// How long an answer may take, in milliseconds.
    #[arg(long, default_value_t = 15_000, value_name = "MS")]
    pub timeout: u64,

    /// How often, one after the other, each on a connection of its own.
    #[arg(short = 'n', long, default_value_t = 1, value_name = "N")]
    pub count: u64,

    /// How long to wait between two requests, in milliseconds.
    #[arg(long, default_value_t = 0, value_name = "MS")]
    pub interval: u64,

    /// Where to: an http:// URL.
    pub url: Uri,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum CallFailure {
    /// The URL is not one that can be called.
    #[error("{0} is no http:// URL with a host")]
    Url(Uri),
    /// Its host cannot be.
    #[error(transparent)]
    Host(#[from] InvalidTarget),
    /// The proxy in the environment.
    #[error(transparent)]
    Proxy(#[from] InvalidProxy),
    /// Nobody is there.
    #[error("cannot connect to {to}: {source}")]
    Connect {
        /// To whom.
        to: Target,
        /// Why.
        source: std::io::Error,
    },
    /// The connection broke, or the other side speaks no HTTP.
    #[error("the connection failed: {0}")]
    Connection(#[from] hyper::Error),
    /// The body of the answer.
    #[error("the answer is not complete: {0}")]
    Body(String),
    /// It took too long.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// The request cannot be written.
    #[error("the request cannot be written: {0}")]
    Request(#[from] http::Error),
}

// === impl Call ===

impl Call {
    /// Sends the requests and prints a line for each. False if one had no answer.
    ///
    /// # Errors
    /// If the URL or the environment cannot be used, or standard output is closed.
    pub async fn run(self) -> anyhow::Result<bool> {
        let env: BTreeMap<String, String> = std::env::vars_os()
            .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let proxy = ProxySettings::from_env(&env)?;
        let target = self.target()?;
        let mut answered = true;
        for number in 0..self.count {
            if number > 0 && self.interval > 0 {
                tokio::time::sleep(Duration::from_millis(self.interval)).await;
            }
            let line = match self.send(&target, &proxy).await {
                Ok(answer) => answer,
                Err(error) => {
                    answered = false;
                    json!({ "error": error.to_string() })
                }
            };
            writeln!(std::io::stdout().lock(), "{line}")?;
        }
        Ok(answered)
    }

    /// The host and port of the URL.
    ///
    /// # Errors
    /// If it has none.
    pub(crate) fn target(&self) -> Result<Target, CallFailure> {
        let invalid = || CallFailure::Url(self.url.clone());
        if self
            .url
            .scheme()
            .is_some_and(|scheme| *scheme != Scheme::HTTP)
        {
            return Err(invalid());
        }
        let host = self.url.host().ok_or_else(invalid)?;
        Ok(Target::new(host, self.url.port_u16().unwrap_or(80))?)
    }

    /// One request. The answer as the line that is printed.
    pub(crate) async fn send(
        &self,
        target: &Target,
        proxy: &ProxySettings,
    ) -> Result<Value, CallFailure> {
        let limit = Duration::from_millis(self.timeout);
        match tokio::time::timeout(limit, self.exchange(target, proxy)).await {
            Ok(result) => result,
            Err(_) => Err(CallFailure::Timeout(limit)),
        }
    }

    async fn exchange(&self, target: &Target, proxy: &ProxySettings) -> Result<Value, CallFailure> {
        let start = Instant::now();
        let proxy = proxy.proxy_for(target.host());
        let dial = proxy.map_or(target, |proxy| &proxy.target);
        let authorization = proxy.and_then(|proxy| proxy.authorization.clone());
        let request = self.request(target, proxy.is_some(), authorization)?;
        let stream = TcpStream::connect((dial.host(), dial.port())).await;
        let stream = stream.map_err(|source| CallFailure::Connect {
            to: dial.clone(),
            source,
        })?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let _driver = AbortOnDropHandle::new(tokio::spawn(connection));
        let (head, body) = sender.send_request(request).await?.into_parts();
        let body = Limited::new(body, MAX_ANSWER).collect().await;
        let body = body.map_err(|error| CallFailure::Body(error.to_string()))?;
        Ok(json!({
            "status": head.status.as_u16(),
            "headers": texts(&head.headers),
            "body": String::from_utf8_lossy(&body.to_bytes()),
            "ms": start.elapsed().as_secs_f64() * 1000.0,
        }))
    }

    fn request(
        &self,
        target: &Target,
        absolute: bool,
        authorization: Option<HeaderValue>,
    ) -> Result<Request<Full<Bytes>>, http::Error> {
        let slash = PathAndQuery::from_static("/");
        let path = self.url.path_and_query().unwrap_or(&slash).clone();
        let mut uri = Uri::builder().path_and_query(path);
        if absolute {
            uri = uri.scheme("http").authority(target.to_string());
        }
        let authority = match self.url.authority() {
            Some(authority) => authority.as_str(),
            None => target.host(),
        };
        let mut request = Request::builder()
            .method(self.method.clone())
            .uri(uri.build()?)
            .header(header::HOST, authority)
            .header(header::USER_AGENT, "bookinfo-call")
            .body(Full::from(self.data.clone().unwrap_or_default()))?;
        if let Some(authorization) = authorization {
            request
                .headers_mut()
                .insert(header::PROXY_AUTHORIZATION, authorization);
        }
        for (name, value) in &self.headers {
            request.headers_mut().insert(name, value.clone());
        }
        Ok(request)
    }
}

/// Values of one name are joined, as RFC 9110 (section 5.3) allows.
fn texts(headers: &HeaderMap) -> BTreeMap<String, String> {
    let mut all: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        all.entry(name.to_string())
            .and_modify(|before| {
                before.push_str(", ");
                before.push_str(&value);
            })
            .or_insert_with(|| value.to_string());
    }
    all
}

fn parse_header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = text.split_once(':').ok_or("write it as 'name: value'")?;
    let name = name.trim();
    let parsed = name
        .parse()
        .map_err(|_| format!("`{name}` is no header name"))?;
    let value = value.trim();
    let value = value
        .parse()
        .map_err(|_| "the value has characters that no header may have".to_owned())?;
    Ok((parsed, value))
}
