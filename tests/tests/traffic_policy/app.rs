//! A server that does what the path says.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Collected, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use mesh_tests::laptop::LIMIT;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinSet;

/// Header of each answer that says who gave it.
pub(crate) const NAME: &str = "x-server";

/// `/fail/N/STATUS/…`: the first N requests for this path get the status. `/hang/N/…`: they get no
/// answer at all. `/held/…`: no answer before [`App::release`]. Everything else is answered by
/// 200, or by 500 while the server is ill. `…/later`: with `retry-after: 1`.
pub(crate) struct App {
    port: u16,
    state: Arc<State>,
    _task: JoinSet<()>,
}

#[derive(Default)]
struct State {
    // By path.
    seen: Mutex<HashMap<String, Vec<Parts>>>,
    // By path, of requests that have one.
    bodies: Mutex<HashMap<String, Vec<Bytes>>>,
    ill: Mutex<bool>,
    released: Notify,
    changed: Notify,
}

// === impl App ===

impl App {
    pub(crate) async fn start(name: &'static str) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let state = Arc::clone(&shared);
                connections.spawn(async move {
                    let service = service_fn(move |request| {
                        let state = Arc::clone(&state);
                        async move { Ok::<_, Infallible>(state.answer(name, request).await) }
                    });
                    // A client that goes away is no news.
                    let _ = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new())
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Self {
            port,
            state,
            _task: task,
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The requests for a path so far.
    pub(crate) fn seen(&self, path: &str) -> Vec<Parts> {
        let seen = self.state.seen.lock().unwrap();
        seen.get(path).cloned().unwrap_or_default()
    }

    /// The bodies of the requests for a path so far.
    pub(crate) fn bodies(&self, path: &str) -> Vec<Bytes> {
        let bodies = self.state.bodies.lock().unwrap();
        bodies.get(path).cloned().unwrap_or_default()
    }

    pub(crate) fn count(&self, path: &str) -> usize {
        self.seen(path).len()
    }

    /// Waits until so many requests for a path have come.
    pub(crate) async fn has_seen(&self, path: &str, count: usize) {
        let enough = async {
            loop {
                let changed = self.state.changed.notified();
                if self.count(path) >= count {
                    return;
                }
                changed.await;
            }
        };
        tokio::time::timeout(LIMIT, enough).await.unwrap();
    }

    /// Lets those go that are held.
    pub(crate) fn release(&self) {
        self.state.released.notify_waiters();
    }

    /// From now on every request is answered by 500, or as before.
    pub(crate) fn fall_ill(&self, ill: bool) {
        *self.state.ill.lock().unwrap() = ill;
    }
}

// === impl State ===

impl State {
    async fn answer(&self, name: &str, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map(Collected::to_bytes);
        let path = parts.uri.path().to_owned();
        if let Some(body) = body.ok().filter(|body| !body.is_empty()) {
            let mut bodies = self.bodies.lock().unwrap();
            bodies.entry(path.clone()).or_default().push(body);
        }
        let released = self.released.notified();
        let number = {
            let mut seen = self.seen.lock().unwrap();
            let seen = seen.entry(path.clone()).or_default();
            seen.push(parts);
            seen.len()
        };
        self.changed.notify_waiters();
        let words: Vec<&str> = path.split('/').skip(1).collect();
        let status = match words.as_slice() {
            ["fail", times, status, ..] if number <= times.parse().unwrap() => {
                status.parse().unwrap()
            }
            ["hang", times, ..] if number <= times.parse().unwrap() => {
                tokio::time::sleep(Duration::from_secs(600)).await;
                200
            }
            ["held", ..] => {
                released.await;
                200
            }
            _ if *self.ill.lock().unwrap() => 500,
            _ => 200,
        };
        let mut response = Response::new(Full::new(Bytes::from(name.to_owned())));
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        response.headers_mut().insert(NAME, name.parse().unwrap());
        if words.last() == Some(&"later") {
            let after = http::HeaderValue::from_static("1");
            response.headers_mut().insert("retry-after", after);
        }
        response
    }
}
