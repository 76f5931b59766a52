//! An application whose health the test decides.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

/// How it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// Answers after a while, as long as it has a thread for it.
    Well,
    /// Answers 503 at once.
    Fails,
    /// Answers nothing until it is well again.
    Hangs,
}

/// A running application; stops when dropped.
pub struct Backend {
    address: SocketAddr,
    health: watch::Sender<Health>,
    served: Arc<AtomicU64>,
    _task: JoinSet<()>,
}

/// What there is of the largest answer.
static LARGE: LazyLock<Bytes> = LazyLock::new(|| Bytes::from(vec![b'x'; 64 << 20]));

/// Path of an answer that goes on until the application is not well any more.
pub const STREAM: &str = "/stream";

type Body = UnsyncBoxBody<Bytes, Infallible>;

struct Work {
    health: watch::Receiver<Health>,
    served: Arc<AtomicU64>,
    threads: Semaphore,
    takes: Duration,
}

// === impl Backend ===

impl Backend {
    /// One that serves `threads` requests at a time, each of which takes that long.
    pub async fn start(threads: usize, takes: Duration) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (health, receiver) = watch::channel(Health::Well);
        let served = Arc::new(AtomicU64::new(0));
        let work = Arc::new(Work {
            health: receiver,
            served: Arc::clone(&served),
            threads: Semaphore::new(threads),
            takes,
        });
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let work = Arc::clone(&work);
                connections.spawn(async move {
                    let service = service_fn(move |request| {
                        let work = Arc::clone(&work);
                        async move { Ok::<_, Infallible>(work.answer(request).await) }
                    });
                    // A client that goes away is no news.
                    let _ = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new())
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
                while connections.try_join_next().is_some() {}
            }
        });
        Self {
            address,
            health,
            served,
            _task: task,
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn is_now(&self, health: Health) {
        self.health.send_replace(health);
    }

    /// Requests that it has begun to serve.
    pub fn served(&self) -> u64 {
        self.served.load(Ordering::Relaxed)
    }
}

// === impl Work ===

impl Work {
    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        self.served.fetch_add(1, Ordering::Relaxed);
        let mut health = self.health.clone();
        let thread = self.threads.acquire().await.unwrap();
        let _ = health.wait_for(|now| *now != Health::Hangs).await;
        if *health.borrow() == Health::Fails {
            let mut response = Response::new(Full::default().boxed_unsync());
            *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
            return response;
        }
        if request.uri().path() == STREAM {
            return Response::new(stream(health));
        }
        let takes = match request.uri().path().strip_prefix("/takes/") {
            Some(millis) => Duration::from_millis(millis.parse().unwrap()),
            None => self.takes,
        };
        tokio::time::sleep(takes).await;
        drop(thread);
        let body = match request.uri().path().strip_prefix("/bytes/") {
            Some(length) => LARGE.slice(..length.parse::<usize>().unwrap()),
            None => Bytes::from_static(&[b'x'; 1024]),
        };
        Response::new(Full::new(body).boxed_unsync())
    }
}

/// An octet every few milliseconds, as long as the application is well.
fn stream(health: watch::Receiver<Health>) -> Body {
    let octets = futures_util::stream::unfold(health, |health| async {
        tokio::time::sleep(Duration::from_millis(5)).await;
        let well = *health.borrow() == Health::Well;
        well.then(|| (Ok(Frame::data(Bytes::from_static(b"x"))), health))
    });
    StreamBody::new(octets).boxed_unsync()
}
