//! Services, stand-ins for their neighbours, and a plain client.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, request::Parts};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{Command, ProxySettings, Service, Settings, Target, bind};

/// No test waits longer than this for anything.
const DEADLINE: Duration = Duration::from_secs(20);
/// A call timeout for tests of timeouts.
pub(super) const SHORT: Duration = Duration::from_millis(250);

pub(super) struct Running {
    pub(super) address: SocketAddr,
    pub(super) task: JoinHandle<()>,
    pub(super) shutdown: DropGuard,
}

/// A response as the plain client got it.
#[derive(Debug)]
pub(super) struct Got {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

/// A server with answers of the test's making, which remembers what it was asked.
pub(super) struct Stub {
    pub(super) address: SocketAddr,
    seen: Arc<Mutex<Vec<Parts>>>,
    connections: Arc<AtomicUsize>,
}

/// All six workloads of the application.
pub(super) struct Application {
    pub(super) ratings: Running,
    pub(super) details: Running,
    pub(super) reviews: BTreeMap<&'static str, Running>,
}

pub(super) fn settings(service: Service, version: &str) -> Settings {
    let command = Command {
        service,
        version: version.to_owned(),
        port: 0,
        host: "127.0.0.1".to_owned(),
        pod_name: None,
    };
    Settings::new(command, &BTreeMap::new()).unwrap()
}

pub(super) fn proxy(url: &str, no_proxy: &str) -> ProxySettings {
    let env = [("http_proxy", url), ("no_proxy", no_proxy)];
    let env = env
        .into_iter()
        .map(|(k, v)| (k.to_owned(), v.to_owned()))
        .collect();
    ProxySettings::from_env(&env).unwrap()
}

pub(super) async fn start(settings: Settings) -> Running {
    let bound = bind(settings).await.unwrap();
    let address = bound.local_addr();
    let shutdown = CancellationToken::new();
    let task = tokio::spawn(bound.run(shutdown.clone()));
    Running {
        address,
        task,
        shutdown: shutdown.drop_guard(),
    }
}

/// The product page with these neighbours.
pub(super) fn page_settings(details: SocketAddr, reviews: SocketAddr) -> Settings {
    let mut settings = settings(Service::Productpage, "v1");
    settings.upstreams.details = details.into();
    settings.upstreams.reviews = reviews.into();
    settings
}

pub(super) fn reviews_settings(version: &str, ratings: SocketAddr) -> Settings {
    let mut settings = settings(Service::Reviews, version);
    settings.upstreams.ratings = Target::from(ratings);
    settings
}

pub(super) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future)
        .await
        .expect("the test's deadline")
}

// === impl Application ===

impl Application {
    pub(super) async fn start() -> Self {
        let ratings = start(settings(Service::Ratings, "v1")).await;
        let details = start(settings(Service::Details, "v1")).await;
        let mut reviews = BTreeMap::new();
        for version in ["v1", "v2", "v3"] {
            let settings = reviews_settings(version, ratings.address);
            reviews.insert(version, start(settings).await);
        }
        Self {
            ratings,
            details,
            reviews,
        }
    }

    /// A product page that calls this version of `reviews`.
    pub(super) async fn page(&self, version: &str) -> Running {
        let mut settings = page_settings(self.details.address, self.reviews[version].address);
        settings.upstreams.ratings = self.ratings.address.into();
        start(settings).await
    }
}

// === impl Stub ===

impl Stub {
    pub(super) async fn start<F, A>(answer: F) -> Self
    where
        F: Fn(Parts) -> A + Clone + Send + Sync + 'static,
        A: Future<Output = Response<String>> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stub = Self {
            address: listener.local_addr().unwrap(),
            seen: Arc::default(),
            connections: Arc::default(),
        };
        let (seen, connections) = (stub.seen.clone(), stub.connections.clone());
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                connections.fetch_add(1, Ordering::SeqCst);
                let (answer, seen) = (answer.clone(), seen.clone());
                let service = service_fn(move |request: Request<Incoming>| {
                    let (parts, _) = request.into_parts();
                    seen.lock().unwrap().push(parts.clone());
                    let answer = answer(parts);
                    async { Ok::<_, Infallible>(answer.await.map(Bytes::from).map(Full::new)) }
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        stub
    }

    /// Always this answer.
    pub(super) async fn fixed(status: u16, headers: &[(&'static str, &str)], body: &str) -> Self {
        let mut response = Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(*name, *value);
        }
        let response = response.body(body.to_owned()).unwrap();
        Self::start(move |_| std::future::ready(response.clone())).await
    }

    /// Never an answer.
    pub(super) async fn silent() -> Self {
        Self::start(|_| std::future::pending()).await
    }

    pub(super) fn seen(&self) -> Vec<Parts> {
        self.seen.lock().unwrap().clone()
    }

    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

// === impl Got ===

impl Got {
    pub(super) fn json(&self) -> Value {
        assert_eq!(self.headers["content-type"], "application/json");
        serde_json::from_str(&self.body).unwrap()
    }

    #[track_caller]
    pub(super) fn assert_contains(&self, text: &str) {
        assert!(self.body.contains(text), "no {text:?} in {}", self.body);
    }

    #[track_caller]
    pub(super) fn assert_lacks(&self, text: &str) {
        assert!(!self.body.contains(text), "{text:?} in {}", self.body);
    }
}

pub(super) async fn get(address: SocketAddr, path: &str) -> Got {
    send(address, "GET", path, &[], "").await
}

/// One request on a connection of its own.
pub(super) async fn send(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Got {
    let mut request = format!(
        "{method} {path} HTTP/1.1\r\nHost: bookinfo.test\r\nConnection: close\r\n\
         Content-Length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        request += &format!("{name}: {value}\r\n");
    }
    request += "\r\n";
    request += body;
    within(async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        // The server may answer and close before it has read a body that it refuses.
        let _ = stream.write_all(request.as_bytes()).await;
        let mut response = Vec::new();
        stream.read_to_end(&mut response).await.unwrap();
        parse(&String::from_utf8(response).unwrap())
    })
    .await
}

fn parse(response: &str) -> Got {
    let (head, body) = response.split_once("\r\n\r\n").expect("a complete head");
    let mut lines = head.lines();
    let status = lines
        .next()
        .unwrap()
        .split(' ')
        .nth(1)
        .unwrap()
        .parse()
        .unwrap();
    let headers = lines
        .map(|line| {
            let (name, value) = line.split_once(": ").unwrap();
            (
                name.parse::<HeaderName>().unwrap(),
                value.parse::<HeaderValue>().unwrap(),
            )
        })
        .collect();
    Got {
        status,
        headers,
        body: body.to_owned(),
    }
}
